"""The virtual Marlin on a pty."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import tty
from collections.abc import Callable

from moonraker_lite.marlin.virtual.board import Board
from moonraker_lite.marlin.virtual.card import Card
from moonraker_lite.marlin.virtual.commands import HANDLERS
from moonraker_lite.marlin.virtual.faults import FaultPlan, Faults
from moonraker_lite.marlin.virtual.personality import personality_of

MAX_UNREAD = 64 * 1024
_READ_SIZE = 4096
_POLL_CLOSED = 0.05
"""Seconds between looks whether a host has opened the port; a closed pty cannot be waited for."""
_READS_PER_TURN = 64


class VirtualPrinter:
    """A Marlin board on a pty, simulated on the running event loop.

        printer = VirtualPrinter(speed=20, faults="seed=1,corrupt=0.05")
        await printer.start()      # printer.path is the pty to open
        ...
        await printer.close()

    A board that was killed is reset when a host opens the port anew, as boards with DTR reset do.
    """

    def __init__(
        self,
        *,
        speed: float = 1.0,
        faults: str = "",
        link_path: str | None = None,
        on_executed: Callable[[str], None] | None = None,
        keep: int = 1000,
        advanced_ok: bool = True,
        emergency_parser: bool = True,
        keepalive: bool = True,
        sends_wait: bool = False,
        firmware: str = "",
        card: bool = False,
    ) -> None:
        """`speed`: 1 = real time, 20 = twenty times faster, 0 = as fast as the line allows. `faults`: for example
        `seed=1,corrupt=0.05,lose_ok=0.01`; ValueError names what is wrong with it. `link_path`: a symbolic link to the
        pty, replaced if it exists. `keep`: how many executed commands are remembered.
        `firmware`: the one it plays, see `personality.PERSONALITIES`. `card`: it has an SD card."""
        if speed < 0.0:
            raise ValueError(f"The speed must not be negative: {speed:g}")
        plan = FaultPlan.parse(faults)
        self.board = Board(
            HANDLERS,
            Faults(plan),
            speed=speed,
            advanced_ok=advanced_ok,
            emergency_parser=emergency_parser,
            keepalive=keepalive,
            sends_wait=sends_wait,
            on_executed=on_executed,
            keep=keep,
            personality=personality_of(firmware),
            card=Card() if card else None,
        )
        self.path = ""
        """The pty's path, or `link_path` where one was given. Valid after `start`."""
        self._overrun = plan.overrun
        self._link_path = link_path
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fd = -1
        self._open = False
        self._reading = False
        self._unread = b""
        self._timer: asyncio.TimerHandle | None = None
        self._poll_timer: asyncio.TimerHandle | None = None

    @property
    def executed(self) -> list[str]:
        """The last executed commands, as the firmware understood them, oldest first."""
        return [text.decode(errors="replace") for text in self.board.executed]

    @property
    def executed_count(self) -> int:
        """How many commands were executed since the printer was made."""
        return self.board.executed_count

    async def start(self) -> None:
        """Open the pty and boot. OSError: no pty, or the link cannot be made."""
        self._loop = asyncio.get_running_loop()
        self._open_port()
        self.board.power_on(self._loop.time())
        self._poll()

    def _open_port(self) -> None:
        self._fd, slave = os.openpty()
        try:
            tty.setraw(slave)
            self.path = os.ttyname(slave)
        finally:
            os.close(slave)
        os.set_blocking(self._fd, False)
        if self._link_path is not None:
            self._make_link(self._link_path)

    def _make_link(self, link: str) -> None:
        if os.path.islink(link):
            os.unlink(link)
        os.symlink(self.path, link)
        self.path = link

    def reset(self) -> None:
        """The reset button."""
        if self._loop is not None:
            self.board.power_on(self._loop.time())
            self._serve()

    def unplug(self) -> None:
        """Pull the cable: the port is gone, the board goes on with what it has."""
        assert self._loop is not None
        self._close_port()

    def plug_in(self) -> None:
        """Put the cable back: another pty under the same `link_path`; what was said meanwhile nobody has heard."""
        assert self._loop is not None
        now = self._loop.time()
        self.board.advance(now)
        self.board.take_output(now)
        self._open_port()
        self._poll()

    async def close(self) -> None:
        """Close the pty and end all timers. Idempotent."""
        self._close_port()

    def _close_port(self) -> None:
        if self._fd < 0 or self._loop is None:
            return
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        for timer in (self._timer, self._poll_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._poll_timer = None
        os.close(self._fd)
        self._fd = -1
        self._open = self._reading = False
        self._unread = b""
        if self._link_path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._link_path)

    # -- the port --------------------------------------------------------------------------------------------------

    def _poll(self) -> None:
        """Has a host opened the port?"""
        assert self._loop is not None
        poll = select.poll()
        poll.register(self._fd, 0)
        if any(events & select.POLLHUP for _, events in poll.poll(0)):
            self._poll_timer = self._loop.call_later(_POLL_CLOSED, self._poll)
            return
        self._poll_timer = None
        self._open = True
        now = self._loop.time()
        if self.board.halted:
            self.board.power_on(now)
        self._serve()

    def _hang_up(self) -> None:
        assert self._loop is not None
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._open = self._reading = False
        self._unread = b""
        self._poll_timer = self._loop.call_later(_POLL_CLOSED, self._poll)

    def _readable(self) -> None:
        assert self._loop is not None
        board = self.board
        for _ in range(_READS_PER_TURN):
            room = _READ_SIZE if self._overrun else board.room
            if not room:
                break
            try:
                data = os.read(self._fd, room)
            except BlockingIOError:
                break
            except OSError:
                self._hang_up()
                return
            board.feed(data, self._loop.time())
            self._write(board.take_output(board.now))
        self._serve()

    def _write(self, data: bytes) -> None:
        if not data or not self._open:
            # Nobody listens: the bytes are gone, as on a real port.
            return
        if self._unread:
            self._unread = (self._unread + data)[-MAX_UNREAD:]
            return
        try:
            written = os.write(self._fd, data)
        except BlockingIOError:
            written = 0
        except OSError:
            self._hang_up()
            return
        if written < len(data):
            assert self._loop is not None
            self._unread = data[written:]
            self._loop.add_writer(self._fd, self._writable)

    def _writable(self) -> None:
        assert self._loop is not None
        rest, self._unread = self._unread, b""
        self._loop.remove_writer(self._fd)
        self._write(rest)

    # -- time ------------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Do what is due, say what was said, listen if there is room, and set the clock."""
        assert self._loop is not None
        board = self.board
        now = self._loop.time()
        board.advance(now)
        self._write(board.take_output(now))
        self._listen()
        deadline = board.next_deadline()
        if self._timer is not None:
            if deadline is not None and self._timer.when() <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None and self._open:
            self._timer = self._loop.call_at(deadline, self._timed)

    def _listen(self) -> None:
        assert self._loop is not None
        wanted = self._open and (self._overrun or self.board.room > 0)
        if wanted and not self._reading:
            self._loop.add_reader(self._fd, self._readable)
        elif not wanted and self._reading:
            self._loop.remove_reader(self._fd)
        self._reading = wanted

    def _timed(self) -> None:
        self._timer = None
        if self._fd >= 0:
            self._serve()
