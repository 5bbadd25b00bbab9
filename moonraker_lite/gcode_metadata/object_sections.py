"""Reading a labelled file: which object each stretch of it belongs to, and where that is printed.

Three looks at the file, each in blocks of whole lines: for labels at all (fast), for names and outlines (every move),
and for writing it anew. The last one follows the labels a second time instead of remembering where they stood, so that
memory does not grow with the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import BinaryIO, NamedTuple

import msgspec

from moonraker_lite.gcode_metadata.object_labels import STYLES, Mark, Names, Style
from moonraker_lite.gcode_metadata.outline import Outline, arc_extremes

BLOCK = 1024 * 1024
MAX_OBJECTS = 500
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DEFINITION = re.compile(rb"^[ \t]*EXCLUDE_OBJECT_(?:DEFINE|START)\b", re.MULTILINE | re.IGNORECASE)
_COMMAND = re.compile(rb"^[ \t]*[A-Za-z_]", re.MULTILINE)
_WORD = re.compile(rb"([XYEIJ])[ \t]*([-+]?(?:\d+\.?\d*|\.\d+))")
# Several plain printing lines, which is what most of a print is; other moves; commands that say what the numbers of
# moves mean; labels.
_PLAIN = rb"-?[\d.]{1,12}+"
_RATE = rb"(?: F[\d.]++)?+"
_RUN = rb"(?:G1%b X%b Y%b E[\d.]{1,12}+%b\r?+\n){3,}+" % (_RATE, _PLAIN, _PLAIN, _RATE)
_LINES = rb"^(?:(%b)|[ \t]*[Gg]0*([0-3])(?![\d.])([^;\n(]*)|[ \t]*([Gg]9[012]|[Mm]8[23])(?![\d.])([^;\n]*)|(%b))"
_FEED_RATE = re.compile(rb" F[\d.]++")
_SEPARATE = bytes.maketrans(b"YE", b",,")
_FLOATS = msgspec.json.Decoder(list[float])

Progress = Callable[[int], None]
"""Told how many bytes of a look are done."""


class Plan(NamedTuple):
    """What was found. Offsets in bytes; names and outlines by the labels' keys, in the order of the file.

    The definitions go in at `define_at`. The last object may have no label behind it: its last printed move is on the
    line of `close_at`.
    """

    style: Style
    names: dict[str, str]
    outlines: dict[str, Outline]
    define_at: int
    close_at: int | None
    line_end: bytes


class AlreadyDefined(Exception):
    """The file brings what we would write."""


def find_style(source: BinaryIO, progress: Progress) -> Style | None:
    """The best kind of labels in the file; None when there is none.

    Raises:
        AlreadyDefined: it has definitions, or uses objects by name.
    """
    patterns = [(style, re.compile(rb"^(?:%b)" % style.opening, re.MULTILINE)) for style in STYLES]
    best = len(patterns)
    for offset, block, whole in _blocks(source):
        progress(offset)
        if not whole:
            continue
        if (b"EXCLUDE_OBJECT_" in block or b"exclude_object_" in block) and _DEFINITION.search(block):
            raise AlreadyDefined
        for rank, (style, pattern) in enumerate(patterns[:best]):
            if any(needle in block for needle in style.needles) and pattern.search(block):
                best = rank
                break
    return STYLES[best] if best < len(STYLES) else None


def measure(source: BinaryIO, style: Style, progress: Progress) -> Plan | None:
    """Follow every move of a file that has labels of this style. None when there are more objects than is sane."""
    return _Measurement(style).run(source, progress)


class _Measurement:
    """The second look."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._pattern = re.compile(_LINES % (_RUN, style.lines), re.MULTILINE)
        self._sections = _Sections(style)
        self._moves = _Moves()
        self._outlines: dict[str, Outline] = {}
        self._titles: dict[str, str] = {}
        self._outline: Outline | None = None
        self._define_at: int | None = None
        self._close_at = 0

    def run(self, source: BinaryIO, progress: Progress) -> Plan | None:
        line_end = b""
        for offset, block, whole in _blocks(source):
            progress(offset)
            if not whole:
                continue
            line_end = line_end or (b"\r\n" if block[: block.find(b"\n")].endswith(b"\r") else b"\n")
            if self._define_at is None and (command := _COMMAND.search(block)):
                self._define_at = offset + command.start()
            self._read(offset, block)
            if len(self._outlines) > MAX_OBJECTS:
                return None
        names = Names()
        named = {key: names.new(self._titles.get(key) or key) for key in self._outlines}
        close_at = None if self._sections.current is None else self._close_at
        return Plan(self._style, named, self._outlines, self._define_at or 0, close_at, line_end)

    def _read(self, offset: int, block: bytes) -> None:
        moves = self._moves
        for line in self._pattern.finditer(block):
            run, move, words, mode, rest, label = line.groups()
            if run is not None:
                if moves.run(run, self._outline):
                    self._close_at = offset + line.end() - 1
            elif move is not None:
                if moves.move(move, words, self._outline):
                    self._close_at = offset + line.end()
            elif mode is not None:
                moves.mode(mode, rest)
            else:
                self._follow(offset, line, label)

    def _follow(self, offset: int, line: re.Match[bytes], label: bytes) -> None:
        sections = self._sections
        ended, started = sections.read(label)
        if sections.title is not None:
            self._titles.setdefault(*sections.title)
        if started is not None:
            if self._define_at is None or (not self._outlines and offset + line.start() < self._define_at):
                self._define_at = offset + line.start()
            self._outline = self._outlines.get(started)
            if self._outline is None and len(self._outlines) <= MAX_OBJECTS:
                self._outline = self._outlines[started] = Outline()
            self._moves.leave()
            self._close_at = offset + line.end()
        elif ended is not None:
            self._outline = None


