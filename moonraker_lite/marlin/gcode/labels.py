"""Which object a file prints, as slicers label it without Klipper's commands: in comments, or by M486.

    ; printing object cube.stl id:0 copy 1          ; stop printing object cube.stl id:0 copy 1     (Prusa, Orca)
    ; start printing object, unique label id: 187   ; stop printing object, unique label id: 187    (Bambu)
    ;MESH:cube.stl                                  ;MESH:NONMESH, ;TIME_ELAPSED:...                (Cura)
    ;PRINTING: cube.stl                             ;PRINTING: NON-OBJECT                           (ideaMaker)
    M486 S0, M486 Acube.stl                         M486 S-1                                        (Prusa, RRF)

Many files have several kinds at once. The first kind that starts an object is believed, the others are not; Klipper's
own commands overrule them all.
"""

from __future__ import annotations

import enum
import re

from moonraker_lite.marlin.gcode.exclude import ExcludedObjects

_MESH = re.compile(r";\s*MESH:(.*)")
_PRINTING = re.compile(r";\s*PRINTING:(.*)")
_STOP = re.compile(r";\s*stop printing object\b")
_LABEL_ID = re.compile(r";\s*start printing object, unique label id:\s*(\d+)")
_NAME = re.compile(r";\s*printing object\s+(.*)")
# Cura ends no object but by the next one. Behind its last layer there would be the end of the file.
_LAYER_DONE = ";TIME_ELAPSED:"
# The cheap question that is asked of every comment.
_LABEL = re.compile(r"printing object|MESH:|PRINTING:|^;TIME_ELAPSED:").search
_NOT_OF_A_NAME = re.compile(r"\W+")
_OUTSIDE = frozenset({"NONMESH", "NON-OBJECT"})
_M486 = re.compile(r"([TSPUC])\s*(-?\d*)|A(.*)", re.IGNORECASE | re.DOTALL)


class Kind(enum.Enum):
    """Whose labels are believed."""

    COMMANDS = "EXCLUDE_OBJECT"
    M486 = "M486"
    NAMES = "printing object"
    IDS = "unique label id"
    MESH = "MESH"
    PRINTING = "PRINTING"


def object_name(label: str) -> str:
    """Return a label as a name that a command can carry: `cube.stl id:0 copy 1` -> `CUBE_STL_ID_0_COPY_1`."""
    return _NOT_OF_A_NAME.sub("_", label).strip("_").upper()


def read_label(comment: str) -> tuple[Kind, str | None] | None:
    """Return whose label a comment is and the object that begins, None where one ends; None for other comments."""
    if _LABEL(comment) is None:
        return None
    if match := _NAME.match(comment):
        return Kind.NAMES, match[1].strip()
    if match := _LABEL_ID.match(comment):
        return Kind.IDS, f"object {match[1]}"
    if _STOP.match(comment):
        return (Kind.IDS if "unique label id" in comment else Kind.NAMES), None
    if comment.startswith(_LAYER_DONE):
        return Kind.MESH, None
    for kind, pattern in ((Kind.MESH, _MESH), (Kind.PRINTING, _PRINTING)):
        if match := pattern.match(comment):
            name = match[1].strip()
            # Cura names the file with its folder.
            return kind, None if name in _OUTSIDE else name.replace("\\", "/").rpartition("/")[2]
    return None


class Labels:
    """Tells `ExcludedObjects` what the labels of the file being printed say."""

    def __init__(self, objects: ExcludedObjects) -> None:
        self._objects = objects
        self._kind: Kind | None = None
        # M486: the object that the next name is for, and the names by number.
        self._number = -1
        self._names: dict[int, str] = {}

    def reset(self) -> None:
        """Another file."""
        self._kind = None
        self._number = -1
        self._names = {}

    def commands(self) -> None:
        """The file has Klipper's own commands: nothing else counts."""
        self._kind = Kind.COMMANDS

    def comment(self, comment: str) -> None:
        """Take a comment of the file, from its `;` on."""
        found = read_label(comment)
        if found is None:
            return
        kind, label = found
        if label is None:
            if kind is self._kind:
                self._objects.end()
        elif self._believes(kind) and (name := object_name(label)):
            self._objects.start(name)

    def m486(self, rest: str) -> None:
        """Take what stands behind M486: `S` and `A` of a file, `P`, `U` and `C` of a user or a file."""
        for match in _M486.finditer(rest):
            if match[1] is None:
                self._rename(match[3].strip().strip('"'))
                return
            letter, number = match[1].upper(), int(match[2]) if match[2].lstrip("-") else 0
            if letter == "S":
                self._select(number)
            elif letter == "P":
                self._objects.exclude(self._name(number))
            elif letter == "U":
                self._objects.include(self._name(number))
            elif letter == "C" and self._objects.current is not None:
                self._objects.exclude(self._objects.current)

    def _believes(self, kind: Kind) -> bool:
        if self._kind is None:
            self._kind = kind
        return self._kind is kind

    def _select(self, number: int) -> None:
        self._number = number
        if number < 0:
            if self._kind is Kind.M486:
                self._objects.end()
        elif self._believes(Kind.M486):
            self._objects.start(self._name(number))

    def _rename(self, label: str) -> None:
        """`M486 A` names the object that `M486 S` has selected. A name that another one has gets the number, too."""
        name = object_name(label)
        if self._number < 0 or self._kind is not Kind.M486 or not name:
            return
        if name in (other for number, other in self._names.items() if number != self._number):
            name = f"{name}_{self._number}"
        self._objects.rename(self._name(self._number), name)
        self._names[self._number] = name

    def _name(self, number: int) -> str:
        return self._names.get(number, f"OBJECT_{number}")
