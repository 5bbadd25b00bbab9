"""The tables in which firmwares print their bed mesh, read line by line.

Known forms, with what stands above them:

- bilinear (G29, M420 V): `Bilinear Leveling Grid:`, rows numbered from the lowest Y; a finer grid made of it may
  follow (`Subdivided with CATMULL ROM Leveling Grid:`);
- mesh bed levelling: `Measured points:` or `Mesh Bed Level data:`, numbered, in Marlin 1 not, lowest Y first; Prusa's
  G81 has the same words, highest Y first;
- UBL (G29 T, M420 V): `Bed Topography Report:` with corners and rows numbered from the highest Y, compact or with
  lines between, `[ ]` around the point below the nozzle, `.` or nothing for points that were not probed; with
  `for CSV:` unnumbered and tabs; Marlin 1.1 without numbers, between two pairs of corners;
- linear (G29 T): `Bed Height Topography:`, unnumbered, highest Y first.

Nothing here raises on any text.
"""

from __future__ import annotations

import enum
import re

import msgspec

Corner = tuple[float, float]
Row = list[float | None]

MAX_POINTS = 64
"""Rows or columns: no firmware has room for more."""


class MeshTable(msgspec.Struct, frozen=True):
    """Heights in mm, row by row from the lowest Y; None where nothing was probed.

    `minimum` and `maximum` are the corners in mm, where the table names them. `finer`: it was computed by the firmware
    out of a coarser one. `in_use`: this form is printed only of a mesh that is in use, or by what brings it into use.
    """

    rows: list[Row]
    minimum: Corner | None = None
    maximum: Corner | None = None
    finer: bool = False
    in_use: bool = False


class _Form(enum.Enum):
    GRID = "grid"
    MEASURED = "measured"
    TOPOGRAPHY = "topography"


_TITLES = (
    ("Bilinear Leveling Grid:", _Form.GRID),
    ("CATMULL ROM Leveling Grid:", _Form.GRID),
    ("Measured points:", _Form.MEASURED),
    ("Mesh Bed Level data:", _Form.MEASURED),
    ("Bed Topography Report", _Form.TOPOGRAPHY),
    ("Bed Height Topography:", _Form.TOPOGRAPHY),
)
_VALUE = r"\[?\s*[-+]?\d{1,4}\.\d{1,8}\s*\]?|\[?\s*(?:\.|=+|-{3,}|nan)\s*\]?"
_ROW = re.compile(rf"^\s*(?:(\d{{1,2}})(?:\s*\||\s)\s*)?((?:(?:{_VALUE})\s*)+)$", re.ASCII | re.IGNORECASE)
_CELL = re.compile(_VALUE, re.ASCII | re.IGNORECASE)
_NUMBERED = re.compile(r"^\s*(\d{1,2})\s*\|(.*)$", re.ASCII)
_HEADER = re.compile(r"^\s*0(?:\s+\d{1,2})*\s*$", re.ASCII)
_CORNER = re.compile(
    r"^\s*\(\s*(-?[\d.]{1,9})\s*,\s*(-?[\d.]{1,9})\s*\)\s+\(\s*(-?[\d.]{1,9})\s*,\s*(-?[\d.]{1,9})\s*\)\s*$", re.ASCII
)
_BETWEEN = re.compile(r"^\s*\|?\s*$")
# The little map of directions above a linear table.
_COMPASS = re.compile(r"^\s*(?:[+|LEFTRIGHO].*[-+|RIGHT]|\(0,0\))\s*$")


