"""The objects of a print by the labels that slicers put into the G-code, with their outlines where these are stated."""

from __future__ import annotations

import re
from functools import cache
from itertools import islice

import msgspec

from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.fields import numbers
from moonraker_lite.gcode_metadata.model import Box, PrintObject
from moonraker_lite.gcode_metadata.object_labels import STYLES, Label, Mark, Style

MAX_OBJECTS = 256
MAX_LABELS = 4000
"""Of one end of a file: far more than stand in the first layer of any print."""
MAX_POINTS_EACH = 64
MAX_POINTS = 1024
"""Of one outline and of all together, more or less; clients get them with every listing of files."""
MAX_LINE = 256 * 1024
MAX_NAME = 256

_DEFINE = re.compile(rb"\nEXCLUDE_OBJECT_DEFINE[ \t]++([^\r\n]*+)")
_NAME = re.compile(rb"\bNAME=(?:\"([^\"]*+)\"|'([^']*+)'|(\S++))", re.IGNORECASE)
_CENTER = re.compile(rb"\bCENTER=([-+\d.]++,[ ]?[-+\d.]++)", re.IGNORECASE)
_M486_COUNT = re.compile(rb"\nM486 T(\d{1,4})\b")
MAX_COORDINATE = 1e6

_STYLES = {style.name: style for style in STYLES}

Point = tuple[float, float]


class _Listed(msgspec.Struct):
    name: str = ""
    polygon: list[Point] | None = None


class _ObjectsInfo(msgspec.Struct):
    objects: list[_Listed]


class _Described(msgspec.Struct):
    id: str = ""
    boundingbox_center: list[float] = []
    boundingbox_size: list[float] = []


def defined(evidence: Evidence) -> list[PrintObject] | None:
    """Klipper's `EXCLUDE_OBJECT_DEFINE NAME=... CENTER=x,y POLYGON=[[x,y],...]`, which stand before the first layer."""
    text = evidence.first_layer
    if b"EXCLUDE_OBJECT_DEFINE" not in text:
        return None
    found = []
    for line in _DEFINE.findall(text)[:MAX_OBJECTS]:
        line = line[:MAX_LINE]
        name = _NAME.search(line)
        if name is None:
            continue
        center = _CENTER.search(line)
        begin = line.upper().find(b"POLYGON=[")
        end = line.find(b"]]", begin)
        found.append(
            PrintObject(
                _text(name[1] or name[2] or name[3] or b""),
                _point(center[1]) if center else None,
                _points(line[begin + 8 : end + 2]) if 0 <= begin < end else None,
            )
        )
    return _bounded(found)


def listed(evidence: Evidence) -> list[PrintObject] | None:
    """PrusaSlicer's `; objects_info = {"objects":[{"name":...,"polygon":[[x,y],...]}]}`."""
    value = evidence.first("objects_info")
    if value is None or len(value) > MAX_LINE:
        return None
    try:
        info = msgspec.json.decode(value, type=_ObjectsInfo)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return _bounded([PrintObject(item.name[:MAX_NAME], None, item.polygon) for item in info.objects[:MAX_OBJECTS]])


def described(evidence: Evidence) -> list[PrintObject] | None:
    """SuperSlicer's `; object:{"id":...,"boundingbox_center":[x,y,z],"boundingbox_size":[x,y,z]}`, one per line."""
    found = []
    for value in evidence.all("object")[:MAX_OBJECTS]:
        try:
            item = msgspec.json.decode(value, type=_Described)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        center, outline = None, None
        if len(item.boundingbox_center) >= 2 and len(item.boundingbox_size) >= 2:
            x, y = item.boundingbox_center[:2]
            half_x, half_y = item.boundingbox_size[0] / 2, item.boundingbox_size[1] / 2
            center = (round(x, 2), round(y, 2)) if max(abs(x), abs(y)) < MAX_COORDINATE else None
            outline = [(x - half_x, y - half_y), (x + half_x, y - half_y), (x + half_x, y + half_y)]
            outline.append((x - half_x, y + half_y))
        found.append(PrintObject(item.id[:MAX_NAME], center, outline))
    return _bounded(found)


def numbered(evidence: Evidence) -> list[PrintObject] | None:
    """BambuStudio's objects have numbers only: `; model label id: 91,92`."""
    stated = numbers(evidence.first("model label id") or b"")
    return [PrintObject(f"object {item:.0f}") for item in stated[:MAX_OBJECTS]] if stated else None


