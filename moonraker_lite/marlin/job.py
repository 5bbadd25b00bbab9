"""The print job: a file on its way to the firmware, that can be paused, resumed, cancelled, and can fail.

One task feeds the file to the `Streamer`; what others want of the job is a wish, granted at the next line.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from moonraker_lite.errors import HostError
from moonraker_lite.marlin.checkpoint import Checkpoint, CheckpointFile
from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.gcode.motion import Z
from moonraker_lite.marlin.gcode.reader import GcodeFile
from moonraker_lite.marlin.gcode.translate import turn_off_heaters
from moonraker_lite.marlin.gcode.turn import ScriptTurn
from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.gcode_folder import file_size, resolve
from moonraker_lite.marlin.print_stats import RUNNING, JobState, PrintStats
from moonraker_lite.marlin.protocol import Token
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.saved import Saved, Send
from moonraker_lite.marlin.state import Machine
from moonraker_lite.marlin.streamer import JobLine, Streamer
from moonraker_lite.marlin.waiting import forget, unless_set

_LOGGER = logging.getLogger(__name__)

# A temperature report of M109 or M190 this young means that one of them is still waiting.
HEATING_WAIT = 3.0
# How long the firmware may take to switch its heaters off at the end of a print.
HEATERS_OFF = 30.0

# Runs a command that is not for the firmware as it stands; returns the lines to send instead of it.
Execute = Callable[[Command], Awaitable[list[str]]]


class Wish(enum.Enum):
    """What the user (or a failure) wants of a running job; the job grants it at the next line."""

    GO_ON = "go on"
    PAUSE = "pause"
    CANCEL = "cancel"
    FAIL = "fail"


class _Stopped(Exception):
    """Leaves the file: cancelled or failed."""


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
        self.size = 0
        self.gcodes = gcodes
        self._machine = machine
        self._line = line
        self._console = console
        self._turn = turn
        self._checkpoints = checkpoints
        self._execute = execute
        self._park = park
        self._streamer = Streamer(machine, line, self.stats, is_host_command, console.info)
        self._task: asyncio.Task[None] | None = None
        self._wish = Wish.GO_ON
        self._failure = ""
        self._wake = asyncio.Event()
        self._halted = asyncio.Event()
        self._failed = asyncio.Event()
        self._saved: Saved | None = None
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
    def position(self) -> int:
        """Bytes of the file that the firmware has acknowledged."""
        return self._streamer.position

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
        path = resolve(self.gcodes, name)
        size = file_size(path) if path else None
        if path is None or size is None:
            raise CommandError("Unable to open file")
        relative = path.relative_to(self.gcodes).as_posix()
        self._console.raw(f"File opened:{relative} Size:{size}")
        self._console.raw("File selected")
        self.path, self.size = path, size
        self._streamer.begin(0)
        self._progress_at_end = 0.0
        self.stats.reset(relative)
        self._machine.excluded.reset()
        self._machine.display.forget_progress()

    async def unload(self) -> None:
        """Forget the file; a running print is cancelled."""
        if self.printing and asyncio.current_task() is self._task:
            raise CommandError("SDCARD_RESET_FILE cannot be run from the file that is printed")
        await self.cancel()
        await self.ended()
        self._clear_file()
        self.stats.reset()
        self._machine.excluded.reset()

    def seek(self, position: int) -> None:
        """Choose where printing begins (M26)."""
        if self.printing:
            raise CommandError("SD busy")
        self._streamer.begin(min(max(position, 0), self.size))

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
        self._streamer.begin(self.position)
        self._halted.clear()
        self._failed.clear()
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
            await self._saved.restore(self._machine, send)
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
        if self._wish is not Wish.FAIL:
            self._wish = Wish.CANCEL
        self._wake.set()
        self._break_heating_wait()
        if asyncio.current_task() is not self._task:
            await asyncio.wait([self._task])
        return True

    def fail(self, message: str) -> None:
        """Something happened that ends the print: the firmware halted or was reset, the link was lost."""
        if self.running and self._wish is not Wish.FAIL:
            self._wish, self._failure = Wish.FAIL, message
            self._failed.set()
            self._wake.set()

    async def ended(self) -> None:
        """Wait until a job that ends has done all that it does then, such as switching the heaters off."""
        ending = not self.running or self.stopping
        if ending and self._task is not None and asyncio.current_task() is not self._task:
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
        if self._streamer.acknowledged(token):
            self._wake.set()

    def tick(self) -> None:
        """Called once a second."""
        if self.running:
            self._save_checkpoint()

    def _save_checkpoint(self) -> None:
        z = round(self._machine.motion.position[Z], 3)
        state, name = self.stats.state.value, self.stats.filename
        self._checkpoints.save(
            Checkpoint(name, self.size, self.position, self._streamer.line_number, state, z, time.time())
        )

    # The task

    async def _print(self, path: Path) -> None:
        try:
            with GcodeFile(path, self.position) as file:
                while lines := await file.lines():
                    await self._feed(lines)
            if self._wish is Wish.PAUSE:
                await self._hold()
            await self._unless_failed(self._line.drained())
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
        streamer, index = self._streamer, 0
        while index < len(lines):
            await self._ready()
            index = streamer.push(lines, index)
            if streamer.special is not None:
                command, streamer.special = streamer.special, None
                for text in await self._execute(command):
                    await self._ready()
                    streamer.send(text)

    async def _ready(self) -> None:
        """Wait until a line may be sent; grant what was wished for meanwhile."""
        while True:
            self._check_wish()
            if self._wish is Wish.PAUSE:
                await self._hold()
            elif not self._turn.busy and self._streamer.room() > 0:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _unless_failed(self, work: Awaitable[object]) -> None:
        """Wait for the firmware, but not when the print has failed: it may never answer. Raise _Stopped then."""
        if not await unless_set(work, self._failed):
            raise _Stopped

    def _check_wish(self) -> None:
        if self._wish in (Wish.CANCEL, Wish.FAIL):
            raise _Stopped

    async def _hold(self) -> None:
        """Pause: let what was sent be executed, save everything, wait for a wish."""
        await self._unless_failed(self._line.drained())
        await self._unless_failed(self._line.send("M400"))
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
        self._streamer.position = self.size
        self._progress_at_end = 1.0
        self.path = None
        self.paused = False
        self._machine.excluded.end()
        self.stats.transition(JobState.COMPLETE)
        await self._checkpoints.remove()

    async def _end_stopped(self) -> None:
        if self._wish is Wish.FAIL:
            await self._end_failed(self._failure)
            return
        try:
            await self._unless_failed(self._line.drained())
            await self._heaters_off()
        except _Stopped:
            await self._end_failed(self._failure)
            return
        except (HostError, TimeoutError) as error:
            await self._end_failed(self._failure or str(error) or "The printer did not switch its heaters off")
            return
        self._clear_file()
        self.stats.transition(JobState.CANCELLED)
        await self._checkpoints.remove()

    async def _end_failed(self, message: str) -> None:
        self._conclude(JobState.ERROR, message)
        self._save_checkpoint()
        try:
            await self._heaters_off()
        except (HostError, TimeoutError) as error:
            _LOGGER.warning("Heaters could not be switched off: %s", error)

    def _conclude(self, state: JobState, message: str) -> None:
        self._streamer.forget()
        self.paused = False
        self._machine.excluded.end()
        self._console.error(message)
        self.stats.transition(state, message)

    async def _heaters_off(self) -> None:
        if not self._line.connected:
            return
        self._break_heating_wait()
        async with asyncio.timeout(HEATERS_OFF):
            for text in turn_off_heaters(None, self._machine):
                self._machine.observe_line(text)
                await self._line.send(text)

    def _break_heating_wait(self) -> None:
        """End an M109 or M190 that still waits; everything else would wait behind it."""
        if self._line.connected and self._machine.clock() - self._machine.heating_wait_at < HEATING_WAIT:
            self._line.send("M108", emergency=True).add_done_callback(forget)

    def _clear_file(self) -> None:
        self.path, self.size, self._progress_at_end = None, 0, 0.0
        self._streamer.begin(0)
        self._machine.excluded.end()
