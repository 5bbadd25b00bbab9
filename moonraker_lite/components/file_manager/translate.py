"""From raw kernel events to what happened, in order. No disk is touched here: names and watches only.

Each event changes the structure of the index at once (folders come, go and move; files are put in their places), and
leaves a `Step`. What sizes and kinds things have is looked up afterwards, for the whole batch together, at the places
where they are then.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from moonraker_lite.components.file_manager import kernel
from moonraker_lite.components.file_manager.changes import Event, Place
from moonraker_lite.components.file_manager.index import Entry, Index, Node
from moonraker_lite.components.file_manager.kernel import RawEvent
from moonraker_lite.components.file_manager.paths import is_plain_name

MOVE_SECONDS = 0.1  # s in which the second half of a move must follow; the kernel queues both in one system call


class Step(msgspec.Struct):
    """Something that happened, before the disk was looked at. `entry` is the file it happened to."""

    event: Event
    place: Place
    entry: Entry | None = None
    source: Place | None = None
    complete: bool = False
    replaced: bool = False


class Taken(msgspec.Struct):
    """What was moved away from `place` and has not arrived anywhere yet."""

    place: Place
    item: Entry | Node
    alias: bool
    expires: float


class Translator:
    """Applies raw events to the index. One batch: `take` (also several times), then `reset`."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._taken: dict[int, Taken] = {}
        self.reset()

    def reset(self) -> None:
        """Begin a new batch. Halves of moves are kept."""
        self.steps: list[Step] = []
        self.looks: dict[int, tuple[Entry, Node, str]] = {}
        self.quiet: set[int] = set()
        self.changed: set[int] = set()
        self.loads: list[Node] = []
        self.touched: dict[int, Node] = {}
        self.dead: list[int] = []
        self.lost: list[Node] = []
        self.overflow = False

    @property
    def waiting(self) -> float | None:
        """When the oldest half of a move expires."""
        return min((taken.expires for taken in self._taken.values()), default=None)

    def take(self, events: Iterable[RawEvent], now: float) -> None:
        """Apply events in their order."""
        for event in events:
            if event.mask & kernel.OVERFLOW:
                self.overflow = True
                continue
            node = self._index.by_wd.get(event.wd)
            if node is None:
                continue
            if not event.name:
                self._about_itself(node, event)
            elif is_plain_name(event.name):
                self._about_child(node, event, now)

    def expire(self, now: float) -> None:
        """What was moved away and did not arrive has left the roots."""
        for cookie in [cookie for cookie, taken in self._taken.items() if taken.expires <= now]:
            self._left(self._taken.pop(cookie))

    # -- folders themselves ----------------------------------------------------------------------------------------

    def _about_itself(self, node: Node, event: RawEvent) -> None:
        if event.mask & kernel.IGNORED:
            self._index.forget(node)
        if event.mask & (kernel.IGNORED | kernel.DELETE_SELF | kernel.MOVE_SELF | kernel.UNMOUNT):
            # For other folders the one above tells us.
            if node.parent is None or node.link or event.mask & kernel.UNMOUNT:
                self.lost.append(node)
        elif event.mask & kernel.ATTRIB:
            self._touch(node)

    def _touch(self, node: Node) -> None:
        node.touched()
        self.touched[id(node)] = node

    def look_at(self, entry: Entry, node: Node, name: str) -> None:
        """Have the disk asked about a file when the batch is done."""
        self.looks[id(entry)] = (entry, node, name)
        node.touched()

    # -- what happens to a child -----------------------------------------------------------------------------------

    def _about_child(self, node: Node, event: RawEvent, now: float) -> None:
        name, mask = event.name, event.mask
        folder = bool(mask & kernel.IS_DIR)
        if mask & kernel.CREATE:
            self._touch(node)
            self._created(node, name, folder, complete=False)
        elif mask & kernel.MODIFY:
            self._wrote(node, name, Event.FILE_WRITTEN)
        elif mask & kernel.CLOSE_WRITE:
            self._wrote(node, name, Event.FILE_CLOSED)
        elif mask & kernel.MOVED_FROM:
            self._touch(node)
            self._moved_from(node, name, event.cookie, now)
        elif mask & kernel.MOVED_TO:
            self._touch(node)
            self._moved_to(node, name, folder, event.cookie)
        elif mask & kernel.DELETE:
            self._touch(node)
            self.remove(node, name)
        elif mask & kernel.ATTRIB and not folder and (entry := node.entries.get(name)) is not None:
            self.quiet.add(id(entry))
            self.look_at(entry, node, name)
            self.steps.append(Step(Event.FILE_TOUCHED, node.place.child(name), entry))

    def _created(self, node: Node, name: str, folder: bool, *, complete: bool) -> None:
        place = node.place.child(name)
        self._settle(place)
        if folder:
            if name not in node.folders:
                self.add_folder(node, name)
                self.steps.append(Step(Event.DIR_APPEARED, place))
        elif not node.contains(name):
            entry = node.entries[name] = Entry()
            self.look_at(entry, node, name)
            self.steps.append(Step(Event.FILE_APPEARED, place, entry, complete=complete))

    def add_folder(self, node: Node, name: str) -> Node:
        """Put a new folder into the index; it is read and watched when the batch is done."""
        below = node.folders[name] = Node(name, node)
        self.loads.append(below)
        return below

    def _wrote(self, node: Node, name: str, event: Event) -> None:
        entry = node.entries.get(name)
        if entry is None:
            if node.contains(name):
                return
            self._created(node, name, False, complete=False)
            entry = node.entries[name]
        self.look_at(entry, node, name)
        self.steps.append(Step(event, node.place.child(name), entry))

    def remove(self, node: Node, name: str) -> None:
        """A child is not there any more."""
        self._gone(node.place.child(name), *self._pop(node, name))

    def _pop(self, node: Node, name: str) -> tuple[Entry | Node | None, bool]:
        """Take a child out of its folder; the flag says that it is a link to a folder which stands elsewhere."""
        entry = node.entries.pop(name, None)
        if entry is not None:
            self.looks.pop(id(entry), None)
            return entry, False
        below = node.folders.pop(name, None)
        if below is not None:
            return below, False
        return node.aliases.pop(name, None), True

    def _gone(self, place: Place, item: Entry | Node | None, alias: bool) -> None:
        if isinstance(item, Entry):
            if not item.hidden:
                self.steps.append(Step(Event.FILE_VANISHED, place, item))
        elif item is not None:
            if not alias:
                self.drop(item)
            self.steps.append(Step(Event.DIR_VANISHED, place))

    def drop(self, gone: Node) -> None:
        """A folder left the index with all below it: end its watches, and look again at the links that led to it."""
        for node, name in self._index.aliases_to(gone):
            del node.aliases[name]
            entry = node.entries[name] = Entry()
            self.look_at(entry, node, name)
        for node in gone.walk():
            wd = self._index.forget(node)
            if wd is not None:
                self.dead.append(wd)
        self.loads = [node for node in self.loads if not node.within(gone)]

    # -- moves -----------------------------------------------------------------------------------------------------

    def _moved_from(self, node: Node, name: str, cookie: int, now: float) -> None:
        item, alias = self._pop(node, name)
        if item is not None:
            self._taken[cookie] = Taken(node.place.child(name), item, alias, now + MOVE_SECONDS)

    def _moved_to(self, node: Node, name: str, folder: bool, cookie: int) -> None:
        taken = self._taken.pop(cookie, None)
        place = node.place.child(name)
        if taken is None:
            self._arrived(node, name, folder, place)
            return
        self._settle(place)
        over, over_alias = self._pop(node, name)
        replaced = isinstance(over, Entry) and over.visible
        if isinstance(over, Node) and not over_alias:
            self.drop(over)
        item = taken.item
        if isinstance(item, Entry):
            node.entries[name] = item
            self.look_at(item, node, name)
            self.steps.append(Step(Event.FILE_MOVED, place, item, taken.place, replaced=replaced))
            return
        if taken.alias:
            node.aliases[name] = item
        else:
            item.name, item.parent = name, node
            node.folders[name] = item
            if item.key is None and item not in self.loads:
                self.loads.append(item)
        self.steps.append(Step(Event.DIR_MOVED, place, source=taken.place))

    def _arrived(self, node: Node, name: str, folder: bool, place: Place) -> None:
        """Something was moved in from outside the roots, perhaps over what was there."""
        entry = node.entries.get(name)
        if folder and name in node.folders:
            self._gone(place, *self._pop(node, name))
        if entry is None or folder:
            self._created(node, name, folder, complete=True)
            return
        self.look_at(entry, node, name)
        entry.mtime_ns = -1  # it is another file, even if it should be of the same size and time
        self.steps.append(Step(Event.FILE_WRITTEN, place, entry))
        self.steps.append(Step(Event.FILE_CLOSED, place, entry))

    def _settle(self, place: Place) -> None:
        """Something new stands where something was moved away from: that did not stay in the roots, or it would have
        arrived before."""
        for cookie in [cookie for cookie, taken in self._taken.items() if taken.place == place]:
            self._left(self._taken.pop(cookie))

    def _left(self, taken: Taken) -> None:
        self._gone(taken.place, taken.item, taken.alias)
