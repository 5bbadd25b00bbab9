"""Where the objects of a file stand, for files that label them but do not define them as Klipper's do.

Frontends draw the objects to choose from before the first of them is printed, so the beginning of the file is read
ahead: what a slicer says in its header, else the rectangle around what is extruded in each object's first layers.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from moonraker_lite.marlin.gcode.exclude import ExcludedObjects
from moonraker_lite.marlin.gcode.labels import Labels, object_name

# How much of the file is read: the first layers of most prints. Without a label in its beginning it has none.
READ_BYTES = 2 * 1024 * 1024
LABELS_WITHIN = 512 * 1024
# PrusaSlicer writes what it knows of its objects behind all moves.
TAIL_BYTES = 256 * 1024
MAX_LINE = 64 * 1024

_MOVE = re.compile(r"G[0123](?![0-9])")
_WORD = re.compile(r"([XYE])\s*([-+]?[0-9]*\.?[0-9]+)")
_PRUSA = "; objects_info = "
_SUPER = "; object:"
_KLIPPER = "EXCLUDE_OBJECT_DEFINE"

Point = tuple[float, float]


class Outline(msgspec.Struct, frozen=True):
    """One object: its name as `exclude_object` shows it, its middle and its corners in mm."""

    name: str
    center: Point
    polygon: list[Point]


class _PrusaObject(msgspec.Struct):
    name: str
    polygon: list[Point] = []


class _PrusaObjects(msgspec.Struct):
    objects: list[_PrusaObject] = []


class _SuperObject(msgspec.Struct):
    id: str
    boundingbox_center: list[float] = []
    boundingbox_size: list[float] = []


def find_outlines(path: Path) -> list[Outline]:
    """Return the objects of a file; nothing where it defines them itself or has no labels. Raise OSError. Slow."""
    survey = _Survey()
    with path.open("rb") as file:
        read = 0
        while read < READ_BYTES and (raw := file.readline(MAX_LINE)):
            read += len(raw)
            if not survey.take(raw.decode("utf-8", "replace")):
                return []
            if read > LABELS_WITHIN and not survey.labels:
                return []
        size = file.seek(0, 2)
        file.seek(max(read, size - TAIL_BYTES))
        for raw in file if not survey.told else ():
            if raw.startswith(b"; obj"):
                survey.take(raw.decode("utf-8", "replace"))
    return survey.outlines()


class _Reach:
    """The rectangle around what is extruded."""

    def __init__(self) -> None:
        self.low = [float("inf")] * 2
        self.high = [float("-inf")] * 2

    def add(self, place: list[float]) -> None:
        for axis, value in enumerate(place):
            self.low[axis] = min(self.low[axis], value)
            self.high[axis] = max(self.high[axis], value)


class _Survey:
    """What the lines of a file tell of its objects."""

    def __init__(self) -> None:
        self.told: list[Outline] = []
        self.reaches: dict[str, _Reach] = {}
        self._objects = ExcludedObjects()
        self._labels = Labels(self._objects)
        self._place = [0.0, 0.0]
        self._relative = False

    @property
    def labels(self) -> set[str]:
        """The objects that have begun."""
        return {known["name"] for known in self._objects.objects}

    def outlines(self) -> list[Outline]:
        """Return the slicer's own words where they speak of the objects that are labelled, and what was measured."""
        named = {outline.name for outline in self.told}
        told = self.told if named & self.labels else []
        measured = [_outline(name, reach) for name, reach in self.reaches.items()]
        return [*told, *(outline for outline in measured if not told or outline.name not in named)]

    def take(self, line: str) -> bool:
        """Take the next line; return False where the file defines its objects itself."""
        text, semicolon, comment = line.partition(";")
        text = text.strip()
        if semicolon:
            self._comment(f";{comment.rstrip()}")
        if _MOVE.match(text):
            self._move(text)
        elif text.startswith("M486"):
            self._labels.m486(text[4:])
        elif text[:3] in ("G90", "G91"):
            self._relative = text[:3] == "G91"
        return not text.startswith(_KLIPPER)

    def _move(self, text: str) -> None:
        words = {letter: float(value) for letter, value in _WORD.findall(text)}
        before = list(self._place)
        for axis, letter in enumerate("XY"):
            if letter in words:
                self._place[axis] = self._place[axis] + words[letter] if self._relative else words[letter]
        if self._objects.current is not None and "E" in words and self._place != before:
            reach = self.reaches.setdefault(self._objects.current, _Reach())
            reach.add(before)
            reach.add(self._place)

    def _comment(self, comment: str) -> None:
        self._labels.comment(comment)
        try:
            if comment.startswith(_PRUSA):
                for one in msgspec.json.decode(comment[len(_PRUSA) :], type=_PrusaObjects).objects:
                    if one.polygon:
                        self.told.append(Outline(object_name(one.name), _middle(one.polygon), one.polygon))
            elif comment.startswith(_SUPER):
                other = msgspec.json.decode(comment[len(_SUPER) :], type=_SuperObject)
                if len(other.boundingbox_center) >= 2 and len(other.boundingbox_size) >= 2:
                    (x, y), (width, depth) = other.boundingbox_center[:2], other.boundingbox_size[:2]
                    box = _box(x - width / 2, y - depth / 2, x + width / 2, y + depth / 2)
                    self.told.append(Outline(object_name(other.id), (x, y), box))
        except msgspec.DecodeError:
            pass  # of another shape than known: then the moves tell


def _outline(name: str, reach: _Reach) -> Outline:
    box = _box(*reach.low, *reach.high)
    return Outline(name, _middle(box[:4]), box)


def _box(left: float, front: float, right: float, back: float) -> list[Point]:
    left, front, right, back = (round(value, 3) for value in (left, front, right, back))
    return [(left, front), (right, front), (right, back), (left, back), (left, front)]


def _middle(corners: list[Point]) -> Point:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return round((min(xs) + max(xs)) / 2, 3), round((min(ys) + max(ys)) / 2, 3)


def define(objects: ExcludedObjects, outlines: list[Outline]) -> None:
    """Make the objects known to whoever looks at `exclude_object`."""
    for outline in outlines:
        details: dict[str, Any] = {"center": list(outline.center), "polygon": [list(at) for at in outline.polygon]}
        objects.define(outline.name, **details)
