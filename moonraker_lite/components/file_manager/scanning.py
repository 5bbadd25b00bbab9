"""When files are scanned and what becomes of the results."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.index import Entry
from moonraker_lite.components.file_manager.listing import seconds
from moonraker_lite.components.file_manager.metadata import Metadata, changed, make
from moonraker_lite.components.file_manager.names import THUMBS, is_scanned
from moonraker_lite.components.file_manager.scans import ScanQueue, Urgency
from moonraker_lite.components.file_manager.types import MetadataChanged
from moonraker_lite.components.file_manager.worker import ScanFailed, ScanWorker
from moonraker_lite.events import Events

if TYPE_CHECKING:
    from moonraker_lite.components.file_manager.library import Library


class Scanning:
    """Knows which files need metadata, gets it, and keeps the records in step with the files."""

    def __init__(self, library: Library, worker: ScanWorker, events: Events) -> None:
        self._library = library
        self._worker = worker
        self._events = events
        self._failed: dict[str, tuple[int, int, str]] = {}
        self._forced: set[str] = set()
        self._silent: set[str] = set()
        self.unpack: Callable[[Place], Awaitable[bool]] | None = None  # replaces a container by its print
        self._queue = ScanQueue(self._scan, self.begin)

    def begin(self) -> None:
        """Scan all files that are not known yet, when there is nothing more urgent."""
        for path, _ in self._library.index.files("gcodes"):
            if self.wanted(Place("gcodes", path)):
                self._queue.add(path, Urgency.OLD)

    async def close(self) -> None:
        await self._queue.close()
        await self._worker.close()

    def warm(self) -> None:
        """A file is on its way: have the scanner ready when it is there."""
        self._worker.warm()

    # -- asking ----------------------------------------------------------------------------------------------------

    def wanted(self, place: Place) -> bool:
        """Whether a file of the gcodes root needs a scan: G-code with content and without a record of just that."""
        path = place.path
        if not is_scanned(path) or (entry := self._library.index.entry(place)) is None:
            return False
        record = self._library.book.get(path)
        if entry.size == 0 or entry.reserved:
            if record is not None and not record.matches(entry):
                self.forget(path)
            return False
        if record is not None and record.matches(entry):
            return False
        failed = self._failed.get(path)
        return failed is None or failed[:2] != (entry.size, entry.mtime_ns)

    def ask(self, path: str) -> None:
        """Have a file scanned that is new or has changed."""
        self._queue.add(path, Urgency.NEW)

    def under_way(self, path: str) -> bool:
        """Whether a scan of this file will end soon."""
        return path in self._queue

    def under_way_below(self, folder: str) -> bool:
        """Whether files below this folder are being scanned or will be."""
        return self._queue.has_below(f"{folder}/")

    async def wait(self, path: str) -> None:
        """Return when a scan that is under way has ended."""
        await self._queue.wait(path)

    async def scan(self, path: str, *, force: bool = False) -> None:
        """Return when the file has been scanned, if it needs it or if forced. Whoever asks tells clients of the file.

        Raises:
            ScanFailed: there is no metadata now, although it was forced.
        """
        if not force and not self.wanted(Place("gcodes", path)):
            return
        self._silent.add(path)
        if force:
            self._forced.add(path)
            self._failed.pop(path, None)
        await self._queue.wait(path)
        if force and (failed := self._failed.get(path)) is not None:
            raise ScanFailed(failed[2])

    async def _scan(self, path: str) -> None:
        library, place = self._library, Place("gcodes", path)
        forced, silent, taken = path in self._forced, path in self._silent, False
        self._forced.discard(path)
        self._silent.discard(path)
        entry, folder = library.index.entry(place), library.index.folder(place.parent)
        if entry is not None and folder is not None and (forced or self.wanted(place)):
            if self.unpack is not None and await self.unpack(place):
                await library.settle(place)
                return
            facts = (entry.size, entry.mtime_ns)
            before = library.book.get(path)
            await library.thumbs.settle(path)
            try:
                found = await self._worker.scan(f"{folder.real}/{place.name}", f"{folder.real}/{THUMBS}")
            except ScanFailed as error:
                self._failed[path] = (*facts, str(error))
            else:
                if not await self._still(place, facts, found.get("size")):
                    return
                taken = True
                self._take(place, make(*facts, found, before), before, forced)
        if library.reducer.scanned(place, asyncio.get_running_loop().time()):
            library.flush()
        elif taken and not silent and not library.reducer.is_new_below(place):
            library.metadata_changed(path)

    async def _still(self, place: Place, facts: tuple[int, int], size: object) -> bool:
        """Whether the file is what it was when its scan began; if not, the scan is done again when it is quiet."""
        if size != facts[0]:
            await self._library.settle()
        entry = self._library.index.entry(place)
        if entry is None:
            return False
        if (entry.size, entry.mtime_ns) == facts:
            return True
        if not self._library.reducer.is_open(place):
            self.ask(place.path)
        return False

    def _take(self, place: Place, record: Metadata, before: Metadata | None, forced: bool) -> None:
        library, path = self._library, place.path
        self._failed.pop(path, None)
        library.book.put(path, record)
        library.thumbs.discard(path, before, kept=record)
        library.note_metadata(place)
        self._events.publish(MetadataChanged(path))
        if forced and before is not None and _facts(before) != _facts(record):
            library.metadata_changed(path)

    # -- following the files ---------------------------------------------------------------------------------------

    def touched(self, place: Place) -> None:
        """Only the time of a file changed: what is in it is still known."""
        entry: Entry | None = self._library.index.entry(place)
        record = self._library.book.get(place.path)
        if entry is None or record is None or record.size != entry.size or record.matches(entry):
            return
        fresh = changed(record, modified=seconds(entry.mtime_ns))
        self._library.book.put(place.path, Metadata(entry.size, entry.mtime_ns, fresh.data))
        self._library.note_metadata(place)

    def forget(self, path: str) -> None:
        """A file is gone."""
        self._failed.pop(path, None)
        self._library.thumbs.discard(path, self._library.book.remove(path))

    def moved(self, source: Place, target: Place) -> None:
        """A file has another name: its record and pictures go with it as long as it is G-code in the gcodes root."""
        library, book = self._library, self._library.book
        kept = target.root == "gcodes" and is_scanned(target.path)
        if source.root == "gcodes" and kept and source.path in book:
            over = book.move(source.path, target.path)
            library.follow_thumbs(source.path, target.path)
            library.thumbs.discard(target.path, over)
        else:
            if source.root == "gcodes":
                self.forget(source.path)
            if target.root == "gcodes":
                self.forget(target.path)


def _facts(record: Metadata) -> dict[str, object]:
    """What a record says of the content."""
    return {name: value for name, value in record.fields().items() if name not in ("uuid", "modified")}
