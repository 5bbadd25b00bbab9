"""A second, slow and plain interpreter of moves, to compare the fast one with."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

WORD = re.compile(r"([XYZEIJR])\s*([-+]?(?:\d+\.?\d*|\.\d+))")
MARK = re.compile(
    r"[;(][ \t]*(LAYER_CHANGE|CHANGE_LAYER|LAYER: ?0\b|BEGIN_LAYER_OBJECT|layer 1,|Layer 1\b|<layer>|layer:)"
)


class Slow:
    def __init__(self) -> None:
        self.position: dict[str, float | None] = {"X": None, "Y": None, "Z": None, "E": 0.0}
        self.relative = self.relative_e = self.custom = self.marked = False
        self.scale = 1.0
        self.tool = 0
        self.fed: dict[int, list[float]] = {0: [0.0]}
        self.begin()

    def begin(self) -> None:
        self.moves: dict[float | None, int] = {}
        self.points: dict[float | None, list[tuple[float, float]]] = {}
        self.sloped = 0
        self.tops: list[float] = []

    def line(self, text: str) -> None:
        stripped = text.strip()
        if (feature := re.match(r"; ?(?:TYPE:|FEATURE: ?)(.*)", text)) is not None:
            self.custom = feature[1].strip().lower() == "custom"
        if not self.marked and MARK.match(text):
            self.marked = True
            self.begin()
        stripped = re.sub(r"\(.*?\)", "", stripped.split(";")[0]).upper()
        found = re.match(r"(?:N\d+\s*)?([GMT])0*(\d+)(?!\d|\.)(.*)", stripped)
        if found is None:
            return
        command, rest = found[1] + found[2], found[3]
        words = {letter: float(value) for letter, value in WORD.findall(rest)}
        if command in ("G0", "G1", "G2", "G3"):
            self.move(command, words)
        elif command == "G92":
            for axis in words or dict.fromkeys(self.position, 0.0):
                if axis in self.position:
                    self.position[axis] = words.get(axis, 0.0) * self.scale
        elif command == "G28":
            named = [axis for axis in "XYZ" if axis in rest]
            for axis in named or "XYZ":
                self.position[axis] = None
        elif command in ("G20", "G21"):
            self.scale = 25.4 if command == "G20" else 1.0
        elif command in ("G90", "G91"):
            self.relative = command == "G91"
        elif command in ("M82", "M83"):
            self.relative_e = command == "M83"
        elif found[1] == "T":
            self.tool = int(found[2])
            self.fed.setdefault(self.tool, [0.0])

    def move(self, command: str, words: dict[str, float]) -> None:
        before = dict(self.position)
        for axis in "XYZ":
            if axis in words:
                start = (before[axis] or 0.0) if self.relative else 0.0
                self.position[axis] = start + words[axis] * self.scale
        fed = 0.0
        if "E" in words:
            value, at = words["E"] * self.scale, before["E"] or 0.0
            fed = value if self.relative or self.relative_e else value - at
            self.position["E"] = at + value if self.relative or self.relative_e else value
            self.fed[self.tool].append(self.fed[self.tool][-1] + fed)
        arc = command in ("G2", "G3")
        if fed <= 1e-9 or self.custom or not (arc or "X" in words or "Y" in words):
            return
        height: float | None = None
        if self.position["Z"] != before["Z"]:
            self.sloped += 1
            self.tops += [z for z in (before["Z"], self.position["Z"]) if z is not None]
        elif self.position["Z"] is None:
            self.sloped += 1
        else:
            height = round(self.position["Z"], 4)
            self.moves[height] = self.moves.get(height, 0) + 1
        x, y, from_x, from_y = self.position["X"], self.position["Y"], before["X"], before["Y"]
        points = self.points.setdefault(height, [])
        if x is not None and y is not None:
            points.append((x, y))
            if from_x is not None and from_y is not None:
                points.append((from_x, from_y))
                if arc and ("I" in words or "J" in words):
                    centre = (from_x + words.get("I", 0.0) * self.scale, from_y + words.get("J", 0.0) * self.scale)
                    points += arc_points((from_x, from_y), (x, y), centre, clockwise=command == "G2")

    def facts(self) -> dict[str, object]:
        moves = self.moves
        if not self.marked and any(count >= 10 for count in moves.values()):
            order = list(moves)
            main = next(index for index, height in enumerate(order) if moves[height] >= 10)
            moves = {height: moves[height] for index, height in enumerate(order) if index >= main or moves[height] >= 5}
        heights = sorted(height for height in moves if height is not None)
        rising = self.sloped > sum(moves.values())
        steps = Counter(round(b - a, 3) for a, b in pairwise(heights))
        points = [point for height in (*moves, None) for point in self.points.get(height, [])]
        top = max([*heights, *self.tops], default=None)
        return {
            "height": None if top is None else round(top, 4),
            "layers": None if rising or not heights else len(heights),
            "first_layer_height": heights[0] if heights and not rising else None,
            "layer_height": steps.most_common(1)[0][0] if steps and not rising else None,
            "box": (min(x for x, _ in points), max(x for x, _ in points), min(y for _, y in points),
                    max(y for _, y in points)) if points else None,
            "filament": {tool: max(fed) for tool, fed in sorted(self.fed.items()) if max(fed) > 0},
        }  # fmt: skip


def arc_points(
    begin: tuple[float, float], end: tuple[float, float], centre: tuple[float, float], *, clockwise: bool
) -> list[tuple[float, float]]:
    """Many points on the arc, its extremes among them as nearly as the steps allow."""
    radius = math.dist(begin, centre)
    first = math.atan2(begin[1] - centre[1], begin[0] - centre[0])
    last = math.atan2(end[1] - centre[1], end[0] - centre[0])
    turn = ((first - last) if clockwise else (last - first)) % math.tau or math.tau
    steps = 2000
    angles = (first + (-1 if clockwise else 1) * turn * step / steps for step in range(1, steps))
    return [(centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)) for angle in angles]
