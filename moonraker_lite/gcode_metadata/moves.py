"""Facts that have to be taken from the G-code itself: heights, tools and the temperatures of the start code.

Used only where the comments do not state them, and only within the windows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from moonraker_lite.gcode_metadata import fields
from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.rules import Table
from moonraker_lite.gcode_metadata.window import EXTRUDING_MOVE, last_match

_HEIGHT_EVENT = re.compile(rb"\n(?:[Gg]9([01])\b|[Gg]0?[0-3][ \t][^\n;(Z]*+Z([+-]?+(?:\d++(?:\.\d*+)?+|\.\d++)))")
"""Absolute or relative mode, or a move with a Z word."""
_Z_WORD = re.compile(rb"Z([+-]?+(?:\d++(?:\.\d*+)?+|\.\d++))")
_MOVE_TO_Z = re.compile(rb"\n[Gg]0?[0-3][ \t][^\n;(]*+\Z")
"""What stands before the Z word of a move."""
_PLANE_MOVE = re.compile(rb"\n[Gg]0?[0-3][ \t][^\n;(XY]*+[XY]-?[\d.]")
_LAYER_Z = re.compile(rb";Z:(?<=\n;Z:)(\d++(?:\.\d*+)?+|\.\d++)")
_TOOL = re.compile(rb"T(?<=\nT)(\d{1,2}+)(?=[\s;])")
_FIRST_COMMAND = re.compile(rb"\n[A-Za-z_]")
_TEMPERATURE = re.compile(rb"\n(M104|M109|M140|M190|M141|M191|M568|G10)(?=[ \t])([^\n;]*+)")
_HEATER = re.compile(rb"\nSET_HEATER_TEMPERATURE[ \t]([^\n;]*+)", re.IGNORECASE)
_WORD = re.compile(rb"\b([STRP])[ ]?(\d++(?:\.\d*+)?+)")
_START_MACRO = re.compile(rb"\n_?(?:print_start|start_print|printstart|startprint)\b([^\n;]*+)", re.IGNORECASE)
_MACRO_WORD = re.compile(rb"([A-Za-z_]+)=[ ]?'?\"?(\d++(?:\.\d*+)?+)")
_HEATER_NAME = re.compile(rb"HEATER=[ ]?\"?(\w+)", re.IGNORECASE)
_PROGRESS = re.compile(rb"\nM73[ \t](?:P\d++(?:\.\d*+)?+[ \t]?+)?+R(\d{1,6})\b")

_NOZZLE_WORDS = (
    b"extruder",
    b"extruder_temp",
    b"hotend",
    b"hotend_temp",
    b"nozzle",
    b"nozzle_temp",
    b"tool_temp",
    b"temp",
)
_BED_WORDS = (b"bed", b"bed_temp")
_CHAMBER_WORDS = (b"chamber", b"chamber_temp")
MAX_MACRO = 4096
MAX_HEATS = 1000
"""Commands of a start code that heat; the last ones count."""
MAX_PLAUSIBLE_Z = 10_000.0
DENSE_REACH = 16 * 1024
"""Where nearly every move names a height (spirals, old slicers), this much beside the outermost move tells it."""
DENSE_WORDS = 200
LONGEST_MOVE = 256
MAX_TRIES = 3000
"""Of one height."""
MAX_EVENTS = 4000
"""Changes of height that are gone through in order."""
MAX_CANDIDATES = 32
"""Heights to try one by one, for example those of lifts above the print, before all are gone through in order."""


def layer_change_height(evidence: Evidence) -> float | None:
    """The highest `;Z:` that PrusaSlicer and its kin write at a layer change."""
    tail = evidence.windows.tail
    if b";Z:" not in evidence.first_layer:
        return None
    return max((height for height in map(fields.number, _LAYER_Z.findall(tail)) if height is not None), default=None)


def printed_height(evidence: Evidence) -> float | None:
    """The highest Z at which filament is fed; lifts of the start and end code and between travels do not count.

    Reads more of the tail when the last layer is longer than the window.
    """
    return evidence.once(_printed_height)


def _printed_height(evidence: Evidence) -> float | None:
    windows = evidence.windows
    if windows.whole and evidence.first_move is None:
        return None
    while True:
        height = _highest_printed(windows.tail, evidence.first_layer_at if windows.whole else 0)
        if height is not None or not windows.grow_tail():
            return height


def first_layer_height(evidence: Evidence) -> float | None:
    """Z of the first layer: the first printing height after its mark, without a mark the lowest of all."""
    data = evidence.windows.head
    mark = evidence.first_layer_at
    if evidence.first_move is None:
        return None
    if not mark:
        return _lowest_printed(data)
    relative = False
    move = None
    for event in _HEIGHT_EVENT.finditer(data, mark):
        if event[1]:
            relative = event[1] == b"1"
            continue
        if move is None or move.start() < event.start():
            move = EXTRUDING_MOVE.search(data, event.start())
            if move is None:
                return None
        height = None if relative else fields.number(event[2])
        # Filament must be fed before the next change of height.
        if height and 0 < height <= MAX_PLAUSIBLE_Z and not _HEIGHT_EVENT.search(data, event.end(), move.start() + 1):
            return height
    return None


def drawn_height(evidence: Evidence) -> float | None:
    """The highest Z of a file that feeds no filament at all (a drawing, a motion test)."""
    return max(_drawn(evidence, evidence.windows.tail), default=None)


def drawn_first_height(evidence: Evidence) -> float | None:
    return min((height for height in _drawn(evidence, evidence.windows.head) if height > 0), default=None)


def tools(evidence: Evidence) -> list[int] | None:
    """Tools that are selected and then print something within the windows; None when it is one or none."""
    return evidence.once(_tools)


def _tools(evidence: Evidence) -> list[int] | None:
    windows = evidence.windows
    found: set[int] = set()
    for data in (windows.head,) if windows.whole else (windows.head, windows.tail):
        selections = list(_TOOL.finditer(data))
        for index, selection in enumerate(selections):
            tool = int(selection[1])
            limit = selections[index + 1].start() if index + 1 < len(selections) else len(data)
            if tool not in found and EXTRUDING_MOVE.search(data, selection.end(), limit):
                found.add(tool)
    return sorted(found) if len(found) > 1 else None


def nozzle_temperature(evidence: Evidence) -> float | None:
    """What the start code heats the first printing tool to, last of all.

    Zero does not count: it is a placeholder, or switches off.
    """
    start = evidence.once(_start_code)
    stated = next((start.macro[name] for name in _NOZZLE_WORDS if name in start.macro), None)
    if stated is not None:
        return stated
    result = other = None
    for command, words in start.heats:
        if command not in (b"M104", b"M109", b"G10", b"M568"):
            continue
        heat = words.get(b"S") or words.get(b"R")
        tool = words.get(b"P" if command in (b"G10", b"M568") else b"T")
        if heat and tool in (None, evidence.first_tool):
            result = heat
        elif heat:
            other = heat
    return result or other or start.heaters.get(b"extruder")


def bed_temperature(evidence: Evidence) -> float | None:
    return _heat(evidence, (b"M140", b"M190"), _BED_WORDS) or evidence.once(_start_code).heaters.get(b"heater_bed")


def chamber_temperature(evidence: Evidence) -> float | None:
    return _heat(evidence, (b"M141", b"M191"), _CHAMBER_WORDS)


def progress_time(evidence: Evidence) -> int | None:
    """Seconds remaining at the start, from the first `M73 P0 R<minutes>`. Zero says nothing."""
    found = _PROGRESS.search(evidence.start)
    return int(found[1]) * 60 if found and int(found[1]) else None


def _highest_printed(data: bytes, start: int) -> float | None:
    last = last_match(EXTRUDING_MOVE, data, (b"\nG",))
    if last is None or last.start() < start:
        return None
    # The Z word may stand in the last move itself.
    limit = data.find(b"\n", last.end())
    limit = len(data) if limit < 0 else limit
    here = _height_at(data, limit)
    words = _z_words(data, start, limit, max(start, limit - DENSE_REACH), limit)
    higher = _spellings(words, -MAX_PLAUSIBLE_Z if here is None else here, MAX_PLAUSIBLE_Z)
    if len(higher) > MAX_CANDIDATES:
        return max(_printed(data, start), default=None)
    for height in sorted(higher, reverse=True):
        if _is_printed(data, higher[height], start, limit):
            return height
    return here


def _lowest_printed(data: bytes) -> float | None:
    first = EXTRUDING_MOVE.search(data)
    if first is None:
        return None
    limit = data.find(b"\n", first.end())
    limit = len(data) if limit < 0 else limit
    here = _height_at(data, limit) or None
    words = _z_words(data, 0, len(data), 0, limit + DENSE_REACH)
    lower = _spellings(words, 0, MAX_PLAUSIBLE_Z if here is None else here)
    if len(lower) > MAX_CANDIDATES:
        return min((height for height in _printed(data, 0) if height > 0), default=None)
    for height in sorted(lower):
        if _is_printed(data, lower[height], 0, len(data)):
            return height
    return here


def _z_words(data: bytes, start: int, limit: int, near_start: int, near_limit: int) -> set[bytes]:
    """The numbers behind Z: of the part nearby, and of all where there are few."""
    words = set(_Z_WORD.findall(data, near_start, near_limit))
    return words if len(words) > DENSE_WORDS else set(_Z_WORD.findall(data, start, limit))


def _spellings(words: set[bytes], above: float, below: float) -> dict[float, set[bytes]]:
    """The heights between two bounds, each with the ways in which it is written."""
    result: dict[float, set[bytes]] = {}
    for word in words:
        height = float(word)
        if above < height < below:
            result.setdefault(height, set()).add(word)
    return result


def _height_at(data: bytes, limit: int) -> float | None:
    """The Z that holds at the end of the line there: that of the last move with a Z word. None when that is far away
    or relative."""
    at = limit
    for _ in range(MAX_CANDIDATES):
        at = data.rfind(b"Z", 0, at)
        if at < 0:
            return None
        word = _Z_WORD.match(data, at)
        line = data.rfind(b"\n", max(0, at - LONGEST_MOVE), at)
        if word is not None and line >= 0 and _MOVE_TO_Z.match(data, line, at) is not None:
            height = fields.number(word[1])
            if _is_relative(data, line) or height is None or abs(height) > MAX_PLAUSIBLE_Z:
                return None
            return height
    return None


def _is_printed(data: bytes, spellings: set[bytes], start: int, limit: int) -> bool:
    """Whether filament is fed anywhere at this height."""
    for spelling in spellings:
        word = b"Z" + spelling
        at = data.find(word, start, limit)
        for _ in range(MAX_TRIES):
            if at < 0:
                break
            if data[at + len(word) : at + len(word) + 1] not in _DIGITS and _prints_at(data, at):
                return True
            at = data.find(word, at + len(word), limit)
    return False


_DIGITS = frozenset(bytes([digit]) for digit in b"0123456789.")


def _prints_at(data: bytes, at: int) -> bool:
    """Whether the Z word there belongs to an absolute move, and filament is fed before the next one."""
    line = data.rfind(b"\n", max(0, at - LONGEST_MOVE), at)
    if line < 0 or _MOVE_TO_Z.match(data, line, at) is None:
        return False
    following = _HEIGHT_EVENT.search(data, at)
    limit = len(data) if following is None else following.start()
    return EXTRUDING_MOVE.search(data, line, limit) is not None and not _is_relative(data, line)


def _is_relative(data: bytes, line: int) -> bool:
    relative = data.rfind(b"\nG91", 0, line)
    return relative >= 0 and data.rfind(b"\nG90", relative, line) < 0


def _printed(data: bytes, start: int) -> Iterator[float]:
    for height, begin, limit in _heights(data, start):
        if EXTRUDING_MOVE.search(data, begin, limit):
            yield height


def _drawn(evidence: Evidence, data: bytes) -> Iterable[float]:
    if evidence.first_move is not None or (not evidence.windows.whole and EXTRUDING_MOVE.search(data) is not None):
        return ()
    return [height for height, begin, limit in _heights(data, 0) if _PLANE_MOVE.search(data, begin, limit)]


def _heights(data: bytes, start: int) -> Iterator[tuple[float, int, int]]:
    """Absolute Z values with the range of bytes for which each holds."""
    relative = False
    current: tuple[float, int] | None = None
    for event in islice(_HEIGHT_EVENT.finditer(data, start), MAX_EVENTS):
        if event[1]:
            relative = event[1] == b"1"
            continue
        if current is not None:
            yield *current, event.start()
        height = None if relative else fields.number(event[2])
        current = (height, event.start()) if height is not None and height <= MAX_PLAUSIBLE_Z else None
    if current is not None:
        yield *current, len(data)


class _StartCode(NamedTuple):
    """`heats` are the commands that heat, with their words; `macro` the words above zero of a Klipper start macro such
    as `PRINT_START BED=60 EXTRUDER=210`; `heaters` the last targets above zero of Klipper's own command."""

    heats: list[tuple[bytes, dict[bytes, float]]]
    macro: dict[bytes, float]
    heaters: dict[bytes, float]


