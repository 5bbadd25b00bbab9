"""The print job: a file on its way to the firmware, that can be paused, resumed, cancelled, and can fail.

One task feeds the file to the `Streamer`; what others want of the job is a wish, granted at the next line.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from moonraker_lite.errors import HostError
from moonraker_lite.marlin.card_print import CardPrint
from moonraker_lite.marlin.checkpoint import Checkpoint, CheckpointFile
from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.cooling import Cooling
from moonraker_lite.marlin.feeder import Execute, Feeder
from moonraker_lite.marlin.gcode.outlines import define, find_outlines
from moonraker_lite.marlin.gcode.turn import ScriptTurn
from moonraker_lite.marlin.job_files import JobFiles
from moonraker_lite.marlin.print_stats import RUNNING, JobState, PrintStats
from moonraker_lite.marlin.protocol import Token
from moonraker_lite.marlin.recorder import Recorder
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.saved import Saved, Send
from moonraker_lite.marlin.sdcard import CardFile
from moonraker_lite.marlin.state import Machine
from moonraker_lite.marlin.streamer import JobLine, Streamer
from moonraker_lite.marlin.waiting import forget
from moonraker_lite.marlin.wishes import Stopped, Wish, Wishes

_LOGGER = logging.getLogger(__name__)

# How long the firmware may take to switch its heaters off at the end of a print.
HEATERS_OFF = 30.0
# So long a pause may take on a bad line before the print shows as paused.
PAUSE_PATIENCE = 10.0
# What `print_stats.message` says while the firmware waits for somebody.
USER_WAIT = "The printer waits for an answer: look at its display, or at the dialog"
# How long a print may take to end when the process ends.
ENDING = 2.0
# What `print_stats.message` says while the link to the printer is away.
LINK_LOST = "link lost"


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
        # The print waits for the link, and not for the user.
        self.link_away = False
        # Why the print stands still and cannot be resumed where it is; its rest can be printed from the checkpoint.
        self.interrupted = ""
        # Whether a resumed print gets its filament back; macros of the owner do that by themselves.
        self.refills: Callable[[], bool] = lambda: True
        self.on_interrupted: Callable[[Checkpoint], None] = lambda point: None
        # What the owner wants done before the first line of a file.
        self.prepare: Callable[[], Awaitable[None]] = _nothing
        self._from_start = True
        # The firmware waits for somebody, and the print with it.
        self.held = False
        self.path: Path | None = None
        self.size = 0
        self.gcodes = gcodes
        self.files = JobFiles(gcodes)
        self._machine = machine
        self._line = line
        self._console = console
        self._turn = turn
        self._checkpoints = checkpoints
        self._park = park
        self.cooling = Cooling(machine, line)
        # A file on the printer's own SD card, and the print from it.
        self._card_file: CardFile | None = None
        self._card_print: CardPrint | None = None
        self._streamer = Streamer(machine, line, self.stats, is_host_command, console.info)
        self._recorder = Recorder(machine, self._streamer, self.stats, checkpoints)
        self._task: asyncio.Task[None] | None = None
        self._survey: asyncio.Task[None] | None = None
        self._wishes = Wishes()
        self._feeder = Feeder(self._streamer, turn, self._wishes, execute, self._grant_wishes)
        self._halted = asyncio.Event()
        # The script that asked for the pause has the turn until the head stands still.
        self._paused_by_script = False
        self._pause_message = ""
        # Since when the line is too bad, and whether a pause is being carried out.
        self._trouble_at: float | None = None
        self._pausing = False
        self._saved: Saved | None = None
        # What makes the print fail leaves it such that its rest can be printed.
        self._resumable = False
        self._progress_at_end = 0.0
        turn.on_idle = self._wishes.wake.set

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
        return self._wishes.stopping

    def override(self, words: frozenset[str]) -> None:
        """These words of the firmware are macros from now on."""
        self._streamer.overridden = frozenset(word for word in words if word[0] == "G")

    def is_current_task(self) -> bool:
        """Whether it is the file being printed that asks."""
        return self._task is not None and asyncio.current_task() is self._task

    @property
    def moves_under_way(self) -> int:
        """Lines of the file that were sent and are not acknowledged."""
        return self._streamer.moves_under_way

    @property
    def on_card(self) -> bool:
        """The file is on the printer's own SD card: its lines are not seen here."""
        return self._card_print is not None

    @property
    def blocked(self) -> bool:
        """A command of the file keeps the firmware from everything else: homing, heating, waiting for a human."""
        return self._streamer.blocked

    @property
    def position(self) -> int:
        """Bytes of the file that the firmware has acknowledged."""
        return self._card_print.position if self._card_print is not None else self._streamer.position

    @property
    def progress(self) -> float:
        return min(self.position / self.size, 1.0) if self.size else self._progress_at_end

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
        file = self.files.find(name)
        self._console.raw(f"File opened:{file.name} Size:{file.size}")
        self._console.raw("File selected")
        self.path, self.size = file.path, file.size
        self._card_file, self._card_print = file.on_card, None
        self._streamer.begin(0)
        self._progress_at_end = 0.0
        self.stats.reset(file.name)
        self._forget_objects()
        self._machine.display.forget_progress()

    async def unload(self) -> None:
        """Forget the file; a running print is cancelled."""
        if self.printing and asyncio.current_task() is self._task:
            raise CommandError("SDCARD_RESET_FILE cannot be run from the file that is printed")
        if self.interrupted:
            await self.give_up()
        await self.cancel()
        await self.ended()
        self._clear_file()
        self.stats.reset()
        self._forget_objects()

    def _forget_objects(self) -> None:
        self._machine.excluded.reset()
        self._machine.labels.reset()

    async def _define_objects(self, path: Path) -> None:
        """Frontends want to know the objects of a file before they are printed."""
        try:
            outlines = await asyncio.get_running_loop().run_in_executor(None, find_outlines, path)
        except OSError:
            return  # the print itself will tell
        if self.path == path and self.running:
            define(self._machine.excluded, outlines)

    def seek(self, position: int) -> None:
        """Choose where printing begins (M26)."""
        if self.printing:
            raise CommandError("SD busy")
        self._streamer.begin(min(max(position, 0), self.size))

    def start(self, *, whole: bool = True) -> None:
        """Print the selected file from `position`. Raise CommandError when printing or nothing is selected.

        `whole`: it has not been begun before, so the owner's start script comes first.
        """
        if self.running:
            raise CommandError("SD busy")
        if self.path is None and self._card_file is None:
            return
        if self.stats.state is not JobState.STANDBY:
            self.stats.reset(self.stats.filename)
        self._wishes.begin()
        self._from_start = whole
        self.paused = self.link_away = self.held = False
        self._pause_message = ""
        self._trouble_at = None
        self._saved = None
        self._streamer.begin(self.position)
        self._halted.clear()
        self._resumable = False
        self.stats.transition(JobState.PRINTING)
        if self._card_file is not None:
            self._card_print = CardPrint(self._line, self._card_file, self._wishes)
        elif self.path is not None:
            self._recorder.begin(self.path, self.size)
            self._survey = asyncio.create_task(self._define_objects(self.path), name="looking for objects in the file")
        self._task = asyncio.create_task(self._print(), name="print job")

    # Wishes

    async def pause(self) -> bool:
        """Stop at the next line and wait until the head stands still. Return False when nothing is being printed.

        A script that calls this has the turn; the file being printed has not.
        """
        self.paused = True
        if self.link_away or self.held:
            self.request_pause()
            return True
        if not self.printing:
            return False
        if asyncio.current_task() is self._task:
            self.request_pause()
            # What a macro of the file does from here on, such as parking, is not what a resume returns to.
            self._saved = Saved(self._machine)
            return True
        self._paused_by_script = True
        try:
            self.request_pause()
            self._wishes.wake.set()
            await self._halted.wait()
        finally:
            self._paused_by_script = False
        return True

    def request_pause(self, message: str = "") -> None:
        """Ask for a pause without waiting for it; `message` tells the user why."""
        if (self.printing or self.link_away or self.held) and self._wishes.pause():
            self.paused = True
            self._pause_message = message

    def pause_for_trouble(self, message: str) -> None:
        """The line is so bad that somebody should look at the cable. It may be too bad even for what a pause sends:
        then the print shows as paused nevertheless, and the rest of the pause follows when the line permits."""
        self.request_pause(message)
        self._trouble_at = self._machine.clock()

    def show_pause(self) -> None:
        """Called once a second."""
        late = self._trouble_at is not None and self._machine.clock() - self._trouble_at > PAUSE_PATIENCE
        if late and self._pausing and self.printing:
            self.stats.transition(JobState.PAUSED, self._pause_message)

    def link_lost(self) -> None:
        """The link is away and its session is kept: what is under way is settled when it is back."""
        if self.printing:
            self.link_away = True
            self.stats.transition(JobState.PAUSED, LINK_LOST)

    def link_back(self) -> None:
        """The firmware goes on where it was, and so does the print."""
        if self.link_away and self.stats.state is JobState.PAUSED:
            self.stats.transition(JobState.PRINTING)
        self.link_away = False
        self._wishes.wake.set()

    def user_waits(self, waiting: bool) -> None:
        """The firmware holds the print up until somebody at the printer has answered it, or goes on."""
        if waiting and self.printing and not self.link_away:
            self.held = self.paused = True
            self.stats.transition(JobState.PAUSED, USER_WAIT)
        elif not waiting and self.held:
            self.held = False
            self.paused = self._wishes.current is Wish.PAUSE
            if self.stats.state is JobState.PAUSED and not self.link_away:
                self.stats.transition(JobState.PRINTING)
            self._wishes.wake.set()

    async def resume(self, send: Send) -> bool:
        """Restore what the pause saved, by `send`, and print on. Return False when nothing is paused."""
        self.paused = False
        if not self.running or self._wishes.current is not Wish.PAUSE:
            return False
        if self.printing:
            # The pause was waiting for the turn of the script that resumes: it is taken back.
            self._wishes.resume()
            return True
        if self._saved is not None:
            await self._saved.restore(self._machine, send, refill=self.refills())
            self._saved = None
        self._recorder.release_targets()
        if self.link_away:
            self._wishes.resume()
        elif self.stats.state is JobState.PAUSED and self._wishes.current is Wish.PAUSE:
            self._halted.clear()
            self.stats.transition(JobState.PRINTING)
            self._wishes.resume()
        return True

    async def cancel(self) -> bool:
        """Stop at the next line, heaters off, file unloaded. Return False when nothing is printed or paused."""
        self.paused = False
        if not self.running or self._task is None:
            return False
        if self.interrupted:
            await self._cancel_interrupted()
            return True
        self._wishes.cancel()
        self.cooling.break_wait()
        if asyncio.current_task() is not self._task:
            await asyncio.wait([self._task])
        return True

    def fail(self, message: str, *, resumable: bool = False) -> None:
        """Something happened that ends the print: the firmware halted or was reset, the link was lost.

        Where it is `resumable` the print stays paused instead, as `interrupted`.
        """
        if self.running and not self.interrupted and self._wishes.fail(message):
            self._resumable = resumable

    async def give_up(self) -> None:
        """An interrupted print will not go on as it is; its checkpoint stays."""
        if self.interrupted:
            self.interrupted = ""
            self.paused = False
            self.stats.transition(JobState.ERROR, self.stats.message)

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

    async def abandon(self, message: str, patience: float) -> None:
        """Let the print fail, and wait for its end no longer than `patience` seconds, whatever the firmware does."""
        await self.give_up()
        if self._task is None:
            return
        self.fail(message)
        _, pending = await asyncio.wait([self._task], timeout=patience)
        if pending:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """The process ends: leave the print with its checkpoint on disk."""
        if self.running:
            if self.printing and self._line.connected:
                # Heaters must not wait for the moves that have been sent.
                self._line.send("M410", emergency=True).add_done_callback(forget)
            await self.abandon("The Marlin process was stopped during the print", ENDING)
            if self._card_print is None:
                self._recorder.save()
        if self._survey is not None:
            await asyncio.wait([self._survey])
        await self._checkpoints.flush()

    # What the line tells

    def acknowledged(self, token: Token, replies: tuple[str, ...]) -> None:
        """The firmware has executed a command."""
        if self._streamer.acknowledged(token, replies):
            if self.held:
                self.user_waits(False)
            self._wishes.wake.set()

    # The task

    async def _print(self) -> None:
        try:
            await self._print_file()
        except Exception:  # boundary: something is wrong in us at the end of a print
            _LOGGER.exception("The print job failed")
        finally:
            if self.running and not self.interrupted:
                self._conclude(JobState.ERROR, self._wishes.failure or "The print was stopped")
            self._recorder.end()
            self._halted.set()

    async def _print_file(self) -> None:
        try:
            if self._card_print is not None:
                await self._card_print.run(self._card_paused, self._card_resumed)
            elif self.path is not None:
                await self._print_from_disk(self.path)
        except Stopped:
            await self._end_stopped()
        except (HostError, OSError) as error:
            message = error.message if isinstance(error, HostError) else f"Reading the file failed: {error}"
            await self._end_failed(self._wishes.failure or message)
        except Exception:  # boundary: whatever is wrong in us, heaters go off and the user is told
            _LOGGER.exception("The print job failed")
            await self._end_failed("Internal error in the print job: see the log")
        else:
            await self._complete()

    async def _print_from_disk(self, path: Path) -> None:
        if self._from_start:
            await self.prepare()
        await self._feeder.send_file(path, self.position)
        await self._grant_wishes()
        await self._wishes.unless_failed(self._line.drained())
        self._wishes.check()

    def _card_paused(self) -> None:
        if self.printing:
            self.stats.transition(JobState.PAUSED, self._pause_message)
        self._pause_message = ""
        self._halted.set()

    def _card_resumed(self) -> None:
        self.paused = False
        if self.stats.state is JobState.PAUSED:
            self.stats.transition(JobState.PRINTING)

    async def _grant_wishes(self) -> None:
        """Pause, for as long as that is wished. Raise Stopped when the print is to end."""
        self._wishes.check()
        while self._wishes.current is Wish.PAUSE:
            if self.printing and self._paused_by_script:
                await self._pause()
            elif self.printing and not self._turn.busy:
                # What a script sets for its own moves must not be taken for the file's.
                async with self._turn.script():
                    await self._pause()
            self._wishes.wake.clear()
            if self._wishes.current is Wish.PAUSE:
                await self._wishes.wake.wait()
            self._wishes.check()

    async def _pause(self) -> None:
        self._pausing = True
        try:
            await self._halt()
        finally:
            self._pausing = False
            self._trouble_at = None

    async def _halt(self) -> None:
        """Let what was sent be executed, and save everything."""
        await self._wishes.unless_failed(self._line.drained())
        await self._wishes.unless_failed(self._line.send("M400"))
        self._wishes.check()
        self._saved = self._saved or Saved(self._machine)
        self._recorder.keep_targets()
        await self._park()
        if self.printing:
            self.stats.transition(JobState.PAUSED, self._pause_message)
        self._pause_message = ""
        self._recorder.save()
        self._halted.set()

    # Endings

    async def _complete(self) -> None:
        self._console.raw("Done printing file")
        self._streamer.end(self.size)
        self._progress_at_end = 1.0
        self.path = self._card_file = self._card_print = None
        self.paused = False
        self._machine.excluded.end()
        self.stats.transition(JobState.COMPLETE)
        self._recorder.end()
        await self._checkpoints.remove()

    async def _end_stopped(self) -> None:
        if self._wishes.current is Wish.FAIL:
            await self._end_failed(self._wishes.failure)
            return
        try:
            if self._line.connected:
                await self._wishes.unless_failed(self.cooling.without_waits(self._line.drained()))
            await self.cooling.switch_off(HEATERS_OFF)
        except Stopped:
            await self._end_failed(self._wishes.failure)
            return
        except (HostError, TimeoutError) as error:
            await self._end_failed(self._wishes.failure or str(error) or "The printer did not switch its heaters off")
            return
        self.paused = False
        self._clear_file()
        self.stats.transition(JobState.CANCELLED)
        self._recorder.end()
        await self._checkpoints.remove()

    async def _end_failed(self, message: str) -> None:
        if self._card_print is not None:
            self._conclude(JobState.ERROR, message)
            await self._cool()
            return
        self._recorder.keep_targets()
        if self._resumable and self._wishes.current is Wish.FAIL:
            self._interrupt(message)
        else:
            self._conclude(JobState.ERROR, message)
        self._recorder.save()
        if self.interrupted:
            self.on_interrupted(self._recorder.checkpoint())
        await self._cool()
        self._recorder.save()

    async def _cool(self) -> None:
        try:
            await self.cooling.switch_off(HEATERS_OFF)
        except (HostError, TimeoutError) as error:
            _LOGGER.warning("Heaters could not be switched off: %s", error)

    def _interrupt(self, message: str) -> None:
        self.interrupted = message
        self.paused = True
        self.link_away = False
        self._console.error(message)
        if self.printing:
            self.stats.transition(JobState.PAUSED, message)
        self.stats.message = message

    async def _cancel_interrupted(self) -> None:
        self.interrupted = ""
        await self._cool()
        self._clear_file()
        self.stats.transition(JobState.CANCELLED)
        await self._checkpoints.remove()

    def _conclude(self, state: JobState, message: str) -> None:
        self.paused = False
        self._machine.excluded.end()
        self._console.error(message)
        self.stats.transition(state, message)

    def _clear_file(self) -> None:
        self.path, self.size, self._progress_at_end = None, 0, 0.0
        self._card_file = self._card_print = None
        self._streamer.begin(0)
        self._machine.excluded.end()


async def _nothing() -> None:
    """Nothing has to be prepared."""
