"""The print job: streams a file to the firmware, and can pause, resume, cancel and fail.

The line is kept full and little more: what waits in our own queue cannot be taken back by a pause. `position` is what
the firmware has acknowledged, to the byte.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from moonraker_lite.errors import HostError
from moonraker_lite.marlin.checkpoint import Checkpoint, CheckpointFile
from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.gcode.exclude import MoveFilter
from moonraker_lite.marlin.gcode.motion import Modes, Z
from moonraker_lite.marlin.gcode.reader import GcodeFile
from moonraker_lite.marlin.gcode.translate import heater_command, turn_off_heaters
from moonraker_lite.marlin.gcode.turn import ScriptTurn
from moonraker_lite.marlin.gcode.words import Command, parse, squeeze
from moonraker_lite.marlin.print_stats import RUNNING, JobState, PrintStats
from moonraker_lite.marlin.protocol import LineProtocol, Token
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.state import Machine

_LOGGER = logging.getLogger(__name__)

# Lines queued beyond what is on the wire: enough that an acknowledgement finds the next line ready, few enough that a
# pause takes effect soon.
AHEAD = 8
# A temperature report of M109 or M190 this young means that one of them is still waiting.
HEATING_WAIT = 3.0
EXTENSIONS = frozenset({".gcode", ".g", ".gco", ".nc"})

_GCODE = re.compile(r"G[0-9]").match
_MCODE = re.compile(r"[MT][0-9]").match


class JobLine(Protocol):
    """What the job needs of the line to the firmware; see `MarlinLine`."""

    def send(self, command: str, *, emergency: bool = False) -> asyncio.Future[tuple[str, ...]]: ...
    def stream(self, command: str) -> Token: ...
    def flush(self) -> None: ...
    def can_accept(self) -> int: ...
    async def drained(self) -> None: ...
    @property
    def connected(self) -> bool: ...
    @property
    def protocol(self) -> LineProtocol: ...


# Runs a command that is not for the firmware as it stands; returns the lines to send instead of it.
Execute = Callable[[Command], Awaitable[list[str]]]
Send = Callable[[str], Awaitable[tuple[str, ...]]]


class Wish(enum.Enum):
    """What the user (or a failure) wants of a running job; the job grants it at the next line."""

    GO_ON = "go on"
    PAUSE = "pause"
    CANCEL = "cancel"
    FAIL = "fail"


class _Stopped(Exception):
    """Leaves the file: cancelled or failed."""


class Saved:
    """What a pause saves and a resume restores."""

    def __init__(self, machine: Machine) -> None:
        self.modes = Modes(machine.motion)
        self.fans = dict(machine.motion.fans)
        self.targets = {name: heater.target for name, heater in machine.heaters.items() if heater.target}


class PrintJob:
    """The file that is loaded, printed or was printed last."""

    def __init__(
        self,
        gcodes: Path,
        machine: Machine,
        line: JobLine,
        console: Console,
        turn: ScriptTurn,
        checkpoints: CheckpointFile,
        is_host_command: Callable[[str], bool],
        execute: Execute,
        park: Callable[[], Awaitable[None]],
    ) -> None:
        """`execute` runs the file's commands that need the host, `park` what the owner wants done at a pause."""
        self.stats = PrintStats(machine.clock)
        # What `pause_resume` shows. It may be true without a print: PAUSE is remembered.
        self.paused = False
        self.path: Path | None = None
        self.position = 0
        self.size = 0
        self._gcodes = gcodes
        self._machine = machine
        self._line = line
        self._console = console
        self._turn = turn
        self._checkpoints = checkpoints
        self._is_host_command = is_host_command
        self._execute = execute
        self._park = park
        self._filter = MoveFilter(machine.excluded, machine.motion)
        self._task: asyncio.Task[None] | None = None
        self._wish = Wish.GO_ON
        self._failure = ""
        self._wake = asyncio.Event()
        self._halted = asyncio.Event()
        self._saved: Saved | None = None
        self._read_offset = 0
        self._read_line = 0
        self._line_number = 0
        self._special: Command | None = None
        # Token, end offset and line number of each line that is not acknowledged.
        self._in_flight: deque[tuple[Token, int, int]] = deque()
        self._progress_at_end = 0.0
        turn.on_idle = self._wake.set

    # What others ask

    @property
    def printing(self) -> bool:
        return self.stats.state is JobState.PRINTING

    @property
    def running(self) -> bool:
        return self.stats.state in RUNNING

    @property
    def stopping(self) -> bool:
        """The job was cancelled or failed, and ends at the next opportunity."""
        return self._wish in (Wish.CANCEL, Wish.FAIL)

    @property
    def progress(self) -> float:
        return self.position / self.size if self.size else self._progress_at_end

    def sdcard_status(self) -> dict[str, Any]:
        """Return Klipper's `virtual_sdcard` object."""
        return {
            "file_path": str(self.path) if self.path else None,
            "progress": self.progress,
            "is_active": self.printing,
            "file_position": self.position,
            "file_size": self.size,
        }

    # Choosing a file

    def select(self, name: str) -> None:
        """Load a file for printing. Raise CommandError while printing, or when there is no such file."""
        if self.printing:
            raise CommandError("SD busy")
        path = resolve(self._gcodes, name)
        if path is None:
            raise CommandError("Unable to open file")
        size = path.stat().st_size
        relative = path.relative_to(self._gcodes).as_posix()
        self._console.raw(f"File opened:{relative} Size:{size}")
        self._console.raw("File selected")
        self.path, self.size, self.position = path, size, 0
        self._progress_at_end = 0.0
        self.stats.reset(relative)
        self._machine.excluded.reset()
        self._machine.display.forget_progress()

    async def unload(self) -> None:
        """Forget the file; a running print is cancelled."""
        if self.printing and asyncio.current_task() is self._task:
            raise CommandError("SDCARD_RESET_FILE cannot be run from the file that is printed")
        await self.cancel()
        self._clear_file()
        self.stats.reset()
        self._machine.excluded.reset()

    def list_files(self) -> list[tuple[str, int]]:
        """Return name and size of what could be printed, by name. For a thread: walks the directory."""
        files = []
        for path in sorted(self._gcodes.rglob("*"), key=lambda path: str(path).lower()):
            hidden = any(part.startswith(".") for part in path.relative_to(self._gcodes).parts)
            if not hidden and path.suffix.lower() in EXTENSIONS and path.is_file():
                files.append((path.relative_to(self._gcodes).as_posix(), path.stat().st_size))
        return files

    def seek(self, position: int) -> None:
        """Choose where printing begins (M26)."""
        if self.printing:
            raise CommandError("SD busy")
        self.position = min(max(position, 0), self.size)

    def start(self) -> None:
        """Print the selected file from `position`. Raise CommandError when printing or nothing is selected."""
        if self.running:
            raise CommandError("SD busy")
        if self.path is None:
            return
        if self.stats.state is not JobState.STANDBY:
            self.stats.reset(self.stats.filename)
        self._wish, self._failure = Wish.GO_ON, ""
        self.paused = False
        self._saved = None
        self._read_offset, self._read_line, self._line_number = self.position, 0, 0
        self._in_flight.clear()
        self._filter.reset()
        self._machine.motion.retracted = 0.0
        self._halted.clear()
        self.stats.transition(JobState.PRINTING)
        self._task = asyncio.create_task(self._print(self.path), name="print job")

    # Wishes

    async def pause(self) -> bool:
        """Stop at the next line and wait until the head stands still. Return False when nothing is being printed."""
        self.paused = True
        if not self.printing:
            return False
        self.request_pause()
        if asyncio.current_task() is not self._task:
            await self._halted.wait()
        return True

    def request_pause(self) -> None:
        """Ask for a pause without waiting for it."""
        if self.printing and self._wish is Wish.GO_ON:
            self.paused = True
            self._wish = Wish.PAUSE
            self._wake.set()

    async def resume(self, send: Send) -> bool:
        """Restore what the pause saved, by `send`, and print on. Return False when nothing is paused."""
        self.paused = False
        if self.stats.state is not JobState.PAUSED or self._wish is not Wish.PAUSE:
            return False
        if self._saved is not None:
            await restore_all(self._saved, self._machine, send)
        if self.stats.state is JobState.PAUSED and self._wish is Wish.PAUSE:
            self._wish = Wish.GO_ON
            self._halted.clear()
            self.stats.transition(JobState.PRINTING)
            self._wake.set()
        return True

    async def cancel(self) -> bool:
        """Stop at the next line, heaters off, file unloaded. Return False when nothing is printed or paused."""
        self.paused = False
        if not self.running or self._task is None:
            return False
        self._wish = Wish.CANCEL
        self._wake.set()
        if self._line.connected and self._machine.clock() - self._machine.heating_wait_at < HEATING_WAIT:
            self._line.send("M108", emergency=True).add_done_callback(_forget)
        if asyncio.current_task() is not self._task:
            await asyncio.wait([self._task])
        return True

    def fail(self, message: str) -> None:
        """Something happened that ends the print: the firmware halted or was reset, the link was lost."""
        if self.running and self._wish is not Wish.FAIL:
            self._wish, self._failure = Wish.FAIL, message
            self._wake.set()

    async def ended(self) -> None:
        """Wait until a job that was told to stop has done so."""
        if self._task is not None and self.running:
            await asyncio.wait([self._task])

    def forget(self) -> None:
        """Return to standby without a file."""
        self.paused = False
        self._clear_file()
        self.stats.reset()

    async def stop(self) -> None:
        """The process ends: leave the print with its checkpoint on disk."""
        if self._task is not None and self.running:
            self.fail("The Marlin process was stopped during the print")
            self._save_checkpoint()
            _, pending = await asyncio.wait([self._task], timeout=2.0)
            if pending:
                self._task.cancel()
                await asyncio.wait([self._task])
        await self._checkpoints.flush()

    # What the line tells

    def acknowledged(self, token: Token) -> None:
        """The firmware has executed a command."""
        flight = self._in_flight
        if flight and flight[0][0] == token:
            _, self.position, self._line_number = flight.popleft()
            self._wake.set()

    def tick(self) -> None:
        """Called once a second."""
        if self.running:
            self._save_checkpoint()

    def _save_checkpoint(self) -> None:
        z = round(self._machine.motion.position[Z], 3)
        state, name = self.stats.state.value, self.stats.filename
        self._checkpoints.save(Checkpoint(name, self.size, self.position, self._line_number, state, z, time.time()))

    # The task

    async def _print(self, path: Path) -> None:
        try:
            async with GcodeFile(path, self._read_offset) as file:
                while lines := await file.lines():
                    await self._feed(lines)
            await self._line.drained()
            self._check_wish()
            await self._complete()
        except _Stopped:
            await self._end_stopped()
        except (HostError, OSError) as error:
            message = error.message if isinstance(error, HostError) else f"Reading the file failed: {error}"
            await self._end_failed(self._failure or message)
        except asyncio.CancelledError:
            self._conclude(JobState.ERROR, self._failure or "The print was stopped")
            raise
        except Exception:  # boundary: whatever is wrong in us, heaters go off and the user is told
            _LOGGER.exception("The print job failed")
            await self._end_failed("Internal error in the print job: see the log")
        finally:
            self._halted.set()

    async def _feed(self, lines: list[bytes]) -> None:
        index = 0
        while index < len(lines):
            await self._ready()
            filament = self._machine.motion.filament
            index = self._push(lines, index)
            if self._machine.motion.filament != filament:
                self.stats.extrude(self._machine.motion.filament - filament)
            if self._special is not None:
                command, self._special = self._special, None
                for text in await self._execute(command):
                    await self._ready()
                    self._machine.observe_line(text)
                    self._stream(text)

    async def _ready(self) -> None:
        """Wait until a line may be sent; grant what was wished for meanwhile."""
        while True:
            self._check_wish()
            if self._wish is Wish.PAUSE:
                await self._hold()
            elif not self._turn.busy and self._room() > 0:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    def _check_wish(self) -> None:
        if self._wish in (Wish.CANCEL, Wish.FAIL):
            raise _Stopped

    def _room(self) -> int:
        queued = len(self._in_flight) - self._line.protocol.outstanding_lines
        return min(self._line.can_accept(), AHEAD - queued)

    def _push(self, lines: list[bytes], index: int) -> int:
        """Send lines as far as there is room; return the index of the first that was not read.

        Stops behind a command that needs more than sending, and leaves it in `_special`.
        """
        room = self._room()
        observe_line = self._machine.motion.observe_line
        while room > 0 and index < len(lines):
            raw = lines[index]
            index += 1
            self._read_offset += len(raw)
            self._read_line += 1
            text = raw.decode("utf-8", "surrogateescape")
            comment = text.find(";")
            if comment >= 0:
                self.stats.layers.read_comment(text[comment:])
                if not comment:
                    continue
                text = text[:comment]
            text = text.strip()
            if not text:
                continue
            if _GCODE(text) and text.isprintable() and "*" not in text:
                if self._filter.active:
                    for part in self._filter.pass_on(text):
                        self._stream(part)
                        room -= 1
                    continue
                observe_line(text)
                self._stream(text)
                room -= 1
            elif self._other(raw.decode("utf-8", "surrogateescape"), text):
                room -= 1
            elif self._special is not None:
                break
        self._line.flush()
        return index

    def _other(self, whole: str, text: str) -> bool:
        """Send a line that is no plain G-code, or leave it in `_special`. Return whether it was sent."""
        command = parse(whole)
        if command is None:
            return False
        if not command.traditional or self._is_host_command(command.name):
            self._special = command
            return False
        clean = text if _MCODE(text) and text.isprintable() and "*" not in text else command.line
        if self._filter.active:
            for part in self._filter.pass_on(clean):
                self._stream(part)
            return True
        self._machine.observe(command)
        self._stream(clean)
        return True

    def _stream(self, text: str) -> None:
        try:
            token = self._line.stream(text)
        except ValueError:
            # Longer than the firmware's buffer: without its blanks it may fit, a text may be cut.
            token = self._stream_short(text)
        self._in_flight.append((token, self._read_offset, self._read_line))

    def _stream_short(self, text: str) -> Token:
        try:
            return self._line.stream(squeeze(text))
        except ValueError as error:
            raise CommandError(f"Line {self._read_line} of the file cannot be sent: {error}") from None

    async def _hold(self) -> None:
        """Pause: let what was sent be executed, save everything, wait for a wish."""
        await self._line.drained()
        await self._line.send("M400")
        self._check_wish()
        self._saved = Saved(self._machine)
        await self._park()
        self.stats.transition(JobState.PAUSED)
        self._save_checkpoint()
        self._halted.set()
        while self._wish is Wish.PAUSE:
            self._wake.clear()
            await self._wake.wait()

    # Endings

    async def _complete(self) -> None:
        self._console.raw("Done printing file")
        self.position = self.size
        self._progress_at_end = 1.0
        self.path = None
        self._machine.excluded.end()
        self.stats.transition(JobState.COMPLETE)
        await self._checkpoints.remove()

    async def _end_stopped(self) -> None:
        if self._wish is Wish.FAIL:
            await self._end_failed(self._failure)
            return
        try:
            await self._line.drained()
            await self._heaters_off()
        except HostError as error:
            await self._end_failed(error.message)
            return
        self._clear_file()
        self.stats.transition(JobState.CANCELLED)
        await self._checkpoints.remove()

    async def _end_failed(self, message: str) -> None:
        self._conclude(JobState.ERROR, message)
        self._save_checkpoint()
        try:
            await self._heaters_off()
        except HostError as error:
            _LOGGER.warning("Heaters could not be switched off: %s", error.message)

    def _conclude(self, state: JobState, message: str) -> None:
        self._in_flight.clear()
        self._machine.excluded.end()
        self._console.error(message)
        self.stats.transition(state, message)

    async def _heaters_off(self) -> None:
        if not self._line.connected:
            return
        for text in turn_off_heaters(None, self._machine):
            self._machine.observe_line(text)
            await self._line.send(text)

    def _clear_file(self) -> None:
        self.path, self.size, self.position, self._progress_at_end = None, 0, 0, 0.0
        self._machine.excluded.end()


def resolve(gcodes: Path, name: str) -> Path | None:
    """Return the regular file that a client's name means; None when there is none or it lies outside of `gcodes`."""
    parts = name.lstrip("/").split("/")
    if not name.isprintable() or any(part in ("", ".", "..") for part in parts):
        return None
    path = gcodes.joinpath(*parts)
    return path if path.is_file() else None


async def restore_all(saved: Saved, machine: Machine, send: Send) -> None:
    """Bring heaters, fans, position and modes back to what a pause saved. What did not change is not touched."""
    cold = [
        name
        for name, target in saved.targets.items()
        if name in machine.heaters and (machine.heaters[name].target or 0.0) < (target or 0.0)
    ]
    for wait in (False, True):
        for name in cold:
            await send(heater_command(name.rpartition(" ")[2], saved.targets[name] or 0.0, wait=wait))
    for fan, speed in saved.fans.items():
        if machine.motion.fans.get(fan) != speed:
            await send(f"M106 P{fan} S{round(speed * 255)}")
    await saved.modes.restore(machine.motion, send, move=True)


def _forget(future: asyncio.Future[tuple[str, ...]]) -> None:
    """Nobody waits for the answer; that it failed shows elsewhere."""
    if not future.cancelled():
        future.exception()
