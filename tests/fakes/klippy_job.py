"""The print job of the fake Klipper: virtual_sdcard, print_stats, pause_resume and what hangs on them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.fakes.klippy_printer import BUFFER_TIME, CommandError, Printer

EXTENSIONS = (".gcode", ".g", ".gco")
M73_LASTS = 5.0  # s after which display_status forgets the progress that M73 gave


class PrintJob:
    """Walks through one file of the gcodes folder, command by command."""

    def __init__(
        self,
        printer: Printer,
        gcodes: Path,
        lock: asyncio.Lock,
        run_line: Callable[[str], Awaitable[None]],
        output: Callable[[str], None],
    ) -> None:
        self._printer = printer
        self._gcodes = gcodes
        self._lock = lock  # scripts and the job take turns
        self._run_line = run_line
        self._output = output
        self._lines: list[tuple[bytes, int]] = []  # line, and the offset after it
        self._next = 0
        self._task: asyncio.Task[None] | None = None
        self._pausing = False
        self._started = 0.0
        self._extruding_since: float | None = None
        self._paused_at: float | None = None
        self._paused_time = 0.0
        self._m73 = (0.0, 0.0)  # progress, until when it counts
        self._filament_start = 0.0

    # -- what the commands do --------------------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def _sdcard(self) -> dict[str, object]:
        return self._printer.status["virtual_sdcard"]

    @property
    def _stats(self) -> dict[str, object]:
        return self._printer.status["print_stats"]

    def files(self) -> list[tuple[str, int]]:
        found = [p for p in self._gcodes.rglob("*") if p.suffix in EXTENSIONS and not p.name.startswith(".")]
        return sorted((str(p.relative_to(self._gcodes)), p.stat().st_size) for p in found)

    def load(self, filename: str) -> None:
        """Raises CommandError "SD busy" or "Unable to open file"."""
        if self.active:
            raise CommandError("SD busy")
        self.reset()
        wanted = filename.lstrip("/").lower()
        names = [name for name, _size in self.files() if name.lower() == wanted]
        if not names:
            raise CommandError("Unable to open file")
        path = self._gcodes / names[0]
        content = path.read_bytes()
        offset = 0
        for line in content.splitlines(keepends=True):
            offset += len(line)
            self._lines.append((line, offset))
        self._output(f"File opened:{names[0]} Size:{len(content)}")
        self._output("File selected")
        self._sdcard.update(file_path=str(path), file_size=len(content), file_position=0, progress=0.0)
        self._stats.update(filename=names[0])

    def reset(self) -> None:
        """Forget the file; print_stats goes back to standby."""
        self._lines = []
        self._next = 0
        self._extruding_since = self._paused_at = None
        self._paused_time = 0.0
        self._sdcard.update(file_path=None, progress=0.0, is_active=False, file_position=0, file_size=0)
        self._stats.update(filename="", total_duration=0.0, print_duration=0.0, filament_used=0.0)
        self._stats.update(state="standby", message="", info={"total_layer": None, "current_layer": None})
        self._printer.status["exclude_object"].update(objects=[], excluded_objects=[], current_object=None)

    def start(self) -> None:
        """Begin or go on with the loaded file."""
        if self.active:
            raise CommandError("SD busy")
        now = self._printer.clock()
        if self._next == 0:
            self._started = now
            self._filament_start = self._printer.position[3]
        if self._paused_at is not None:
            self._paused_time += now - self._paused_at
            self._paused_at = None
        self._pausing = False
        self._stats.update(state="printing")
        self._sdcard.update(is_active=True)
        self._task = asyncio.create_task(self._work(), name="fake print job")

    async def pause(self) -> None:
        """Stop after the command that runs now."""
        if self._task is None or self._task is asyncio.current_task():
            self._pausing = True
            return
        self._pausing = True
        if not self._task.done():
            await asyncio.wait({self._task})

    def note_paused(self) -> None:
        if self._stats["state"] == "printing":
            self._paused_at = self._printer.clock()
            self._stats.update(state="paused")

    async def cancel(self) -> None:
        await self.pause()
        had_file = self._sdcard["file_path"] is not None
        self._lines = []
        self._next = 0
        self._sdcard.update(file_path=None, progress=0.0, is_active=False, file_position=0, file_size=0)
        if had_file:
            self._update_durations()
            self._stats.update(state="cancelled")

    def set_progress(self, percent: float) -> None:
        until = self._printer.clock() + M73_LASTS / self._printer.speed
        self._m73 = (min(1.0, max(0.0, percent / 100)), until)

    def abort(self, message: str) -> None:
        """The printer was shut down."""
        if self._task is not None:
            self._task.cancel()
        if self._stats["state"] in ("printing", "paused"):
            self._sdcard.update(is_active=False)
            self._stats.update(state="error", message=message)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    # -- what time does --------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        if self._stats["state"] in ("printing", "paused"):
            self._update_durations()
        progress, until = self._m73
        if self._printer.clock() > until:
            progress = float(str(self._sdcard["progress"]))
        self._printer.status["display_status"]["progress"] = progress

    def note_extrusion(self) -> None:
        """The first one starts print_duration."""
        if self.active and self._extruding_since is None:
            self._extruding_since = self._printer.clock()

    def _update_durations(self) -> None:
        now = self._printer.clock()
        self._stats["total_duration"] = now - self._started
        self._stats["filament_used"] = self._printer.position[3] - self._filament_start
        if self._extruding_since is not None:
            end = now if self._paused_at is None else self._paused_at
            self._stats["print_duration"] = end - self._extruding_since - self._paused_time

    async def _work(self) -> None:
        try:
            while self._next < len(self._lines) and not self._pausing:
                if await self._my_turn():
                    await self._step()
        except CommandError as exc:
            self._output("!! " + str(exc).strip().split("\n")[0])
            self._update_durations()
            self._sdcard.update(is_active=False)
            self._stats.update(state="error", message=str(exc))
            for heater in ("extruder", "heater_bed"):
                self._printer.set_target(heater, 0.0)
            return
        self._sdcard.update(is_active=False)
        if self._pausing and self._next < len(self._lines):
            self.note_paused()
        else:
            self._finish()

    async def _my_turn(self) -> bool:
        """Take the lock. A script that holds it may be a PAUSE that waits for us, so never wait for it for long."""
        try:
            async with asyncio.timeout(0.02):
                return await self._lock.acquire()
        except TimeoutError:
            return False

    async def _step(self) -> None:
        line, offset = self._lines[self._next]
        try:
            await self._run_line(line.decode("utf-8", "replace"))
        finally:
            self._lock.release()
        await self._printer.wait_motion(BUFFER_TIME)
        await asyncio.sleep(0)
        self._next += 1
        size = self._lines[-1][1] if self._lines else 1
        self._sdcard.update(file_position=offset, progress=offset / max(1, size))

    def _finish(self) -> None:
        self._update_durations()
        self._output("Done printing file")
        self._sdcard.update(file_path=None, progress=1.0)
        self._stats.update(state="complete")
        self._lines = []
        self._next = 0
