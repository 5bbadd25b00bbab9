"""The library: index, metadata and announcements of all roots, kept together.

What is seen on disk comes in from the follower, what the API does comes in as operations. Both go through the reducer,
and what comes out is announced: first whoever made a change gets the answer, then everybody gets the notification.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from moonraker_lite.components.file_manager import listing
from moonraker_lite.components.file_manager.changes import Action, Change, Event, Observation, Place
from moonraker_lite.components.file_manager.follower import Follower
from moonraker_lite.components.file_manager.index import Index, Node
from moonraker_lite.components.file_manager.metadata import MetadataBook
from moonraker_lite.components.file_manager.move_passes import MovePasses
from moonraker_lite.components.file_manager.reducer import Operation, Reducer
from moonraker_lite.components.file_manager.roots import Reserved, Root, Roots
from moonraker_lite.components.file_manager.scanning import Scanning
from moonraker_lite.components.file_manager.thumbs import Thumbs
from moonraker_lite.components.file_manager.types import (
    ChangeNotice,
    FileChanged,
    Item,
    MetadataChanged,
    MetadataFailure,
    SourceItem,
)
from moonraker_lite.components.file_manager.worker import ScanWorker
from moonraker_lite.errors import HostError
from moonraker_lite.events import Events
from moonraker_lite.gcode_metadata.model import SCANNER_VERSION
from moonraker_lite.storage import MetadataStore
from moonraker_lite.tasks import TaskOwner

_LOGGER = logging.getLogger(__name__)

THREADS = 4  # for what takes long: writing, syncing, copying
LOOKS = 2  # for what is short, so that listings need not wait for a slow disk
ANSWER_SECONDS = 0.02  # s that an answer has to leave before what it is about is announced
SEND_SLICE, SEND_GAP = 100, 0.002  # notifications sent at once, and s until the next ones
WRITE_DELAY = 0.5  # s; metadata that is lost with a power cut is scanned again, so it is written in batches

T = TypeVar("T")


class Made:
    """What an operation did, in the order in which it shall be announced."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def add(self, action: Action, place: Place, source: Place | None = None) -> None:
        self.changes.append(Change(action, place, source))


