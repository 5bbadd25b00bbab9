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
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from moonraker_lite.components.file_manager.changes import Event, Observation, Place
from moonraker_lite.components.file_manager.facts import Look, Tree, TreeReader, look
from moonraker_lite.components.file_manager.index import Index, Node
from moonraker_lite.components.file_manager.kernel import KernelWatches, RawEvent, parse
from moonraker_lite.components.file_manager.mirror import Mirror
from moonraker_lite.components.file_manager.names import GIT
from moonraker_lite.components.file_manager.parts import sweep
from moonraker_lite.components.file_manager.roots import Reserved, Root
from moonraker_lite.components.file_manager.translate import Translator
from moonraker_lite.errors import Unavailable
from moonraker_lite.tasks import TaskOwner

_LOGGER = logging.getLogger(__name__)

POLL_SECONDS = 5.0  # how often folders without a watch are compared
RETRY_SECONDS = 1.0  # after a batch that could not be worked on
MAX_BLOCKS = 512  # blocks of kernel records (8 MiB) that wait here; beyond that the folders are compared
SLICE = 100  # observations that are reported before others may use the loop
QUIET_FIRST, QUIET_MOST = 0.002, 0.064  # s of rest while somebody only writes; the kernel then merges the events
BURST_GAP, BURST_REST = 0.003, 0.005  # s; what follows so soon upon another cycle comes with what follows it

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
        self._kernel: KernelWatches | None = None
        self._translator = Translator(index)
        self._mirror = Mirror(index, self._translator, found, self._note_unwatched)
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._settlers: list[asyncio.Future[None]] = []
        self._settling: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._blocks: deque[bytes] = deque()
        self._received = self._worked = 0  # blocks so far
        self._again: dict[int, Node] = {}
        self._watched: set[str] = set()
        self._rest = 0.0
        self._ended = 0.0
        self._lost_blocks = False
        self._stopped = False
        self._tasks = TaskOwner("files")

    def start(self, *, watch: bool) -> None:
        """Begin following. Without `watch`, or when the system gives us no inotify, folders are only compared."""
        if watch:
            try:
                self._kernel = KernelWatches()
                self._listen(self._kernel)
            except OSError as error:
                self.exhausted = True
                _LOGGER.warning("inotify cannot be used, folders are polled: %s", error)
        self._tasks.spawn(self._run(), "follow")
        self._tasks.spawn(self._poll(), "poll")

    def _listen(self, kernel: KernelWatches) -> None:
        asyncio.get_running_loop().add_reader(kernel.fileno(), self._heard)

    def _heard(self) -> None:
        """There is something to read. Until that is done, the loop need not tell us again and again."""
        if self._kernel is not None:
            asyncio.get_running_loop().remove_reader(self._kernel.fileno())
        self._wake.set()

    async def stop(self) -> None:
        """End following; the index stays as it is."""
        self._stopped = True
        await self._tasks.close()
        for waiting in [*self._settlers, *(done for _, done in self._settling)]:
            if not waiting.done():
                waiting.set_exception(Unavailable("The host stops"))
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
        if self._stopped:
            raise Unavailable("The host stops")
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
                self._again.update((id(node), node) for node in self._index.roots.values())
                await asyncio.sleep(RETRY_SECONDS)
            self._again.update(self._mirror.again)
            self._mirror.again.clear()
            if self._again or self._blocks:
                self._wake.set()
            self._settling.extend((self._received, done) for done in settlers)
            self._tell_settled()
            self._ended = time.monotonic()

    def _tell_settled(self) -> None:
        """Those whose moment has been worked on need not wait any more."""
        while self._settling and self._settling[0][0] <= self._worked:
            _, done = self._settling.popleft()
            if not done.done():
                done.set_result(None)

    async def _pause(self) -> None:
        """Rest between reads while somebody only writes or a burst goes on, unless somebody waits for us."""
        rest = self._rest
        if not rest and time.monotonic() - self._ended < BURST_GAP:
            rest = BURST_REST
        if rest and not self._settlers and not self._blocks:
            self._urgent.clear()
            try:
                async with asyncio.timeout(rest):
                    await self._urgent.wait()
            except TimeoutError:
                return

    async def _cycle(self, again: list[Node]) -> None:
        batch = self._translator
        batch.reset()
        if self._kernel is not None:
            self._receive(self._kernel)
        events: list[RawEvent] = []
        if self._blocks:
            events = parse(self._blocks.popleft())
            self._worked += 1
        batch.overflow = self._lost_blocks
        self._lost_blocks = False
        batch.take(events, time.monotonic())
        batch.expire(time.monotonic())
        self._pace(events)
        await self._ask_disk()
        again += batch.lost
        if batch.overflow:
            _LOGGER.warning("more happened to the files than the kernel could queue, they are compared")
            again = [node for node in self._index.roots.values() if node.name in self._watched]
        for node in again:
            await self._compare(node)

    def _receive(self, kernel: KernelWatches) -> None:
        """Empty the kernel's queue, which is shorter than what we can keep."""
        blocks = kernel.read()
        self._listen(kernel)
        self._blocks.extend(blocks)
        self._received += len(blocks)
        if len(self._blocks) > MAX_BLOCKS:
            self._blocks.clear()
            self._worked = self._received
            self._lost_blocks = True

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
        self._mirror.begin()
        while batch.looks or batch.loads or batch.touched or batch.dead:
            looks, touched = list(batch.looks.values()), list(batch.touched.values())
            loads, dead = batch.loads, batch.dead
            batch.looks, batch.loads, batch.touched, batch.dead = {}, [], {}, []
            names = [f"{node.real}/{name}" for _, node, name in looks]
            work = partial(
                self._inspect, names, [self._reader(node) for node in loads], [node.real for node in touched], dead
            )
            seen, trees, times = await self._thread(work)
            for (entry, node, name), what in zip(looks, seen, strict=True):
                self._mirror.looked(entry, node, name, what)
            for node, tree in zip(loads, trees, strict=True):
                await self._mirror.loaded(node, tree)
            for node, when in zip(touched, times, strict=True):
                if when is not None:
                    node.size, node.mtime_ns = when
                    if node.parent is not None:
                        node.parent.touched()
        observations = list(self._mirror.observations())
        for start in range(0, len(observations), SLICE):
            self._report(observations[start : start + SLICE])
            await asyncio.sleep(0)

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

    # -- comparing -------------------------------------------------------------------------------------------------

    async def _compare(self, node: Node) -> None:
        """Read a folder again and treat each difference as something that happened."""
        if node.reserved or node.top is not self._index.roots.get(node.top.name):
            return
        batch = self._translator
        batch.reset()
        tree = await self._thread(self._reader(node))
        if node.key is None:
            await self._mirror.loaded(node, tree)
        elif tree is not None:
            await self._mirror.merge(node, tree)
        elif node.parent is None:
            await self._mirror.merge(node, Tree(node.key, 0, 0, None, {}, {}, {}))
        else:
            return
        await self._ask_disk()

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

    def _note_unwatched(self) -> None:
        self.exhausted = self.exhausted or (self._kernel is not None and self._kernel.exhausted)

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
