"""The line on a real pty, with the virtual Marlin at its other end."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from moonraker_lite.marlin.line_driver import LineError, MarlinLine
from moonraker_lite.marlin.link import LinkError
from moonraker_lite.marlin.protocol import Acknowledged, Event, Fatal, FirmwareReset, Line, LineProtocol
from moonraker_lite.marlin.virtual import VirtualPrinter


class Rig:
    """A virtual printer and a line to it."""

    def __init__(self, printer: VirtualPrinter, line: MarlinLine, events: list[Event], lost: list[str]) -> None:
        self.printer = printer
        self.line = line
        self.events = events
        self.lost = lost

    def executed(self) -> list[str]:
        return [command for command in self.printer.executed if not command.startswith(("M105", "M110"))]

    async def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.002)


MakeRig = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def make_rig() -> AsyncIterator[MakeRig]:
    rigs: list[Rig] = []

    async def make(faults: str = "", *, speed: float = 0.0, plain: bool = False, connect: bool = True) -> Rig:
        printer = VirtualPrinter(
            speed=speed, faults=faults, keep=100_000, advanced_ok=not plain, emergency_parser=not plain
        )
        await printer.start()
        events: list[Event] = []
        lost: list[str] = []
        line = MarlinLine(printer.path, on_event=events.append, on_lost=lost.append)
        rigs.append(Rig(printer, line, events, lost))
        if connect:
            await line.connect()
        return rigs[-1]

    yield make
    for rig in rigs:
        await rig.line.close()
        await rig.printer.close()


@pytest.fixture
async def rig(make_rig: MakeRig) -> Rig:
    return await make_rig()


def moves(count: int) -> list[str]:
    return [f"G1 X{index % 200}.{index % 10} Y{index % 190} E{index / 10:.3f}" for index in range(count)]


async def stream(line: MarlinLine, commands: list[str]) -> None:
    """As a print job does it."""
    for command in commands:
        if not line.can_accept():
            await line.writable()
        line.stream(command)
    await line.drained()


async def test_commands_are_answered(rig: Rig) -> None:
    line = rig.line
    assert line.connected
    answers = await asyncio.gather(line.send("M114"), line.send("G1 X5"), line.send("M220"), line.send("M105"))
    assert answers[0][0].startswith("X:0.00 Y:0.00")
    assert answers[1] == ()
    assert answers[2] == ("FR:100%",)
    assert answers[3][0].startswith("T:21.00 /0.00")
    assert rig.executed() == ["M114", "G1 X5", "M220"]


async def test_long_answers_are_complete(rig: Rig) -> None:
    answer = await rig.line.send("M115")
    assert answer[0].startswith("FIRMWARE_NAME:Marlin")
    assert len([line for line in answer if line.startswith("Cap:")]) > 25
    settings = await rig.line.send("M503")
    assert any("M92 X80.00" in line for line in settings)


async def test_each_future_follows_its_event(rig: Rig) -> None:
    seen: list[str] = []
    answer = rig.line.send("M220")
    answer.add_done_callback(lambda _: seen.append("future"))
    await answer
    assert any(isinstance(event, Acknowledged) for event in rig.events)
    assert any(isinstance(event, Line) and event.text == "FR:100%" for event in rig.events)


@pytest.mark.parametrize("plain", [False, True], ids=["advanced", "plain"])
async def test_a_job_is_executed_as_it_was_sent(make_rig: MakeRig, plain: bool) -> None:
    rig = await make_rig(plain=plain)
    await rig.line.send("M302 P1")
    commands = moves(3000)
    await stream(rig.line, commands)
    assert rig.executed()[1:] == commands
    assert rig.line.stats.lines_resent == 0


@pytest.mark.parametrize("plain", [False, True], ids=["advanced", "plain"])
async def test_a_job_over_a_bad_line(make_rig: MakeRig, plain: bool) -> None:
    rig = await make_rig("seed=4,corrupt=0.05,double_ok=0.01,lose_ok=0.005,noise=0.005", plain=plain, connect=False)
    await rig.line.connect()
    commands = moves(1200)
    await stream(rig.line, commands)
    await rig.until(lambda: len(rig.executed()) >= 1200)
    assert rig.executed() == commands
    assert rig.line.stats.lines_resent > 30


async def test_pushing_from_the_callback(make_rig: MakeRig) -> None:
    rig = await make_rig(connect=False)
    source = iter(moves(2000))
    acknowledged: list[int] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Acknowledged):
            acknowledged.append(event.token)

    def push() -> None:
        for _ in range(line.can_accept()):
            command = next(source, None)
            if command is None:
                return
            line.stream(command)

    line = MarlinLine(rig.printer.path, on_event=on_event, on_writable=push)
    await line.connect()
    await rig.until(lambda: len(acknowledged) >= 2000)
    assert acknowledged == list(range(1, 2001))
    assert rig.executed() == moves(2000)
    await line.close()


async def test_an_emergency_overtakes(make_rig: MakeRig) -> None:
    rig = await make_rig(speed=1.0)
    waiting = rig.line.send("M109 S200")
    behind = rig.line.send("M220")
    await rig.until(lambda: any(isinstance(event, Line) and "W:?" in event.text for event in rig.events))
    await rig.line.send("M108", emergency=True)
    await waiting
    assert await behind == ("FR:100%",)


async def test_a_halt_fails_what_waits(make_rig: MakeRig) -> None:
    rig = await make_rig(speed=1.0)
    waiting = rig.line.send("G4 S100")
    streamed = rig.line.stream("G1 X1")
    drained = asyncio.ensure_future(rig.line.drained())
    await asyncio.sleep(0.05)
    await rig.line.send("M112", emergency=True)
    with pytest.raises(LineError, match="halted"):
        await waiting
    with pytest.raises(LineError, match="halted"):
        await drained
    (fatal,) = (event for event in rig.events if isinstance(event, Fatal))
    assert streamed in fatal.unacknowledged
    assert not rig.line.connected
    assert rig.line.can_accept() == 0
    with pytest.raises(LineError, match="must be reset"):
        await rig.line.send("G28")
    with pytest.raises(LineError, match="must be reset"):
        rig.line.stream("G28")
    rig.printer.reset()
    await rig.until(lambda: rig.line.connected)
    assert await rig.line.send("M220") == ("FR:100%",)


async def test_opening_anew_resets_a_halted_board(make_rig: MakeRig) -> None:
    rig = await make_rig()
    await rig.line.send("M112", emergency=True)
    await rig.until(lambda: rig.printer.board.halted)
    await rig.line.close()
    # A pty tells of a closing only who looks before it is opened again.
    await rig.until(lambda: not rig.printer._open)
    await rig.line.connect()
    assert await rig.line.send("M220") == ("FR:100%",)


async def test_a_reset_fails_what_waits_and_shakes_hands_again(make_rig: MakeRig) -> None:
    rig = await make_rig(speed=1.0)
    waiting = rig.line.send("G4 S100")
    await asyncio.sleep(0.05)
    rig.printer.reset()
    with pytest.raises(LineError, match="reset"):
        await waiting
    await rig.until(lambda: rig.line.connected)
    assert len([event for event in rig.events if isinstance(event, FirmwareReset)]) == 1
    assert await rig.line.send("M220") == ("FR:100%",)


async def test_restart_begins_a_new_session(make_rig: MakeRig) -> None:
    rig = await make_rig()
    await rig.line.send("G1 X1")
    await rig.line.restart()
    assert rig.line.connected
    await rig.line.send("G1 X2")
    assert rig.executed() == ["G1 X1", "G1 X2"]


async def test_a_lost_link_fails_everything_and_can_be_opened_again(make_rig: MakeRig) -> None:
    rig = await make_rig(speed=1.0)
    waiting = rig.line.send("G4 S100")
    drained = asyncio.ensure_future(rig.line.drained())
    await asyncio.sleep(0.05)
    await rig.printer.close()
    with pytest.raises(LineError, match="lost"):
        await waiting
    with pytest.raises(LineError, match="lost"):
        await drained
    assert len(rig.lost) == 1
    assert not rig.line.connected
    assert rig.line.can_accept() == 0
    for use in (rig.line.stream, rig.line.send):
        with pytest.raises(LineError, match="not connected"):
            result = use("G28")
            if isinstance(result, asyncio.Future):
                await result
    for wait in (rig.line.drained, rig.line.writable, rig.line.restart):
        with pytest.raises(LineError, match="not connected"):
            await wait()


async def test_a_silent_port() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    line = MarlinLine(os.ttyname(slave), on_event=lambda _: None)
    with pytest.raises(LineError, match="No printer answers"):
        await line.connect(timeout=0.2)
    assert not line.connected
    os.close(master)
    os.close(slave)


async def test_a_halt_ends_the_handshake(make_rig: MakeRig) -> None:
    """The emergency parser reads a damaged `M110` as `M112`, and then nobody is there to answer."""
    rig = await make_rig(connect=False)
    feed = rig.printer.board.feed
    rig.printer.board.feed = lambda data, now: feed(data.replace(b"M110", b"M112"), now)  # type: ignore[method-assign]
    with pytest.raises(LineError, match="halted"):
        await rig.line.connect()
    assert not rig.line.connected
    rig.printer.board.feed = feed  # type: ignore[method-assign]
    await rig.until(lambda: not rig.printer._open)
    await rig.line.connect()
    assert await rig.line.send("M220") == ("FR:100%",)


async def test_a_port_that_cannot_be_opened() -> None:
    line = MarlinLine("/dev/does-not-exist", on_event=lambda _: None)
    with pytest.raises(LinkError):
        await line.connect()
    await line.close()


async def test_closing_fails_what_waits(make_rig: MakeRig) -> None:
    rig = await make_rig(speed=1.0)
    waiting = rig.line.send("G4 S100")
    await rig.line.close()
    with pytest.raises(LineError, match="closed"):
        await waiting
    await rig.line.close()
    assert rig.lost == []


async def test_a_callback_that_raises_does_not_stop_the_line(make_rig: MakeRig) -> None:
    rig = await make_rig(connect=False)
    errors: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    raised = 0

    def on_event(event: Event) -> None:
        nonlocal raised
        if isinstance(event, Line) and event.text == "FR:100%":
            raised += 1
            raise RuntimeError("a fault of the owner")

    line = MarlinLine(rig.printer.path, on_event=on_event)
    await line.connect()
    first = line.send("M220")
    await rig.until(lambda: raised == 1)
    # Its acknowledgement was among the events that the fault has cost; the line itself goes on.
    assert await line.send("M119")
    assert len(errors) == 1
    first.cancel()
    await line.close()


async def test_wrong_commands_are_refused_at_once(rig: Rig) -> None:
    with pytest.raises(ValueError):
        rig.line.send("")
    with pytest.raises(ValueError):
        rig.line.stream("M117 " + "x" * 200)
    assert await rig.line.send("M220") == ("FR:100%",)


async def test_an_own_protocol() -> None:
    printer = VirtualPrinter(speed=0.0)
    await printer.start()
    line = MarlinLine(printer.path, on_event=lambda _: None, protocol=LineProtocol(queue_size=4, window_lines=1))
    await line.connect()
    assert line.can_accept() == 4
    await stream(line, moves(100))
    assert line.stats.window_lines == 1
    assert line.protocol.outstanding_lines == 0
    await line.close()
    await printer.close()
