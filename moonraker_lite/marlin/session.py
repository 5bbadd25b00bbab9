"""The session with the firmware: connecting, asking what it is, noticing the end, and beginning anew, for ever."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from moonraker_lite.errors import HostError
from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.finder import PortFinder
from moonraker_lite.marlin.line_driver import MarlinLine, NoAnswerError
from moonraker_lite.marlin.link import Reset
from moonraker_lite.marlin.replies import parse_position
from moonraker_lite.marlin.state import Machine
from moonraker_lite.marlin.waiting import unless_set

_LOGGER = logging.getLogger(__name__)

FIRST_DELAY = 0.5
LONGEST_DELAY = 10.0
# How long M999 may take before the port is opened anew.
CLEARING = 0.5

STARTUP = "The printer is not ready yet: connecting.\nPlease wait a moment.\n"
READY = "Printer is ready"
HINT = "Once the cause is removed, use FIRMWARE_RESTART to reset the printer's board and to connect anew.\n"

# What the firmware is asked at the beginning of a session.
_QUESTIONS = ("M115", "M503", "M211", "M114", "M119", "M220", "M221", "M105")


_RESETS = {None: Reset.AS_IT_COMES, False: Reset.AVOID, True: Reset.PULSE}


class HostState(enum.Enum):
    """`webhooks.state`."""

    STARTUP = "startup"
    READY = "ready"
    SHUTDOWN = "shutdown"
    ERROR = "error"


class HostStatus:
    """What `info` and `webhooks` tell of the whole."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.state = HostState.STARTUP
        self.message = STARTUP
        self.on_ready: Callable[[], None] = lambda: None

    @property
    def ready(self) -> bool:
        return self.state is HostState.READY

    def transition(self, state: HostState, message: str) -> None:
        """Go to another state; the only place where it changes."""
        if (state, message) == (self.state, self.message):
            return
        _LOGGER.info("Printer: %s -> %s: %s", self.state.value, state.value, message.strip())
        entered = state is not self.state
        self.state, self.message = state, message
        if entered and state in (HostState.READY, HostState.SHUTDOWN):
            self._console.info(f"Klipper state: {state.value.capitalize()}")
        if entered and state is HostState.READY:
            self.on_ready()


class Begin(enum.Enum):
    """How the next session begins."""

    CONNECT = "connect"
    RESUME = "go on behind a lost link"
    SHAKE_HANDS = "shake hands again"
    RESTART = "restart"
    RESET_BOARD = "reset the board"
    BOARD_WAS_RESET = "the board was reset"


