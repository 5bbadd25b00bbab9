"""Where the head is and how fast, between the reports: estimated from the moves that the firmware has taken.

Marlin's position reports (M114, M154) tell where the last planned move will end, not where the head is. But a move is
acknowledged when it enters the planner, and the planner holds few: so the head is somewhere in the last moves, and
their lengths and speeds tell about where. The estimate follows the clock, never runs ahead of what is acknowledged,
never falls behind the planner, and comes to rest where the last move ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice

from moonraker_lite.marlin.gcode.motion import E, Motion

# Moves that a planner holds at most; most boards have 16.
PLANNER = 16
# s; who looks again after a longer time gets no speed of what happened between.
LONGEST = 2.0
# s that moves have lasted at most when they are seen for the first time behind a rest.
FIRST = 0.25

Point = tuple[float, float, float, float, float]


class LiveMotion:
    """`under_way` returns how many of the moves that were sent are not acknowledged yet."""

    def __init__(self, motion: Motion, under_way: Callable[[], int], now: float) -> None:
        self._motion = motion
        self._under_way = under_way
        self._looked_at = now
        # How many moves are behind the head.
        self._done = motion.planned
        self._rests = True
        x, y, z, _ = motion.position
        self._place: Point = (x, y, z, motion.filament, 0.0)
        self.velocity = 0.0
        self.extruder_velocity = 0.0

    def update(self, now: float) -> None:
        """Bring everything up to the time `now`."""
        elapsed = now - self._looked_at
        if elapsed <= 0.0:
            return
        self._looked_at = now
        motion = self._motion
        acknowledged = motion.planned - min(self._under_way(), motion.planned)
        before = self._place
        travelled = self._catch_up(acknowledged - PLANNER)
        # When the moves behind a rest began, nobody has noted: not before they were sent.
        travelled += self._advance(acknowledged, min(elapsed, FIRST) if self._rests else elapsed)
        self._rests = self._done >= motion.planned
        if elapsed > LONGEST:
            self.velocity = self.extruder_velocity = 0.0
            return
        self.velocity = round(travelled / elapsed, 3)
        self.extruder_velocity = round((self._place[E] - before[E]) / elapsed, 4)

    def position(self) -> list[float]:
        """X, Y, Z, E in the coordinates of the G-code."""
        x, y, z, filament, _ = self._place
        motion = self._motion
        return [round(x, 4), round(y, 4), round(z, 4), round(motion.position[E] - motion.filament + filament, 4)]

    def _catch_up(self, oldest: int) -> float:
        """Moves that the planner cannot hold any more are over, and those that nobody remembers. Return mm."""
        motion = self._motion
        first = motion.planned - len(motion.trail)
        travelled = 0.0
        if self._done < first:
            self._done = first
            self._place = motion.trail[0]
        while self._done < oldest:
            travelled += self._finish(motion.trail[self._done - first])
        return travelled

    def _finish(self, end: Point) -> float:
        """The head is at the end of its move. Return the mm it has gone."""
        length = math.dist(self._place[:3], end[:3]) if end[4] else 0.0
        self._place = end
        self._done += 1
        return length

    def _advance(self, acknowledged: int, seconds: float) -> float:
        """Go along the acknowledged moves for some time. Return the mm travelled."""
        motion = self._motion
        first = motion.planned - len(motion.trail)
        travelled = 0.0
        factor = motion.speed_factor / 60.0
        for end in list(islice(motion.trail, max(self._done - first, 0), max(acknowledged - first, 0))):
            length = math.dist(self._place[:3], end[:3])
            pace = end[4] * factor
            # A move of the filament alone has its speed, too.
            way = length or abs(end[E] - self._place[E])
            if pace <= 0.0 or way <= pace * seconds:
                seconds -= way / pace if pace > 0.0 else 0.0
                travelled += self._finish(end)
                continue
            share = pace * seconds / way
            x, y, z, filament, _ = (here + (there - here) * share for here, there in zip(self._place, end, strict=True))
            self._place = (x, y, z, filament, end[4])
            travelled += length * share
            break
        return travelled
