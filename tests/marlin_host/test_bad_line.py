"""A line that gets too bad pauses the print with an explanation; it is resumed, and nothing is lost or repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from moonraker_lite.marlin import job
from moonraker_lite.marlin.protocol import pace
from moonraker_lite.marlin.virtual import VirtualPrinter
from moonraker_lite.marlin.virtual.faults import FaultPlan, Faults
from tests.marlin_host.conftest import MakeRig, Rig
from tests.marlin_host.raw_client import RawClient


@pytest.fixture
async def board() -> AsyncIterator[VirtualPrinter]:
    printer = VirtualPrinter(speed=0.0, keep=100_000)
    await printer.start()
    yield printer
    await printer.close()


def moves(count: int) -> list[str]:
    return [f"G1 X{index % 100 + 0.123:.3f} Y{index % 50:.3f} F6000" for index in range(count)]


def printed(board: VirtualPrinter, mark: int) -> list[str]:
    known = set(moves(3000))
    return [line for line in board.executed[mark:] if line in known]


def damage(board: VirtualPrinter, **rates: float) -> None:
    board.board.faults = Faults(FaultPlan(seed=3, **rates))  # type: ignore[arg-type]


async def printing(rig: Rig) -> RawClient:
    client = await rig.ready_client()
    rig.write("a.gcode", *moves(3000))
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: rig.printer.job.progress > 0.1, 60.0)
    return client


async def test_a_bad_line_pauses_the_print(make_rig: MakeRig, board: VirtualPrinter) -> None:
    rig = await make_rig(board)
    client = await printing(rig)
    mark = 0
    damage(board, corrupt=0.45)
    await rig.wait_until(lambda: rig.printer.job.stats.state.value == "paused", 50.0)
    stats = await client.status("print_stats")
    assert "cable" in stats["message"]
    assert "undervoltage" in stats["message"]
    assert (await client.status("pause_resume"))["is_paused"]
    assert any("had to be sent again" in line or "in a row" in line for line in client.output)
    damage(board)
    await client.script("RESUME", timeout=50.0)
    assert await rig.job_ends(50.0) == "complete"
    assert printed(board, mark) == moves(3000)


async def test_a_hopeless_line_shows_as_paused(
    make_rig: MakeRig, board: VirtualPrinter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one line gets through: not even those of the pause."""
    monkeypatch.setattr(job, "PAUSE_PATIENCE", 0.5)
    monkeypatch.setattr(pace, "LONGEST_HOLD", 0.05)
    rig = await make_rig(board)
    client = await printing(rig)
    damage(board, corrupt=1.0)
    await rig.wait_until(lambda: rig.printer.job.stats.state.value == "paused", 50.0)
    assert "in a row" in (await client.status("print_stats"))["message"]
    executed = board.executed_count
    damage(board)
    await client.script("RESUME", timeout=50.0)
    assert await rig.job_ends(50.0) == "complete"
    assert printed(board, 0) == moves(3000)
    assert board.executed_count > executed
