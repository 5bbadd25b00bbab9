"""The macros of config/macros.cfg on the virtual printer, and values that macros keep."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.marlin.gcode.variables import read, write
from moonraker_lite.marlin.virtual import VirtualPrinter
from tests.marlin_host.conftest import MakeRig

EXAMPLE = (Path(__file__).resolve().parents[2] / "config" / "macros.cfg").read_text()


async def test_a_print_with_the_example_macros(make_rig: MakeRig) -> None:
    board = VirtualPrinter(speed=200.0)
    await board.start()
    rig = await make_rig(board, config=EXAMPLE)
    assert rig.printer.config.warnings == ()
    client = await rig.ready_client()
    moves = [f"G1 X{50 + index % 2} Y50 E0.1 F6000" for index in range(60)]
    rig.write("a.gcode", "START_PRINT BED=50 EXTRUDER=190", "G1 Z0.2", *moves, "PAUSE", "G1 X70 E1", "END_PRINT")
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: rig.printer.job.stats.state.value == "paused", 50.0)
    assert {"M190 S50", "M109 S190", "G1 X5 Y195 F6000"} <= {line.replace(".0", "") for line in board.executed}
    await client.script("RESUME", 50.0)
    assert await rig.job_ends(50.0) == "complete"
    executed = list(board.executed)
    rest = executed[executed.index("G1 X70 E1") :]
    assert {"M104 T0 S0", "M140 S0", "M107", "M84"} <= set(rest)
    resumed = executed[: executed.index("G1 X70 E1")]
    assert [line for line in resumed if line.startswith("G0 ")][-2:] == ["G0 X51.000 Y50.000 F6000", "G0 Z0.200 F6000"]
    assert "result" in await client.script("M109 S200\nLOAD_FILAMENT LENGTH=5\nUNLOAD_FILAMENT LENGTH=5", 50.0)


async def test_values_that_are_kept(make_rig: MakeRig) -> None:
    config = (
        "[save_variables]\nfilename: kept.cfg\n[gcode_macro TELL]\ngcode: M118 {printer.save_variables.variables}\n"
    )
    rig = await make_rig(config=config)
    client = await rig.ready_client()
    script = "SAVE_VARIABLE VARIABLE=a VALUE=1.5\nSAVE_VARIABLE VARIABLE=b VALUE=\"'x y'\"\nTELL"
    assert "result" in await client.script(script)
    assert client.output[-1] == "echo: {'a': 1.5, 'b': 'x y'}"
    assert (rig.folder / "kept.cfg").read_text() == "[Variables]\na = 1.5\nb = 'x y'\n"
    for wrong in ("VARIABLE=A VALUE=1", "VARIABLE=a VALUE=x", "VARIABLE=a"):
        assert "error" in await client.script(f"SAVE_VARIABLE {wrong}")
    await client.result("gcode/restart")
    await client.closed.wait()
    again = await rig.ready_client()
    assert (await again.status("save_variables")) == {"variables": {"a": 1.5, "b": "x y"}}


async def test_without_the_section_nothing_is_kept(make_rig: MakeRig) -> None:
    rig = await make_rig()
    client = await rig.ready_client()
    answer = await client.script("SAVE_VARIABLE VARIABLE=a VALUE=1")
    assert "[save_variables] with a filename is missing" in answer["error"]["message"]
    (tmp := rig.folder / "bad.cfg").write_text("nonsense\n")
    other = await make_rig(config=f"[save_variables]\nfilename: {tmp}\n", start=False)
    assert "line 1 is no variable" in other.printer.config.warnings[0]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), VALUES))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, variables: dict[str, object]) -> None:
    path = tmp_path_factory.getbasetemp() / "variables.cfg"
    write(path, variables)
    assert read(path) == variables


@given(st.text(max_size=60))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.cfg"
    path.write_text(text, newline="")
    try:
        read(path)
    except (ValueError, OSError):
        pass
