"""One printer, composed: the line, what is known of the machine, commands, the print job, and the state of it all."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import msgspec

from moonraker_lite.errors import HostError
from moonraker_lite.marlin import configfile
from moonraker_lite.marlin.checkpoint import CheckpointFile
from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.emergency import EmergencyStop
from moonraker_lite.marlin.farewell import say_farewell
from moonraker_lite.marlin.finder import WHERE_IT_DOES_NOT_MATTER, PortFinder
from moonraker_lite.marlin.firmware_actions import FirmwareActions
from moonraker_lite.marlin.firmware_lines import FirmwareLines
from moonraker_lite.marlin.gcode.help import help_text
from moonraker_lite.marlin.gcode.host_commands import HostCommands
from moonraker_lite.marlin.gcode.inquiries import Inquiries
from moonraker_lite.marlin.gcode.interpreter import Interpreter
from moonraker_lite.marlin.gcode.object_commands import ObjectCommands
from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.outputs import Outputs
from moonraker_lite.marlin.gcode.probing import Probing
from moonraker_lite.marlin.gcode.stop_commands import StopCommands
from moonraker_lite.marlin.gcode.translate import turn_off_heaters
from moonraker_lite.marlin.gcode.tuning import Tuning
from moonraker_lite.marlin.gcode.turn import ScriptTurn
from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.interrupted import InterruptedPrint
from moonraker_lite.marlin.job import PrintJob
from moonraker_lite.marlin.job_timer import JobTimer
from moonraker_lite.marlin.line_driver import MarlinLine
from moonraker_lite.marlin.line_events import LineEvents
from moonraker_lite.marlin.link_health import link_status
from moonraker_lite.marlin.objects import StatusObjects
from moonraker_lite.marlin.owner import MacroActions, OwnersCommands
from moonraker_lite.marlin.parking import waiting_lines
from moonraker_lite.marlin.polling import Polling
from moonraker_lite.marlin.position_reports import PositionReports
from moonraker_lite.marlin.print_stats import RUNNING, JobState
from moonraker_lite.marlin.printer_config import PrinterConfig, read_printer_config, settings_of
from moonraker_lite.marlin.printer_options import PrinterOptions
from moonraker_lite.marlin.protocol import LinkStats
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.sdcard import SdCard
from moonraker_lite.marlin.session import HINT, HostState, HostStatus, Session
from moonraker_lite.marlin.state import Activity, IdleState, Machine

_LOGGER = logging.getLogger(__name__)

# How long a restart waits for a print to be cancelled, and then for it to fail.
PATIENCE = 10.0
# What the checkpoint of a print says that nobody has ended.
_DIED = frozenset(state.value for state in RUNNING)


class Printer:
    """`output` gets each line of G-code output; for the others see `Session`."""

    def __init__(
        self,
        options: PrinterOptions,
        *,
        output: Callable[[str], None],
        restart_clients: Callable[[], None],
        reset_board: Callable[[], None] | None = None,
        make_line: Callable[..., MarlinLine] = MarlinLine,
    ) -> None:
        self.options = options
        self.config = PrinterConfig()
        self.machine = Machine(options.settings, time.monotonic)
        self.console = Console(output)
        self.status = HostStatus(self.console)
        self._line: MarlinLine = make_line(
            options.serial,
            options.baud or WHERE_IT_DOES_NOT_MATTER,
            on_event=lambda event: self._events.take(event),
            on_lost=lambda reason: self._events.lost(reason, suspended=self._line.suspended),
            keeps_session=self._wants_link,
        )
        self._session = Session(
            self._line,
            self.machine,
            self.console,
            self.status,
            end_job=self._end_job,
            make_safe=self._make_safe,
            restart_clients=restart_clients,
            reset_board=reset_board,
            link_back=lambda: self._events.back(),
            finder=PortFinder(options.serial, options.baud, options.state_dir),
        )
        self.turn = ScriptTurn()
        self.actions = MacroActions(self.console, self.emergency_stop)
        self.interpreter = Interpreter(
            self.machine, self.console, self._line, self.turn, self._check_ready, self.actions
        )
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
        self._emergency = EmergencyStop(self._line, self.job.cooling)
        commands = HostCommands(
            self.machine, self.console, self.job, self.interpreter.send, self.interpreter.run_lines, self._check_ready
        )
        self.interpreter.add(commands.table)
        self.interpreter.add(ObjectCommands(self.machine.excluded, self.machine.labels, self.console).table)
        self.interpreter.add(
            StopCommands(self._line, self.job, self._session, self._emergency, self.emergency_stop).table
        )
        self.interpreter.add(self._own_commands())
        commands.leaving = lambda: self.interpreter.leaving
        send = self.interpreter.send
        self._probing = Probing(self.machine, self.console, send)
        tuning, outputs = Tuning(self.machine, self.console, send), Outputs(send)
        for table in (
            self._probing.table,
            tuning.table,
            outputs.table,
            Inquiries(self.machine, self.console, send, self.endstops).table,
        ):
            self.interpreter.add(table)
        self.interpreter.job_stops = self._job_stops_here
        self.job.prepare = self._prepare
        self.card = SdCard(self.machine, self.console, self._line.send, self._exclusively)
        self.job.files.card = self.card
        self.job.stats.changed = JobTimer(self._line, lambda: self.machine.settings.job_timer).follow
        self.job.refills = lambda: self.interpreter.macros.find("RESUME") is None
        self.interpreter.without_waits = self._without_waits
        actions = FirmwareActions(
            self.machine, self.console, self.job, self._line, self.interpreter, self._spawn, self._shutdown
        )
        self.interpreter.add(actions.table)
        self.owner = OwnersCommands(self.interpreter, outputs)
        self.status.on_ready = self.owner.ready
        self._read_config()
        self.activity = Activity(self.machine.settings.idle_timeout, self._on_idle)
        self.objects = StatusObjects(
            self.machine,
            self.job,
            self.activity,
            self._webhooks,
            self._configfile,
            lambda: self._stats,
            self.interpreter,
            lambda: self.job.moves_under_way,
        )
        self.objects.add("marlin_link", self._link_status)
        self.objects.add("manual_probe", self._probing.status)
        self.objects.add("screws_tilt_adjust", tuning.screws_status, lambda: tuning.has_screws)
        self.objects.add("sdcard", self.card.status, lambda: self.card.available)
        variables = self.owner.variables
        self.objects.add("save_variables", variables.status, lambda: variables.present)
        self.objects.more = outputs
        self.actions.objects, self.actions.clock = self.objects, self.machine.clock
        self._stats: LinkStats = LinkStats()
        self._config: tuple[object, dict[str, Any]] = (None, {})
        self._polling = Polling(self.machine, self._line, self.console, self.turn, self._spawn)
        self._positions = PositionReports(self._line, self.machine)
        self._tasks: set[asyncio.Task[None]] = set()
        self._events: LineEvents = LineEvents(
            FirmwareLines(self.machine, self.console, self.turn, self._session, self.job, self._positions, actions),
            self.machine.mesh,
            self.job,
            self.console,
            self.status,
            self._session,
            self._emergency,
            self._shutdown,
        )
        self._checkpoints = checkpoints
        self._left = checkpoints.load()
        self.interrupted = InterruptedPrint(self.machine, self.console, self.job, checkpoints, self._left)
        self.interpreter.add(self.interrupted.table)
        if self._left is not None:
            _LOGGER.warning("An earlier print did not end: %s", self._left)
            # This process died in the print: the printer heats and nobody has told it to stop.
            self.job.cooling.owed = self._left.state in _DIED

    def _read_config(self) -> None:
        """Read marlin.cfg (again). What is wrong with it is a warning for the frontends, and stops nothing."""
        options = self.options
        config = read_printer_config(options.config_file, options.given, options.host_config)
        settings, problems = settings_of(config, options.settings)
        folder = options.config_file.parent if options.config_file else None
        found = (*problems, *self.owner.load(config.sections, folder))
        problems = (*config.warnings, *(config.located(problem) for problem in found))
        self.job.override(self.interpreter.macros.overridden)
        self.config = msgspec.structs.replace(config, warnings=problems)
        for warning in self.config.warnings:
            _LOGGER.warning("%s", warning)
        self.machine.configure(settings)

    # Life

    def start(self) -> None:
        """Begin to look for the printer."""
        self._spawn(self._session.run(), "session with the firmware")
        self._spawn(self._keep_house(), "housekeeping")

    async def stop(self) -> None:
        """End. Nobody would watch the printer from here on: a print stops with its checkpoint, heaters go off."""
        self._emergency.settled()
        await self.owner.stop()
        await self.job.stop()
        if self._line.connected:
            await say_farewell(self._line, self.job.cooling)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._line.close()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _LOGGER.error("%s failed", task.get_name(), exc_info=error)

    async def _end_job(self) -> None:
        """The session is about to be restarted: nothing is left of a print. A printer that hangs does not hinder it."""
        if self._line.connected and self.status.ready:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self.job.unload()
        await self.job.abandon("The connection to the printer was restarted", PATIENCE)
        self.job.forget()
        self._probing.session_ended()
        self._read_config()

    async def _make_safe(self) -> None:
        """The printer is there (again): heaters of a print that it did not survive go off. Raise HostError."""
        self._positions.forget()
        self.interrupted.session_begun()
        await self.job.cooling.settle(PATIENCE)
        if self._left is not None and self._left.state in _DIED:
            self._left = msgspec.structs.replace(self._left, state=JobState.ERROR.value)
            self._checkpoints.save(self._left)

    def _wants_link(self) -> bool:
        """A print is worth waiting for the link and for the firmware that knows where it stands."""
        return self.job.running

    def _link_status(self) -> dict[str, Any]:
        line, firmware = self._line, self.machine.firmware.profile.name
        return link_status(self._stats, serial=line.url, baud=line.baud, connected=line.connected, firmware=firmware)

    # Commands that concern the whole

    def _own_commands(self) -> dict[str, Callable[[Command], Coroutine[Any, Any, None]]]:
        return {
            "HELP": self._help,
            "SET_IDLE_TIMEOUT": self._set_idle_timeout,
            "STATUS": self._status,
        }

    async def _help(self, _: Command) -> None:
        self.console.info(help_text(self.objects.commands()))

    async def _status(self, _: Command) -> None:
        if not self.status.ready:
            raise CommandError(f"{self.status.message}\nKlipper state: Not ready")
        self.console.info("Klipper state: Ready")

    async def _set_idle_timeout(self, command: Command) -> None:
        self.activity.timeout = Options(command).number("TIMEOUT", self.machine.settings.idle_timeout, minimum=0.0)
        self.console.info(f"idle_timeout: Timeout set to {self.activity.timeout:.2f} s")

    async def endstops(self) -> dict[str, str]:
        """Ask the firmware for its endstops: name -> `open` or `TRIGGERED`, in Klipper's names where they have one."""
        self._check_ready()
        return await self._polling.endstops()

    def emergency_stop(self, reason: str) -> None:
        """Halt the firmware, now."""
        self._emergency.stop()
        self._shutdown(reason)

    def _shutdown(self, reason: str) -> None:
        self.job.fail(reason)
        if self.status.state is not HostState.SHUTDOWN:
            self.status.transition(HostState.SHUTDOWN, f"{reason}\n{HINT}Printer is shutdown\n")

    def _check_ready(self) -> None:
        if not self.status.ready:
            raise CommandError(self.status.message)

    async def _without_waits(self, work: Awaitable[object]) -> None:
        self.job.cooling.break_wait()
        await self.job.cooling.without_waits(work)

    def _job_stops_here(self) -> bool:
        return self.job.stopping and self.job.is_current_task()

    async def _prepare(self) -> None:
        """A print begins with its first line."""
        await self._probing.leave()
        if script := self.machine.settings.start_gcode.strip():
            await self.interpreter.run_in_job(script)

    async def _park(self) -> None:
        """A print has come to a stand: bring the head where it may wait, and let it cool as far as is wanted."""
        lines = waiting_lines(self.machine, own_macro=self.interpreter.macros.find("PAUSE") is not None)
        await self.interpreter.run_lines("\n".join(lines))

    async def _exclusively(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do what no print and no script may come between."""
        self._check_ready()
        async with self.turn.script():
            if self.job.running:
                raise CommandError("The SD card is not available while the printer prints")
            await work()

    # Each second

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._stats = self._line.stats
            self.job.show_pause()
            self.update_activity()
            self.objects.follow(self.machine.clock())
            if self.status.ready:
                self._positions.tick(wanted=self.job.on_card and self.job.printing)
            if self.status.ready and not (self.job.blocked or self.interpreter.blocked):
                if not self.card.writing:
                    self._polling.ask_temperature()
                if not (self.job.running or self.interpreter.active):
                    self._polling.ask_what_is_uncertain()

    def update_activity(self) -> None:
        busy = self.job.printing or self.interpreter.active or self.machine.prompts.waiting
        self.activity.update(self.machine.clock(), busy=busy, hot=self.status.ready and self.job.cooling.hot)

    def _on_idle(self) -> None:
        if self.status.ready:
            self._spawn(self._go_idle(), "idle timeout")

    async def _go_idle(self) -> None:
        """Nobody has done anything for long: the owner's script, else heaters off; motors too, unless a paused print
        needs its position."""
        with suppress(HostError):
            if self.owner.idle is not None:
                await self.interpreter.run_template(self.owner.idle)
                return
            async with self.turn.script():
                if self.activity.state is not IdleState.IDLE or self.job.printing:
                    return  # somebody came while this waited for its turn
                lines = turn_off_heaters(None, self.machine) + ([] if self.job.running else ["M84"])
                await self.interpreter.run_lines("\n".join(lines))

    # Objects

    def _webhooks(self) -> dict[str, Any]:
        return {"state": self.status.state.value, "state_message": self.status.message}

    def _configfile(self) -> dict[str, Any]:
        machine = self.machine
        basis = (configfile.basis(machine), id(self.config))
        if self._config[0] != basis:
            options = self.options
            line = self._line
            built = configfile.build(machine, self.config.sections, options.gcodes, line.url, line.baud)
            warnings = [{"type": "runtime_warning", "message": warning} for warning in self.config.warnings]
            self._config = (basis, {**self.owner.show(built), "warnings": [*built["warnings"], *warnings]})
        return self._config[1]
