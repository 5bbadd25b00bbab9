"""Passes over all moves, for records whose files do not state everything: in the background, and gently.

A record that waits for its pass is `partial`; the pass makes it `complete`, whether it found something or not.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from moonraker_lite.components.file_manager.background import Background
from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.metadata import MetadataState, completed
from moonraker_lite.components.file_manager.worker import NotScanned, ScanFailed, ScanWorker
from moonraker_lite.tasks import TaskOwner

if TYPE_CHECKING:
    from moonraker_lite.components.file_manager.library import Library

SLICE = 250  # records that are looked at before others may use the loop
RETRY_SECONDS = 60.0  # s until what failed for no fault of the file is tried again


class MovePasses:
    """`pace` is the part of the time that they may take while the printer prints or files come in; 0 makes them
    wait."""

    def __init__(self, library: Library, worker: ScanWorker, *, enabled: bool, pace: float) -> None:
        self.enabled = enabled
        self._library = library
        self._worker = worker
        self._pace = pace
        self._busy: set[str] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._tasks = TaskOwner("moves")
        self._queue = Background(self._pass, self.begin)

    def begin(self) -> None:
        """Look for records that an earlier run left partial."""
        self._tasks.spawn(self._sweep(list(self._library.book.paths())), "sweep")

    async def _sweep(self, paths: list[str]) -> None:
        book = self._library.book
        for number, path in enumerate(paths, 1):
            record = book.get(path)
            if record is not None and record.state is MetadataState.PARTIAL:
                if self.enabled:
                    self._queue.add(path)
                else:
                    book.put(path, completed(record, {}))
            if number % SLICE == 0:
                await asyncio.sleep(0)

    async def close(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        await self._tasks.close()
        await self._queue.close()

    def busy(self, reason: str, *, is_so: bool) -> None:
        """Something more important has begun or ended."""
        (self._busy.add if is_so else self._busy.discard)(reason)
        self._worker.set_pace(self._pace if self._busy else 1.0)

    def ask(self, path: str, *, urgent: bool = False) -> None:
        """Have the moves of a file followed. `urgent`: somebody is looking at it."""
        if self.enabled:
            self._queue.add(path, urgent=urgent)

    def drop(self, path: str) -> None:
        """A file is gone or has changed."""
        if path in self._queue:
            self._queue.drop(path)

    async def _pass(self, path: str) -> None:
        library, place = self._library, Place("gcodes", path)
        record, entry = library.book.get(path), library.index.entry(place)
        folder = library.index.folder(place.parent)
        if record is None or entry is None or folder is None or record.state is not MetadataState.PARTIAL:
            return
        if not record.matches(entry):
            return  # it is scanned again
        try:
            found = await self._worker.follow_moves(f"{folder.real}/{place.name}")
        except NotScanned:
            if self._retry is None:
                self._retry = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._again)
            return
        except ScanFailed:
            found = {}
        await library.settle()
        record, entry = library.book.get(path), library.index.entry(place)
        if record is None or entry is None or not record.matches(entry) or record.state is not MetadataState.PARTIAL:
            return  # it was moved, removed or written meanwhile; then it has been asked for again
        library.book.put(path, completed(record, found))
        library.metadata_completed(place)

    def _again(self) -> None:
        self._retry = None
        self.begin()