class Library:
    """See the module. Lives on the event loop; blocking work goes through `thread`."""

    def __init__(
        self,
        events: Events,
        store: MetadataStore,
        worker: ScanWorker,
        *,
        follow_moves: bool = True,
        pace: float = 0.1,
    ) -> None:
        self.reserved = Reserved()
        self.roots = Roots(self.reserved)
        self.index = Index()
        self.passes = MovePasses(self, worker, enabled=follow_moves, pace=pace)
        self.book = MetadataBook(store, self.passes.ask)
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="files")
        self._looks = ThreadPoolExecutor(LOOKS, thread_name_prefix="files-look")
        self.follower = Follower(self.index, self.reserved, self._looks, self._report, self._found)
        self.thumbs = Thumbs(self.index, self.book, self.thread)
        self.reducer = Reducer(self._wants_scan, lambda place: self.scanning.ask(place.path), self._is_scanned_below)
        self.scanning = Scanning(self, worker, self.passes)
        self._events = events
        self.version: Callable[[], Awaitable[int]] = _scanner_version  # of the scanner and all it depends on
        self._ready = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._silent_until = 0.0
        self._outbox: list[ChangeNotice] = []
        self._writer: asyncio.TimerHandle | None = None
        self._tasks = TaskOwner("library")

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self, *, watch: bool) -> None:
        """Begin to read the registered roots; `ready` waits until that is done."""
        self.follower.start(watch=watch)
        self._tasks.spawn(self._load(), "load")

    async def _load(self) -> None:
        try:
            try:
                await self.book.load(await self.version())
            except HostError:
                _LOGGER.exception("stored metadata cannot be read, files are scanned again")
            for root in self.roots:
                await self.follower.add_root(root)
        finally:
            self._ready.set()  # also if a root cannot be read: the others can, and nobody must wait for ever
        self.book.keep_only(path for path, _ in self.index.files("gcodes"))
        self._write_soon()
        self.scanning.begin()
        self.passes.begin()

    async def outdated(self, version: int) -> None:
        """What is known was found by another version: it is served until it is found again."""
        await self.ready()
        self.book.outdate(version)
        self.scanning.begin()

    async def ready(self) -> None:
        """Return when the index has all roots that were registered at the start."""
        if not self._ready.is_set():
            await self._ready.wait()

    async def up_to_date(self) -> None:
        """Return when the index also has what happened a moment ago, so that it can be acted upon."""
        await self.ready()
        await self.settle()

    async def add_root(self, root: Root) -> None:
        """Register a root that turned up later, and tell clients."""
        await self.ready()
        if self.roots.register(root):
            await self.follower.add_root(root)
            place = Place(root.name, "")
            notice = ChangeNotice(Action.ROOT_UPDATE.value, self.item(place) or listing.gone(place))
            self._events.notify("filelist_changed", notice)

    async def stop(self) -> None:
        """End everything; what was found is written first."""
        for timer in (self._timer, self._writer):
            if timer is not None:
                timer.cancel()
        await self._tasks.close()
        await self.scanning.close()
        await self.follower.stop()
        await self.thumbs.close()
        if self.book.unwritten:
            await self._write()
        self.pool.shutdown(wait=False)
        self._looks.shutdown(wait=False)

    async def thread(self, work: Callable[[], T]) -> T:
        """Do blocking work in a thread of the file manager."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, work)

    async def glance(self, work: Callable[[], T]) -> T:
        """Ask the disk something short in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._looks, work)

    # -- what is there ---------------------------------------------------------------------------------------------

    def item(self, place: Place) -> Item | None:
        """A file or folder as clients see it; None when it is not there."""
        return listing.item(self.index, place, self.roots.get(place.root))

    def canonical(self, place: Place) -> Place:
        """Where a place stands in the index: links to folders that have a place of their own are followed."""
        folder = self.index.folder(place.parent) if place.path else None
        return folder.place.child(place.name) if folder is not None else place

    def topmost_new(self, folder: Place) -> Place | None:
        """The highest part of a folder's path that is not there yet; None when all are."""
        missing = None
        while folder.path and self.index.folder(folder) is None:
            missing, folder = folder, folder.parent
        return missing

    async def current(self, node: Node) -> None:
        """Have a folder compared with the disk if nobody tells us of changes in it."""
        if node.wd is None:
            await self.follower.compare(node)

    # -- what is seen ----------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _report(self, observations: list[Observation]) -> None:
        now = self._now()
        for seen in observations:
            self._keep_metadata(seen)
            if seen.event is not Event.FILE_TOUCHED and self._is_told_of(seen.place):
                self.reducer.observe(seen, now)
        self.flush()

    def _is_told_of(self, place: Place) -> bool:
        """Logs and the like change all the time and nobody can change them: as in Moonraker they are not announced."""
        root = self.roots.get(place.root)
        return root is not None and (root.watched or root.writable)

    def _keep_metadata(self, seen: Observation) -> None:
        """Metadata follows its file."""
        book, place, source = self.book, seen.place, seen.source
        here = place.root == "gcodes"
        match seen.event:
            case Event.FILE_TOUCHED if here:
                self.scanning.touched(place)
            case Event.FILE_APPEARED | Event.FILE_WRITTEN if here:
                self.scanning.written(place)
            case Event.FILE_VANISHED if here:
                self.scanning.forget(place.path)
            case Event.FILE_MOVED if source is not None:
                self.scanning.moved(source, place)
            case Event.DIR_VANISHED if here:
                book.remove_tree(place.path)
                self.scanning.forget_tree(place)
            case Event.DIR_MOVED if source is not None:
                if source.root == "gcodes" and here:
                    book.move_tree(source.path, place.path)
                    self.scanning.moved_tree(source, place)
                    self._found(list(self.index.places(place)))
                elif source.root == "gcodes":
                    book.remove_tree(source.path)
                    self.scanning.forget_tree(source)
                elif here:
                    self._found(list(self.index.places(place)))
        if book.unwritten:
            self._write_soon()

    def _found(self, places: list[Place]) -> None:
        """Files in folders that were read as a whole, or that came without being announced."""
        if not self._ready.is_set():
            return
        for place in places:
            owner = self.reducer.owner(place)
            if owner is not None:
                owner.found.append(place)
            elif self._wants_scan(place):
                self.scanning.ask(place.path)

    def _wants_scan(self, place: Place) -> bool:
        return place.root == "gcodes" and self.scanning.wanted(place)

    def _is_scanned_below(self, folder: Place) -> bool:
        return folder.root == "gcodes" and self.scanning.under_way_below(folder.path)

    # -- what is done ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def operation(self, files: Iterable[Place] = (), trees: Iterable[Place] = ()) -> AsyncIterator[Made]:
        """A change by the API. What is seen in its scope (`files`, and `trees` with all below) is its own doing.

        Inside the block the change is made and noted in the yielded `Made`; afterwards the index has it, and it is
        announced after the answer. If the block raises, what is left on disk counts as seen from outside.
        """
        files, trees = tuple(files), tuple(trees)
        operation: Operation = self.reducer.begin(files, trees)
        made = Made()
        try:
            yield made
            await self.settle(*files, *trees)
        except BaseException:
            self.reducer.rollback(operation, self._now())
            self._found(operation.found)
            self.flush()
            raise
        self.reducer.commit(operation, made.changes, self._now())
        self._found(operation.found)
        if self._silent_until < self._now():
            self._silent_until = self._now() + ANSWER_SECONDS
        self.flush()

    async def settle(self, *places: Place) -> None:
        """Return when the index has what was done to the disk before this call, at these places in any case."""
        await self.follower.settle(places)

    def notice(self, change: Change) -> ChangeNotice | None:
        """A change as clients get it; None when there is nothing left to tell."""
        item = None if change.action.removes else self.item(change.place)
        if item is None:
            if not change.action.removes and change.source is None:
                return None
            item = listing.gone(change.place)
        if change.source is None:
            return ChangeNotice(change.action.value, item)
        return ChangeNotice(change.action.value, item, SourceItem(change.source.path, change.source.root))

    # -- telling ---------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Announce what is due, and see to it that the rest is announced in time."""
        now = self._now()
        self.reducer.advance(now)
        changes, self.reducer.out = self.reducer.out, []
        self._outbox += [notice for change in changes if (notice := self.notice(change)) is not None]
        due = self.reducer.next_due()
        if now < self._silent_until:
            due = self._silent_until
        elif self._send():
            due = now + SEND_GAP
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self.flush)

    def _send(self) -> bool:
        """Tell clients, in a burst not more at once than they can take in. True when there is more."""
        notices, self._outbox = self._outbox[:SEND_SLICE], self._outbox[SEND_SLICE:]
        for notice in notices:
            self._events.notify("filelist_changed", notice)
            self._events.publish(FileChanged(notice))
        return bool(self._outbox)

    def metadata_changed(self, path: str) -> None:
        """Tell of metadata that came later than its file."""
        answer = self.book.answer(path)
        if answer is not None:
            self._events.notify("metadata_update", answer)

    def metadata_failed(self, path: str, reason: str) -> None:
        """Tell of a file that has no metadata and will not have any, so that nobody waits for it."""
        item = self.item(Place("gcodes", path))
        if item is not None:
            self._events.notify("metadata_update", MetadataFailure(path, item.size, item.modified, reason))

    def metadata_noted(self, place: Place) -> None:
        """There is a new record of a file."""
        self.note_metadata(place)
        self._events.publish(MetadataChanged(place.path))

    def metadata_completed(self, place: Place) -> None:
        """What was to be found in a file's moves is known."""
        self.metadata_noted(place)
        if not self.reducer.is_new_below(place):
            self.metadata_changed(place.path)

    def follow_thumbs(self, source: str, target: str) -> None:
        """Have the pictures of a moved file renamed."""
        self._tasks.spawn(self._follow_thumbs(source, target), "thumbs")

    async def _follow_thumbs(self, source: str, target: str) -> None:
        if not await self.thumbs.follow(source, target):
            self.book.remove(target)
            self.scanning.ask(target)

    def _write_soon(self) -> None:
        if self._writer is None and self.book.unwritten:
            self._writer = asyncio.get_running_loop().call_later(WRITE_DELAY, self._write_now)

    def note_metadata(self, place: Place) -> None:
        """The record of a file is other than it was: listings show it, the database gets it."""
        folder = self.index.folder(place.parent)
        if folder is not None:
            folder.touched()
        self._write_soon()

    def _write_now(self) -> None:
        self._writer = None
        self._tasks.spawn(self._write(), "write")

    async def _write(self) -> None:
        try:
            await self.book.write()
        except HostError:
            _LOGGER.exception("metadata cannot be stored")


async def _scanner_version() -> int:
    return SCANNER_VERSION