def _start_code(evidence: Evidence) -> _StartCode:
    text = evidence.start
    first = _FIRST_COMMAND.search(text)
    text = text[first.start() :] if first else b""
    heats = []
    for command, rest in _TEMPERATURE.findall(text)[-MAX_HEATS:]:
        heats.append((command, {letter: fields.number(value) or 0.0 for letter, value in _WORD.findall(rest)}))
    macro = _START_MACRO.search(text)
    heaters: dict[bytes, float] = {}
    for words in _HEATER.findall(text)[-MAX_HEATS:]:
        name = _HEATER_NAME.search(words[:MAX_MACRO])
        target = _macro_words(words).get(b"target")
        if name is not None and target:
            heaters[name[1].lower()] = target
    return _StartCode(heats, _macro_words(macro[1]) if macro else {}, heaters)


def _macro_words(words: bytes) -> dict[bytes, float]:
    found = {name.lower(): fields.positive(value) for name, value in _MACRO_WORD.findall(words[:MAX_MACRO])}
    return {name: value for name, value in found.items() if value is not None}


def _heat(evidence: Evidence, commands: tuple[bytes, ...], macro_words: tuple[bytes, ...]) -> float | None:
    start = evidence.once(_start_code)
    stated = next((start.macro[name] for name in macro_words if name in start.macro), None)
    if stated is not None:
        return stated
    result = None
    for command, words in start.heats:
        if command in commands:
            result = words.get(b"S") or words.get(b"R") or result
    return result


TABLE: Table = {
    "object_height": (layer_change_height, printed_height),
    "estimated_time": (progress_time,),
    "first_layer_height": (first_layer_height,),
    "first_layer_extr_temp": (nozzle_temperature,),
    "first_layer_bed_temp": (bed_temperature,),
    "chamber_temp": (chamber_temperature,),
    "progress_time": (progress_time,),
}
"""For every slicer: what to try when its comments do not state a fact."""
