"""The mirror: puts what was seen on disk into the index, and says what that means. It runs on the event loop.

`translate` has changed the structure of the index already; here names get their sizes and kinds, new folders their
content, and links their targets. Folders that were read again are compared, and each difference becomes a step like one
that the kernel had told of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from moonraker_lite.components.file_manager.changes import Event, Observation, Place
from moonraker_lite.components.file_manager.facts import Kind, Look, Tree
from moonraker_lite.components.file_manager.index import Entry, Index, Node
from moonraker_lite.components.file_manager.translate import Step, Translator

SLICE = 100  # files that are entered before others may use the loop


class Mirror:
    """See the module. `found` gets the files in folders that were read as a whole; `unwatched` is called when a folder
    could not be watched; linked folders that have to be read again are in `again`."""

    def __init__(
        self, index: Index, batch: Translator, found: Callable[[list[Place]], None], unwatched: Callable[[], None]
    ) -> None:
        self.again: dict[int, Node] = {}
        self._index = index
        self._batch = batch
        self._found = found
        self._unwatched = unwatched
        self._folders: set[int] = set()
        self._hard: set[int] = set()
        self._work = 0

    def begin(self) -> None:
        """A new batch."""
        self._folders.clear()
        self._hard.clear()

    async def _breathe(self) -> None:
        """Let others use the loop now and then."""
        self._work += 1
        if self._work % SLICE == 0:
            await asyncio.sleep(0)

    # -- what was seen ---------------------------------------------------------------------------------------------

    def looked(self, entry: Entry, node: Node, name: str, seen: Look) -> None:
        """A name was looked at."""
        if node.entries.get(name) is not entry:
            return
        if seen.kind is Kind.FOLDER:
            if seen.link:
                del node.entries[name]
                self._folders.add(id(entry))
                self._link(node, name, seen)
            return
        if seen.links > 1 and not seen.link:
            self._hard.add(id(entry))
        if entry.take(seen):
            self._batch.changed.add(id(entry))
            node.touched()

    def _link(self, node: Node, name: str, seen: Look) -> None:
        """A link to a folder: another way to one that stands in the index, or the place of one from outside."""
        node.touched()
        target = self._index.at(seen.key)
        if target is not None:
            node.aliases[name] = target
        else:
            node.folders[name] = below = Node(name, node, real=seen.real, link=True)
            self._batch.loads.append(below)

    async def loaded(self, node: Node, tree: Tree | None) -> None:
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
        await self._plant(node, tree, found)
        if found:
            self._found(found)

    def _demote(self, linked: Node, real: Node) -> None:
        """A folder known by a link has turned up as itself: the link becomes an alias."""
        assert linked.parent is not None
        for node in linked.walk():
            self._index.forget(node)
        del linked.parent.folders[linked.name]
        linked.parent.aliases[linked.name] = real

    async def _plant(self, node: Node, tree: Tree, found: list[Place]) -> None:
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
            await self._breathe()
        for name, below in tree.folders.items():
            child = node.folders[name] = Node(name, node)
            child.reserved = below is None
            if below is not None:
                await self._plant(child, below, found)
        for name, seen in tree.links.items():
            self._link(node, name, seen)

    def _note_watch(self, tree: Tree) -> None:
        if tree.wd is None:
            self._unwatched()

    def observations(self) -> Iterator[Observation]:
        """What the steps of the batch mean, now that the disk was asked."""
        changed, quiet = self._batch.changed, self._batch.quiet
        written: set[int] = set()
        for step in self._batch.steps:
            entry, event = step.entry, step.event
            if entry is None:
                yield Observation(event, step.place, step.source)
                continue
            known = id(entry)
            if known in self._folders:
                if event is Event.FILE_APPEARED:
                    yield Observation(Event.DIR_APPEARED, step.place)
            elif entry.hidden:
                continue
            elif event is Event.FILE_APPEARED:
                if known not in self._hard:
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
                if known in changed and known not in written and known not in quiet and known not in self._hard:
                    yield Observation(Event.FILE_WRITTEN, step.place)
                changed.discard(known)
                yield Observation(event, step.place)
            else:
                yield Observation(event, step.place, step.source, replaced=step.replaced)

    # -- comparing -------------------------------------------------------------------------------------------------

    async def merge(self, node: Node, tree: Tree) -> None:
        """A folder was read again: its differences become steps."""
        batch, place = self._batch, node.place
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
            await self._breathe()
        for name, below in tree.folders.items():
            child = node.folders.get(name)
            if child is None and name not in node.aliases:
                batch.add_folder(node, name)
                batch.steps.append(Step(Event.DIR_APPEARED, place.child(name)))
            elif child is not None and below is not None and not child.link:
                if child.key is not None:
                    await self.merge(child, below)
                else:
                    batch.loads.append(child)
        for name, seen in tree.links.items():
            linked = node.folders.get(name)
            if linked is not None and linked.real == seen.real:
                self.again[id(linked)] = linked
            elif not node.contains(name):
                self._link(node, name, seen)
                batch.steps.append(Step(Event.DIR_APPEARED, place.child(name)))

    def _merge_file(self, node: Node, name: str, seen: Look) -> None:
        batch, place = self._batch, node.place.child(name)
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