class Labelled(msgspec.Struct, frozen=True):
    """The names in the labels between the moves, in the order of the file: all of a small one, else those at its two
    ends. The first layer lies at the one end, and holds every object unless these are printed one after the other.

    `styles` are names of `object_labels.STYLES`, the best first; numbers are taken only where none gives names.
    """

    styles: tuple[str, ...]

    def __call__(self, evidence: Evidence) -> list[PrintObject] | None:
        windows = evidence.windows
        nameless: list[PrintObject] | None = None
        for style in map(_STYLES.__getitem__, self.styles):
            # Firmware is told the names before the first layer. The other labels may follow a skirt.
            text = evidence.first_layer if style.name == "M486" else evidence.text
            # A whole file is searched only once.
            looks = style.name == "M486" or not windows.whole
            if looks and not any(needle in text for needle in style.needles):
                continue
            lines = _lines_of(style)
            whole = windows.small
            names = _Names()
            for data in (evidence.text, windows.tail) if whole is None else (whole,):
                for found in islice(lines.finditer(data), MAX_LABELS):
                    if (label := style.read(found[1].rstrip())) is not None:
                        names.add(label)
            if names.stated:
                return names.objects()
            nameless = nameless or names.objects() or None
        return nameless or (_counted(evidence) if "M486" in self.styles else None)


def _counted(evidence: Evidence) -> list[PrintObject] | None:
    """`M486 T<how many>` at the beginning."""
    text = evidence.first_layer
    count = _M486_COUNT.search(text) if b"M486 T" in text else None
    return [PrintObject(f"object {number}") for number in range(min(int(count[1]), MAX_OBJECTS))] if count else None


class _Names:
    """Objects by key, with the best name that any label gives them. `stated` when there is one that is no number."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.stated = False
        self._last = ""

    def objects(self) -> list[PrintObject]:
        return [PrintObject(name[:MAX_NAME]) for name in self.found.values()]

    def add(self, label: Label) -> None:
        if label.mark is Mark.START:
            self._last = label.key
        if label.mark is Mark.END or not self._last:
            return
        if (label.name or self._last not in self.found) and (self._last in self.found or len(self.found) < MAX_OBJECTS):
            number = self._last.isdigit()
            self.found[self._last] = label.name or (f"object {self._last}" if number else self._last)
            self.stated = self.stated or bool(label.name) or not number


@cache
def _lines_of(style: Style) -> re.Pattern[bytes]:
    form = style.lines if style.name == "M486" else style.opening
    if form.startswith(b";"):
        # A search for one byte, with the line break looked at afterwards, is much the fastest.
        return re.compile(rb"(;(?<=\n;)" + form[1:] + rb"[^\n]*)")
    return re.compile(rb"\n((?:" + form + rb")[^\n]*)")


def outline_box(objects: list[PrintObject] | None) -> Box | None:
    """The rectangle around all outlines; None when an object has none."""
    points = [point for item in objects or () for point in item.polygon or ()]
    if not points or not all(item.polygon for item in objects or ()):
        return None
    xs, ys = zip(*points, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))


def _bounded(objects: list[PrintObject]) -> list[PrintObject] | None:
    """With outlines of a bounded number of points, rounded to a hundredth of a millimetre."""
    most = max(4, min(MAX_POINTS_EACH, MAX_POINTS // max(1, len(objects))))
    return [
        PrintObject(item.name, item.center, _thinned(item.polygon, most) if item.polygon else None) for item in objects
    ] or None


def _thinned(points: list[Point], most: int) -> list[Point] | None:
    """Evenly chosen points of an outline, and always the outermost ones."""
    xs, ys = zip(*points, strict=True)
    if max(*xs, *ys) > MAX_COORDINATE or min(*xs, *ys) < -MAX_COORDINATE:
        return None
    chosen = {values.index(edge(values)) for values in (xs, ys) for edge in (min, max)}
    chosen.update(range(0, len(points), -(-len(points) // most)))
    return [(round(xs[index], 2), round(ys[index], 2)) for index in sorted(chosen)]


def _points(text: bytes) -> list[Point] | None:
    try:
        return msgspec.json.decode(text, type=list[Point])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _point(text: bytes) -> Point | None:
    found = numbers(text)
    return (found[0], found[1]) if found and len(found) == 2 and max(map(abs, found)) < MAX_COORDINATE else None


def _text(name: bytes) -> str:
    return name[:MAX_NAME].decode("utf-8", "replace").strip().strip('"')
