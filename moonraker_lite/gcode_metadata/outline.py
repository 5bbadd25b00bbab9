"""The outline of an object: the convex hull of where it was printed, gathered point by point in little memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]

PENDING = 128
MAX_KEPT = 256
MAX_VERTICES = 64
LARGEST = 1e6
"""mm. No printer is a kilometre wide; larger numbers are damage."""


class Outline:
    """Feed it points (mm) with `add`; `polygon` and `center` say what they enclose."""

    def __init__(self) -> None:
        self._hull: list[Point] = []
        self._pending: set[Point] = set()
        # A rectangle inside of the hull: what falls into it, and that is nearly everything, changes nothing.
        self._left = self._bottom = math.inf
        self._right = self._top = -math.inf

    def add(self, x: float, y: float) -> None:
        if self._left < x < self._right and self._bottom < y < self._top:
            return
        if not (abs(x) <= LARGEST and abs(y) <= LARGEST):  # not a number, too
            return
        self._pending.add((round(x, 3), round(y, 3)))
        if len(self._pending) > PENDING:
            self._merge()

    def add_many(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        left, bottom, right, top = self._left, self._bottom, self._right, self._top
        for x, y in [(x, y) for x, y in zip(xs, ys, strict=True) if not (left < x < right and bottom < y < top)]:
            self.add(x, y)

    def polygon(self) -> list[Point]:
        """The hull: counter-clockwise, open, `MAX_VERTICES` corners at most, fewer than three where it has no area."""
        self._merge()
        return simplified(self._hull, MAX_VERTICES)

    def center(self) -> Point | None:
        """The middle of its area; None when nothing was printed."""
        self._merge()
        return centroid(self._hull) if self._hull else None

    def _merge(self) -> None:
        if not self._pending:
            return
        self._hull = simplified(convex_hull([*self._hull, *self._pending]), MAX_KEPT)
        self._pending.clear()
        if len(self._hull) > 2:
            self._left, self._bottom, self._right, self._top = _inner_rectangle(self._hull)


def convex_hull(points: list[Point]) -> list[Point]:
    """Andrew's monotone chain: the corners counter-clockwise, without those on a straight edge."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered
    lower = _chain(ordered)
    upper = _chain(ordered[::-1])
    return lower[:-1] + upper[:-1]


def _chain(points: list[Point]) -> list[Point]:
    chain: list[Point] = []
    for point in points:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain


def _turn(a: Point, b: Point, c: Point) -> float:
    """Twice the area of a triangle, positive when it turns left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def simplified(hull: list[Point], most: int) -> list[Point]:
    """A convex polygon of at most so many corners, near to the given one and with the same bounding box.

    Corners that matter least go first.
    """
    if len(hull) <= most:
        return hull
    outer_x = {min(x for x, _ in hull), max(x for x, _ in hull)}
    outer_y = {min(y for _, y in hull), max(y for _, y in hull)}
    tolerance = 0.001
    while len(hull) > most:
        kept: list[Point] = []
        for index, corner in enumerate(hull):
            before, after = (kept or hull)[-1], hull[(index + 1) % len(hull)]
            # Every other one at most: what is left between two removed ones is judged in the next round.
            if (
                index % 2
                and corner[0] not in outer_x
                and corner[1] not in outer_y
                and _distance(before, corner, after) < tolerance
            ):
                continue
            kept.append(corner)
        hull = kept
        tolerance *= 1.5
    return hull


def _distance(before: Point, corner: Point, after: Point) -> float:
    """Of a corner from the line between its neighbours."""
    length = math.dist(before, after)
    return abs(_turn(before, corner, after)) / length if length else 0.0


def centroid(hull: list[Point]) -> Point:
    """The middle of a polygon's area, or of its corners when it has none."""
    if len(hull) > 2:
        origin = hull[0]
        area = x = y = 0.0
        for b, c in pairwise(hull[1:]):
            part = _turn(origin, b, c)
            area += part
            x += part * (b[0] + c[0] - 2 * origin[0])
            y += part * (b[1] + c[1] - 2 * origin[1])
        if area > 0:
            return origin[0] + x / (3 * area), origin[1] + y / (3 * area)
    count = len(hull)
    return sum(x for x, _ in hull) / count, sum(y for _, y in hull) / count


def _inner_rectangle(hull: list[Point]) -> tuple[float, float, float, float]:
    """The largest rectangle (left, bottom, right, top) of the bounding box' shape about the centre that fits inside."""
    cx, cy = centroid(hull)
    half_width = (max(x for x, _ in hull) - min(x for x, _ in hull)) / 2
    half_height = (max(y for _, y in hull) - min(y for _, y in hull)) / 2
    scale = math.inf
    for index, (x1, y1) in enumerate(hull):
        x0, y0 = hull[index - 1]
        nx, ny = y1 - y0, x0 - x1
        reach = abs(nx) * half_width + abs(ny) * half_height
        if reach > 0:
            scale = min(scale, (nx * (x0 - cx) + ny * (y0 - cy)) / reach)
    scale = max(scale, 0.0) if math.isfinite(scale) else 0.0
    return cx - scale * half_width, cy - scale * half_height, cx + scale * half_width, cy + scale * half_height


def arc_extremes(start: Point, end: Point, center: Point, *, clockwise: bool) -> list[Point]:
    """Where an arc is farthest left, right, up and down between its ends. A full circle has equal ends."""
    radius = math.dist(start, center)
    if not 0 < radius <= LARGEST:
        return []
    first = math.atan2(start[1] - center[1], start[0] - center[0])
    last = math.atan2(end[1] - center[1], end[0] - center[0])
    if clockwise:
        first, last = last, first
    sweep = (last - first) % math.tau or math.tau
    points = []
    for quarter, (dx, dy) in enumerate(((1, 0), (0, 1), (-1, 0), (0, -1))):
        if (quarter * math.pi / 2 - first) % math.tau <= sweep:
            points.append((center[0] + dx * radius, center[1] + dy * radius))
    return points