class Session:
    """Owns the order of events between the firmware and us. `run` is the task that keeps it up.

    `link_back` is called when the firmware goes on behind a lost link;
    `end_job` ends a print before a restart; `make_safe` is called when a printer has been found, for what an earlier
    session had to leave undone; `restart_clients` closes all API connections, as klippy's RESTART does;
    `reset_board` presses the reset button, where there is one that we can reach.
    """

    def __init__(
        self,
        line: MarlinLine,
        machine: Machine,
        console: Console,
        status: HostStatus,
        *,
        end_job: Callable[[], Awaitable[None]],
        make_safe: Callable[[], Awaitable[None]],
        restart_clients: Callable[[], None],
        reset_board: Callable[[], None] | None,
        link_back: Callable[[], None],
        finder: PortFinder | None = None,
    ) -> None:
        self._line = line
        self._machine = machine
        self._console = console
        self._status = status
        self._end_job = end_job
        self._make_safe = make_safe
        self._restart_clients = restart_clients
        self._reset_board = reset_board
        self._link_back = link_back
        self._finder = finder
        self._next = Begin.CONNECT
        self._over = asyncio.Event()
        # The firmware is being asked what it is: its lines are for `learn`.
        self.identifying = False

    def end(self, begin: Begin) -> None:
        """The session is over; the next one begins as told."""
        self._next = begin
        self._over.set()

    def board_was_reset(self) -> None:
        """The board started anew. The protocol shakes hands by itself; with that the session is over."""
        self._next = Begin.BOARD_WAS_RESET

    def shaken_hands(self) -> None:
        """The protocol has begun to count its lines anew."""
        if self._next is Begin.BOARD_WAS_RESET:
            self._over.set()

    def learn(self, text: str) -> None:
        """Take a line of the answers to our questions."""
        if (position := parse_position(text)) is not None:
            self._machine.motion.reported(position.x, position.y, position.z, position.e)

    async def run(self) -> None:
        delay = FIRST_DELAY
        while True:
            begin, self._next = self._next, Begin.CONNECT
            self._over.clear()
            try:
                await self._begin(begin)
            except Exception as error:  # boundary: without this task the printer would be lost for good
                if not isinstance(error, HostError | TimeoutError | OSError):
                    _LOGGER.exception("The session with the firmware failed")
                await self._failed(error)
                if self._next in (Begin.CONNECT, Begin.RESUME):
                    # The link was lost again; only a wish of the user cuts the waiting short.
                    self._over.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await self._over.wait()
                delay = min(delay * 2, LONGEST_DELAY)
                continue
            delay = FIRST_DELAY
            if not self._over.is_set():
                self._status.transition(HostState.READY, READY)
            await self._over.wait()

    async def _failed(self, error: Exception) -> None:
        message = error.message if isinstance(error, HostError) else str(error) or type(error).__name__
        if self._line.suspended:
            # A print waits for the printer, and its state is no error.
            _LOGGER.info("The link to the printer is away: %s", message)
            if self._next is Begin.CONNECT:
                self._next = Begin.RESUME
            return
        self._status.transition(HostState.ERROR, f"{message}\nTrying again. {HINT}")
        await self._line.close()

    async def _resume(self) -> None:
        """Go on with a session whose link was lost, until that is wanted no longer. Raise as `MarlinLine.resume`."""
        if not self._line.suspended:
            self.end(Begin.CONNECT)
            return
        resuming = asyncio.ensure_future(self._line.resume())
        if not await unless_set(resuming, self._over):
            return
        if resuming.result():
            self._link_back()
        elif not self._over.is_set():
            self.end(Begin.BOARD_WAS_RESET)

    async def _begin(self, begin: Begin) -> None:
        """Raise LinkError or LineError when no session can be had."""
        if begin is Begin.RESUME:
            await self._resume()
            return
        if begin in (Begin.RESTART, Begin.RESET_BOARD):
            await self._end_job()
            self._begin_anew()
        if begin is Begin.RESET_BOARD:
            await self._clear_error()
            await self._line.close()
            if self._reset_board is not None:
                self._reset_board()
            else:
                self._line.reset_next = True
        if not self._line.connected:
            await self._connect()
        elif begin in (Begin.RESTART, Begin.SHAKE_HANDS):
            await self._line.restart()
        if self._status.state in (HostState.SHUTDOWN, HostState.ERROR):
            self._begin_anew()
        await self._identify()

    async def _connect(self) -> None:
        self._line.reset_line = _RESETS[self._machine.settings.reset_on_connect]
        if self._finder is not None:
            self._line.url, self._line.baud = await self._finder.find()
        try:
            await self._line.connect()
        except NoAnswerError:
            if self._finder is not None:
                # Another board may hang there by now, or the same with another firmware.
                self._finder.forget()
            raise

    async def _clear_error(self) -> None:
        """Boards that cannot be reset over the line may have stopped with an error that M999 clears."""
        if self._line.connected:
            with suppress(HostError, TimeoutError):
                async with asyncio.timeout(CLEARING):
                    await self._line.send("M999")

    def _begin_anew(self) -> None:
        """All clients have to initialise again."""
        self._console.info("Klipper state: Disconnect")
        self._restart_clients()
        self._status.transition(HostState.STARTUP, STARTUP)

    async def _identify(self) -> None:
        """Ask the firmware what it is and how it is set."""
        machine = self._machine
        machine.begin_session()
        self.identifying = self._console.muted = True
        try:
            for question in _QUESTIONS:
                await self._line.send(question)
            if machine.firmware.own_question:
                await self._line.send(machine.firmware.own_question)
            machine.identified()
            await self._make_safe()
            if machine.firmware.has_levelling:
                await self._line.send(machine.firmware.mesh_report)
                machine.all_stored()
            if machine.firmware.asks_safely_for_cold_extrusion:
                await self._line.send("M302")
            if machine.firmware.can("AUTOREPORT_TEMP"):
                await self._line.send(machine.firmware.report_request)
        finally:
            self.identifying = self._console.muted = False
        firmware = machine.firmware
        _LOGGER.info("Firmware %r on %r, %d extruder(s)", firmware.name, firmware.machine, firmware.extruders)