class MeshReader:
    """Takes any line of the firmware; `read` and `finish` return a table when one is complete."""

    def __init__(self) -> None:
        # Rows without numbers below `Measured points:` begin with the highest Y (Prusa).
        self.measured_from_top = False
        self._form: _Form | None = None
        self._finer = False
        self._begin(None)

    @property
    def reading(self) -> bool:
        """A title has been read, and the table has not ended."""
        return self._form is not None

    def read(self, line: str) -> MeshTable | None:
        form = next((form for title, form in _TITLES if title in line), None)
        if form is not None:
            table = self.finish()
            self._begin(form, finer="CATMULL" in line)
            return table
        if self._form is None or "busy:" in line or line.startswith("//"):
            return None
        return self._read_line(line)

    def finish(self) -> MeshTable | None:
        """The answer is over. Return the table that was being read, if it is one."""
        rows, numbered, form = self._rows, self._numbered, self._form
        minimum, maximum, finer = self._bottom, self._top, self._finer
        self._begin(None)
        if form is None or not rows:
            return None
        if numbered:
            if sorted(numbered) != list(range(len(rows))):
                return None
            rows = [row for _, row in sorted(zip(numbered, rows, strict=True), key=lambda pair: pair[0])]
        elif form is _Form.TOPOGRAPHY or (form is _Form.MEASURED and self.measured_from_top):
            rows.reverse()
        if any(len(row) != len(rows[0]) for row in rows) or all(value is None for row in rows for value in row):
            return None
        return MeshTable(rows, minimum, maximum, finer, in_use=form is not _Form.TOPOGRAPHY)

    def _begin(self, form: _Form | None, *, finer: bool = False) -> None:
        self._form = form
        self._finer = finer
        self._rows: list[Row] = []
        self._numbered: list[int] = []
        self._columns = 0
        self._top: Corner | None = None
        self._bottom: Corner | None = None

    def _read_line(self, line: str) -> MeshTable | None:
        if _HEADER.match(line):
            if self._rows:
                return None if self._form is _Form.TOPOGRAPHY else self.finish()
            self._columns = len(line.split())
            return None
        if corner := _CORNER.match(line):
            return self._take_corner(corner)
        if _BETWEEN.match(line):
            ends = self._rows and self._form is not _Form.TOPOGRAPHY and not line.strip()
            return self.finish() if ends else None
        if self._take_row(line):
            return self.finish() if len(self._rows) > MAX_POINTS else None
        if not self._rows and _COMPASS.match(line):
            return None
        return self.finish()

    def _take_corner(self, corner: re.Match[str]) -> MeshTable | None:
        """Above the table the last pair of corners counts, below it the first: Marlin 1.1 numbers them as well."""
        try:
            left, y, right = float(corner[1]), float(corner[2]), float(corner[3])
        except ValueError:
            return None
        if not self._rows:
            self._top = (right, y)
            return None
        self._bottom = (left, y)
        return self.finish()

    def _take_row(self, line: str) -> bool:
        match = _ROW.match(line)
        if match is not None:
            cells = [_value(cell) for cell in _CELL.findall(match[2])]
            if match[1] is None or not self._columns or len(cells) == self._columns:
                return self._add(match[1], cells)
        # Points that were not probed may be blank: then only the place in the line tells.
        numbered = _NUMBERED.match(line)
        if numbered is None or not 0 < self._columns <= len(numbered[2]):
            return False
        width = round(len(numbered[2]) / self._columns)
        pieces = [numbered[2][at * width : (at + 1) * width] for at in range(self._columns)]
        return self._add(numbered[1], [_value(piece) for piece in pieces])

    def _add(self, number: str | None, cells: Row) -> bool:
        if len(cells) > MAX_POINTS or (self._rows and (number is None) == bool(self._numbered)):
            return False
        if number is not None:
            self._numbered.append(int(number))
        self._rows.append(cells)
        return True


def _value(cell: str) -> float | None:
    try:
        value = float(cell.strip(" \t[]"))
    except ValueError:
        return None
    return value if abs(value) < 1000.0 else None  # also what is not a number


def filled(rows: list[Row]) -> list[list[float]]:
    """Return the table with a guess where nothing was probed: the mean of the neighbours, again and again.

    Charts cannot draw holes. A table without any height becomes flat.
    """
    known = [list(row) for row in rows]
    holes = {(y, x) for y, row in enumerate(known) for x, value in enumerate(row) if value is None}
    while holes:
        guesses = {}
        for y, x in holes:
            around = [
                value
                for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))
                if 0 <= y + dy < len(known) and 0 <= x + dx < len(known[y])
                if (value := known[y + dy][x + dx]) is not None
            ]
            if around:
                guesses[(y, x)] = round(sum(around) / len(around), 5)
        if not guesses:
            guesses = dict.fromkeys(holes, 0.0)
        for (y, x), guess in guesses.items():
            known[y][x] = guess
        holes -= guesses.keys()
    return [[value or 0.0 for value in row] for row in known]
