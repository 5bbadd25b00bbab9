"""Where the head of the virtual printer is, and how long its moves take."""

from __future__ import annotations

import math
from collections import deque

PLANNER_BLOCKS = 15
AXES = ("X", "Y", "Z", "E")


class Motion:
    """Position, modes, and the planner as a queue of the times at which its blocks end. Real time throughout."""

    def __init__(self, speed: float, bed: tuple[float, float, float] = (200.0, 200.0, 200.0)) -> None:
        """`bed`: how far X, Y and Z reach, in mm."""
        self._speed = speed
        self.reach = dict(zip("XYZ", bed, strict=True))
        self.ends: deque[float] = deque()
        self.reset()

    def reset(self) -> None:
        """Power on."""
        self.ends.clear()
        self.position = {"X": 0.0, "Y": 0.0, "Z": 0.0, "E": 0.0}
        self.relative = False
        self.relative_e = False
        self.feedrate = 1500.0
        self.feed_percent = 100.0
        self.flow_percent = 100.0
        self.soft_endstops = True
        self.homed: set[str] = set()

    def lasts(self, seconds: float) -> float:
        """What machine time takes in real time."""
        return seconds / self._speed if self._speed else 0.0

    def free_blocks(self, now: float) -> int:
        """Free planner blocks."""
        ends = self.ends
        while ends and ends[0] <= now:
            ends.popleft()
        return PLANNER_BLOCKS - len(ends)

    def finished_at(self, now: float) -> float:
        """When the planner will be empty."""
        return max(self.ends[-1], now) if self.ends else now

    def stop(self) -> None:
        """Throw away all planned moves."""
        self.ends.clear()

    def move(self, words: dict[str, float | None], now: float) -> bool:
        """G0/G1: plan a straight move. Returns whether filament is to move."""
        position = self.position
        distance = 0.0
        extrudes = False
        for axis, value in words.items():
            if value is None:
                continue
            if axis == "F":
                if value > 0.0:
                    self.feedrate = value
                continue
            before = position.get(axis)
            if before is None:
                continue
            if axis == "E":
                after = before + value if self.relative_e or self.relative else value
                extrudes = after != before
            else:
                after = before + value if self.relative else value
                if self.soft_endstops and axis in self.homed:
                    after = min(max(after, 0.0), self.reach[axis])
            position[axis] = after
            if self._speed:
                distance += (after - before) ** 2
        if self._speed and distance:
            self._plan(math.sqrt(distance), now)
        return extrudes

    def arc(self, words: dict[str, float | None], now: float, *, clockwise: bool) -> bool:
        """G2/G3 with I and J (or R): the end point, and the time of the whole arc."""
        x, y = self.position["X"], self.position["Y"]
        travel = 0.0
        centre_x, centre_y = words.get("I") or 0.0, words.get("J") or 0.0
        radius = math.hypot(centre_x, centre_y) or abs(words.get("R") or 0.0)
        extrudes = self.move({key: value for key, value in words.items() if key not in ("I", "J", "R", "P")}, now)
        if radius and self._speed:
            begin = math.atan2(-centre_y, -centre_x)
            end = math.atan2(self.position["Y"] - y - centre_y, self.position["X"] - x - centre_x)
            sweep = (begin - end if clockwise else end - begin) % (2 * math.pi) or 2 * math.pi
            chord = math.hypot(self.position["X"] - x, self.position["Y"] - y)
            travel = max(radius * sweep - chord, 0.0)
        if travel:
            self._plan(travel, now)
        return extrudes

    def _plan(self, distance: float, now: float) -> None:
        start = self.ends[-1] if self.ends and self.ends[-1] > now else now
        pace = self.feedrate / 60.0 * self.feed_percent / 100.0
        self.ends.append(start + self.lasts(distance / pace))

    def shift(self, words: dict[str, float | None]) -> None:
        """G92."""
        for axis, value in words.items():
            if axis in self.position and value is not None:
                self.position[axis] = value

    def report(self, steps: dict[str, float], *, in_mm: bool = False) -> bytes:
        """`X:0.00 Y:0.00 Z:5.00 E:0.00 Count X:0 Y:0 Z:2000`; `steps` per mm by axis. `in_mm`: Prusa counts those."""
        place = " ".join(f"{axis}:{self.position[axis]:.2f}" for axis in AXES)
        if in_mm:
            return f"{place} Count {place.replace(':', ': ', 1)}\n".encode()
        count = " ".join(f"{axis}:{round(self.position[axis] * steps[axis])}" for axis in ("X", "Y", "Z"))
        return f"{place} Count {count}\n".encode()
