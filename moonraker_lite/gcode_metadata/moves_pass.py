"""A pass over all moves of a file, for what its comments do not state.

The text is read in chunks and taken apart by one compiled expression. Runs of plain printing lines (`G1 X1 Y2 E.3`),
which are most of any print, are turned into a JSON array by replacing bytes and decoded as a whole; what is left is
looked at word by word. Memory does not grow with the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator
from itertools import pairwise
from typing import Protocol

import msgspec

from moonraker_lite.gcode_metadata.containers import OpenedText
from moonraker_lite.gcode_metadata.evidence import LAYER_MARK
from moonraker_lite.gcode_metadata.motion import INCH, Motion, MoveFacts, Words

CHUNK = 64 * 1024
"""Some milliseconds of work; a scan that is asked for waits no longer."""
ENOUGH = 20
"""Printing moves from which on one may tell whether filament is given relatively."""
MAX_LINE = 64 * 1024
"""What stands on a longer line is passed over."""
BULK = 3
"""Lines from which on decoding them together pays."""
TOO_MUCH = 1e12
"""A word with such a value is none."""

_NUMBER = rb"[-+]?+(?:\d++(?:\.\d*+)?+|\.\d++)"
_PLAIN = rb"-?+[\d.]{1,12}+"
_FEED = rb"(?: F[\d.]++)?+"
_RUN = rb"((?:\nG1%b X%b Y%b E[\d.]{1,12}+%b(?=\n)){%d,}+)" % (_FEED, _PLAIN, _PLAIN, _FEED, BULK)
_PRINT = rb"\nG1%b X(%b) Y(%b) E(%b)%b(?=\n)" % (_FEED, _PLAIN, _PLAIN, _PLAIN, _FEED)
_TRAVEL = rb"\nG[01]%b X(%b) Y(%b)%b(?=\n)" % (_FEED, _PLAIN, _PLAIN, _FEED)
_PUSH = rb"\nG1%b E(%b)%b(?=\n)" % (_FEED, _PLAIN, _FEED)
_MOVE = rb"\n[ \t]*+(?:[Nn]\d++[ \t]*+)?+[Gg]0*([0-3])(?![\d.]| F[\d.]++\n)([^;\n]*+)"
_STATE = rb"\n[ \t]*+(?:[Nn]\d++[ \t]*+)?+([GgMm]0*(?:20|21|28|90|91|92|82|83)|[Tt]\d{1,3}+)(?![\d.])([^;\n]*+)"
_FEATURE = rb"\n;[ ]?(?:TYPE:|FEATURE:[ ]?)([^\n]*+)"
_PATTERN = b"|".join((_RUN, _PRINT, _TRAVEL, _PUSH, _MOVE, _STATE, _FEATURE))
_RUNS, _PRINTS, _TRAVELS, _PUSHES, _MOVES, _STATES, _FEATURES, _MARKS = 1, 4, 6, 7, 9, 11, 12, 13
_TOKEN = re.compile(_PATTERN)
_TOKEN_OR_MARK = re.compile(b"%b|(%b)" % (_PATTERN, LAYER_MARK.pattern))
_STATED = re.compile(rb"\n[ \t]*+[Mm]0*8[23]\b")
_FED = re.compile(rb"\nG[0-3] [^\n;(EXY]*+[XY][^\n;(E]*+E(\d++(?:\.\d*+)?+|\.\d++)")
_FEED_WORD = re.compile(rb" F[\d.]++")
_WORD = re.compile(rb"([XYZEIJR])[ \t]*+(%b)" % _NUMBER)
_NOTE = re.compile(rb"\([^)\n]*+\)?")
_SEPARATE = bytes.maketrans(b"YE", b",,")
_FLOATS = msgspec.json.Decoder(list[float])


class Readable(Protocol):
    """What gives bytes until it gives none."""

    def read(self, count: int, /) -> bytes:
        """About `count` bytes."""


def scan_moves(path: str | os.PathLike[str], progress: Callable[[int], None] | None = None) -> MoveFacts:
    """Follow all moves of a G-code file, or of the (first) print in a container. `progress` is told the bytes done
    after each chunk; what it raises ends the pass.

    Raises OSError when the file cannot be read, and nothing for whatever is in it.
    """
    with OpenedText(path) as file:
        steps = walk(file)
        while True:
            try:
                done = next(steps)
            except StopIteration as end:
                facts: MoveFacts = end.value
                return facts
            if progress is not None:
                progress(done)


def walk(file: Readable, chunk: int = CHUNK) -> Generator[int, None, MoveFacts]:
    """The pass in steps of about `chunk` bytes, each yielding how many bytes are done."""
    motion = Motion()
    done = 0
    rest = b""
    known = False  # how filament is given
    while block := file.read(chunk):
        done += len(block)
        data = rest + block
        end = data.rfind(b"\n")
        if end < 0:
            rest = data if len(data) <= MAX_LINE else b";"
        else:
            rest = data[end + 1 :]
            lines = data[: end + 1]
            if not known:
                relative = _looks_relative(b"\n" + lines)
                known, motion.relative_e = relative is not None, relative or motion.relative_e
            _take(motion, lines)
        yield done
    _take(motion, rest + b"\n")
    return motion.facts()


def _looks_relative(data: bytes) -> bool | None:
    """Whether filament is given relatively although the file does not say how it is: it would go back too often. None
    when there are too few moves to tell."""
    if _STATED.search(data) is not None:
        return False  # the moves are followed as it says
    values = [float(value) for value in _FED.findall(data)]
    if len(values) < ENOUGH:
        return None
    back = sum(after < before for before, after in pairwise(values))
    return back * 5 > len(values)


def _take(motion: Motion, text: bytes) -> None:
    """Follow whole lines."""
    data = b"\n" + (text.replace(b"\r", b"") if b"\r" in text else text)
    position = 0
    if not motion.marked:
        for token in _TOKEN_OR_MARK.finditer(data):
            if token.lastindex == _MARKS:
                motion.mark()
                position = token.start(_MARKS) + 1
                break
            _follow(motion, token)
        else:
            return
    for token in _TOKEN.finditer(data, position):
        _follow(motion, token)


def _follow(motion: Motion, token: re.Match[bytes]) -> None:
    kind = token.lastindex
    try:
        if kind == _PRINTS:
            motion.print_to(float(token[2]), float(token[3]), float(token[4]))
        elif kind == _TRAVELS:
            motion.travel(float(token[5]), float(token[6]))
        elif kind == _PUSHES:
            motion.push(float(token[7]))
        elif kind == _RUNS:
            _follow_run(motion, token[1])
        elif kind == _MOVES:
            motion.move(_words(token[9]), int(token[8]) if token[8] > b"1" else 0)
        elif kind == _STATES:
            _change(motion, token[10], token[11])
        elif kind == _FEATURES:
            motion.custom = token[12].strip().lower() == b"custom"
    except ValueError:  # a number like "1.2.3"
        motion.move(_words(token[0][3:]))


def _follow_run(motion: Motion, lines: bytes) -> None:
    # "\nG1 X1 Y-.2 E.3\nG1 X4 Y5 E6" becomes "[1,-0.2,0.3,4,5,6]".
    plain = _FEED_WORD.sub(b"", lines) if b"F" in lines else lines
    plain = plain.replace(b"\nG1 X", b",").replace(b" ", b"").translate(_SEPARATE)
    if b",." in plain:
        plain = plain.replace(b",.", b",0.")
    if b"-." in plain:
        plain = plain.replace(b"-.", b"-0.")
    try:
        numbers = _FLOATS.decode(b"[%b]" % plain[1:])
    except msgspec.DecodeError:
        numbers = []  # "1." and "007" are no JSON
    if not numbers:
        for line in lines[1:].split(b"\n"):
            motion.move(_words(line[2:]))
    elif not motion.run(xs := numbers[0::3], ys := numbers[1::3], es := numbers[2::3]):
        for x, y, e in zip(xs, ys, es, strict=True):
            motion.print_to(x, y, e)


def _words(text: bytes) -> Words:
    if b"(" in text:
        text = _NOTE.sub(b"", text)
    words = {letter: float(value) for letter, value in _WORD.findall(text.upper())}
    if words and (max(words.values()) >= TOO_MUCH or min(words.values()) <= -TOO_MUCH):
        return {letter: value for letter, value in words.items() if abs(value) < TOO_MUCH}
    return words


def _change(motion: Motion, command: bytes, words: bytes) -> None:
    """Everything that changes what moves mean."""
    letter, number = command[:1].upper(), int(command[1:])
    match letter, number:
        case b"T", tool:
            motion.select(tool)
        case b"G", 20:
            motion.scale = INCH
        case b"G", 21:
            motion.scale = 1.0
        case b"G", 28:
            motion.home(words)
        case b"G", 90:
            motion.relative = False
        case b"G", 91:
            motion.relative = True
        case b"G", 92:
            motion.set_position(_words(words))
        case b"M", 82:
            motion.relative_e = False
        case b"M", 83:
            motion.relative_e = True
