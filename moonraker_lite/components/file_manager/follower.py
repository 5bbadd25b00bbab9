"""The follower: keeps the index equal to the disk and tells what happened.

One task does all of it, so that the index has a single writer. A cycle reads what the kernel has queued, applies it to
the index's structure (`translate`), asks the disk in a thread about what is new (`facts`), and hands over the
observations in their order. When the kernel lost events, a folder could not be watched or a root is not watched at all,
the folder is read again and compared instead.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from moonraker_lite.components.file_manager.changes import Event, Observation, Place
from moonraker_lite.components.file_manager.facts import Kind, Look, Tree, TreeReader, look
from moonraker_lite.components.file_manager.index import Entry, Index, Node
from moonraker_lite.components.file_manager.kernel import KernelWatches, RawEvent
from moonraker_lite.components.file_manager.names import GIT
from moonraker_lite.components.file_manager.parts import sweep
from moonraker_lite.components.file_manager.roots import Reserved, Root
from moonraker_lite.components.file_manager.translate import Step, Translator
from moonraker_lite.tasks import TaskOwner

_LOGGER = logging.getLogger(__name__)

POLL_SECONDS = 5.0  # how often folders without a watch are compared
SLICE = 1000  # events that are applied before others may use the loop
QUIET_FIRST, QUIET_MOST = 0.002, 0.064  # s of rest while somebody only writes; the kernel then merges the events

T = TypeVar("T")
Report = Callable[[list[Observation]], None]


class Follower:
    """See the module. `report` gets the observations of each cycle; files found in folders that were read as a whole
    are given to `found`."""

    def __init__(
        self, index: Index, reserved: Reserved, executor: Executor, report: Report, found: Callable[[list[Place]], None]
    ) -> None:
        self.exhausted = False
        self._index = index
        self._reserved = reserved
        self._executor = executor
        self._report = report
        self._found = found
        self._kernel: KernelWatches | None = None
        self._translator = Translator(index)
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._settlers: list[asyncio.Future[None]] = []
        self._again: dict[int, Node] = {}
        self._watched: set[str] = set()
        self._rest = 0.0
        self._tasks = TaskOwner("files")

    def start(self, *, watch: bool) -> None:
        """Begin following. Without `watch`, or when the system gives us no inotify, folders are only compared."""
        if watch:
            try:
                self._kernel = KernelWatches()
                asyncio.get_running_loop().add_reader(self._kernel.fileno(), self._wake.set)
            except OSError as error:
                self.exhausted = True
                _LOGGER.warning("inotify cannot be used, folders are polled: %s", error)
        self._tasks.spawn(self._run(), "follow")
        self._tasks.spawn(self._poll(), "poll")

    async def stop(self) -> None:
        """End following; the index stays as it is."""
        await self._tasks.close()
        for waiting in self._settlers:
            waiting.cancel()
        if self._kernel is not None:
            asyncio.get_running_loop().remove_reader(self._kernel.fileno())
            self._kernel.close()
            self._kernel = None

    async def add_root(self, root: Root) -> None:
        """Read a root into the index (without observations), and follow it from then on when it is watched."""
        node = self._index.add_root(root.name, await self._thread(lambda: os.path.realpath(root.path)))
        if root.watched:
            self._watched.add(root.name)
        await self.compare(node)

    async def settle(self, places: Iterable[Place] = ()) -> None:
        """Return when all that happened before this call is in the index.

        Folders around `places` that have no watch are compared.
        """
        for place in places:
            node = self._index.folder(place) or self._index.folder(place.parent)
            while node is None and place.path:
                place = place.parent
                node = self._index.folder(place)
            if node is not None and node.wd is None:
                self._again[id(node)] = node
        await self._cycle_done()

    async def compare(self, node: Node) -> None:
        """Read a folder again and return when the index has it."""
        self._again[id(node)] = node
        await self._cycle_done()

    async def _cycle_done(self) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._settlers.append(done)
        self._wake.set()
        self._urgent.set()
        await done

    # -- the one task ----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            waiting = self._translator.waiting
            try:
                async with asyncio.timeout(None if waiting is None else max(0.0, waiting - time.monotonic())):
                    await self._wake.wait()
            except TimeoutError:
                pass
            await self._pause()
            self._wake.clear()
            settlers, self._settlers = self._settlers, []
            again, self._again = self._again, {}
            try:
                await self._cycle(list(again.values()))
            except Exception:
                # Boundary: whatever goes wrong with one batch, following must go on; the roots are compared.
                _LOGGER.exception("following the files failed, they are read again")
                self._again = {id(node): node for node in self._index.roots.values()}
                self._wake.set()
                await asyncio.sleep(1.0)
            for done in settlers:
                if not done.done():
                    done.set_result(None)

    async def _pause(self) -> None:
        """Rest between reads while somebody only writes, unless somebody waits for us."""
        if self._rest and not self._settlers:
            self._urgent.clear()
            try:
                async with asyncio.timeout(self._rest):
                    await self._urgent.wait()
            except TimeoutError:
                return

    async def _cycle(self, again: list[Node]) -> None:
        batch = self._translator
        batch.reset()
        events = self._kernel.read() if self._kernel is not None else []
        for start in range(0, len(events), SLICE):
            batch.take(events[start : start + SLICE], time.monotonic())
            await asyncio.sleep(0)
        batch.expire(time.monotonic())
        self._pace(events)
        await self._ask_disk()
        again += batch.lost
        if batch.overflow:
            _LOGGER.warning("more happened to the files than the kernel could queue, they are compared")
            again = [node for node in self._index.roots.values() if node.name in self._watched]
        for node in again:
            await self._compare(node)

    def _pace(self, events: list[RawEvent]) -> None:
        """While somebody writes a large file, read less often; anything else is read at once."""
        if events and all(step.event is Event.FILE_WRITTEN for step in self._translator.steps):
            self._rest = min(max(self._rest * 2, QUIET_FIRST), QUIET_MOST)
        else:
            self._rest = 0.0

    # -- asking the disk -------------------------------------------------------------------------------------------

    async def _ask_disk(self) -> None:
        """Look at everything that the batch names, folders it leads to included, then report its steps."""
        batch = self._translator
        folders: set[int] = set()
        hard: set[int] = set()
        while batch.looks or batch.loads or batch.touched or batch.dead:
            looks, loads, touched, dead = (
                list(batch.looks.values()),
                batch.loads,
                list(batch.touched.values()),
                batch.dead,
            )
            batch.looks, batch.loads, batch.touched, batch.dead = {}, [], {}, []
            names = [f"{node.real}/{name}" for _, node, name in looks]
            work = partial(
                self._inspect, names, [self._reader(node) for node in loads], [node.real for node in touched], dead
            )
            seen, trees, times = await self._thread(work)
            for (entry, node, name), what in zip(looks, seen, strict=True):
                self._looked(entry, node, name, what, folders, hard)
            for node, tree in zip(loads, trees, strict=True):
                self._loaded(node, tree)
            for node, when in zip(touched, times, strict=True):
                if when is not None:
                    node.size, node.mtime_ns = when
                    if node.parent is not None:
                        node.parent.touched()
        observations = list(self._observations(batch.steps, folders, hard))
        if observations:
            self._report(observations)

    def _inspect(
        self, names: list[str], loads: list[Callable[[], Tree | None]], touched: list[str], dead: list[int]
    ) -> tuple[list[Look], list[Tree | None], list[tuple[int, int] | None]]:
        """In the thread: nothing of the index is used here."""
        if self._kernel is not None:
            for wd in dead:
                self._kernel.remove(wd)
        trees = [load() for load in loads]
        return [look(name, self._reserved) for name in names], trees, [_times(path) for path in touched]

    def _reader(self, node: Node) -> Callable[[], Tree | None]:
        kernel = self._kernel if node.top.name in self._watched else None
        path = node.real
        if node.name == GIT or self._reserved.holds(path):
            return lambda: None
        return partial(TreeReader(self._reserved, kernel.add if kernel is not None else _unwatched, sweep).read, path)

    def _looked(self, entry: Entry, node: Node, name: str, seen: Look, folders: set[int], hard: set[int]) -> None:
        if node.entries.get(name) is not entry:
            return
        if seen.kind is Kind.FOLDER:
            if seen.link:
                del node.entries[name]
                folders.add(id(entry))
                self._link(node, name, seen)
            return
        if seen.links > 1 and not seen.link:
            hard.add(id(entry))
        if entry.take(seen):
            self._translator.changed.add(id(entry))
            node.touched()

    def _link(self, node: Node, name: str, seen: Look) -> None:
        """A link to a folder: another way to one that stands in the index, or the place of one from outside."""
        node.touched()
        target = self._index.at(seen.key)
        if target is not None:
            node.aliases[name] = target
        else:
            node.folders[name] = below = Node(name, node, real=seen.real, link=True)
            self._translator.loads.append(below)

    def _loaded(self, node: Node, tree: Tree | None) -> None:
        """A folder that is new in the index was read."""
        parent = node.parent
        if parent is not None and parent.folders.get(node.name) is not node:
            return
        if tree is None:
            node.reserved = parent is not None
            return
        other = self._index.at(tree.key)
        if other is not None and other is not node and parent is not None:
            if node.link or not other.link or other.parent is None:
                del parent.folders[node.name]
                parent.aliases[node.name] = other
                return
            self._demote(other, node)
        found: list[Place] = []
        self._plant(node, tree, found)
        if found:
            self._found(found)

    def _demote(self, linked: Node, real: Node) -> None:
        """A folder known by a link has turned up as itself: the link becomes an alias."""
        assert linked.parent is not None
        for node in linked.walk():
            self._index.forget(node)
        del linked.parent.folders[linked.name]
        linked.parent.aliases[linked.name] = real

    def _plant(self, node: Node, tree: Tree, found: list[Place]) -> None:
        """Fill a new folder with what was read."""
        self._index.identify(node, tree.key, tree.wd)
        self._note_watch(tree)
        node.reserved, node.size, node.mtime_ns = False, tree.size, tree.mtime_ns
        node.touched()
        place = node.place
        for name, seen in tree.files.items():
            entry = node.entries.setdefault(name, Entry())
            entry.take(seen)
            found.append(place.child(name))
        for name, below in tree.folders.items():
            child = node.folders[name] = Node(name, node)
            child.reserved = below is None
            if below is not None:
                self._plant(child, below, found)
        for name, seen in tree.links.items():
            self._link(node, name, seen)

    def _note_watch(self, tree: Tree) -> None:
        if self._kernel is not None and self._kernel.exhausted and tree.wd is None:
            self.exhausted = True

    def _observations(self, steps: list[Step], folders: set[int], hard: set[int]) -> Iterator[Observation]:
        changed, quiet = self._translator.changed, self._translator.quiet
        written: set[int] = set()
        for step in steps:
            entry, event = step.entry, step.event
            if entry is None:
                yield Observation(event, step.place, step.source)
                continue
            known = id(entry)
            if known in folders:
                if event is Event.FILE_APPEARED:
                    yield Observation(Event.DIR_APPEARED, step.place)
            elif entry.hidden:
                continue
            elif event is Event.FILE_APPEARED:
                if known not in hard:
                    yield Observation(event, step.place, complete=step.complete or entry.link)
                else:
                    self._found([step.place])
            elif event is Event.FILE_WRITTEN:
                if known in changed and known not in written:
                    written.add(known)
                    yield Observation(event, step.place)
            elif event is Event.FILE_TOUCHED:
                if known in changed and known not in written:
                    yield Observation(event, step.place)
            elif event is Event.FILE_CLOSED:
                if known in changed and known not in written and known not in quiet and known not in hard:
                    yield Observation(Event.FILE_WRITTEN, step.place)
                changed.discard(known)
                yield Observation(event, step.place)
            else:
                yield Observation(event, step.place, step.source, replaced=step.replaced)

    # -- comparing -------------------------------------------------------------------------------------------------

    async def _compare(self, node: Node) -> None:
        """Read a folder again and treat each difference as something that happened."""
        if node.reserved or node.top is not self._index.roots.get(node.top.name):
            return
        batch = self._translator
        batch.reset()
        tree = await self._thread(self._reader(node))
        if node.key is None:
            self._loaded(node, tree)
        elif tree is not None:
            self._merge(node, tree)
        elif node.parent is None:
            self._merge(node, Tree(node.key, 0, 0, None, {}, {}, {}))
        else:
            return
        await self._ask_disk()

    def _merge(self, node: Node, tree: Tree) -> None:
        batch, place = self._translator, node.place
        if node.wd is not None and node.wd != tree.wd:
            batch.dead.append(node.wd)
        self._index.identify(node, tree.key, tree.wd)
        self._note_watch(tree)
        if (node.size, node.mtime_ns) != (tree.size, tree.mtime_ns):
            node.size, node.mtime_ns = tree.size, tree.mtime_ns
            node.touched()
        there = tree.files.keys() | tree.folders.keys() | tree.links.keys()
        for name in [*node.entries, *node.folders, *node.aliases]:
            if name not in there or (name in node.entries) != (name in tree.files):
                batch.remove(node, name)
        for name, seen in tree.files.items():
            self._merge_file(node, name, seen)
        for name, below in tree.folders.items():
            child = node.folders.get(name)
            if child is None and name not in node.aliases:
                batch.add_folder(node, name)
                batch.steps.append(Step(Event.DIR_APPEARED, place.child(name)))
            elif child is not None and below is not None and not child.link:
                if child.key is not None:
                    self._merge(child, below)
                else:
                    batch.loads.append(child)
        for name, seen in tree.links.items():
            linked = node.folders.get(name)
            if linked is not None and linked.real == seen.real:
                self._again[id(linked)] = linked
                self._wake.set()
            elif not node.contains(name):
                self._link(node, name, seen)
                batch.steps.append(Step(Event.DIR_APPEARED, place.child(name)))

    def _merge_file(self, node: Node, name: str, seen: Look) -> None:
        batch, place = self._translator, node.place.child(name)
        entry = node.entries.get(name)
        fresh = entry is None or not entry.visible
        if entry is None:
            entry = node.entries[name] = Entry()
        if not entry.take(seen):
            return
        node.touched()
        batch.changed.add(id(entry))
        if fresh:
            batch.steps.append(Step(Event.FILE_APPEARED, place, entry, complete=True))
        else:
            batch.steps.append(Step(Event.FILE_WRITTEN, place, entry))
            batch.steps.append(Step(Event.FILE_CLOSED, place, entry))

    async def _poll(self) -> None:
        """Compare, now and then, the folders of watched roots that have no watch."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            for name in self._watched:
                for node in self._unwatched_in(self._index.roots.get(name)):
                    await self.compare(node)

    @staticmethod
    def _unwatched_in(top: Node | None) -> Iterator[Node]:
        """The highest folders without a watch; reading them reads all below."""
        stack = [top] if top is not None else []
        while stack:
            node = stack.pop()
            if node.reserved:
                continue
            if node.wd is None:
                yield node
            else:
                stack.extend(node.folders.values())

    async def _thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _unwatched(path: str) -> None:
    return None


def _times(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
