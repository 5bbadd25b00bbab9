"""A printer of a hundred lines, written for itself: what a stream of G-code does to head, filament and modes.

It knows nothing of the host's own bookkeeping, so that the one can be held against the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_WORD = re.compile(r"([A-Z])(-?[0-9.]*)")


@dataclass(frozen=True)
class Deed:
    """What one move did. Positions are those of the machine, before and after, in mm."""

    name: str
    start: tuple[float, ...]
    end: tuple[float, ...]
    fed: float
    drawn_back: float
    speed: float
    tool: int
    fan: float
    hot: float


@dataclass
class PlainPrinter:
    """Head and filament in machine coordinates; `shift` is what G92 made of them."""

    head: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    shift: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    e: float = 0.0
    relative: bool = False
    relative_e: bool = False
    inches: bool = False
    speed: float = 1500.0
    tool: int = 0
    fan: float = 0.0
    hot: float = 0.0
    fed: dict[int, float] = field(default_factory=dict)
    drawn_back: dict[int, float] = field(default_factory=dict)
    by_firmware: dict[int, bool] = field(default_factory=dict)

    def run(self, line: str) -> Deed | None:
        """Execute a line; return what it did if it is a move."""
        name, _, rest = line.partition(" ")
        words = {letter: float(value) if value else 0.0 for letter, value in _WORD.findall(rest)}
        if name in ("G0", "G1", "G2", "G3"):
            return self._move(name, words)
        if name in ("G10", "G11"):
            self.by_firmware[self.tool] = name == "G10"
            return self._deed(name, self.head, 0.0)
        if name == "G28":
            for axis in [axis for axis, letter in enumerate("XYZ") if letter in words] or [0, 1, 2]:
                self.head[axis] = self.shift[axis] = 0.0
        elif name in ("G90", "G91"):
            self.relative = self.relative_e = name == "G91"
        elif name in ("M82", "M83"):
            self.relative_e = name == "M83"
        elif name in ("G20", "G21"):
            self.inches = name == "G20"
        elif name == "G92":
            for axis, letter in enumerate("XYZ"):
                if letter in words:
                    self.shift[axis] = self.head[axis] - words[letter] * self._scale
            self.e = words["E"] * self._scale if "E" in words else self.e
        elif name[0] == "T":
            self.tool = int(name[1:])
        elif name == "M106":
            self.fan = words["S"]
        elif name == "M104":
            self.hot = words["S"]
        return None

    @property
    def _scale(self) -> float:
        return 25.4 if self.inches else 1.0

    def _move(self, name: str, words: dict[str, float]) -> Deed:
        before = list(self.head)
        for axis, letter in enumerate("XYZ"):
            if letter in words:
                value = words[letter] * self._scale
                self.head[axis] = self.head[axis] + value if self.relative else value + self.shift[axis]
        fed = 0.0
        if "E" in words:
            value = words["E"] * self._scale
            fed = value if self.relative_e else value - self.e
            self.e += fed
        if "F" in words:
            self.speed = words["F"] * self._scale
        self.fed[self.tool] = self.fed.get(self.tool, 0.0) + fed
        self.drawn_back[self.tool] = max(0.0, self.drawn_back.get(self.tool, 0.0) - fed)
        return self._deed(name, before, fed)

    def _deed(self, name: str, before: list[float], fed: float) -> Deed:
        back = self.drawn_back.get(self.tool, 0.0) + 1000.0 * self.by_firmware.get(self.tool, False)
        return Deed(name, tuple(before), tuple(self.head), fed, back, self.speed, self.tool, self.fan, self.hot)
