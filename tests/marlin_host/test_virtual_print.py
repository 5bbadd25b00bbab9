"""Printing on the virtual Marlin over a real pty: what it executes is what the file says, whatever the line does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from moonraker_lite.marlin.settings import PrinterSettings
from moonraker_lite.marlin.virtual import VirtualPrinter
from tests.marlin_host.conftest import MakeRig, without_questions

MakeBoard = Callable[..., Awaitable[VirtualPrinter]]

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "gcode" / "corpus"


@pytest.fixture
async def make_board() -> AsyncIterator[MakeBoard]:
    boards: list[VirtualPrinter] = []

    async def make(speed: float = 0.0, faults: str = "") -> VirtualPrinter:
        board = VirtualPrinter(speed=speed, faults=faults, keep=100_000)
        boards.append(board)
        await board.start()
        return board

    yield make
    for board in boards:
        await board.close()


def commands_of(path: Path) -> list[str]:
    """Return what a plain file tells a firmware to do."""
    lines = path.read_text("utf-8", "surrogateescape").splitlines()
    stripped = (line.partition(";")[0].strip() for line in lines)
    return [line for line in stripped if line]


def printed(board: VirtualPrinter, mark: int) -> list[str]:
    """Return what the board has executed since, without the host's own questions."""
    return without_questions(board.executed[mark:])


def sample(moves: int) -> list[str]:
    """A file with all that is plain: moves, modes, temperatures, fans, texts, comments, blank lines."""
    lines = ["; sample", "G28 ; home", "G90", "M83", "M104 S200", "M106 S128", "", "M117 Hello"]
    for index in range(moves):
        lines.append(f"G1 X{index % 100 + 0.123:.3f} Y{index % 50:.3f} E0.0{index % 9 + 1}")
        if index % 50 == 0:
            lines += [";LAYER_CHANGE", f"G1 Z{0.2 + index / 500:.2f} F600", "G92 E0", "  G1 F3000  ; speed"]
    return [*lines, "M107", "M104 S0"]


async def test_what_is_executed_is_the_file(make_rig: MakeRig, make_board: MakeBoard) -> None:
    rig = await make_rig(await make_board())
    assert rig.board is not None
    client = await rig.ready_client()
    path = rig.write("a.gcode", *sample(2000))
    mark = len(rig.board.executed)
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert await rig.job_ends() == "complete"
    assert printed(rig.board, mark) == commands_of(path)
    stats = await client.status("print_stats")
    assert stats["info"]["current_layer"] == 40
    assert (await client.status("virtual_sdcard"))["file_position"] == path.stat().st_size


async def test_a_bad_line_spoils_nothing(make_rig: MakeRig, make_board: MakeBoard) -> None:
    board = await make_board(faults="seed=3,corrupt=0.03,double_ok=0.01,drop=0.01")
    rig = await make_rig(board)
    client = await rig.ready_client()
    path = rig.write("a.gcode", *sample(1000))
    mark = len(board.executed)
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert await rig.job_ends() == "complete"
    assert printed(board, mark) == commands_of(path)
    assert (await client.status("marlin_link"))["lines_resent"] >= 0
    assert not [line for line in client.output if line.startswith("!!")]


async def test_pausing_and_resuming_loses_nothing(make_rig: MakeRig, make_board: MakeBoard) -> None:
    board = await make_board(speed=300.0)
    rig = await make_rig(board, PrinterSettings(pause_gcode=""))
    client = await rig.ready_client()
    path = rig.write("a.gcode", *sample(2000))
    mark = len(board.executed)
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    for _ in range(3):
        await asyncio.sleep(0.1)
        if rig.printer.job.printing:
            await client.result("pause_resume/pause")
            assert (await client.status("print_stats"))["state"] == "paused"
            executed = len(board.executed)
            await asyncio.sleep(0.1)
            assert len(without_questions(board.executed[executed:])) == 0
            await client.result("pause_resume/resume")
    assert await rig.job_ends() == "complete"
    assert printed(board, mark) == commands_of(path)


