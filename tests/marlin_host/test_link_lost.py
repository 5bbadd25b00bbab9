"""The cable is pulled in the middle of a print and put back: the print goes on, and not a line is lost or repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.marlin import session
from moonraker_lite.marlin.virtual import VirtualPrinter
from tests.marlin_host.conftest import MakeRig, Rig, without_questions
from tests.marlin_host.raw_client import RawClient
from tests.marlin_host.tcp_board import TcpBoard

MakeBoard = Callable[..., Awaitable[VirtualPrinter]]


@pytest.fixture
async def make_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeBoard]:
    """Boards whose pty can go away and come back under the same name."""
    monkeypatch.setattr(session, "FIRST_DELAY", 0.05)
    boards: list[VirtualPrinter] = []

    async def make(speed: float = 0.0, faults: str = "") -> VirtualPrinter:
        board = VirtualPrinter(
            speed=speed, faults=faults, keep=100_000, link_path=str(tmp_path / f"ttyUSB{len(boards)}")
        )
        boards.append(board)
        await board.start()
        return board

    yield make
    for board in boards:
        await board.close()


def moves(count: int) -> list[str]:
    return [f"G1 X{index % 100 + 0.123:.3f} Y{index % 50:.3f} F6000" for index in range(count)]


async def printing(make_rig: MakeRig, board: VirtualPrinter, lines: list[str]) -> tuple[Rig, RawClient, int]:
    rig = await make_rig(board)
    client = await rig.ready_client()
    rig.write("a.gcode", *lines)
    mark = len(board.executed)
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    return rig, client, mark


def printed(board: VirtualPrinter, mark: int) -> list[str]:
    return without_questions(board.executed[mark:])


async def stats(client: RawClient) -> tuple[Any, Any]:
    status = await client.status("print_stats")
    return status["state"], status["message"]


async def beyond(rig: Rig, share: float) -> None:
    await rig.wait_until(lambda: rig.printer.job.progress > share)


async def lost(rig: Rig) -> None:
    await rig.wait_until(lambda: rig.printer.job.link_away)


async def test_the_print_goes_on(make_rig: MakeRig, make_board: MakeBoard) -> None:
    board = await make_board(faults="seed=7,corrupt=0.02,lose_ok=0.002")
    rig, client, mark = await printing(make_rig, board, moves(3000))
    for share in (0.1, 0.4, 0.7):
        await beyond(rig, share)
        board.unplug()
        await lost(rig)
        assert await stats(client) == ("paused", "link lost")
        assert (await client.status("webhooks"))["state"] == "ready"
        assert not (await client.status("marlin_link"))["connected"]
        board.plug_in()
    assert await rig.job_ends() == "complete"
    assert printed(board, mark) == moves(3000)
    assert any("the print goes on" in line for line in client.output)
    link = await client.status("marlin_link")
    assert link["resets"] == 0
    assert link["connected"]
    assert link["serial"] == board.path
    assert "had to be sent again" in link["hint"] or "errs now and then" in link["hint"]


async def test_a_socket_that_drops(make_rig: MakeRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "FIRST_DELAY", 0.05)
    board = TcpBoard()
    await board.start()
    try:
        rig = await make_rig(url=board.url)
        client = await rig.ready_client()
        rig.write("a.gcode", *moves(2000))
        mark = len(board.board.executed)
        await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
        for share in (0.2, 0.5, 0.8):
            await beyond(rig, share)
            board.drop()
        assert await rig.job_ends() == "complete"
        executed = [line.decode() for line in list(board.board.executed)[mark:]]
        assert without_questions(executed) == moves(2000)
        assert board.connections >= 2
        await rig.stop()
    finally:
        await board.close()


@pytest.mark.parametrize("then", ["RESUME_INTERRUPTED", "CANCEL_PRINT", "RESTART"])
async def test_a_board_that_was_reset_meanwhile(make_rig: MakeRig, make_board: MakeBoard, then: str) -> None:
    board = await make_board(speed=1.0)
    rig, client, mark = await printing(make_rig, board, moves(300))
    await beyond(rig, 0.02)
    board.unplug()
    await lost(rig)
    board.reset()
    executed = board.executed_count
    board.plug_in()
    await rig.wait_until(lambda: bool(rig.printer.job.interrupted), 60)
    state, message = await stats(client)
    assert state == "paused"
    assert "was reset during the print" in message
    assert "RESUME_INTERRUPTED" in message
    answer = await client.script("RESUME")
    assert "RESUME_INTERRUPTED" in answer["error"]["message"]
    await rig.wait_until(lambda: rig.printer.status.ready and not rig.printer._session.identifying)
    assert not [line for line in board.executed[executed:] if line.startswith("G1")]
    assert "// action:prompt_show" in client.output
    known = set(moves(300))
    before = [line for line in board.executed[mark:executed] if line in known]
    mark = len(board.executed)
    await client.script(then)
    record = rig.folder / "state" / "print_checkpoint.json"
    if then == "CANCEL_PRINT":
        assert (await stats(client))[0] == "cancelled"
        assert not record.exists()
    elif then == "RESTART":
        await rig.wait_until(client.closed.is_set)
        again = await rig.ready_client()
        assert record.exists()
        assert (await stats(again))[0] == "standby"
    else:
        board.board.motion._speed = 0.0
        assert await rig.job_ends() == "complete"
        after = [line for line in board.executed[mark:] if line in known]
        assert before == moves(300)[: len(before)]
        assert after == moves(300)[-len(after) :]
        assert len(before) + len(after) >= 300


async def test_a_cancel_while_the_link_is_away(make_rig: MakeRig, make_board: MakeBoard) -> None:
    board = await make_board(speed=1.0)
    rig, client, _ = await printing(make_rig, board, ["M104 S200", *moves(2000)])
    await beyond(rig, 0.005)
    board.unplug()
    await lost(rig)
    await client.script("CANCEL_PRINT")
    assert await rig.job_ends() in ("cancelled", "error")
    board.plug_in()
    await rig.wait_until(lambda: board.board.hotend.target == 0.0)
    await rig.wait_until(lambda: rig.printer.status.ready)


async def test_a_pause_while_the_link_is_away(make_rig: MakeRig, make_board: MakeBoard) -> None:
    board = await make_board()
    rig, client, mark = await printing(make_rig, board, moves(3000))
    await beyond(rig, 0.1)
    board.unplug()
    await lost(rig)
    await client.script("PAUSE")
    board.plug_in()
    await rig.wait_until(lambda: not rig.printer.job.link_away)
    await rig.wait_until(lambda: rig.printer.job.stats.state.value == "paused")
    assert (await client.status("pause_resume"))["is_paused"]
    await client.script("RESUME")
    assert await rig.job_ends() == "complete"
    lines = moves(3000)
    known = set(lines)
    assert [line for line in printed(board, mark) if line in known] == lines


async def test_commands_are_refused_while_the_link_is_away(make_rig: MakeRig, make_board: MakeBoard) -> None:
    board = await make_board(speed=1.0)
    rig, client, _ = await printing(make_rig, board, moves(2000))
    await beyond(rig, 0.005)
    board.unplug()
    await lost(rig)
    answer = await client.call("gcode/script", script="G28")
    assert "connection to the printer was lost" in str(answer)
    board.plug_in()
    await rig.wait_until(lambda: not rig.printer.job.link_away)
    assert rig.printer.job.printing


async def test_an_emergency_stop_while_the_link_is_away(make_rig: MakeRig, make_board: MakeBoard) -> None:
    """Nobody hears it; the first that the printer hears when it is there again is that its heaters go off."""
    board = await make_board(speed=1.0)
    rig, client, _ = await printing(make_rig, board, ["M104 S200", *moves(2000)])
    await beyond(rig, 0.005)
    board.unplug()
    await lost(rig)
    await client.call("emergency_stop")
    assert await rig.job_ends() == "error"
    executed = board.executed_count
    board.plug_in()
    await rig.wait_until(lambda: board.board.hotend.target == 0.0)
    await rig.wait_until(lambda: rig.printer.status.ready)
    # What it had taken before still is executed.
    assert len([line for line in board.executed[executed:] if line.startswith("G1")]) <= 8


async def test_a_restart_while_the_link_is_away(make_rig: MakeRig, make_board: MakeBoard) -> None:
    """The user gives the print up; the next session begins from scratch."""
    board = await make_board(speed=1.0)
    rig, client, _ = await printing(make_rig, board, ["M104 S200", *moves(2000)])
    await beyond(rig, 0.005)
    board.unplug()
    await lost(rig)
    await client.call("gcode/restart")
    await rig.wait_until(lambda: not rig.printer.job.running)
    await rig.wait_until(lambda: not rig.printer._line.suspended)
    board.plug_in()
    await rig.wait_until(lambda: board.board.hotend.target == 0.0)
