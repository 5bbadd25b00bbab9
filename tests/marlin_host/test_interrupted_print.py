"""A print that a power cut or a crash has interrupted: the record of it, the offer, and the rest that is printed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.marlin.checkpoint import Checkpoint
from moonraker_lite.marlin.gcode.replay import Replay, replay
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.resume_file import ResumeOptions, file_name, opening
from moonraker_lite.marlin.settings import PrinterSettings
from moonraker_lite.marlin.virtual import VirtualPrinter
from tests.marlin_host.conftest import Rig
from tests.marlin_host.plain_printer import PlainPrinter
from tests.marlin_host.raw_client import RawClient

LAYERS = 4


def model() -> list[str]:
    """A small print in relative and absolute E, with all that a rest has to bring back."""
    lines = ["M140 S60", "M104 S200", "M190 S60", "M109 S200", "G28", "G90", "M82", "G92 E0", "M204 P1200", "M106 S128"]
    lines += ["EXCLUDE_OBJECT_DEFINE NAME=A CENTER=10,10 POLYGON=[[0,0],[9,9]]"]
    e = 0.0
    for layer in range(LAYERS):
        lines += [f"; layer num/total_layer_count: {layer + 1}/{LAYERS}", f"G1 Z{0.2 + layer * 0.2:.1f} F600"]
        lines += ["G92 E0", "EXCLUDE_OBJECT_START NAME=A"]
        e = 0.0
        for step in range(45):
            e += 0.05
            lines.append(f"G1 X{10 + step % 30} Y{20 + step % 7}.{step % 10} E{e:.2f} F{90 + step}")
        lines += [f"G1 E{e - 1:.2f} F2400", f"G0 X50 Y{layer} F6000", f"G1 E{e:.2f} F2400", "EXCLUDE_OBJECT_END NAME=A"]
    return [*lines, "M107", "M104 S0"]


def record(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


class Process:
    """`python -m moonraker_lite.marlin` on a printer that outlives it."""

    def __init__(self, folder: Path, board: VirtualPrinter) -> None:
        self.folder = folder
        self.board = board
        self.process: asyncio.subprocess.Process | None = None
        (folder / "gcodes").mkdir()

    async def start(self) -> RawClient:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "moonraker_lite.marlin", "--socket", str(self.folder / "m.sock")),
            *("--gcodes", str(self.folder / "gcodes"), "--log", str(self.folder / "klippy.log")),
            *("--state-dir", str(self.folder / "state"), "--serial", self.board.path),
            *("--config", str(self.folder / "marlin.cfg")),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        async with asyncio.timeout(60):
            while True:
                try:
                    client = await RawClient.connect(self.folder / "m.sock")
                    break
                except OSError:
                    await asyncio.sleep(0.05)
            await client.listen()
            while (await client.result("info"))["state"] != "ready":
                await asyncio.sleep(0.05)
        return client

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    board = VirtualPrinter(speed=60.0, keep=100_000)
    await board.start()
    process = Process(tmp_path, board)
    yield process
    await process.kill()
    await board.close()


def sent_of(board: VirtualPrinter, mark: int, known: set[str]) -> list[str]:
    return [line for line in board.executed[mark:] if line in known and line != "G92 E0"]


@pytest.mark.parametrize("power_cut", [True, False])
async def test_kill_9_in_the_print_and_the_rest_is_printed(process: Process, tmp_path: Path, power_cut: bool) -> None:
    """Whatever was executed before, and what the file for the rest executes: together it is the whole file."""
    board = process.board
    lines = [line for line in model() if line[0] != ";" and not line.startswith("EXCLUDE") and line != "G92 E0"]
    (tmp_path / "gcodes" / "a.gcode").write_text("".join(f"{line}\n" for line in model()))
    (tmp_path / "marlin.cfg").write_text("[marlin]\nstart_gcode: M117 begun\n")
    client = await process.start()
    path = tmp_path / "state" / "print_checkpoint.json"
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    async with asyncio.timeout(90):
        while not path.exists() or record(path)["layer"] != 2:
            await asyncio.sleep(0.05)
    await process.kill()
    await client.close()
    left = record(path)
    assert (left["file"], left["state"], left["targets"]["extruder"]) == ("a.gcode", "printing", 200.0)
    assert (left["fans"], left["layers"], left["absolute_e"]) == ({"0": 128 / 255}, LAYERS, True)
    if power_cut:
        board.reset()
    client = await process.start()
    assert any("RESUME_INTERRUPTED" in line for line in client.output)
    assert "// action:prompt_show" in client.output
    stats = await client.status("print_stats")
    assert (stats["state"], "RESUME_INTERRUPTED" in stats["message"]) == ("standby", True)
    # The board has gone on with what it had, and nothing has moved it since.
    before = sent_of(board, 0, set(lines))
    mark = len(board.executed)
    assert "result" in await client.script("RESUME_INTERRUPTED", 60.0)
    async with asyncio.timeout(90):
        while (await client.status("print_stats"))["state"] == "printing":
            await asyncio.sleep(0.05)
    stats = await client.status("print_stats")
    assert (stats["state"], stats["filename"]) == ("complete", "a_rest.gcode")
    executed = list(board.executed)[mark:]
    assert "M117 begun" in board.executed[:mark]
    assert "M117 begun" not in executed, "what the owner's script does before a print, homing perhaps, does harm here"
    assert not [line for line in executed if line.startswith("G28") and line != "G28 X Y"]
    first = executed.index("M106 P0 S128")
    after = [line for line in executed[first:] if line in set(lines)]
    after = after[after.index(next(line for line in after if line.startswith(("G1 X", "G0 X")))) :]
    assert before == lines[: len(before)]
    assert after == lines[len(lines) - len(after) :]
    assert len(before) + len(after) >= len(lines)
    assert (f"G92 Z{left['z']:.3f}" in executed) is power_cut
    assert not path.exists()
    await client.close()


def checkpoint_at(position: int, z: float = 0.2, **more: Any) -> Checkpoint:
    return Checkpoint(file="a.gcode", size=9, position=position, line=1, state="printing", z=z, written=0.0, **more)


@pytest.mark.parametrize("power_cut", [True, False])
@pytest.mark.parametrize("extra", [[], ["G91", "M83"], ["G20"], ["G92 X5 Y5"], ["T1"], ["M83", "G1 E-3"]])
def test_the_rest_begins_in_the_very_state_of_the_file(tmp_path: Path, extra: list[str], power_cut: bool) -> None:
    lines = [*model()[:90], *extra]
    path = tmp_path / "a.gcode"
    path.write_text("".join(f"{line}\n" for line in [*lines, "G1 X1"]))
    position = sum(len(line) + 1 for line in lines)
    state = replay(path, position, PrinterSettings(), ["extruder", "heater_bed"], g90_sets_extruder=True)
    whole = PlainPrinter()
    for line in lines:
        whole.run(line)
    z = whole.head[2]
    rest = PlainPrinter()
    # The nozzle is where it was; a printer that was switched on takes that for zero.
    rest.head, rest.shift = list(whole.head), list(whole.shift)
    if power_cut:
        rest.shift = list(rest.head)
    rest.drawn_back = {0: 0.0}
    options = ResumeOptions(z_now=0.0 if power_cut else z, knows_z=not power_cut)
    z_logical = state.machine.motion.position[2]
    for line in opening(checkpoint_at(position, z=z_logical), state, options):
        bare = line.partition(";")[0].strip()
        if bare and not bare.startswith(("EXCLUDE", "M109", "M190", "M140", "M204", "M220")):
            rest.run(bare.replace("M106 P0", "M106").replace("M104 T0", "M104"))
    for axis in range(3):
        assert rest.head[axis] == pytest.approx(whole.head[axis], abs=1e-3)
        assert rest.head[axis] - rest.shift[axis] == pytest.approx(whole.head[axis] - whole.shift[axis], abs=1e-3)
    assert (rest.relative, rest.relative_e, rest.inches, rest.tool) == (
        *(whole.relative, whole.relative_e, whole.inches, whole.tool),
    )
    assert rest.e == pytest.approx(whole.e, abs=1e-3)
    assert rest.speed == pytest.approx(whole.speed, abs=1e-2)
    assert rest.drawn_back[whole.tool] == pytest.approx(whole.drawn_back.get(whole.tool, 0.0), abs=1e-3)


def test_a_replay_knows_objects_layers_and_settings() -> None:
    state = Replay(PrinterSettings(), ["extruder"], g90_sets_extruder=True)
    lines = ["M486 T2", "M486 S0", "M486 ABox", "M486 S-1", "M204 P500", "SET_PRESSURE_ADVANCE ADVANCE=0.1", "G29"]
    for line in [
        *lines,
        "; layer num/total_layer_count: 3/9",
        "M486 S0",
        "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=9",
    ]:
        state.take(f"{line}\n".encode())
    assert state.definitions == ["M486 T2", "M486 S0", "M486 ABox"]
    assert state.label == "M486 S0"
    assert state.settings == {"M204": "M204 P500", "M900": "M900 K0.1"}
    assert (state.levelled, state.layers.current, state.layers.total) == (True, 3, 9)
    assert state.machine.heaters["extruder"].target == 9.0
    lines = opening(checkpoint_at(0, excluded=["BOX"]), state, ResumeOptions(has_mesh=True))
    assert lines.index("M420 S1") < lines.index("G92 Z5.200") < lines.index("EXCLUDE_OBJECT NAME=BOX")


def test_a_byte_within_a_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gcode"
    path.write_text("G1 X1\nG1 X2\n")
    with pytest.raises(CommandError, match="No line"):
        replay(path, 8, PrinterSettings(), [], g90_sets_extruder=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.gcode", "a_rest.gcode"),
        ("b.c/a", "b.c/a_rest.gcode"),
        ("a_rest.g", "a_rest.g"),
        ("x/y.z.gco", "x/y.z_rest.gco"),
    ],
)
def test_names_of_files_for_the_rest(name: str, expected: str) -> None:
    assert file_name(name) == expected


async def test_the_offer_can_be_declined(tmp_path: Path) -> None:
    path = tmp_path / "state" / "print_checkpoint.json"
    path.parent.mkdir()
    left = {"file": "a.gcode", "size": 12, "position": 6, "line": 1, "state": "paused", "z": 0.2, "written": 0.0}
    path.write_text(json.dumps(left))
    rig = Rig(tmp_path, None, PrinterSettings())
    try:
        await rig.start()
        client = await rig.ready_client()
        assert client.output[0].startswith("// The print of a.gcode was interrupted at 50 %")
        answer = await client.script("RESUME_INTERRUPTED")
        assert "is not there any more" in answer["error"]["message"]
        rig.write("a.gcode", "G1 X1", "G1 X2", "G1 X3")
        answer = await client.script("RESUME_INTERRUPTED")
        assert "was changed" in answer["error"]["message"]
        assert "result" in await client.script("DISCARD_INTERRUPTED")
        assert not path.exists()
        assert (await client.status("print_stats"))["message"] == ""
        answer = await client.script("RESUME_INTERRUPTED")
        assert answer["error"]["message"] == "There is no interrupted print"
    finally:
        await rig.stop()
