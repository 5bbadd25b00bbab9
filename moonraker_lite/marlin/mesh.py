"""The bed mesh: read from what G29 and M420 V print (bilinear), shown as Klipper's `bed_mesh` object.

The table has no coordinates (measured: `../marlin/PROTOCOL.md`); they are worked out from the bed's area and the
probing margin.
"""

from __future__ import annotations

import re
from typing import Any

_TITLE = re.compile(r"(?:echo:)?\s*Bilinear Leveling Grid:", re.IGNORECASE)
_HEADER = re.compile(r"\s*0(\s+[0-9]+)+\s*$")
_ROW = re.compile(r"\s*([0-9]+)((?:\s+[-+][0-9]+\.[0-9]+)+)\s*$")
_VALUE = re.compile(r"[-+][0-9]+\.[0-9]+")

Corner = tuple[float, float]


class Mesh:
    """The mesh in use. Rows from the lowest Y, heights in mm."""

    def __init__(self) -> None:
        self.points: list[list[float]] = []
        self.active = False
        self.minimum: Corner = (0.0, 0.0)
        self.maximum: Corner = (0.0, 0.0)
        self._reading: list[list[float]] | None = None

    def clear(self) -> None:
        self.points, self.active, self._reading = [], False, None

    def set_area(self, minimum: Corner, maximum: Corner) -> None:
        self.minimum, self.maximum = minimum, maximum

    def read_line(self, line: str) -> None:
        """Take any line of the firmware; those of a mesh report are kept."""
        if _TITLE.match(line):
            self._reading = []
        elif self._reading is not None:
            self._read_row(line)
        elif "Bed Leveling O" in line:
            self.active = "Bed Leveling ON" in line

    def _read_row(self, line: str) -> None:
        assert self._reading is not None
        row = _ROW.match(line)
        if row is not None and int(row[1]) == len(self._reading):
            self._reading.append([float(value) for value in _VALUE.findall(row[2])])
            return
        if not self._reading and (_HEADER.match(line) or not line.strip()):
            return
        rows, self._reading = self._reading, None
        if rows and all(len(row) == len(rows[0]) for row in rows):
            self.points, self.active = rows, True
        self.read_line(line)

    def status(self) -> dict[str, Any]:
        """Return Klipper's `bed_mesh` object."""
        if not self.active or not self.points:
            empty: dict[str, Any] = {
                "profile_name": "",
                "mesh_min": (0.0, 0.0),
                "mesh_max": (0.0, 0.0),
                "probed_matrix": [[]],
                "mesh_matrix": [[]],
            }
            return {**empty, "profiles": self._profiles()}
        return {
            "profile_name": "default",
            "mesh_min": self.minimum,
            "mesh_max": self.maximum,
            "probed_matrix": self.points,
            "mesh_matrix": self.points,
            "profiles": self._profiles(),
        }

    def dump(self) -> dict[str, Any]:
        """Return the answer to `bed_mesh/dump_mesh`, as far as it can be known."""
        current = {"name": "default", **self.status()} if self.active and self.points else {}
        return {"current_mesh": current, "profiles": self._profiles()}

    def _profiles(self) -> dict[str, Any]:
        if not self.points:
            return {}
        params = {
            "min_x": self.minimum[0],
            "max_x": self.maximum[0],
            "min_y": self.minimum[1],
            "max_y": self.maximum[1],
            "x_count": len(self.points[0]),
            "y_count": len(self.points),
            "mesh_x_pps": 0,
            "mesh_y_pps": 0,
            "algo": "direct",
            "tension": 0.2,
        }
        return {"default": {"points": self.points, "mesh_params": params}}
