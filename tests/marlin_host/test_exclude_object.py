"""Excluded objects: their moves are dropped, and everything else is printed as if they had been there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.marlin.gcode.exclude import ExcludedObjects, MoveFilter
from moonraker_lite.marlin.gcode.motion import Motion
from tests.marlin_host.plain_printer import Deed, PlainPrinter


class Stream:
    """Runs lines as the job does; `firmware` follows what was really sent."""

    def __init__(self) -> None:
        self.objects = ExcludedObjects()
        self.firmware = Motion()
        self.filter = MoveFilter(self.objects, self.firmware)
        self.sent: list[str] = []

    def run(self, *lines: str) -> list[str]:
        before = len(self.sent)
        for line in lines:
            if line.startswith("START "):
                self.objects.start(line[6:])
            elif line == "END":
                self.objects.end()
            else:
                for text in self.filter.pass_on(line) if self.filter.active else [line]:
                    self.sent.append(text)
                    self.firmware.observe_line(text)
        return self.sent[before:]


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


def test_the_shown_position_is_that_of_the_head() -> None:
    stream = begin("M83")
    stream.run("START B", "G1 X50 Y50 Z9")
    assert stream.firmware.position[:3] == [20.0, 10.0, 0.2]
    assert stream.filter.file.position[:3] == [50.0, 50.0, 9.0]


def test_behind_the_object_absolute_e_is_right_again() -> None:
    stream = begin("M82")
    stream.run("START B", "G1 X50 Y50", "G1 X60 E5", "END")
    assert stream.run("G1 X30 Y30", "G1 X31 E6") == ["G1 X30 Y30", "G92 E5.00000", "G1 X31 E6"]
    assert stream.firmware.filament == pytest.approx(1.0 + 1.0)


def test_an_object_that_ends_retracted_leaves_the_filament_retracted() -> None:
    stream = begin("M83")
    stream.run("START B", "G1 X50 Y50", "G1 X60 E2", "G1 E-2 F2400", "END")
    sent = stream.run("G1 X30 Y30 F6000", "G1 E2 F2400", "G1 X31 E0.1")
    assert sent[0] == "G1 E-2.00000 F2100"
    assert stream.firmware.filament == pytest.approx(1.0 - 2.0 + 2.0 + 0.1)
    assert stream.firmware.retracted == 0.0


def test_a_print_move_behind_the_object_starts_where_the_file_is() -> None:
    stream = begin("M83")
    stream.run("START B", "G1 X50 Y50 Z0.4", "G1 X60 E2", "END")
    sent = stream.run("G1 X61 E0.1")
    travel = ["G0 Z0.40000 F6000", "G0 X60.00000 Y50.00000 F6000"]
    assert sent == [*travel, "G92 E3.00000", "G1 F3000", "G1 X61 E0.1"]


def test_the_feed_rate_that_the_object_set_holds_behind_it() -> None:
    stream = begin("M83")
    stream.run("START B", "G1 F1200", "END")
    assert stream.run("G1 X30 Y30") == ["G1 F1200", "G1 X30 Y30"]


def test_coordinates_that_are_shifted_within_the_object_are_so_behind_it() -> None:
    stream = begin("M83")
    assert stream.run("START B", "G1 X50", "G92 X0 E0", "END") == ["G92 X-30.00000 E0.00000"]
    assert stream.run("G1 X5 Y5 F3000")[-1] == "G1 X5 Y5 F3000"


def test_in_inches_the_head_is_brought_back_in_millimetres() -> None:
    stream = begin("M83")
    stream.run("G20", "START B", "G1 X1 Y1", "END")
    assert stream.run("G1 X2 E0.01") == [
        *("G21", "G0 X25.40000 Y25.40000 F6000", "G1 F3000", "G20", "G1 X2 E0.01"),
    ]


def test_filament_that_leaves_the_sight_with_its_tool_is_pulled_back_first() -> None:
    stream = begin("M83")
    assert stream.run("START B", "G1 X60 E2", "G1 E-3 F2400", "T1")[0] == "G1 E-3.00000 F2100"
    stream.run("T0", "END")
    assert stream.firmware.retracted == 3.0


def test_going_up_and_away_needs_no_visit_to_the_object() -> None:
    stream = begin("M83")
    kept = ["G1 Z0.8 F6000", "G1 X30 Y30", "G1 Z0.4"]
    assert stream.run("START B", "G1 X50 Y50", "G1 X60 E2", "END", *kept) == kept
    assert stream.run("G1 X31 E0.1") == ["G92 E3.00000", "G1 X31 E0.1"]


def test_the_head_goes_down_only_where_the_file_does() -> None:
    stream = begin("M83")
    stream.run("G1 Z9", "START B", "G1 X50 Y50 Z30", "END")
    assert stream.run("G1 Z0.2") == ["G0 X50.00000 Y50.00000 F6000", "G1 F3000", "G1 Z0.2"]


def test_modes_that_a_macro_sets_within_the_object_hold_behind_it() -> None:
    stream = begin("M82")
    stream.run("START B", "G1 X50 Y50 E3")
    before = stream.firmware.copy()
    for line in ("M83", "G92 E0"):
        stream.firmware.observe_line(line)
    stream.filter.host_did(before)
    stream.run("G1 X60 E1", "END")
    assert stream.run("G1 X61 Y50 E1")[-2:] == ["G1 F3000", "G1 X61 Y50 E1"]
    assert not stream.firmware.absolute_e
    assert stream.firmware.filament == pytest.approx(2.0)


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


def test_homing_one_axis_ends_the_difference_of_that_axis() -> None:
    stream = begin("M82")
    stream.run("START B", "G1 X50 Y50", "G28 X", "END")
    assert stream.run("G1 X5 E2") == ["G0 Y50.00000 F6000", "G1 F3000", "G1 X5 E2"]


def _number(low: int, high: int, scale: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(lambda value: f"{value / scale:g}")


PLACE = st.tuples(_number(0, 990, 10), _number(0, 990, 10)).map(lambda p: f"X{p[0]} Y{p[1]}")
LINE = st.one_of(
    PLACE.map(lambda place: f"G1 {place}"),
    st.tuples(PLACE, _number(600, 9000, 1)).map(lambda p: f"G0 {p[0]} F{p[1]}"),
    st.tuples(PLACE, _number(-20, 90, 10)).map(lambda p: f"G1 {p[0]} E{p[1]}"),
    st.tuples(PLACE, _number(1, 90, 10)).map(lambda p: f"G2 {p[0]} I5 J5 E{p[1]}"),
    st.tuples(PLACE, _number(1, 90, 10)).map(lambda p: f"G3 {p[0]} R50 E{p[1]}"),
    _number(0, 50, 10).map(lambda z: f"G1 Z{z}"),
    _number(-50, 50, 10).map(lambda e: f"G1 E{e} F2400"),
    st.sampled_from(["G92 E0", "G92 X10", "G92 X5 Y5 E2", "G92 Z1", "G28 X", "G28"]),
    st.sampled_from(["G91", "G90", "M82", "M83", "G20", "G21", "G10", "G11", "T0", "T1"]),
    st.sampled_from(["M106 S90", "M104 S200", "M104 S210", "G1 F1800"]),
    st.sampled_from(["START A", "START B", "END"]),
)


@given(st.sampled_from(["M82", "M83"]), st.lists(LINE, max_size=40))
def test_what_is_kept_is_printed_as_if_nothing_had_been_left_out(mode: str, lines: list[str]) -> None:
    """Each kept move goes to the same place, and, unless it is a mere travel, from the same place with the same
    filament, whatever the excluded object did in between."""
    stream = begin(mode)
    whole, real = PlainPrinter(), PlainPrinter()
    for line in stream.sent:
        whole.run(line)
        real.run(line)
    current = ""
    for line in lines:
        sent = stream.run(line)
        if line == "END" or line.startswith("START"):
            current = line[6:]
            continue
        expected = whole.run(line)
        deeds = [real.run(text) for text in sent]
        if expected is None:
            continue
        if current == "B":
            assert not [deed for deed in deeds if deed is not None]
            continue
        assert sent[-1] == line
        same(deeds[-1], expected, line)
        assert not [deed for deed in deeds[:-1] if deed is not None and deed.fed > 0 and deed.end != deed.start]
        assert (real.fan, real.hot, real.tool) == (whole.fan, whole.hot, whole.tool)


def same(deed: Deed | None, expected: Deed, line: str) -> None:
    """A travel may begin elsewhere, and leave alone the axes that it does not name."""
    assert deed is not None
    assert deed.speed == pytest.approx(expected.speed, abs=1e-2)
    if expected.name in ("G0", "G1") and "E" not in line and deed.start != pytest.approx(expected.start, abs=1e-3):
        assert deed.drawn_back >= expected.drawn_back - 1e-2
        for axis, letter in enumerate("XYZ"):
            if letter in line:
                assert deed.end[axis] == pytest.approx(expected.end[axis], abs=1e-3)
        assert deed.end[2] >= min(expected.end[2], deed.start[2]) - 1e-3
        return
    assert deed.start == pytest.approx(expected.start, abs=1e-3)
    assert deed.end == pytest.approx(expected.end, abs=1e-3)
    assert deed.fed == pytest.approx(expected.fed, abs=1e-3)
    assert deed.drawn_back == pytest.approx(expected.drawn_back, abs=1e-2)
