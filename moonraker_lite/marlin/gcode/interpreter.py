"""Runs commands: whole scripts for whoever sent them, and single commands for the print job.

A command is, in this order: a macro, the host's own, a Klipper word with a translation, or one for the firmware as it
stands. Unknown words are told to the console and are no error, as in Klipper.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from contextvars import ContextVar
from typing import Any, Protocol

from moonraker_lite.errors import HostError
from moonraker_lite.marlin.console import Console, complaint
from moonraker_lite.marlin.gcode.help import HELP, command_table
from moonraker_lite.marlin.gcode.macros import Macro, MacroHost, Macros, Script
from moonraker_lite.marlin.gcode.motion import AXES
from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.slow import SLOW
from moonraker_lite.marlin.gcode.translate import TRANSLATIONS
from moonraker_lite.marlin.gcode.turn import ScriptTurn
from moonraker_lite.marlin.gcode.words import COMING_BACK, Command, number, parse, squeeze
from moonraker_lite.marlin.replies import parse_position
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.state import Machine
from moonraker_lite.marlin.temperature_report import parse_temperatures
from moonraker_lite.marlin.wishes import Stopped

Handler = Callable[[Command], Awaitable[None]]

# These act at once in the firmware, whatever it is doing, and must not wait for a script that waits for them.
EMERGENCY = frozenset({"M108", "M112", "M410", "M876"})
# Served in any state of the printer.
ALWAYS = frozenset({"ECHO", "FIRMWARE_RESTART", "HELP", "M112", "RESTART", "STATUS"})
# Bytes of a script. It is read as a whole, and while it is read nothing goes to the printer.
MAX_SCRIPT = 128 * 1024
# Lines of a macro after which others get their turn on the event loop, should none of the lines wait for anything.
_BREATH = 64
# Not what Python takes for line ends: a name may hold U+2028, and what stands behind it is no command.
_LINE_ENDS = re.compile(r"[\r\n]+")
# Questions: they are no activity of the machine.
_QUESTIONS = frozenset({"M105", "M114", "M115", "M119", "M503", "M27", "M31", "M78", "M117", "M118", "M73"})
# In a file they mean something else, such as the end of a program; that is no reason to give a print up.
_NOT_OF_A_FILE = frozenset({"M28", "M29", "M30"})
# The macros that are being run, outermost first.
_CALLS: ContextVar[tuple[str, ...]] = ContextVar("macro calls", default=())


class CommandLine(Protocol):
    """What the interpreter needs of the line to the firmware; see `MarlinLine`."""

    def send(self, command: str, *, emergency: bool = False) -> asyncio.Future[tuple[str, ...]]: ...


class FirmwareError(CommandError):
    """The firmware itself complained; it has been on the console already."""


class _Left(Exception):
    """A macro of the file being printed is left: the print is about to be cancelled."""


class Interpreter:
    """`handlers` are the host's own commands, added by those who have them; `check_ready` raises when not ready."""

    def __init__(
        self,
        machine: Machine,
        console: Console,
        line: CommandLine,
        turn: ScriptTurn,
        check_ready: Callable[[], None],
        host: MacroHost,
    ) -> None:
        self._machine = machine
        self._console = console
        self._line = line
        self._turn = turn
        self._check_ready = check_ready
        self._host = host
        self.macros = Macros(host)
        # Whether the print that runs in this very task is to end; set by whoever has the job.
        self.job_stops: Callable[[], bool] = lambda: False
        # Waits for something, and breaks off meanwhile what the firmware waits for.
        self.without_waits: Callable[[Awaitable[object]], Awaitable[None]] = _just_wait
        # The firmware waits for whoever stands at the printer; takes RESUME or PAUSE that are meant for that.
        self.user_waits: Callable[[], bool] = lambda: False
        self.answer_user: Callable[[str], bool] = lambda command: False
        self._handlers: dict[str, Handler] = {"SET_GCODE_VARIABLE": self.macros.set_variable}
        self._active = 0
        self._blocking = 0
        # A macro of the file being printed runs; it is to be left.
        self._macro_of_job = False
        self._leave = False

    def add(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers.update(handlers)

    def exists(self, name: str) -> bool:
        """Whether the host has a command of this name, macros aside."""
        return name in self._handlers or name in TRANSLATIONS or name in HELP

    def names(self) -> frozenset[str]:
        """Return the names of all commands that are carried out or translated here, macros aside."""
        return frozenset({*self._handlers, *TRANSLATIONS})

    def is_host_command(self, name: str) -> bool:
        """Whether a command of a file being printed is for `execute_in_job`. M118 is the firmware's there."""
        if self.macros.find(name) is not None or self.macros.original(name) is not None:
            return True
        return name in self._handlers and name != "M118"

    def commands(self, *, probe: bool, mesh: bool) -> dict[str, dict[str, str]]:
        """Return Klipper's `gcode.commands`."""
        return {**command_table(self._machine.tools, probe=probe, mesh=mesh), **self.macros.commands()}

    @property
    def active(self) -> bool:
        """A script makes the machine do something just now."""
        return self._active > 0

    @property
    def blocked(self) -> bool:
        """A command of a script keeps the firmware from answering questions."""
        return self._blocking > 0

    @property
    def leaving(self) -> bool:
        """What runs in this task is to be left at the next opportunity."""
        return self.job_stops() or (self._leave and self._macro_of_job)

    async def run_script(self, script: str) -> None:
        """Run a user's script as a whole. Raise CommandError (or LineError) at the first command that fails."""
        if len(script) > MAX_SCRIPT:
            raise CommandError(f"A script has at most {MAX_SCRIPT} characters: upload a file and print that")
        commands = [command for line in _LINE_ENDS.split(script) if (command := parse(line)) is not None]
        if not commands:
            return
        if len(commands) == 1 and commands[0].name in ("PAUSE", "RESUME") and self.answer_user(commands[0].name):
            return
        try:
            if all(command.name in EMERGENCY or command.name in ALWAYS for command in commands):
                await self._run_all(commands)
            else:
                async with AsyncExitStack() as stack:
                    await self._take_turn(stack, hurry=commands[0].name == "CANCEL_PRINT")
                    await self._run_all(commands)
        except FirmwareError:
            raise
        except HostError as error:
            self._console.error(error.message)
            raise

    async def run_template(self, script: Script) -> None:
        """Render a script that is no macro, and run it as `run_script` does."""
        async with self._turn.script():
            try:
                self._check_ready()
                text = await script.render(self._host, {"params": {}, "rawparams": ""})
                await self._run_text(text, checked=self._machine.settings.check_moves)
            except FirmwareError:
                raise
            except HostError as error:
                self._console.error(error.message)
                raise

    async def run_lines(self, script: str) -> None:
        """Run lines of our own within a command: no turn is taken, moves are not checked."""
        await self._run_text(script, checked=False)

    async def execute_in_job(self, command: Command) -> list[str]:
        """Run a command of the file being printed that is no plain G-code; return what to send in its place."""
        if macro := self.macros.find(command.name):
            await self._as_job(self._run_macro(macro, command, checked=False))
            return []
        command = self._without_alias(command)
        if command.name in _NOT_OF_A_FILE:
            self._console.info(f"{command.line} is left out: a file that is printed cannot write or delete files")
            return []
        if handler := self._handlers.get(command.name):
            await handler(command)
            return [command.line] if _names_objects(command) else []
        return self._translate(command)

    async def send(self, text: str) -> tuple[str, ...]:
        """Send one line and wait until it is executed. Raise FirmwareError when the firmware complains, LineError."""
        name = text.split(" ", 1)[0]
        acting = name not in _QUESTIONS
        self._active += acting
        self._blocking += name in SLOW
        try:
            replies = await self._queue(text, emergency=name in EMERGENCY)
        finally:
            self._active -= acting
            self._blocking -= name in SLOW
        if not _is_unknown(replies):
            self._machine.observe_line(text)
        self._read_replies(name, replies)
        return replies

    async def _take_turn(self, stack: AsyncExitStack, *, hurry: bool) -> None:
        """Wait for the turn. Whoever is in a hurry lets a macro of the print stop at its next line."""
        turn = stack.enter_async_context(self._turn.script())
        if not (hurry and (self._macro_of_job or self.user_waits())):
            await turn
            return
        self._leave = True
        try:
            await self.without_waits(self._free(turn))
        finally:
            self._leave = False

    async def _free(self, turn: Awaitable[None]) -> None:
        """Wait for the turn and for a firmware that waits for nobody: then it answers questions again."""
        await turn
        if self.user_waits():
            # Without a line to it there is nothing to wait for.
            with suppress(HostError):
                await self._line.send("M105")

    async def _run_all(self, commands: list[Command]) -> None:
        for command in commands:
            await self._run(command, checked=self._machine.settings.check_moves)

    async def _run_text(self, script: str, *, checked: bool) -> None:
        for count, line in enumerate(_LINE_ENDS.split(script)):
            if (command := parse(line)) is None:
                continue
            if count % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)
            if self.job_stops():
                raise Stopped
            if self._leave and self._macro_of_job:
                raise _Left
            await self._run(command, checked=checked)

    async def _run(self, command: Command, *, checked: bool) -> None:
        if command.name not in ALWAYS:
            self._check_ready()
        if macro := self.macros.find(command.name):
            await self._run_macro(macro, command, checked=checked)
            return
        command = self._without_alias(command)
        if handler := self._handlers.get(command.name):
            await handler(command)
            return
        if checked and command.name in ("G0", "G1"):
            check_move(command, self._machine)
        unknown = [text for text in self._translate(command) if _is_unknown(await self.send(text))]
        if unknown and not command.traditional:
            word = unknown[0].split(" ", 1)[0]
            raise CommandError(f"{command.name} needs {word}, which this firmware does not know")

    async def _run_macro(self, macro: Macro, command: Command, *, checked: bool) -> None:
        calls = _CALLS.get()
        if macro.name in calls:
            raise CommandError(f"Macro {macro.name} called recursively")
        token = _CALLS.set((*calls, macro.name))
        try:
            await self._run_text(await self.macros.render(macro, command), checked=checked)
        finally:
            _CALLS.reset(token)

    async def run_in_job(self, script: str) -> None:
        """Run lines of the owner as if they stood in the file being printed, one behind the other and as a whole."""
        await self._as_job(self._run_text(script, checked=False))

    async def _as_job(self, work: Coroutine[Any, Any, None]) -> None:
        """A macro in a file runs as a whole, like a script. Raise Stopped when the print is to end meanwhile."""
        # The task of a print may have been made by a macro.
        token = _CALLS.set(())
        try:
            async with self._turn.script():
                self._macro_of_job = True
                try:
                    await work
                except _Left:
                    pass
                finally:
                    self._macro_of_job = False
        finally:
            work.close()
            _CALLS.reset(token)

    def _without_alias(self, command: Command) -> Command:
        """Return the command that was meant by the name that a macro gave it."""
        name = self.macros.original(command.name)
        return command if name is None else Command(name, command.rest, traditional=command.traditional)

    def _translate(self, command: Command) -> list[str]:
        if translation := TRANSLATIONS.get(command.name):
            return translation(Options(command), self._machine)
        if command.traditional:
            return [command.line]
        self._console.info(f'Unknown command:"{command.name}"')
        return []

    def _queue(self, text: str, *, emergency: bool) -> asyncio.Future[tuple[str, ...]]:
        try:
            return self._line.send(text, emergency=emergency)
        except ValueError:
            pass
        try:
            return self._line.send(squeeze(text), emergency=emergency)
        except ValueError as error:
            raise CommandError(f"The command cannot be sent: {error}") from None

    def _read_replies(self, name: str, replies: tuple[str, ...]) -> None:
        complained = None
        for reply in replies:
            if parse_temperatures(reply):
                if name == "M105":
                    self._console.raw(reply.removeprefix("ok").strip())
            elif position := parse_position(reply):
                if name in COMING_BACK:
                    continue
                self._machine.motion.reported(position.x, position.y, position.z, position.e)
            elif error := complaint(reply):
                complained = complained or error
        if complained:
            raise FirmwareError(complained)


