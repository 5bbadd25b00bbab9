"""The bed mesh that the firmware has, shown as Klipper's `bed_mesh` object.

Most tables have no coordinates (`mesh_report`). Where the mesh lies is known, in this order, from the settings, from
corners in the table, from the points that G29 V4 names while it probes, and else from the bed's area and a margin.
"""

from __future__ import annotations

import re
from typing import Any

from moonraker_lite.marlin.mesh_report import MAX_POINTS, Corner, MeshReader, MeshTable, Row, filled
from moonraker_lite.marlin.replies import parse_probed_point
from moonraker_lite.marlin.settings_report import Setting

# More points are no mesh, and would only cost memory.
MAX_PROBED = MAX_POINTS * MAX_POINTS

_STATE = re.compile(r"Bed Leveling (ON|OFF)|Bed Leveling System v[\d.]+ (active|inactive)", re.IGNORECASE)
_SLOT = re.compile(
    r"(?:storage[_ ]slot\s*[:=]|Active Mesh Slot|Mesh (?:loaded from|saved in) slot)\s*(-?\d{1,3})", re.I
)
_NONE = re.compile(r"Invalid mesh|Mesh is invalid|No Mesh Loaded", re.IGNORECASE)


class Mesh:
    """The mesh in use. Rows from the lowest Y, heights in mm."""

    def __init__(self) -> None:
        self.reader = MeshReader()
        self.own_area: tuple[Corner | None, Corner | None] = (None, None)
        self._guessed: tuple[Corner, Corner] = ((0.0, 0.0), (0.0, 0.0))
        self._told: tuple[Corner | None, Corner | None] = (None, None)
        self.clear()

    def clear(self) -> None:
        """Nothing is known of a mesh."""
        self.points: list[list[float]] = []
        self.unprobed: list[tuple[int, int]] = []
        self.active = False
        # The slot of UBL that holds the mesh; None without UBL, or where it was not stored.
        self.slot: int | None = None
        self._finer: list[list[float]] = []
        self._probed: list[Corner] = []
        self._single: dict[tuple[int, int], float] = {}
        # Counts changes, for whoever keeps what was made of it.
        self.version = 0
        self._status: tuple[object, dict[str, Any]] = (None, {})

    def forget_place(self) -> None:
        """It is another printer. (The same one's mesh lies where it lay, though a stored one has no coordinates.)"""
        self._told = (None, None)

    def set_area(self, minimum: Corner, maximum: Corner) -> None:
        """The area in which a probe can work, as far as bed and margin tell."""
        self._guessed = (minimum, maximum)

    @property
    def minimum(self) -> Corner:
        return self.own_area[0] or self._told[0] or self._guessed[0]

    @property
    def maximum(self) -> Corner:
        return self.own_area[1] or self._told[1] or self._guessed[1]

    @property
    def profile(self) -> str:
        """The name of the mesh among the profiles."""
        return f"slot {self.slot}" if self.slot is not None and self.slot >= 0 else "default"

    def read_line(self, line: str) -> None:
        """Take any line of the firmware; those of a mesh report are kept."""
        if (table := self.reader.read(line)) is not None:
            self._take(table)
        if self.reader.reading:
            return
        if "mesh point 1/" in line or "G29 Auto" in line:
            self._probed = []
        elif point := parse_probed_point(line):
            if len(self._probed) < MAX_PROBED:
                self._probed.append((point.x, point.y))
        elif state := _STATE.search(line):
            self._set_active((state[1] or state[2]).lower() in ("on", "active"))
        elif slot := _SLOT.search(line):
            self.slot = int(slot[1])
            self.version += 1
        elif _NONE.search(line):
            self.points, self._finer = [], []
            self._set_active(False)
        elif "leveling not active" in line:
            self._set_active(False)

    def answer_ends(self) -> None:
        """A command was acknowledged: no table goes on behind that."""
        if self.reader.reading and (table := self.reader.finish()) is not None:
            self._take(table)

    def read_setting(self, setting: Setting) -> None:
        """Take a line of M503: `M420 S1`, and the single points that some print (`G29 W I0 J0 Z0.1`, `G29 S3 ...`)."""
        values = setting.values
        if setting.command == "M420" and "S" in values:
            self._set_active(values["S"] > 0.0)
        elif setting.command == "G29" and "Z" in values and ("W" in values or values.get("S") == 3.0):
            if {"I", "J"} <= values.keys():
                self._take_single(int(values["I"]), int(values["J"]), values["Z"])
            elif {"X", "Y"} <= values.keys():
                self._take_single(int(values["X"]) - 1, int(values["Y"]) - 1, values["Z"])

    def _set_active(self, active: bool) -> None:
        if active is not self.active:
            self.active = active
            self.version += 1

    def _take(self, table: MeshTable) -> None:
        self.version += 1
        if table.finer:
            self._finer = filled(table.rows)
            return
        self._finer = []
        self.points = filled(table.rows)
        self.unprobed = [(x, y) for y, row in enumerate(table.rows) for x, value in enumerate(row) if value is None]
        self.active = self.active or table.in_use
        if table.minimum and table.maximum:
            self._told = (table.minimum, table.maximum)
        elif corners := _corners(self._probed, len(table.rows[0]), len(table.rows)):
            self._told = corners

    def _take_single(self, column: int, row: int, height: float) -> None:
        """M503 lists the points one by one; they are a mesh as soon as they fill a rectangle."""
        if not (0 <= column < MAX_POINTS and 0 <= row < MAX_POINTS):
            return
        if not (column or row):
            self._single = {}
        self._single[(column, row)] = height
        width, depth = (1 + max(place[axis] for place in self._single) for axis in (0, 1))
        if width > 1 and depth > 1 and len(self._single) == width * depth:
            rows: list[Row] = [[self._single[(x, y)] for x in range(width)] for y in range(depth)]
            self._take(MeshTable(rows))

    def status(self) -> dict[str, Any]:
        """Return Klipper's `bed_mesh` object, and `unprobed`: places (column, row) whose height is a guess."""
        basis = (self.version, self.minimum, self.maximum)
        if self._status[0] != basis:
            self._status = (basis, self._build())
        return self._status[1]

    def _build(self) -> dict[str, Any]:
        profiles = self._profiles()
        if not self.active or not self.points:
            return {
                "profile_name": "",
                "mesh_min": (0.0, 0.0),
                "mesh_max": (0.0, 0.0),
                "probed_matrix": [[]],
                "mesh_matrix": [[]],
                "unprobed": [],
                "profiles": profiles,
            }
        return {
            "profile_name": self.profile,
            "mesh_min": self.minimum,
            "mesh_max": self.maximum,
            "probed_matrix": self.points,
            "mesh_matrix": self._finer or self.points,
            "unprobed": self.unprobed,
            "profiles": profiles,
        }

    def dump(self) -> dict[str, Any]:
        """Return the answer to `bed_mesh/dump_mesh`, as far as it can be known."""
        status = self.status()
        current = {"name": self.profile, **status} if self.active and self.points else {}
        return {"current_mesh": current, "profiles": status["profiles"]}

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
        return {self.profile: {"points": self.points, "mesh_params": params}}


def _corners(probed: list[Corner], columns: int, rows: int) -> tuple[Corner, Corner] | None:
    """Return where a mesh of this size lies, if the probed points fill it."""
    xs, ys = {x for x, _ in probed}, {y for _, y in probed}
    if (len(xs), len(ys)) != (columns, rows):
        return None
    return (min(xs), min(ys)), (max(xs), max(ys))
