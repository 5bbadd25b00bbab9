"""Outlines: convex, small, and with every point that was fed inside."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonraker_lite.gcode_metadata.outline import MAX_VERTICES, Outline, arc_extremes, centroid, convex_hull

numbers = st.integers(-3000, 3000).map(lambda value: value / 10)
points = st.tuples(numbers, numbers)


def area(polygon: list[tuple[float, float]]) -> float:
    return sum(polygon[i - 1][0] * y - x * polygon[i - 1][1] for i, (x, y) in enumerate(polygon)) / 2


def inside(polygon: list[tuple[float, float]], x: float, y: float) -> bool:
    return all(
        (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= -1e-6
        for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True)
    )


@given(st.lists(points, max_size=400))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_hull_holds_every_point(fed: list[tuple[float, float]]) -> None:
    outline = Outline()
    for point in fed:
        outline.add(*point)
    polygon, hull = outline.polygon(), convex_hull(fed)
    if len(hull) <= MAX_VERTICES:
        assert polygon == hull
    if len(polygon) > 2:
        assert area(polygon) > 0
        assert all(inside(hull, x, y) for x, y in polygon)
        center = outline.center()
        assert center is not None
        assert inside(hull, *center)


def test_a_round_object_keeps_its_size_with_few_corners() -> None:
    outline = Outline()
    for step in range(100_000):
        outline.add(100 + 50 * math.cos(step), 100 + 50 * math.sin(step))
    polygon = outline.polygon()
    assert 32 <= len(polygon) <= MAX_VERTICES
    assert area(polygon) == pytest.approx(math.pi * 2500, rel=0.01)
    assert max(x for x, _ in polygon) == pytest.approx(150, abs=0.01)
    assert outline.center() == pytest.approx((100, 100), abs=0.1)


@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan, 1e300])
def test_impossible_points_are_left_out(odd: float) -> None:
    outline = Outline()
    for _ in range(300):
        outline.add(odd, 1.0)
        outline.add(1.0, odd)
    assert outline.polygon() == []
    assert outline.center() is None


def test_centres_of_what_has_no_area() -> None:
    assert centroid([(1.0, 2.0)]) == (1.0, 2.0)
    assert centroid([(0.0, 0.0), (4.0, 2.0)]) == (2.0, 1.0)


def test_arcs() -> None:
    quarter = arc_extremes((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), clockwise=False)
    assert quarter == [(1.0, 0.0), (0.0, 1.0)]
    rest = arc_extremes((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), clockwise=True)
    assert len(rest) == 4
    circle = arc_extremes((0.6, 0.8), (0.6, 0.8), (0.0, 0.0), clockwise=True)
    assert len(circle) == 4
    assert arc_extremes((0.0, 0.0), (1.0, 0.0), (math.inf, 0.0), clockwise=True) == []
