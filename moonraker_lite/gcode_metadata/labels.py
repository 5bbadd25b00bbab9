"""The objects of a print by the labels that slicers put into the G-code, with their outlines where these are stated."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.fields import numbers
from moonraker_lite.gcode_metadata.model import Box, PrintObject

MAX_OBJECTS = 256
MAX_POINTS = 1000
"""Of all outlines together; longer ones are thinned out. Clients get them with every listing of files."""
MAX_LINE = 256 * 1024
MAX_NAME = 256

_DEFINE = re.compile(rb"\nEXCLUDE_OBJECT_DEFINE[ \t]++([^\r\n]*+)", re.IGNORECASE)
_NAME = re.compile(rb"\bNAME=(?:\"([^\"]*+)\"|'([^']*+)'|(\S++))", re.IGNORECASE)
_CENTER = re.compile(rb"\bCENTER=([-+\d.]++,[ ]?[-+\d.]++)", re.IGNORECASE)
_POLYGON = re.compile(rb"\bPOLYGON=(\[[-+\d.,\[\] eE]*+\])", re.IGNORECASE)
_PRINTING = re.compile(rb"\n; (?:INIT )?printing object ([^\r\n]*+)")
_MESH = re.compile(rb"\n;MESH:([^\r\n]++)")
_M486 = re.compile(rb"\nM486 (?:S\d++[ \t]?+)?+A([^\r\n;]++)")
_BAMBU = re.compile(rb"\n; start printing object, unique label id: ?(\d++)")
_IDEAMAKER = re.compile(rb"\n;PRINTING: ?([^\r\n]++)")
_M486_COUNT = re.compile(rb"\nM486 T(\d{1,4})\b")
MAX_COORDINATE = 1e6

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
    head = evidence.windows.head
    if b"EXCLUDE_OBJECT_DEFINE" not in head:
        return None
    found = []
    for line in _DEFINE.findall(head)[:MAX_OBJECTS]:
        line = line[:MAX_LINE]
        name = _NAME.search(line)
        if name is None:
            continue
        center = _CENTER.search(line)
        outline = _POLYGON.search(line)
        found.append(
            PrintObject(
                _text(name[1] or name[2] or name[3] or b""),
                _point(center[1]) if center else None,
                _points(outline[1]) if outline else None,
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
    for value in evidence.all("object"):
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


def printing(evidence: Evidence) -> list[PrintObject] | None:
    """`; printing object NAME` of Slic3r's line."""
    return None if _unlabelled(evidence) else _named(evidence, b"\n; printing object ", _PRINTING)


def cancellable(evidence: Evidence) -> list[PrintObject] | None:
    """Objects that firmware can leave out: their names from `M486 A`, or only numbers from `M486 T<how many>`."""
    # Where the file says that its objects are not labelled, a converter may have done it afterwards.
    if b"\nM486 " not in evidence.first_layer:
        return None
    if names := _named(evidence, b"\nM486 ", _M486):
        return names
    count = _M486_COUNT.search(evidence.first_layer)
    return [PrintObject(str(number)) for number in range(min(int(count[1]), MAX_OBJECTS))] or None if count else None


def meshes(evidence: Evidence) -> list[PrintObject] | None:
    """Cura's `;MESH:NAME`. `NONMESH` stands for what belongs to no object."""
    return _named(evidence, b"\n;MESH:", _MESH, (b"NONMESH",))


def numbered(evidence: Evidence) -> list[PrintObject] | None:
    """BambuStudio's objects have numbers only: `; model label id: 91,92`, or where each begins."""
    stated = numbers(evidence.first("model label id") or b"")
    if stated:
        return [PrintObject(str(int(item))) for item in stated[:MAX_OBJECTS]]
    return _named(evidence, b"\n; start printing object", _BAMBU)


def ideamaker(evidence: Evidence) -> list[PrintObject] | None:
    return _named(evidence, b"\n;PRINTING:", _IDEAMAKER, (b"NON-OBJECT",))


def _unlabelled(evidence: Evidence) -> bool:
    """Whether the configuration says that objects are not labelled."""
    for key in ("gcode_label_objects", "label_printed_objects"):
        value = evidence.first(key)
        if value is not None:
            return value.strip() in (b"0", b"disabled")
    return False


def outline_box(objects: list[PrintObject] | None) -> Box | None:
    """The rectangle around all outlines; None when an object has none."""
    points = [point for item in objects or () for point in item.polygon or ()]
    if not points or not all(item.polygon for item in objects or ()):
        return None
    xs, ys = zip(*points, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))


def _named(
    evidence: Evidence, sign: bytes, pattern: re.Pattern[bytes], others: tuple[bytes, ...] = ()
) -> list[PrintObject] | None:
    """The different names in the order of the file: all of a small one, else those at its two ends."""
    windows = evidence.windows
    if sign not in windows.head:
        return None
    whole = windows.small
    names: dict[bytes, None] = {}
    for data in (windows.head, windows.tail) if whole is None else (whole,):
        for name in pattern.findall(data):
            names[name.strip()] = None
    unlabelled = (b"", *others)
    return [PrintObject(_text(name)) for name in names if name not in unlabelled][:MAX_OBJECTS] or None


def _bounded(objects: list[PrintObject]) -> list[PrintObject] | None:
    """With outlines of at most MAX_POINTS points together, rounded to a hundredth of a millimetre."""
    total = sum(len(item.polygon or ()) for item in objects)
    step = -(-total // MAX_POINTS) or 1
    return [
        PrintObject(item.name, item.center, list(_thinned(item.polygon, step)) if item.polygon else None)
        for item in objects
    ] or None


def _thinned(points: list[Point], step: int) -> Iterator[Point]:
    # A triangle is the least that is an outline.
    for x, y in points[:: min(step, max(1, len(points) // 3))]:
        if abs(x) < MAX_COORDINATE and abs(y) < MAX_COORDINATE:
            yield round(x, 2), round(y, 2)


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
