"""Excluded objects: their moves are dropped, and the firmware ends in the same state as the file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.marlin.gcode.exclude import ExcludedObjects, MoveFilter
from moonraker_lite.marlin.gcode.motion import Motion


class Stream:
    """Runs lines as the job does; `firmware` follows what was really sent."""

    def __init__(self) -> None:
        self.objects = ExcludedObjects()
        self.motion = Motion()
        self.firmware = Motion()
        self.filter = MoveFilter(self.objects, self.motion)
        self.sent: list[str] = []

    def run(self, *lines: str) -> list[str]:
        before = len(self.sent)
        for line in lines:
            if line.startswith("START "):
                self.objects.start(line[6:])
            elif line == "END":
                self.objects.end()
            elif self.filter.active:
                self._send(self.filter.pass_on(line))
            else:
                self.motion.observe_line(line)
                self._send([line])
        return self.sent[before:]

    def _send(self, lines: list[str]) -> None:
        for line in lines:
            self.sent.append(line)
            self.firmware.observe_line(line)


def begin(mode: str) -> Stream:
    stream = Stream()
    stream.run("G28", "G90", mode, "G1 X10 Y10 Z0.2 F3000", "G1 X20 E1")
    stream.objects.exclude("B")
    return stream


@pytest.mark.parametrize("mode", ["M82", "M83"])
def test_moves_are_dropped_and_other_commands_are_not(mode: str) -> None:
    stream = begin(mode)
    sent = stream.run("START B", "G1 X50 Y50", "M104 S210", "G1 X60 E2", "M106 S100", "END")
    assert sent == ["M104 S210", "M106 S100"]
    assert stream.motion.virtual


def test_behind_the_object_absolute_e_is_right_again() -> None:
    stream = begin("M82")
    stream.run("START B", "G1 X50 Y50", "G1 X60 E5", "END")
    assert stream.run("G1 X30 Y30", "G1 X31 E6") == ["G92 E5.00000", "G1 X30 Y30", "G1 X31 E6"]
    assert stream.firmware.filament == pytest.approx(1.0 + 1.0)


def test_an_object_that_ends_retracted_leaves_the_filament_retracted() -> None:
    stream = begin("M83")
    stream.run("START B", "G1 X50 Y50", "G1 X60 E2", "G1 E-2 F2400", "END")
    sent = stream.run("G1 X30 Y30 F6000", "G1 E2 F2400", "G1 X31 E0.1")
    assert sent[:2] == ["G90", "M83"]
    assert sent[2].startswith("G1 E-2.00000")
    assert stream.firmware.filament == pytest.approx(1.0 - 2.0 + 2.0 + 0.1)
    assert stream.firmware.retracted == 0.0


def test_a_print_move_behind_the_object_starts_where_the_file_is() -> None:
    stream = begin("M83")
    stream.run("START B", "G1 X50 Y50 Z0.4", "G1 X60 E2", "END")
    sent = stream.run("G1 X61 E0.1")
    travel = ["G0 Z0.40000 F6000", "G0 X60.00000 Y50.00000 F6000"]
    assert sent == ["G90", *travel, "M83", "G1 F3000", "G92 E3.00000", "G1 X61 E0.1"]


def test_firmware_retraction_is_kept_in_step() -> None:
    stream = begin("M83")
    stream.run("START B", "G1 X50 Y50", "G10", "END")
    assert "G10" in stream.run("G1 X30 Y30 Z0.2")


def test_two_excluded_objects_in_a_row_need_no_travel_between() -> None:
    stream = begin("M83")
    stream.objects.exclude("C")
    assert stream.run("START B", "G1 X50", "END", "START C", "G1 X90 E3", "END") == []


def test_homing_ends_the_difference() -> None:
    stream = begin("M82")
    stream.run("START B", "G1 X50 Y50", "END")
    assert stream.run("G28", "G1 X5") == ["G28", "G1 X5"]


LINE = st.one_of(
    st.tuples(st.integers(0, 99), st.integers(0, 99)).map(lambda p: f"G1 X{p[0]} Y{p[1]}"),
    st.tuples(st.integers(0, 99), st.integers(1, 9)).map(lambda p: f"G1 X{p[0]} E{p[1]}"),
    st.sampled_from(
        ["G1 Z1", "G1 Z2", "G91", "G90", "M82", "M83", "G92 E0", "G1 E3", "G1 E0", "G10", "G11", "M106 S9"]
    ),
    st.sampled_from(["START A", "START B", "END"]),
)


@given(st.lists(LINE, max_size=30))
def test_the_firmware_always_ends_where_the_file_is(lines: list[str]) -> None:
    stream = begin("M82")
    stream.run(*lines)
    stream.run("END", "G1 Z3 E1", "G1 X7 Y7")
    assert stream.firmware.position == pytest.approx(stream.motion.position)
    assert stream.firmware.retracted == pytest.approx(stream.motion.retracted)
    for mode in ("absolute", "absolute_e", "firmware_retracted"):
        assert getattr(stream.firmware, mode) == getattr(stream.motion, mode)
