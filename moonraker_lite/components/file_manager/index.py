"""The index: what every root holds, kept in memory. It lives on the event loop and never looks at the disk itself."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.facts import Key, Kind, Look

_UNKNOWN, _HIDDEN = -1, -2


class Entry(msgspec.Struct, gc=False):
    """A file. `size` is negative while it was not looked at, and for what cannot be shown (a broken link, a socket)."""

    size: int = _UNKNOWN
    mtime_ns: int = 0
    link: bool = False
    reserved: bool = False

    @property
    def visible(self) -> bool:
        return self.size >= 0

    @property
    def hidden(self) -> bool:
        return self.size == _HIDDEN

    def take(self, seen: Look) -> bool:
        """Take over what was seen. True when size or time are other than before."""
        before = (self.size, self.mtime_ns)
        if seen.kind is Kind.FILE:
            self.size, self.mtime_ns, self.link, self.reserved = seen.size, seen.mtime_ns, seen.link, False
        elif seen.kind is Kind.RESERVED:
            self.size, self.mtime_ns, self.link, self.reserved = 0, 0, seen.link, True
        elif seen.kind is not Kind.MISSING:
            self.size = _HIDDEN
        return (self.size, self.mtime_ns) != before


class Node:
    """A folder. `real` is its path on disk without links; that of a linked folder is where the link leads. `aliases`
    are links to folders that have a place of their own in the index."""

    __slots__ = (
        "_real", "aliases", "checked", "entries", "folders", "key", "link", "listings", "mtime_ns", "name", "parent",
        "reserved", "size", "version", "wd",
    )  # fmt: skip

    def __init__(self, name: str, parent: Node | None, *, real: str | None = None, link: bool = False) -> None:
        self.name = name
        self.parent = parent
        self.entries: dict[str, Entry] = {}
        self.folders: dict[str, Node] = {}
        self.aliases: dict[str, Node] = {}
        self.key: Key | None = None
        self.size = 0
        self.mtime_ns = 0
        self.wd: int | None = None
        self.link = link
        self.reserved = False
        self.listings: dict[str, bytes] = {}
        self.version = 0  # counts the changes of what listings show
        self.checked = 0.0  # when the disk was last asked whether this is all
        self._real = real

    @property
    def real(self) -> str:
        if self._real is not None or self.parent is None:
            return self._real or ""
        return f"{self.parent.real}/{self.name}"

    @property
    def place(self) -> Place:
        if self.parent is None:
            return Place(self.name, "")
        return self.parent.place.child(self.name)

    @property
    def top(self) -> Node:
        node = self
        while node.parent is not None:
            node = node.parent
        return node

    def touched(self) -> None:
        """Something in this folder is other than it was: forget the listings that show it."""
        node: Node | None = self
        self.listings.clear()
        while node is not None:
            node.version += 1
            node.listings.pop("tree", None)
            node = node.parent

    def within(self, other: Node) -> bool:
        """Whether this is `other` or somewhere below it."""
        node: Node | None = self
        while node is not None:
            if node is other:
                return True
            node = node.parent
        return False

    def walk(self) -> Iterator[Node]:
        """This folder and all below it; linked folders that stand elsewhere in the index are not entered."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.folders.values())

    def contains(self, name: str) -> bool:
        return name in self.entries or name in self.folders or name in self.aliases


class Index:
    """All roots, with ways to find a folder by its watch and by its identity."""

    def __init__(self) -> None:
        self.roots: dict[str, Node] = {}
        self.by_wd: dict[int, Node] = {}
        self.by_key: dict[Key, Node] = {}

    def add_root(self, name: str, real: str) -> Node:
        """Begin a root, replacing what had this name."""
        node = Node(name, None, real=real)
        self.roots[name] = node
        return node

    def folder(self, place: Place) -> Node | None:
        """The folder at a place, links to folders followed."""
        node = self.roots.get(place.root)
        for name in place.path.split("/") if place.path else ():
            if node is None:
                return None
            below = node.folders.get(name)
            node = below if below is not None else node.aliases.get(name)
        return None if node is None or node.reserved else node

    def entry(self, place: Place) -> Entry | None:
        """The file at a place; None also for what is there but cannot be shown."""
        folder = self.folder(place.parent) if place.path else None
        entry = folder.entries.get(place.name) if folder is not None else None
        return entry if entry is not None and entry.visible else None

    def files(self, root: str) -> Iterator[tuple[str, Entry]]:
        """Every visible file of a root with its path, in no order."""
        top = self.roots.get(root)
        stack = [(top, "")] if top is not None else []
        while stack:
            node, prefix = stack.pop()
            for name, entry in node.entries.items():
                if entry.visible:
                    yield prefix + name, entry
            stack.extend((below, f"{prefix}{name}/") for name, below in node.folders.items())

    def places(self, folder: Place) -> Iterator[Place]:
        """Every file below a folder."""
        top = self.folder(folder)
        for node in top.walk() if top is not None else ():
            place = node.place
            for name in node.entries:
                yield place.child(name)

    def identify(self, node: Node, key: Key, wd: int | None) -> None:
        """Note the identity and the watch of a folder."""
        self.forget(node)
        other = self.by_wd.get(wd) if wd is not None else None
        if other is not None:
            other.wd = None  # two roots hold the same folder; the kernel tells each of its events once
        node.key, node.wd = key, wd
        self.by_key[key] = node
        if wd is not None:
            self.by_wd[wd] = node

    def at(self, key: Key) -> Node | None:
        """The folder of this identity, if it has a place now (it may be on a move that has not ended)."""
        found = node = self.by_key.get(key)
        while node is not None and node.parent is not None:
            if node.parent.folders.get(node.name) is not node:
                return None
            node = node.parent
        return found if node is not None and self.roots.get(node.name) is node else None

    def forget(self, node: Node) -> int | None:
        """Take a folder out of the look-ups; the watch that has no use any more."""
        wd = node.wd
        if node.key is not None and self.by_key.get(node.key) is node:
            del self.by_key[node.key]
        if wd is not None and self.by_wd.get(wd) is node:
            del self.by_wd[wd]
        else:
            wd = None
        node.wd = None
        return wd

    def aliases_to(self, gone: Node) -> list[tuple[Node, str]]:
        """The links that lead into a folder which is about to leave the index."""
        return [
            (node, name)
            for root in self.roots.values()
            for node in root.walk()
            if node.aliases
            for name, target in node.aliases.items()
            if target.within(gone)
        ]
