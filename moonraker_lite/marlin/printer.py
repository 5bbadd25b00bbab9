"""One printer, composed: the line, what is known of the machine, commands, the print job, and the state of it all.

The supervisor keeps the session with the firmware: connects, asks the firmware what it is, notices when the session
ends, and begins the next one, with back-off, for ever.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from moonraker_lite.errors import HostError
from moonraker_lite.marlin import configfile
from moonraker_lite.marlin.checkpoint import CheckpointFile
from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.gcode.help import help_text
from moonraker_lite.marlin.gcode.host_commands import HostCommands
from moonraker_lite.marlin.gcode.interpreter import Interpreter
from moonraker_lite.marlin.gcode.object_commands import ObjectCommands
from moonraker_lite.marlin.gcode.translate import Options, turn_off_heaters
from moonraker_lite.marlin.gcode.turn import ScriptTurn
from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.job import PrintJob
from moonraker_lite.marlin.line_driver import LineError, MarlinLine
from moonraker_lite.marlin.objects import StatusObjects
from moonraker_lite.marlin.protocol import (
    Acknowledged,
    Connected,
    Event,
    Fatal,
    FirmwareReset,
    Line,
    LinkStats,
    LinkTrouble,
)
from moonraker_lite.marlin.replies import (
    ReplyKind,
    classify,
    parse_endstop,
    parse_error,
    parse_feedrate,
    parse_flow,
    parse_host_action,
    parse_position,
    parse_temperatures,
)
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.settings import PrinterSettings
from moonraker_lite.marlin.state import Activity, Machine

_LOGGER = logging.getLogger(__name__)

FIRST_DELAY = 0.5
LONGEST_DELAY = 10.0
# Without a temperature report for so long we ask for one.
TEMPERATURE_SILENCE = 2.5
# How long the end of the process may wait for the firmware to switch its heaters off.
FAREWELL = 3.0

STARTUP = "The printer is not ready yet: connecting.\nPlease wait a moment.\n"
READY = "Printer is ready"
HINT = "Once the cause is removed, use FIRMWARE_RESTART to reset the printer's board and to connect anew.\n"

# What the firmware is asked at the beginning of a session.
_QUESTIONS = ("M115", "M503", "M211", "M114", "M220", "M221", "M105")


class HostState(enum.Enum):
    """`webhooks.state`."""

    STARTUP = "startup"
    READY = "ready"
    SHUTDOWN = "shutdown"
    ERROR = "error"


class Begin(enum.Enum):
    """How the next session with the firmware begins."""

    CONNECT = "connect"
    RECONNECT = "reconnect"
    RESTART = "restart"
    RESET_BOARD = "reset the board"
    BOARD_WAS_RESET = "the board was reset"


class PrinterOptions(msgspec.Struct, frozen=True):
    """Where the printer is and where its files are."""

    gcodes: Path
    serial: str
    baud: int = 115200
    state_dir: Path | None = None
    settings: PrinterSettings = PrinterSettings()


class Printer:
    """`output` gets each line of G-code output; `restart_clients` closes all API connections, as klippy's RESTART does;
    `reset_board` presses the reset button, where there is one that we can reach."""

    def __init__(
        self,
        options: PrinterOptions,
        *,
        output: Callable[[str], None],
        restart_clients: Callable[[], None],
        reset_board: Callable[[], None] | None = None,
    ) -> None:
        self.options = options
        self.state = HostState.STARTUP
        self.state_message = STARTUP
        self.machine = Machine(options.settings, time.monotonic)
        self.console = Console(output)
        self._restart_clients = restart_clients
        self._reset_board = reset_board
        self._line = MarlinLine(
            options.serial, options.baud, on_event=self._on_event, on_lost=self._on_lost, on_writable=None
        )
        self.turn = ScriptTurn()
        self.interpreter = Interpreter(self.machine, self.console, self._line, self.turn, self._check_ready)
        checkpoints = CheckpointFile(options.state_dir)
        self.job = PrintJob(
            options.gcodes,
            self.machine,
            self._line,
            self.console,
            self.turn,
            checkpoints,
            self.interpreter.is_host_command,
            self.interpreter.execute_in_job,
            self._park,
        )
        commands = HostCommands(self.machine, self.console, self.job, self.interpreter.send, self.interpreter.run_lines)
        self.interpreter.add(commands.table)
        self.interpreter.add(ObjectCommands(self.machine.excluded, self.console).table)
        self.interpreter.add(self._own_commands())
        self.activity = Activity(options.settings.idle_timeout, self._on_idle)
        self.objects = StatusObjects(
            self.machine, self.job, self.activity, self._webhooks, self._configfile, lambda: self._stats
        )
        self._stats = LinkStats()
        self._config: tuple[object, dict[str, Any]] = (None, {})
        self._next = Begin.CONNECT
        self._session_over = asyncio.Event()
        self._identifying = False
        self._tasks: set[asyncio.Task[None]] = set()
        if (left := checkpoints.load()) is not None:
            _LOGGER.warning("An earlier print did not end: %s", left)

    # Life

    def start(self) -> None:
        """Begin to look for the printer."""
        self._spawn(self._supervise(), "session supervisor")
        self._spawn(self._keep_house(), "housekeeping")

    async def stop(self) -> None:
        """End. Nobody would watch the printer from here on: a print stops with its checkpoint, heaters go off."""
        await self.job.stop()
        if self._line.connected:
            with suppress(HostError, TimeoutError):
                await asyncio.wait_for(self._farewell(), FAREWELL)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._line.close()

    async def _farewell(self) -> None:
        if self.machine.clock() - self.machine.heating_wait_at < TEMPERATURE_SILENCE:
            await self._line.send("M108", emergency=True)
        for text in turn_off_heaters(None, self.machine):
            await self._line.send(text)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _LOGGER.error("%s failed", task.get_name(), exc_info=error)

    def _transition(self, state: HostState, message: str) -> None:
        """Go to another state; the only place where it changes."""
        if (state, message) == (self.state, self.state_message):
            return
        _LOGGER.info("Printer: %s -> %s: %s", self.state.value, state.value, message.strip())
        entered = state is not self.state
        self.state, self.state_message = state, message
        if entered and state in (HostState.READY, HostState.SHUTDOWN):
            self.console.info(f"Klipper state: {state.value.capitalize()}")

    # The session with the firmware

    async def _supervise(self) -> None:
        delay = FIRST_DELAY
        while True:
            begin, self._next = self._next, Begin.RECONNECT
            self._session_over.clear()
            try:
                await self._begin_session(begin)
            except HostError as error:
                self._transition(HostState.ERROR, f"{error.message}\nTrying again. {HINT}")
                await self._line.close()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._session_over.wait(), delay)
                delay = min(delay * 2, LONGEST_DELAY)
                continue
            delay = FIRST_DELAY
            if not self._session_over.is_set():
                self._transition(HostState.READY, READY)
            await self._session_over.wait()

    async def _begin_session(self, begin: Begin) -> None:
        """Raise LinkError or LineError when no session can be had."""
        if begin in (Begin.RESTART, Begin.RESET_BOARD):
            await self._end_job()
            self._begin_anew()
        if begin is Begin.RESET_BOARD:
            await self._line.close()
            if self._reset_board is not None:
                self._reset_board()
        if not self._line.connected:
            await self._line.connect()
        elif begin is Begin.RESTART:
            await self._line.restart()
        if self.state in (HostState.SHUTDOWN, HostState.ERROR):
            self._begin_anew()
        await self._identify()

    def _begin_anew(self) -> None:
        """All clients have to initialise again."""
        self.console.info("Klipper state: Disconnect")
        self._restart_clients()
        self._transition(HostState.STARTUP, STARTUP)

    async def _end_job(self) -> None:
        if self._line.connected and self.state is HostState.READY:
            await self.job.unload()
        self.job.fail("The connection to the printer was restarted")
        await self.job.ended()
        self.job.forget()

    async def _identify(self) -> None:
        """Ask the firmware what it is and how it is set."""
        machine = self.machine
        machine.begin_session()
        self._identifying = self.console.muted = True
        try:
            for question in _QUESTIONS:
                await self._line.send(question)
            machine.identified()
            if machine.firmware.can("AUTOLEVEL"):
                await self._line.send("M420 V")
            if machine.firmware.can("AUTOREPORT_TEMP"):
                await self._line.send("M155 S1")
        finally:
            self._identifying = self.console.muted = False
        self._config = (None, {})
        _LOGGER.info(
            "Firmware %r on %r, %d extruder(s)",
            machine.firmware.name,
            machine.firmware.machine,
            machine.firmware.extruders,
        )

    def _end_session(self, begin: Begin) -> None:
        self._next = begin
        self._session_over.set()

    def _on_lost(self, reason: str) -> None:
        message = f"Lost the connection to the printer: {reason}"
        self.job.fail(message)
        self._transition(HostState.SHUTDOWN, f"{message}\nTrying to connect again.\n")
        self._end_session(Begin.RECONNECT)

    # What the line tells

    def _on_event(self, event: Event) -> None:
        if type(event) is Acknowledged:
            self.job.acknowledged(event.token)
        elif type(event) is Line:
            self._on_line(event.text)
        elif type(event) is Fatal:
            self._shutdown(f"The printer halted: {event.message}")
        elif type(event) is FirmwareReset:
            self._on_reset()
        elif type(event) is Connected:
            if self._next is Begin.BOARD_WAS_RESET:
                self._session_over.set()
        elif type(event) is LinkTrouble:
            self.console.error(event.message)
            if not event.recoverable:
                self.job.fail(event.message)
                self._end_session(Begin.RESTART)

    def _on_line(self, text: str) -> None:
        if (report := parse_temperatures(text)) is not None:
            self.machine.temperatures(report)
            return
        self.machine.mesh.read_line(text)
        if self._identifying:
            self._learn(text)
        self.console.firmware(text)
        if (action := parse_host_action(text)) is not None:
            self._on_action(action.name)
        elif "Probe Offset" in text:
            self.machine.probe_offset_follows = True
        elif classify(text) is ReplyKind.ERROR and not self.turn.busy:
            error = parse_error(text)
            if error and "Last Line" not in error:
                self.job.fail(error)

    def _learn(self, text: str) -> None:
        """Take a line of the answers to our questions."""
        motion = self.machine.motion
        self.machine.firmware.read_line(text)
        if (position := parse_position(text)) is not None:
            motion.reported(position.x, position.y, position.z, position.e)
        elif (percent := parse_feedrate(text)) is not None:
            motion.speed_factor = percent / 100.0
        elif (flow := parse_flow(text)) is not None and flow.extruder == 0:
            motion.extrude_factor = flow.percent / 100.0

    def _on_action(self, name: str) -> None:
        """The firmware asks something of its host."""
        if name in ("pause", "paused"):
            self.job.request_pause()
        elif name == "cancel":
            self._spawn(self._cancel(), "cancel asked for by the firmware")

    async def _cancel(self) -> None:
        await self.job.cancel()

    def _on_reset(self) -> None:
        self.job.fail(
            "The printer's board was reset during the print: its heaters are off, and it no longer knows its position"
        )
        self.console.info("The printer's board was reset")
        # The session is over when the protocol has shaken hands again.
        self._next = Begin.BOARD_WAS_RESET

    # Commands that concern the whole

    def _own_commands(self) -> dict[str, Callable[[Command], Coroutine[Any, Any, None]]]:
        return {
            "FIRMWARE_RESTART": self._firmware_restart,
            "HELP": self._help,
            "M112": self._m112,
            "QUERY_ENDSTOPS": self._query_endstops,
            "RESTART": self._restart,
            "SET_IDLE_TIMEOUT": self._set_idle_timeout,
            "STATUS": self._status,
        }

    async def _restart(self, _: Command) -> None:
        self._end_session(Begin.RESTART)

    async def _firmware_restart(self, _: Command) -> None:
        self._end_session(Begin.RESET_BOARD)

    async def _m112(self, _: Command) -> None:
        self.emergency_stop("Shutdown due to M112 command")

    async def _help(self, _: Command) -> None:
        self.console.info(help_text())

    async def _status(self, _: Command) -> None:
        if self.state is not HostState.READY:
            raise CommandError(f"{self.state_message}\nKlipper state: Not ready")
        self.console.info("Klipper state: Ready")

    async def _set_idle_timeout(self, command: Command) -> None:
        self.activity.timeout = Options(command).number("TIMEOUT", self.options.settings.idle_timeout, minimum=0.0)
        self.console.info(f"idle_timeout: Timeout set to {self.activity.timeout:.2f} s")

    async def _query_endstops(self, _: Command) -> None:
        states = await self.endstops()
        self.console.raw(" ".join(f"{name}:{state}" for name, state in states.items()))

    async def endstops(self) -> dict[str, str]:
        """Ask the firmware for its endstops: name -> `open` or `TRIGGERED`, in Klipper's names where they have one."""
        self._check_ready()
        self.console.muted = True
        try:
            replies = await self._line.send("M119")
        finally:
            self.console.muted = False
        found = {endstop.name: endstop.triggered for reply in replies if (endstop := parse_endstop(reply))}
        self.machine.endstops = {
            _endstop_name(name, found): "TRIGGERED" if triggered else "open" for name, triggered in found.items()
        }
        return self.machine.endstops

    def emergency_stop(self, reason: str) -> None:
        """Halt the firmware, now."""
        if self._line.connected:
            self._line.send("M112", emergency=True).add_done_callback(_forget)
        self._shutdown(reason)

    def _shutdown(self, reason: str) -> None:
        self.job.fail(reason)
        if self.state is not HostState.SHUTDOWN:
            self._transition(HostState.SHUTDOWN, f"{reason}\n{HINT}Printer is shutdown\n")

    def _check_ready(self) -> None:
        if self.state is not HostState.READY:
            raise CommandError(self.state_message)

    async def _park(self) -> None:
        await self.interpreter.run_lines(self.options.settings.pause_gcode)

    # Each second

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._stats = self._line.stats
            self.job.tick()
            self.update_activity()
            if self.state is HostState.READY:
                self._ask_temperature()

    def update_activity(self) -> None:
        busy = self.job.printing or self.interpreter.active
        self.activity.update(self.machine.clock(), busy=busy)

    def _ask_temperature(self) -> None:
        """Poll where the firmware does not report by itself; never more than one question at a time."""
        silent = self.machine.clock() - self.machine.temperatures_at > TEMPERATURE_SILENCE
        if silent and self._line.can_accept() and not self._line.protocol.outstanding_lines:
            self._line.stream("M105")

    def _on_idle(self) -> None:
        if self.state is HostState.READY:
            self._spawn(self._go_idle(), "idle timeout")

    async def _go_idle(self) -> None:
        """Nobody has done anything for long: heaters off; motors too, unless a paused print needs its position."""
        lines = turn_off_heaters(None, self.machine) + ([] if self.job.running else ["M84"])
        with suppress(LineError):
            async with self.turn.script():
                await self.interpreter.run_lines("\n".join(lines))

    # Objects

    def _webhooks(self) -> dict[str, Any]:
        return {"state": self.state.value, "state_message": self.state_message}

    def _configfile(self) -> dict[str, Any]:
        machine = self.machine
        basis = (machine.save_pending, len(machine.heaters), len(machine.mesh.points), machine.firmware)
        if self._config[0] != basis:
            options = self.options
            self._config = (basis, configfile.build(machine, options.gcodes, options.serial, options.baud))
        return self._config[1]


def _endstop_name(name: str, found: dict[str, bool]) -> str:
    """`x_min` is Klipper's stepper_x; so is `x_max` where there is no `x_min`."""
    axis, _, end = name.partition("_")
    if axis in ("x", "y", "z") and (end == "min" or (end == "max" and f"{axis}_min" not in found)):
        return f"stepper_{axis}"
    return "probe" if name == "z_probe" else name


def _forget(future: asyncio.Future[tuple[str, ...]]) -> None:
    """Nobody waits for the answer; that it failed shows elsewhere."""
    if not future.cancelled():
        future.exception()