def rewritten(source: BinaryIO, plan: Plan, head: bytes) -> Iterator[tuple[int, bytes]]:
    """The new file in pieces, each with how many bytes of the old one are done. `head` is put above the definitions."""
    pattern = re.compile(rb"^(?:%b)" % plan.style.lines, re.MULTILINE)
    sections = _Sections(plan.style)
    for offset, block, whole in _blocks(source):
        done = offset + len(block)
        if not whole:
            yield done, block
            continue
        position = 0
        for place, lines in _insertions(offset, block, plan, sections, pattern, head):
            yield offset + place, block[position:place]
            if place == len(block) and not block.endswith(b"\n"):
                # The last line has no end. It gets the shortest one, so that taking ours out gives the old file.
                yield done, b"".join(b"\n" + line for line in lines)
            else:
                yield offset + place, b"".join(line + plan.line_end for line in lines)
            position = place
        yield done, block[position:]


def _insertions(
    offset: int, block: bytes, plan: Plan, sections: _Sections, pattern: re.Pattern[bytes], head: bytes
) -> Iterator[tuple[int, list[bytes]]]:
    """Places in the block and the lines that go in there, in order."""
    end = offset + len(block)
    if offset <= plan.define_at < end:
        place = plan.define_at - offset
        yield place, [head, *_definitions(plan)]
    for line in pattern.finditer(block):
        ended, started = sections.read(line[0])
        lines = [] if ended is None else [b"EXCLUDE_OBJECT_END NAME=%b" % plan.names[ended].encode()]
        if started is not None:
            lines.append(b"EXCLUDE_OBJECT_START NAME=%b" % plan.names[started].encode())
        if lines:
            yield _line_end(block, line.end()), lines
    if plan.close_at is not None and sections.current is not None and offset <= plan.close_at <= end:
        place = _line_end(block, plan.close_at - offset)
        yield place, [b"EXCLUDE_OBJECT_END NAME=%b" % plan.names[sections.current].encode()]
        sections.close()


def _definitions(plan: Plan) -> Iterator[bytes]:
    for key, name in plan.names.items():
        center, polygon = plan.outlines[key].center(), plan.outlines[key].polygon()
        text = f"EXCLUDE_OBJECT_DEFINE NAME={name}"
        if center is not None:
            text += f" CENTER={center[0]:.3f},{center[1]:.3f}"
        if len(polygon) > 2:
            text += f" POLYGON=[{','.join(f'[{x:g},{y:g}]' for x, y in polygon)}]"
        yield text.encode()


def _line_end(block: bytes, position: int) -> int:
    """Where the line after that of `position` begins."""
    found = block.find(b"\n", position)
    return found + 1 if found >= 0 else len(block)


