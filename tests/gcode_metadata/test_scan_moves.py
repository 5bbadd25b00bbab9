"""The pass over all moves: against a slow interpreter, and by hand-written prints."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonraker_lite.gcode_metadata import Box, motion
from moonraker_lite.gcode_metadata.motion import MoveFacts
from moonraker_lite.gcode_metadata.moves_pass import scan_moves, walk
from tests.gcode_metadata.slow_moves import Slow

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "gcode" / "corpus"
SAMPLES = Path(__file__).resolve().parents[1] / "data" / "gcode"


def follow(text: str | bytes, chunk: int = 1 << 20) -> MoveFacts:
    data = text.encode() if isinstance(text, str) else text
    return finish(walk(io.BytesIO(data), chunk))


def finish(steps: Generator[int, None, MoveFacts]) -> MoveFacts:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            facts: MoveFacts = end.value
            return facts


coordinate = st.integers(-3000, 30000).map(lambda n: n / 100)
heights = st.sampled_from([0.2, 0.3, 0.4, 0.6, 1.0, 5, 50])
feeds = st.integers(-300, 1000).map(lambda n: n / 1000)


def number(value: float, style: int) -> str:
    text = f"{value:.5f}".rstrip("0").rstrip(".") if style else f"{value:.3f}"
    if style == 2:
        text = text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
    return f"+{text}" if style == 3 and value >= 0 else text


@st.composite
def moves(draw: st.DrawFn) -> str:
    """One line with a move, in one of the ways in which they are written."""
    style = draw(st.integers(0, 3))
    words = []
    if draw(st.booleans()):
        words += [f"X{number(draw(coordinate), style)}", f"Y{number(draw(coordinate), style)}"]
    elif draw(st.booleans()):
        words.append(f"{draw(st.sampled_from('XY'))}{number(draw(coordinate), style)}")
    if draw(st.integers(0, 5)) == 0:
        words.append(f"Z{number(draw(heights), style)}")
    if draw(st.booleans()):
        words.append(f"E{number(draw(feeds), style)}")
    command = draw(st.sampled_from(["G1", "G1", "G1", "G0", "G01", "g1", "N7 G1", " G1", "G2", "G3"]))
    if command in ("G2", "G3"):  # whole circles: where others end may lie beside them
        words = [word for word in words if word[0] not in "XY"]
        words += [f"I{number(draw(coordinate), style)}", f"J{number(draw(coordinate), style)}"]
    if draw(st.integers(0, 4)) == 0:
        words.insert(draw(st.sampled_from([0, len(words)])), "F1200")
    gap = draw(st.sampled_from([" ", " ", " ", "", "  ", "\t"]))
    return f"{command}{gap}{gap.join(words)}" + draw(st.sampled_from(["", "", "", " ; E5 X500", "*71", " (X7) "]))


others = st.sampled_from([
    "G90", "G91", "M82", "M83", "m83", "G92 E0", "G92 E.5", "G92 X1 Z2", "G92", "G20", "G21", "T0", "T1", "T2", "G28",
    "G28 X", "G28 Z0", "M104 S200", "G4 P500", ";TYPE:Custom", "; FEATURE: Outer wall", ";TYPE:Skirt", ";LAYER_CHANGE",
    "; comment with X900 E900", "PRINT_START X=900 E=5", "", "M117 G1 X900 E5", "G10", "G1", "G17", "G1.5 X4 E5", "Tx",
])  # fmt: skip


@st.composite
def runs(draw: st.DrawFn) -> str:
    """Plain printing lines, relative or absolute."""
    count, start, step = draw(st.integers(1, 14)), draw(st.integers(0, 50)) / 10, draw(st.integers(-1, 20)) / 100
    short = draw(st.booleans())
    lines = []
    for index in range(count):
        e = number(start + index * step, 2 if short else 1)
        lines.append(f"G1 X{draw(coordinate):g} Y{number(draw(coordinate), 2)} E{e}")
    return "\n".join(lines)


prints = st.lists(st.one_of(moves(), runs(), runs(), others), max_size=30)


@settings(max_examples=200, deadline=None)
@given(prints, st.sampled_from(["\n", "\n", "\r\n"]), st.integers(1, 400), st.sampled_from(["M82", "M83", "M82\nG91"]))
def test_as_the_slow_interpreter(lines: list[str], ending: str, chunk: int, mode: str) -> None:
    text = ending.join([mode, *lines])
    slow = Slow()
    for line in text.split(ending):
        for part in line.split("\n"):
            slow.line(part)
    expected, facts = slow.facts(), follow(text, chunk)
    assert facts.height == expected["height"]
    assert facts.layers == expected["layers"]
    assert facts.first_layer_height == expected["first_layer_height"]
    assert facts.layer_height == expected["layer_height"]
    assert facts.filament == pytest.approx(expected["filament"], abs=1e-4)
    box = facts.box
    corners = None if box is None else (box.min_x, box.max_x, box.min_y, box.max_y)
    # The slow one walks along arcs in steps.
    assert corners == (None if expected["box"] is None else pytest.approx(expected["box"], abs=0.02))
    assert follow(text, chunk + 1) == facts


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=400), st.lists(st.sampled_from(
    [b"\nG1 X1 Y1 E1", b"G1 ", b"X", b"1.2.3", b"-", b"9" * 400, b"\nG92 E", b"\nG2 I1", b"\nT", b"\0", b";", b"("]
)).map(b"".join)), st.integers(1, 50))  # fmt: skip
def test_any_bytes(data: bytes, chunk: int) -> None:
    follow(data, chunk)


def test_every_sample_is_followed() -> None:
    for path in sorted(SAMPLES.glob("*.g*")):
        scan_moves(path)


START = "M83\nG28\nG1 Z5 F600\nG1 X0 Y0\nG1 Z0.4\nG1 X100 Y0 E9\nG1 X100 Y1 E9\nG1 Z10\n"


def square(z: float, moves: int = 12) -> str:
    points = [(20, 20), (40, 20), (40, 50), (20, 50)]
    drawn = "".join("G1 X{} Y{} E.1\n".format(*points[index % 4]) for index in range(1, moves + 1))
    return f"G1 Z{z}\nG1 X20 Y20\n{drawn}"


def test_lines_that_prime_the_nozzle_and_lifts_do_not_count() -> None:
    text = START + "".join(square(z) for z in (0.2, 0.4, 0.6)) + "G1 E-2\nG1 Z200 F900\nG1 X0 Y200\nM84\n"
    facts = follow(text.replace("Z0.4\nG1 X100", "Z0.7\nG1 X100", 1))
    assert (facts.height, facts.layers, facts.first_layer_height, facts.layer_height) == (0.6, 3, 0.2, 0.2)
    assert facts.box == Box(20, 20, 40, 50)
    assert facts.filament == {0: pytest.approx(18 + 3.6)}


def test_a_mark_says_where_the_print_begins() -> None:
    facts = follow(START + ";LAYER_CHANGE\n" + square(0.2, 4))
    assert (facts.height, facts.layers, facts.box) == (0.2, 1, Box(20, 20, 40, 50))


def test_own_code_after_the_print_does_not_count() -> None:
    facts = follow("M83\n" + square(0.2) + ";TYPE:Custom\nG1 Z90\nG1 X200 Y200 E5\n")
    assert (facts.height, facts.layers, facts.box) == (0.2, 1, Box(20, 20, 40, 50))


def test_a_spiral_has_height_but_no_layers() -> None:
    lines = [f"G1 X{index % 7} Y{index % 5} Z{0.2 + index / 1000:.3f} E.1" for index in range(500)]
    facts = follow("M83\n" + square(0.2) + "\n".join(lines))
    assert (facts.height, facts.layers, facts.layer_height) == (0.699, None, None)


def test_filament_that_is_drawn_back_is_not_used() -> None:
    facts = follow("M83\nT0\nG1 X1 Y1 E10\nG1 E-4\nG1 E4\nG1 X2 Y2 E5\nG1 E-80\nT1\nG1 E80\nG1 X3 Y3 E2\nG1 E-80\n")
    assert facts.filament == {0: 15, 1: 82}
    assert follow("M82\nG1 X1 E10\nG1 E6\nG1 X2 E12\nG92 E0\nG1 X3 E3\n").filament == {0: 15}


def test_filament_that_is_relative_without_a_word() -> None:
    lines = [f"G1 X{index} Y{index % 3} E{1 + index % 2}" for index in range(60)]
    assert follow("\n".join(lines)).filament == {0: 90}
    assert follow("M82\n" + "\n".join(lines)).filament == {0: 2}
    picture = "; " + "x" * 70 + "\n"
    assert follow(picture * 20 + "\n".join(lines), 1000).filament == {0: 90}


def test_inches_and_arcs() -> None:
    facts = follow("M83\nG20\nG1 Z1\nG0 X1 Y0\nG3 X-1 Y0 I-1 J0 E1\n")
    assert facts.height == 25.4
    assert facts.box == Box(-25.4, 0, 25.4, 25.4)
    facts = follow("M83\nG1 Z1\nG0 X10 Y0\nG2 X-10 Y0 R10 E1\nG2 X10 Y0 R-10.0 E1")
    assert facts.box == Box(-10, -10, 10, 10)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "big.gcode"
    path.write_text("M83\n" + "".join(square(z / 10, 400) for z in range(300)) + "x" * 3_000_000)
    tracemalloc.start()
    try:
        assert scan_moves(path).layers == 300
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_progress_is_told_and_may_end_it(tmp_path: Path) -> None:
    path = tmp_path / "a.gcode"
    path.write_text("M83\n" + square(0.2) * 5000)
    told: list[int] = []
    scan_moves(path, told.append)
    assert told == sorted(told)
    assert told[-1] == path.stat().st_size
    assert len(told) > 2

    class EnoughError(Exception):
        pass

    def stop(done: int) -> None:
        raise EnoughError

    with pytest.raises(EnoughError):
        scan_moves(path, stop)


def test_with_too_many_heights_there_are_no_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motion, "MAX_LEVELS", 5)
    facts = follow("M83\n" + "".join(square(z / 10) for z in range(1, 10)))
    assert (facts.height, facts.layers, facts.box) == (0.9, None, Box(20, 20, 40, 50))


# What differs from a second opinion on the highest extruding Z, which counts lines that prime the nozzle as well.
PRIMED = {"creality_firstlayer_jpg", "cura_3.6.0_qidi_thumbs", "ideamaker_4.2.0_objects", "orca_2.3.0_thumbs",
          "prusa_2.9.3_thumbs_allformats"}  # fmt: skip
OTHER_AXIS = {"miraclegrue_box"}  # its filament is axis A


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not there")
def test_the_heights_of_real_prints() -> None:
    compared = 0
    for path in sorted(CORPUS.glob("*.gcode")):
        expected = CORPUS / "expected" / f"{path.name}.json"
        scanned = (json.loads(expected.read_text())["file_says"] or {}).get("scan") or {}
        if scanned.get("max_print_z") is None or path.stem in PRIMED | OTHER_AXIS:
            continue
        assert scan_moves(path).height == pytest.approx(scanned["max_print_z"], abs=0.011), path.name
        compared += 1
    assert compared > 80
