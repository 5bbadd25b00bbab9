"""Heaters of the virtual printer: straight up to the target, exponentially down to the room, in closed form."""

from __future__ import annotations

import math

ROOM = 21.0


class Heater:
    """One heater and its sensor. Time is real time; `speed` makes it heat that many times faster, 0 at once."""

    def __init__(self, *, rate: float, cooling: float, maximum: float, speed: float) -> None:
        """`rate` in degrees per second, `cooling` time constant in seconds, `maximum` target in degrees."""
        self._rate = rate
        self._cooling = cooling
        self._maximum = maximum
        self._speed = speed
        self._since = 0.0
        self._began = ROOM
        self.target = 0.0

    def reset(self, now: float) -> None:
        """Power on: the target is forgotten, the warmth is not."""
        self.set_target(0.0, now)

    def set_target(self, target: float, now: float) -> None:
        """New target; above the maximum it is limited without a word, as the firmware does."""
        self._began = self.temperature(now)
        self._since = now
        self.target = min(target, self._maximum)

    def temperature(self, now: float) -> float:
        """Degrees at the time `now`."""
        goal = max(self.target, ROOM)
        if not self._speed:
            return goal
        passed = (now - self._since) * self._speed
        if self._began < goal:
            return min(self._began + self._rate * passed, goal)
        return max(ROOM + (self._began - ROOM) * math.exp(-passed / self._cooling), goal)

    def power(self, now: float) -> int:
        """0..127."""
        if self.target <= ROOM:
            return 0
        missing = self.target - self.temperature(now)
        return 127 if missing > 1.0 else (30 if missing >= 0.0 else 0)

    def reaches(self, now: float, *, cooling: bool) -> float:
        """When the temperature is within a degree of the target, in real time; `now` when it is, or need not cool."""
        difference = self.target - self.temperature(now)
        if not self._speed or abs(difference) <= 1.0 or (difference < 0.0 and not cooling):
            return now
        if difference > 0.0:
            return now + (difference - 1.0) / self._rate / self._speed
        goal = max(self.target, ROOM) + 1.0 - ROOM
        warmth = max(self.temperature(now) - ROOM, goal)
        return now + self._cooling * math.log(warmth / goal) / self._speed
