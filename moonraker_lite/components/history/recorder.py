"""Turns changes of the tracker into rows and notifications, one after the other."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import Literal

import msgspec

from moonraker_lite.components.history.files import JobFiles, snapshot
from moonraker_lite.components.history.prints import LastPrint, Print, PrintStats
from moonraker_lite.components.history.store import JobRow, JobStore
from moonraker_lite.components.history.tracker import Began, Change, Ended, Idle, Resumed
from moonraker_lite.errors import HostError

_LOGGER = logging.getLogger(__name__)

NO_USER = "No User"
LIMIT = 256  # changes that may wait; a print makes two, so more means that the disk has hung for hours

Announce = Callable[[Literal["added", "finished"], JobRow], None]
"""Tells clients of a row."""


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a print is. `left_open`: the host stops now, the print goes on."""

    print: Print
    left_open: bool = False


class Recorder:
    """The only writer of the job tables. `job` is the id of the open row (or of one that may be opened again)."""

    def __init__(self, store: JobStore, files: JobFiles, announce: Announce) -> None:
        self._store = store
        self._files = files
        self._announce = announce
        self._queue: asyncio.Queue[tuple[Change | Checkpoint, str]] = asyncio.Queue(LIMIT)
        self.job: int | None = None
        self.running = False  # whether `job` is in progress
        self._unwritten: tuple[Print, str] | None = None  # a print whose row could not be made, and its user

    def put(self, change: Change | Checkpoint, user: str = NO_USER) -> None:
        """Record a change after those before it. `user` asked for the print that begins."""
        try:
            self._queue.put_nowait((change, user))
        except asyncio.QueueFull:
            _LOGGER.error("history is lost: the database does not take it (%s)", type(change).__name__)

    async def run(self) -> None:
        """Record what comes, for ever."""
        while True:
            change, user = await self._queue.get()
            try:
                await self._record(change, user)
            except (HostError, sqlite3.Error):
                _LOGGER.exception("history: %s cannot be recorded", type(change).__name__)
            finally:
                self._queue.task_done()

    async def drain(self) -> None:
        """Wait until all that was put is recorded."""
        await self._queue.join()

    async def _record(self, change: Change | Checkpoint, user: str) -> None:
        if self._unwritten is not None and isinstance(change, Ended | Checkpoint):
            await self._begin(*self._unwritten)  # the disk may have room again
        match change:
            case Began():
                await self._begin(change.print, user)
            case Ended():
                await self._end(change)
            case Resumed():
                await self._resume(change.print, user)
            case Idle():
                await self._store.set_last_print(change.last)
            case Checkpoint() if self.running and self.job is not None:
                await self._store.checkpoint(self.job, change.print, change.left_open)

    async def _begin(self, run: Print, user: str) -> None:
        self.job, self.running, self._unwritten = None, False, (run, user)
        metadata = await snapshot(self._files, run.filename)
        self.job = job = await self._store.add(run, user, metadata or b"{}")
        self.running, self._unwritten = True, None
        await self._tell("added", job)
        self._files.set_job(run.filename, job_id(job), run.start_time)

    async def _end(self, change: Ended) -> None:
        if self.job is None or not self.running:
            await self._store.set_last_print(LastPrint.of(change.stats))
            return
        job, self.running = self.job, False
        metadata = await snapshot(self._files, change.stats.filename)
        await self._store.end(job, change.status, change.stats, change.end_time, metadata, change.resumable)
        await self._tell("finished", job)

    async def _resume(self, run: Print, user: str) -> None:
        if self.job is not None and await self._store.reopen(self.job):
            self.running = True
        else:
            await self._begin(run, user)

    async def _tell(self, action: Literal["added", "finished"], job: int) -> None:
        row = await self._store.get(job)
        if row is not None:
            self._announce(action, row)


def job_id(number: int) -> str:
    """The id that clients know a row by."""
    return f"{number:06X}"


def live(row: JobRow, stats: PrintStats) -> JobRow:
    """The row of the running job with its latest figures."""
    return msgspec.structs.replace(
        row,
        print_duration=stats.print_duration,
        total_duration=stats.total_duration,
        filament_used=stats.filament_used,
    )
