"""When files are scanned and what becomes of the results."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.index import Entry
from moonraker_lite.components.file_manager.listing import seconds
from moonraker_lite.components.file_manager.metadata import Metadata, MetadataState, changed, make
from moonraker_lite.components.file_manager.move_passes import MovePasses
from moonraker_lite.components.file_manager.names import THUMBS, is_scanned
from moonraker_lite.components.file_manager.scans import ScanQueue, Urgency
from moonraker_lite.components.file_manager.worker import NotScanned, ScanFailed, ScanWorker
from moonraker_lite.tasks import TaskOwner

if TYPE_CHECKING:
    from moonraker_lite.components.file_manager.library import Library

NO_TIME = -1  # of a record that is not of the file that stands there now
SLICE = 250  # files that are looked at before others may use the loop
RETRY_SECONDS = 31.0  # s until what failed for no fault of the file is tried again
_ENCODER = msgspec.json.Encoder()


class _Failure(msgspec.Struct, frozen=True):
    """A file of this size and time has no metadata."""

    size: int
    mtime_ns: int
    reason: str

    def is_of(self, entry: Entry) -> bool:
        return (self.size, self.mtime_ns) == (entry.size, entry.mtime_ns)


class Scanning:
    """Knows which files need metadata, gets it, and keeps the records in step with the files."""

    def __init__(self, library: Library, worker: ScanWorker, passes: MovePasses) -> None:
        self.passes = passes
        self._library = library
        self._worker = worker
        self._failed: dict[str, _Failure] = {}
        self._forced: set[str] = set()
        self._silent: set[str] = set()
        self.define_objects: Callable[[Place], Awaitable[None]] | None = None
        self.progress: Callable[[str], str] = lambda path: ""  # what is done with a file before it is scanned
        self.unpack: Callable[[Place], Awaitable[bool]] | None = None  # replaces a container by its print
        self._retry: asyncio.TimerHandle | None = None
        self._tasks = TaskOwner("scanning")
        self._queue = ScanQueue(self._scan, self.begin)

    def begin(self) -> None:
        """Scan all files that are not known yet, when there is nothing more urgent."""
        self._retry = None
        self._tasks.spawn(self._sweep([path for path, _ in self._library.index.files("gcodes")]), "sweep")

    async def _sweep(self, paths: list[str]) -> None:
        for number, path in enumerate(paths, 1):
            if self.wanted(Place("gcodes", path)):
                self._queue.add(path, Urgency.OLD)
            if number % SLICE == 0:
                await asyncio.sleep(0)

    async def close(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        await self._tasks.close()
        await self._queue.close()
        await self.passes.close()
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
        return failed is None or not failed.is_of(entry)

    def ask(self, path: str) -> None:
        """Have a file scanned that is new or has changed."""
        self._queue.add(path, Urgency.NEW)

    def look(self, folder: Place) -> None:
        """Somebody lists a folder: what it holds goes before other files."""
        if self._queue:
            self._queue.look(f"{folder.path}/" if folder.path else "")

    def under_way(self, path: str) -> bool:
        """Whether a scan of this file will end soon."""
        return path in self._queue

    def is_due(self, place: Place) -> bool:
        """Whether a scan of this file is under way, or may begin at once."""
        return self.under_way(place.path) or (self.wanted(place) and not self._library.reducer.is_open(place))

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
            raise ScanFailed(failed.reason)

    # -- one scan --------------------------------------------------------------------------------------------------

    async def _scan(self, path: str) -> None:
        library, place = self._library, Place("gcodes", path)
        forced, silent = path in self._forced, path in self._silent
        self._forced.discard(path)
        self._silent.discard(path)
        entry, folder = library.index.entry(place), library.index.folder(place.parent)
        news = False
        if entry is not None and folder is not None and (forced or self.wanted(place)):
            if self.unpack is not None and await self.unpack(place):
                await library.settle(place)
                return
            before = library.book.get(path)
            if self.define_objects is not None and (forced or before is None or not before.is_of(entry)):
                await self.define_objects(place)
            facts = (entry.size, entry.mtime_ns)
            await library.thumbs.settle(path)
            try:
                found = await self._worker.scan(f"{folder.real}/{place.name}", f"{folder.real}/{THUMBS}")
            except ScanFailed as error:
                news = self._fail(path, _Failure(*facts, str(error)), before, error)
            else:
                if not await self._still(place, facts, found):
                    return
                news = self._take(place, facts, found, before, forced=forced)
        if library.reducer.scanned(place, asyncio.get_running_loop().time()):
            library.flush()
        elif news and (forced or not silent) and not library.reducer.is_new_below(place):
            self._tell(path)

    async def _still(self, place: Place, facts: tuple[int, int], found: dict[str, object]) -> bool:
        """Whether the file is what it was when its scan began; if not, the scan is done again when it is quiet."""
        if (found.get("size"), found.get("modified")) != (facts[0], seconds(facts[1])):
            await self._library.settle()
        entry = self._library.index.entry(place)
        if entry is None:
            return False
        if (entry.size, entry.mtime_ns) == facts:
            return True
        if not self._library.reducer.is_open(place):
            self.ask(place.path)
        return False

    def _take(
        self,
        place: Place,
        facts: tuple[int, int],
        found: dict[str, object],
        before: Metadata | None,
        *,
        forced: bool,
    ) -> bool:
        """Keep what was found; whether that is news."""
        library, path = self._library, place.path
        same = before is not None and (before.size, before.mtime_ns) == facts
        if before is not None and same and not forced:
            found = {**found, "uuid": before.fields().get("uuid")}  # a newer scanner has read the same file
        record = make(*facts, found, before, follow_moves=self.passes.enabled)
        self._failed.pop(path, None)
        self.passes.drop(path)
        library.book.put(path, record)
        library.thumbs.discard(path, before, kept=record)
        library.metadata_noted(place)
        if before is None or not same:
            return not forced
        return _facts(before) != _facts(record)

    def _fail(self, path: str, failure: _Failure, before: Metadata | None, error: ScanFailed) -> bool:
        """There is no metadata; whether that is news."""
        if isinstance(error, NotScanned):
            if self._retry is None:
                self._retry = asyncio.get_running_loop().call_later(RETRY_SECONDS, self.begin)
            return False
        library, place = self._library, Place("gcodes", path)
        if before is not None and (before.size, before.mtime_ns) != (failure.size, failure.mtime_ns):
            self.forget(path)  # it is about an earlier content
        news = self._failed.get(path) != failure
        self._failed[path] = failure
        library.note_metadata(place)
        return news

    def _tell(self, path: str) -> None:
        """Tell clients of metadata that came later than its file, or will not come."""
        failed = self._failed.get(path)
        if failed is None:
            self._library.metadata_changed(path)
        else:
            self._library.metadata_failed(path, failed.reason)

    # -- how much is known -----------------------------------------------------------------------------------------

    def state(self, place: Place) -> tuple[MetadataState, str] | None:
        """How much is known of a file, and of one that cannot be scanned why; None where there is nothing to know, as
        with paths that files.list does not give."""
        path, entry = place.path, self._library.index.entry(place)
        if (
            entry is None
            or self._library.canonical(place) != place
            or not is_scanned(path)
            or entry.size == 0
            or entry.reserved
        ):
            return None
        record, failed = self._library.book.get(path), self._failed.get(path)
        if failed is not None and failed.is_of(entry):
            return MetadataState.FAILED, failed.reason
        if record is None or not record.is_of(entry):
            return MetadataState.SCANNING, self.progress(path)
        return record.state, ""

    def members(self, place: Place, entry: Entry) -> bytes:
        """What an extended listing adds to a file's row: encoded members without braces, or b""."""
        record = self._library.book.get(place.path)
        if record is not None:
            return self._library.book.members(place.path, scanning=not record.is_of(entry))
        state = self.state(place)
        if state is None:
            return b""
        members = b'"metadata_state":%b' % _ENCODER.encode(state[0].value)
        return members + (
            b',"metadata_error":%b' % _ENCODER.encode(state[1]) if state[0] is MetadataState.FAILED else b""
        )

    # -- following the files ---------------------------------------------------------------------------------------

    def touched(self, place: Place) -> None:
        """Only the time of a file changed: what is in it is still known."""
        entry: Entry | None = self._library.index.entry(place)
        record = self._library.book.get(place.path)
        if entry is None or record is None or record.size != entry.size or record.matches(entry):
            return
        fresh = changed(record, modified=seconds(entry.mtime_ns))
        self._library.book.put(place.path, Metadata(entry.size, entry.mtime_ns, fresh.data, record.stale))
        self._library.note_metadata(place)

    def written(self, place: Place) -> None:
        """A file has another content: what is known is of no use, even if size and time should be as they were."""
        record = self._library.book.get(place.path)
        if record is not None and record.mtime_ns != NO_TIME:
            self._library.book.put(place.path, msgspec.structs.replace(record, mtime_ns=NO_TIME))
            self.passes.drop(place.path)

    def forget(self, path: str) -> None:
        """A file is gone."""
        self._failed.pop(path, None)
        self.passes.drop(path)
        self._library.thumbs.discard(path, self._library.book.remove(path))

    def forget_tree(self, folder: Place) -> None:
        """A folder is gone, and the records of what was in it."""
        for path in [path for path in self._failed if Place("gcodes", path).inside(folder)]:
            del self._failed[path]

    def moved_tree(self, source: Place, target: Place) -> None:
        """A folder has another name, and so have the records of what is in it."""
        for path in [path for path in self._failed if Place("gcodes", path).inside(source)]:
            self._failed[Place("gcodes", path).moved(source, target).path] = self._failed.pop(path)

    def moved(self, source: Place, target: Place) -> None:
        """A file has another name: its record and pictures go with it as long as it is G-code in the gcodes root."""
        library, book = self._library, self._library.book
        kept = target.root == "gcodes" and is_scanned(target.path)
        if source.root == "gcodes" and kept and source.path in book:
            self.passes.drop(source.path)
            over = book.move(source.path, target.path)
            library.follow_thumbs(source.path, target.path)
            library.thumbs.discard(target.path, over)
        else:
            if source.root == "gcodes":
                self.forget(source.path)
            if target.root == "gcodes":
                self.forget(target.path)


def _facts(record: Metadata) -> dict[str, object]:
    """What a record says of the content, as the file states it."""
    fields = record.fields()
    aside = {"uuid", "modified", "metadata_state", "computed", *(fields.get("computed") or ())}
    return {name: value for name, value in fields.items() if name not in aside}
