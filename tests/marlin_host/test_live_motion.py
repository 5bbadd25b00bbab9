"""Where the head is: estimated from the moves that the firmware has taken."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonraker_lite.marlin.gcode.motion import Motion
from moonraker_lite.marlin.live_motion import PLANNER, LiveMotion

# However slow the machine is.
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Bench:
    """A motion and its live image; `under_way` lines are not acknowledged."""

    def __init__(self) -> None:
        self.motion = Motion()
        self.under_way = 0
        self.now = 0.0
        self.live = LiveMotion(self.motion, lambda: self.under_way, 0.0)

    def send(self, *lines: str) -> None:
        for line in lines:
            self.motion.observe_line(line)

    def passes(self, seconds: float) -> list[float]:
        """The time goes by in the steps in which frontends ask."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 0.25, end)
            self.live.update(self.now)
        return self.live.position()

    def jumps(self, seconds: float) -> list[float]:
        """Nobody has asked for some time."""
        self.now += seconds
        self.live.update(self.now)
        return self.live.position()


def test_it_goes_along_the_moves_and_comes_to_rest() -> None:
    bench = Bench()
    bench.send("G1 X100 F6000", "G1 Y50 E5 F3000")
    assert bench.passes(0.5) == [50.0, 0.0, 0.0, 0.0]
    assert (bench.live.velocity, bench.live.extruder_velocity) == (100.0, 0.0)
    assert bench.passes(1.0) == [100.0, 25.0, 0.0, 2.5]
    assert (bench.live.velocity, bench.live.extruder_velocity) == (50.0, 5.0)
    assert bench.passes(0.5) == [100.0, 50.0, 0.0, 5.0]
    assert bench.passes(0.5) == [100.0, 50.0, 0.0, 5.0]
    assert (bench.live.velocity, bench.live.extruder_velocity) == (0.0, 0.0)


def test_the_speed_factor_counts_and_filament_alone_has_its_speed() -> None:
    bench = Bench()
    bench.send("M220 S200", "G1 X100 F3000", "G1 E10 F300")
    assert bench.passes(0.5)[0] == 50.0
    assert bench.passes(0.5)[0] == 100.0
    assert bench.passes(0.5) == [100.0, 0.0, 0.0, 5.0]
    assert (bench.live.velocity, bench.live.extruder_velocity) == (0.0, 10.0)


def test_it_never_runs_ahead_of_what_is_acknowledged() -> None:
    bench = Bench()
    bench.send("G1 X10 F60000", "G1 X20", "G1 X30")
    bench.under_way = 2
    assert bench.passes(1.0)[0] == 10.0
    bench.under_way = 0
    assert bench.passes(1.0)[0] == 30.0


def test_it_never_falls_behind_the_planner() -> None:
    bench = Bench()
    bench.send(*(f"G1 X{at} F60" for at in range(1, 41)))
    assert bench.passes(0.001)[0] >= 40.0 - PLANNER
    bench.send(*(f"G1 X{at} F60" for at in range(41, 400)))
    assert bench.passes(0.001)[0] >= 399.0 - PLANNER


def test_a_new_origin_and_homing_are_no_moves() -> None:
    bench = Bench()
    bench.send("G1 X100 F6000", "G92 E0")
    assert bench.passes(0.5)[0] == 50.0, "G92 E0 shifts no axis"
    bench.send("G28")
    assert bench.passes(0.75) == [0.0, 0.0, 0.0, 0.0]
    assert bench.live.velocity == 0.0
    bench.motion.reported(10.0, 20.0, 5.0, 0.0)
    assert bench.passes(0.25) == [10.0, 20.0, 5.0, 0.0]
    assert bench.live.velocity == 0.0


def test_who_looks_seldom_gets_no_speed() -> None:
    bench = Bench()
    bench.send("G1 X100 F600")
    assert bench.passes(1.0)[0] == 10.0
    assert bench.jumps(3.0)[0] == 40.0
    assert bench.live.velocity == 0.0
    assert bench.jumps(0.0)[0] == 40.0


def test_a_move_does_not_begin_before_it_was_sent() -> None:
    bench = Bench()
    bench.jumps(20.0)
    bench.send("G1 X100 F600")
    assert bench.jumps(1.0)[0] == 2.5, "as if it had begun when it was seen first, or little before"
    assert bench.jumps(1.0)[0] == 12.5


@pytest.mark.parametrize("line", ["G2 X10 Y10 I5 J0 F3000", "G1X10Y10F3000", "g1 x10 y10"])
def test_odd_moves_leave_a_trail_as_well(line: str) -> None:
    bench = Bench()
    bench.send(line)
    bench.passes(1.9)
    assert bench.passes(1.9)[:2] == [10.0, 10.0]


MOVES = st.tuples(st.floats(-200, 200), st.floats(-200, 200), st.floats(0.1, 9000)).map(
    lambda move: f"G1 X{move[0]:.3f} Y{move[1]:.3f} F{move[2]:.1f}"
)


@RELAXED
@given(st.lists(st.lists(MOVES | st.sampled_from(["G92 X0", "G28", "M220 S50"]), max_size=40), max_size=8), st.data())
def test_it_always_arrives(chunks: list[list[str]], data: st.DataObject) -> None:
    bench = Bench()
    for chunk in chunks:
        bench.send(*chunk)
        bench.under_way = data.draw(st.integers(0, 40))
        place = bench.jumps(data.draw(st.floats(0.01, 5.0)))
        assert all(math.isfinite(value) for value in place)
        assert bench.live.velocity >= 0.0
    bench.under_way = 0
    bench.jumps(1e9)
    bench.jumps(1e9)
    assert bench.live.position()[:3] == [round(value, 4) for value in bench.motion.position[:3]]
