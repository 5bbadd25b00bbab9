"""What the moves of a print amount to: heights, layers, the room it takes, and the filament of each tool.

A move prints when it has an X or Y word or is an arc, and feeds filament forward. Positions are those of the G-code
(after G92), in mm; an axis that was never set, or was homed, has none. Axes are relative after G91, filament after G91
or M83, as in Klipper.

Filament used is how far each tool's filament got at the most, so that retractions do not count, nor what is pushed
forward again after them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from moonraker_lite.gcode_metadata.model import Box

MAX_LEVELS = 50_000
RESOLUTION = 4  # decimals of a height in mm: levels that differ by less are one
MANY, FEW = 10, 5  # moves of a level that is a layer for certain, and of one that primes the nozzle before it
LITTLE = 1e-9  # mm of filament that are none
INCH = 25.4
Words = dict[bytes, float]
_NOWHERE = (math.inf, -math.inf, math.inf, -math.inf)


class MoveFacts(msgspec.Struct, frozen=True):
    """What the moves of a file say, in mm; None for what they leave open. `filament` is by number of the tool, only
    those that fed any; `layers` is unknown for prints whose Z rises all the time."""

    height: float | None
    layers: int | None
    first_layer_height: float | None
    layer_height: float | None
    box: Box | None
    filament: dict[int, float]


class _Level:
    """The printing moves at one height."""

    __slots__ = ("max_x", "max_y", "min_x", "min_y", "moves")

    def __init__(self) -> None:
        self.moves = 0
        self.min_x, self.max_x, self.min_y, self.max_y = _NOWHERE

    def add(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        low, high = min(xs), max(xs)
        if low < self.min_x:
            self.min_x = low
        if high > self.max_x:
            self.max_x = high
        low, high = min(ys), max(ys)
        if low < self.min_y:
            self.min_y = low
        if high > self.max_y:
            self.max_y = high

    def stretch(self, x: float, y: float) -> None:
        if x < self.min_x:
            self.min_x = x
        if x > self.max_x:
            self.max_x = x
        if y < self.min_y:
            self.min_y = y
        if y > self.max_y:
            self.max_y = y


class _Spool:
    """The filament of one tool: where it is and how far it got."""

    __slots__ = ("most", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self.most = 0.0


class Motion:
    """Takes the commands of a file in order; `facts` says what came of them."""

    def __init__(self) -> None:
        self.x: float | None = None
        self.y: float | None = None
        self.z: float | None = None
        self.e = 0.0
        self.relative = False
        self.relative_e = False
        self.scale = 1.0
        self.custom = False  # within start, end or tool change code of the owner
        self._tool = 0
        self._spools: dict[int, _Spool] = {0: _Spool()}
        self._spool = self._spools[0]
        self._levels: dict[float, _Level] = {}
        self._level: _Level | None = None
        self._slopes = _Level()
        self._slope_top = -math.inf
        self._marked = False

    # -- commands --------------------------------------------------------------------------------------------------

    def mark(self) -> None:
        """Here the first layer begins: what was printed before primes the nozzle."""
        if not self._marked:
            self._marked = True
            self._levels.clear()
            self._level = None
            self._slopes, self._slope_top = _Level(), -math.inf

    @property
    def marked(self) -> bool:
        return self._marked

    def select(self, tool: int) -> None:
        """T<tool>."""
        self._tool = tool
        spool = self._spools.get(tool)
        if spool is None and len(self._spools) < 256:
            spool = self._spools[tool] = _Spool()
        self._spool = spool or self._spool

    def home(self, words: bytes) -> None:
        """G28: without axes all of them."""
        axes = words.upper()
        everything = not any(axis in axes for axis in (b"X", b"Y", b"Z"))
        if everything or b"X" in axes:
            self.x = None
        if everything or b"Y" in axes:
            self.y = None
        if everything or b"Z" in axes:
            self.z, self._level = None, None

    def set_position(self, words: Words) -> None:
        """G92: only the filament without any axis would be all of them; what it sets are new names of where it is."""
        scale = self.scale
        if not words:
            self.x = self.y = self.z = self.e = 0.0
            self._level = None
            return
        if b"X" in words:
            self.x = words[b"X"] * scale
        if b"Y" in words:
            self.y = words[b"Y"] * scale
        if b"Z" in words:
            self.z, self._level = words[b"Z"] * scale, None
        if b"E" in words:
            self.e = words[b"E"] * scale

    def move(self, words: Words, arc: int = 0) -> None:
        """G0 and G1, and with `arc` 2 or 3 G2 (clockwise) and G3."""
        scale, from_x, from_y, from_z = self.scale, self.x, self.y, self.z
        plane = bool(arc)
        if (value := words.get(b"X")) is not None:
            plane = True
            self.x = (from_x or 0.0) + value * scale if self.relative else value * scale
        if (value := words.get(b"Y")) is not None:
            plane = True
            self.y = (from_y or 0.0) + value * scale if self.relative else value * scale
        if (value := words.get(b"Z")) is not None:
            self.z = (from_z or 0.0) + value * scale if self.relative else value * scale
            if self.z != from_z:
                self._level = None
        if (value := words.get(b"E")) is not None:
            fed = self._feed(value * scale)
            if plane and fed > LITTLE and not self.custom:
                self._print(from_x, from_y, from_z, words, arc)

    def travel(self, x: float, y: float) -> None:
        """A move with X and Y alone."""
        if self.relative or self.scale != 1.0:
            self.move({b"X": x, b"Y": y})
        else:
            self.x, self.y = x, y

    def print_to(self, x: float, y: float, e: float) -> None:
        """A move with X, Y and E, no more."""
        if self.relative or self.scale != 1.0 or self.custom:
            self.move({b"X": x, b"Y": y, b"E": e})
            return
        if self._feed(e) > LITTLE:
            level = self._level or self._level_here()
            level.moves += 1
            level.stretch(x, y)
            if self.x is not None and self.y is not None:
                level.stretch(self.x, self.y)
        self.x, self.y = x, y

    def push(self, e: float) -> None:
        """A move with E alone."""
        self._feed(e * self.scale)

    def _feed(self, value: float) -> float:
        """Push the filament; how far it was."""
        if self.relative or self.relative_e:
            fed = value
            self.e += value
        else:
            fed = value - self.e
            self.e = value
        spool = self._spool
        spool.now += fed
        if spool.now > spool.most:
            spool.most = spool.now
        return fed

    def _print(self, from_x: float | None, from_y: float | None, from_z: float | None, words: Words, arc: int) -> None:
        level = self._level_here() if self.z == from_z else self._slope_here(from_z)
        level.moves += 1
        x, y = self.x, self.y
        if x is None or y is None:
            return
        level.stretch(x, y)
        if from_x is not None and from_y is not None:
            level.stretch(from_x, from_y)
            if arc:
                for bulge in _bulge(from_x, from_y, x, y, words, self.scale, clockwise=arc == 2):
                    level.stretch(*bulge)

    def run(self, xs: list[float], ys: list[float], es: list[float]) -> bool:
        """Many lines `G1 X Y E` at once. False when they are not that simple, and nothing has been done."""
        if self.relative or self.scale != 1.0 or self.custom:
            return False
        spool, last = self._spool, es[-1]
        if self.relative_e:
            if min(es) <= LITTLE:
                return False
            fed = math.fsum(es)
            self.e += fed
        else:
            if es[0] - self.e <= LITTLE or any(one >= next_ for one, next_ in pairwise(es)):
                return False
            fed = last - self.e
            self.e = last
        spool.now += fed
        if spool.now > spool.most:
            spool.most = spool.now
        level = self._level or self._level_here()
        level.moves += len(xs)
        from_x, from_y, self.x, self.y = self.x, self.y, xs[-1], ys[-1]
        level.add(xs, ys)
        if from_x is not None and from_y is not None:
            level.stretch(from_x, from_y)
        return True

    def _level_here(self) -> _Level:
        if self._level is None:
            if self.z is None:
                self._level = self._slopes  # no height is known: only the room it takes
            else:
                height = round(self.z, RESOLUTION)
                self._level = self._levels.get(height)
                if self._level is None and len(self._levels) < MAX_LEVELS:
                    self._level = self._levels[height] = _Level()
                elif self._level is None:
                    return self._slope_here(self.z)
        return self._level

    def _slope_here(self, from_z: float | None) -> _Level:
        if self.z is not None:
            self._slope_top = max(self._slope_top, self.z, self.z if from_z is None else from_z)
        return self._slopes

    # -- what came of it -------------------------------------------------------------------------------------------

    def facts(self) -> MoveFacts:
        """What is known now."""
        levels = self._layers()
        heights = sorted(levels)
        top = max([*heights, self._slope_top], default=-math.inf)
        planar = sum(level.moves for level in levels.values())
        rising = self._slopes.moves > planar or len(self._levels) >= MAX_LEVELS
        steps = Counter(round(above - below, 3) for below, above in pairwise(heights))
        layer_height = steps.most_common(1)[0][0] if steps and not rising else None
        return MoveFacts(
            height=None if top == -math.inf else round(top, RESOLUTION),
            layers=None if rising or not heights else len(heights),
            first_layer_height=heights[0] if heights and not rising else None,
            layer_height=layer_height,
            box=_box([*levels.values(), self._slopes]),
            filament={tool: round(spool.most, 5) for tool, spool in sorted(self._spools.items()) if spool.most > 0.0},
        )

    def _layers(self) -> dict[float, _Level]:
        """The levels of the print itself. Where no comment says where it begins, levels of a few moves before the
        first with many are lines that prime the nozzle."""
        if self._marked or all(level.moves < MANY for level in self._levels.values()):
            return self._levels
        kept: dict[float, _Level] = {}
        begun = False
        for height, level in self._levels.items():
            begun = begun or level.moves >= MANY
            if begun or level.moves >= FEW:
                kept[height] = level
        return kept


def _box(levels: list[_Level]) -> Box | None:
    min_x, max_x = min(level.min_x for level in levels), max(level.max_x for level in levels)
    min_y, max_y = min(level.min_y for level in levels), max(level.max_y for level in levels)
    if max_x < min_x or max_y < min_y:
        return None
    return Box(*(round(value, RESOLUTION) for value in (min_x, min_y, max_x, max_y)))


def _bulge(
    from_x: float, from_y: float, to_x: float, to_y: float, words: Words, scale: float, *, clockwise: bool
) -> list[tuple[float, float]]:
    """The points where an arc in the XY plane is furthest out, its ends left aside."""
    centre = _centre(from_x, from_y, to_x, to_y, words, scale, clockwise=clockwise)
    if centre is None:
        return []
    x, y = centre
    radius = math.hypot(from_x - x, from_y - y)
    begin, end = math.atan2(from_y - y, from_x - x), math.atan2(to_y - y, to_x - x)
    if clockwise:
        begin, end = end, begin
    sweep = (end - begin) % math.tau or math.tau
    found = []
    for quarter, (right, up) in enumerate(((1, 0), (0, 1), (-1, 0), (0, -1))):
        if (quarter * math.pi / 2 - begin) % math.tau < sweep:
            found.append((x + right * radius, y + up * radius))
    return found


def _centre(
    from_x: float, from_y: float, to_x: float, to_y: float, words: Words, scale: float, *, clockwise: bool
) -> tuple[float, float] | None:
    radius = words.get(b"R")
    if radius is None:
        if b"I" not in words and b"J" not in words:
            return None
        return from_x + words.get(b"I", 0.0) * scale, from_y + words.get(b"J", 0.0) * scale
    across_x, across_y = to_x - from_x, to_y - from_y
    chord = math.hypot(across_x, across_y)
    if chord == 0.0 or not math.isfinite(chord):
        return None
    away = math.sqrt(max(0.0, (radius * scale) ** 2 - (chord / 2) ** 2)) / chord
    if clockwise != (radius < 0):
        away = -away
    return (from_x + to_x) / 2 - across_y * away, (from_y + to_y) / 2 + across_x * away