async def test_cancel_switches_the_heaters_off(make_rig: MakeRig, make_board: MakeBoard) -> None:
    board = await make_board(speed=50.0)
    rig = await make_rig(board)
    client = await rig.ready_client()
    rig.write("a.gcode", "M140 S60", "M109 S200", *sample(2000))
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: rig.printer.machine.heaters["extruder"].target == 200.0)
    await asyncio.sleep(0.2)
    await client.result("pause_resume/cancel")
    assert (await client.status("print_stats"))["state"] == "cancelled"
    assert without_questions(board.executed)[-2:] == ["M104 T0 S0", "M140 S0"]
    await rig.wait_until(lambda: rig.printer.machine.heaters["extruder"].target == 0.0)


async def test_m112_mid_print_and_back_to_ready(make_rig: MakeRig, make_board: MakeBoard) -> None:
    rig = await make_rig(await make_board(speed=100.0))
    client = await rig.ready_client()
    rig.write("a.gcode", *sample(5000))
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: rig.printer.job.position > 0)
    assert await client.result("emergency_stop") == {}
    assert await rig.job_ends() == "error"
    assert (await client.result("info"))["state"] == "shutdown"
    assert await client.result("gcode/firmware_restart") == {}
    async with asyncio.timeout(5):
        await client.closed.wait()
    again = await rig.ready_client()
    path = rig.write("b.gcode", *sample(100))
    assert rig.board is not None
    mark = len(rig.board.executed)
    await again.script("SDCARD_PRINT_FILE FILENAME=b.gcode")
    assert await rig.job_ends() == "complete"
    assert printed(rig.board, mark) == commands_of(path)


async def test_a_reset_mid_print_is_noticed(make_rig: MakeRig, make_board: MakeBoard) -> None:
    rig = await make_rig(await make_board(speed=100.0))
    assert rig.board is not None
    client = await rig.ready_client()
    rig.write("a.gcode", *sample(5000))
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: rig.printer.job.position > 0)
    rig.board.reset()
    assert await rig.job_ends() == "error"
    assert "was reset" in (await client.status("print_stats"))["message"]
    await rig.wait_until(lambda: rig.printer.status.ready)
    assert "result" in await client.script("G28")


async def test_a_thermal_error_mid_print_stops_it_in_the_firmwares_words(
    make_rig: MakeRig, make_board: MakeBoard
) -> None:
    rig = await make_rig(await make_board(speed=100.0, faults="kill_at=200"))
    client = await rig.ready_client()
    rig.write("a.gcode", *sample(5000))
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert await rig.job_ends() == "error"
    info = await client.result("info")
    assert info["state"] == "shutdown"
    assert info["state_message"].startswith("The printer halted: ")
    message = (await client.status("print_stats"))["message"]
    assert message.startswith("The printer halted: ")


async def test_heating_and_homing_are_shown(make_rig: MakeRig, make_board: MakeBoard) -> None:
    rig = await make_rig(await make_board(speed=50.0))
    client = await rig.ready_client()
    status = (await client.result("objects/query", objects={"toolhead": None, "extruder": None, "configfile": None}))[
        "status"
    ]
    assert status["toolhead"]["homed_axes"] == ""
    assert status["configfile"]["settings"]["extruder"]["max_temp"] > 0
    await client.script(
        "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=180\nTEMPERATURE_WAIT SENSOR=extruder MINIMUM=175\nG28"
    )
    status = (await client.result("objects/query", objects={"toolhead": None, "extruder": None}))["status"]
    assert status["extruder"]["temperature"] >= 175.0
    assert status["extruder"]["can_extrude"]
    assert status["toolhead"]["homed_axes"] == "xyz"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files is not beside the project")
@pytest.mark.parametrize("name", ["cura_5.8.1_nano.gcode", "prusa_2.8.1_minicube.gcode", "ideamaker_3.4.0_box.gcode"])
async def test_real_files(make_rig: MakeRig, make_board: MakeBoard, name: str) -> None:
    board = await make_board()
    rig = await make_rig(board)
    client = await rig.ready_client()
    path = rig.gcodes / name
    path.write_bytes((CORPUS / name).read_bytes())
    mark = len(board.executed)
    await client.script(f"SDCARD_PRINT_FILE FILENAME={name}")
    assert await rig.job_ends() == "complete"
    assert printed(board, mark) == commands_of(path)