class _Sections:
    """Which object is being printed, label by label."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._closed = False
        self.current: str | None = None
        self.title: tuple[str, str] | None = None
        """Key and name of an object, when the last label told of it."""

    def read(self, line: bytes) -> tuple[str | None, str | None]:
        """Take a label; the keys of the object that ends here and of the one that starts here."""
        label = None if self._closed else self._style.read(line)
        self.title = None
        if label is None:
            return None, None
        if label.mark is Mark.NAME:
            if self.current is not None:
                self.title = (self.current, label.name)
            return None, None
        key = label.key if label.mark is Mark.START else None
        if key is not None and label.name:
            self.title = (key, label.name)
        if key == self.current:
            return None, None
        ended, self.current = self.current, key
        return ended, key

    def close(self) -> None:
        """The last object has ended; labels that repeat it say nothing more."""
        self.current = None
        self._closed = True


class _Moves:
    """Follows the head and the filament far enough to know where something is printed."""

    __slots__ = ("_absolute", "_absolute_e", "_e", "_inside", "_x", "_y")

    def __init__(self) -> None:
        self._x: float | None = None
        self._y: float | None = None
        self._e = 0.0
        self._absolute = self._absolute_e = True
        self._inside = False

    def leave(self) -> None:
        """Another object begins: where the head stands now is no place of it."""
        self._inside = False

    def move(self, code: bytes, words: bytes, outline: Outline | None) -> bool:
        """Take G0 to G3. True when it printed something; its points go to `outline`."""
        old_x, old_y = self._x, self._y
        x, y = old_x, old_y
        feed = i = j = 0.0
        for letter, number in _WORD.findall(words.upper()):
            value = float(number)
            if letter == b"X":
                x = value if self._absolute else (x or 0.0) + value
            elif letter == b"Y":
                y = value if self._absolute else (y or 0.0) + value
            elif letter == b"E":
                feed = value - self._e if self._absolute_e else value
                self._e = value
            elif letter == b"I":
                i = value
            else:
                j = value
        self._x, self._y = x, y
        inside, self._inside = self._inside, self._inside or (x, y) != (old_x, old_y)
        arc = code in b"23" and (i or j)
        if feed <= 0 or x is None or y is None or (x == old_x and y == old_y and not arc):
            return False
        if outline is not None:
            if inside and old_x is not None and old_y is not None:
                outline.add(old_x, old_y)
                if arc:
                    center = (old_x + i, old_y + j)
                    for point in arc_extremes((old_x, old_y), (x, y), center, clockwise=code == b"2"):
                        outline.add(*point)
            outline.add(x, y)
        return True

    def run(self, lines: bytes, outline: Outline | None) -> bool:
        """Take lines of the form `G1 X1 Y-.2 E.3 F9`, as `move`, but many at a time."""
        numbers = _numbers(lines)
        xs, ys, es = numbers[0::3], numbers[1::3], numbers[2::3]
        if not numbers or not self._absolute or not self._all_feed(es):
            printed = [self.move(b"1", line[2:], outline) for line in lines.splitlines()]
            return any(printed)
        self._e = es[-1]
        if outline is not None:
            if self._inside and self._x is not None and self._y is not None:
                outline.add(self._x, self._y)
            outline.add_many(xs, ys)
        self._inside = True
        self._x, self._y = xs[-1], ys[-1]
        return True

    def _all_feed(self, es: list[float]) -> bool:
        if self._absolute_e:
            return all(before < after for before, after in pairwise([self._e, *es]))
        return min(es, default=0.0) > 0

    def mode(self, command: bytes, words: bytes) -> None:
        """Take G90, G91, G92, M82 or M83. As in Klipper, G90 and G91 say nothing about the filament."""
        name = command.upper()
        if name == b"G92":
            for letter, number in _WORD.findall(words.upper()):
                if letter == b"X":
                    self._x = float(number)
                elif letter == b"Y":
                    self._y = float(number)
                elif letter == b"E":
                    self._e = float(number)
        elif name in (b"G90", b"G91"):
            self._absolute = name == b"G90"
        else:
            self._absolute_e = name == b"M82"


def _numbers(lines: bytes) -> list[float]:
    """The numbers of a run, decoded as JSON: `[1,-0.2,0.3,...`. None where they are written in another way (`1.`)."""
    plain = _FEED_RATE.sub(b"", lines) if b"F" in lines else lines
    plain = plain.replace(b"\r", b"")
    plain = plain.replace(b"G1 X", b",").replace(b" ", b"").replace(b"\n", b"").translate(_SEPARATE)
    if b",." in plain:
        plain = plain.replace(b",.", b",0.")
    if b"-." in plain:
        plain = plain.replace(b"-.", b"-0.")
    try:
        return _FLOATS.decode(b"[%b]" % plain[1:])
    except msgspec.DecodeError:
        return []


def _blocks(source: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """The file from its beginning in pieces: offset, bytes, and whether they are whole lines.

    A line longer than a block comes in pieces that are not, which nobody reads anything into; a byte order mark, too.
    """
    source.seek(0)
    offset = 0
    if source.read(len(_BYTE_ORDER_MARK)) == _BYTE_ORDER_MARK:
        offset = len(_BYTE_ORDER_MARK)
        yield 0, _BYTE_ORDER_MARK, False
    source.seek(offset)
    rest = b""
    inside = False
    while data := source.read(BLOCK):
        if inside:
            cut = data.find(b"\n") + 1 or len(data)
            inside = not data.endswith(b"\n", 0, cut)
            yield offset, data[:cut], False
            offset += cut
            data = data[cut:]
        data = rest + data
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) >= BLOCK:
            yield offset, data, False
            offset += len(data)
            rest, inside = b"", True
            continue
        if cut:
            yield offset, data[:cut], True
            offset += cut
        rest = data[cut:]
    if rest:
        yield offset, rest, True