def _is_unknown(replies: tuple[str, ...]) -> bool:
    """Whether the firmware was built without this command, or never had it."""
    return any(reply.startswith("echo:Unknown command:") for reply in replies)


def _names_objects(command: Command) -> bool:
    """M486 that is for the host, but that a firmware may show on its display. Leaving out is up to the host alone."""
    return command.name == "M486" and command.rest[:1].upper() in ("A", "S", "T")


async def _just_wait(work: Awaitable[object]) -> None:
    await work


def check_move(command: Command, machine: Machine) -> None:
    """Raise CommandError for a move of an axis that is not homed, or beyond the known limits."""
    motion, limits = machine.motion, machine.limits
    words = command.words()
    target = list(motion.position)
    moving = [axis for axis, letter in enumerate("XYZ") if words.get(letter)]
    for axis in moving:
        value = number(words[AXES[axis]])
        target[axis] = value if motion.absolute else target[axis] + value
    shown = f"{target[0]:.3f} {target[1]:.3f} {target[2]:.3f} [{target[3]:.3f}]"
    for axis in moving:
        if target[axis] != motion.position[axis] and AXES[axis].lower() not in motion.homed:
            raise CommandError(f"Must home axis first: {shown}")
    for axis in moving:
        if limits.known and not limits.position_min[axis] <= target[axis] <= limits.position_max[axis]:
            raise CommandError(f"Move out of range: {shown}")
