"""Listings as encoded JSON, made from the index and kept until something in them changes.

They are made piece by piece, so that thousands of files hold up nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.index import Entry, Index, Node
from moonraker_lite.components.file_manager.names import is_gcode_name
from moonraker_lite.components.file_manager.roots import Root
from moonraker_lite.components.file_manager.types import FileInfo, Item, NamedDirectory, NamedFile

SLICE = 250  # rows that are made before others may use the loop
_ENCODER = msgspec.json.Encoder()
Extras = Callable[[Place, Entry], bytes]
"""Gives the metadata fields of a G-code file for an extended listing: encoded members without braces, or b""."""


def seconds(nanoseconds: int) -> float:
    """A file's time as `os.stat` gives it as a float."""
    return nanoseconds // 1_000_000_000 + 1e-9 * (nanoseconds % 1_000_000_000)


def permissions(entry: Entry, root: Root) -> str:
    """Links to files can be read only: what they lead to is somebody else's."""
    if entry.reserved:
        return ""
    return "r" if entry.link else root.permissions


async def file_list(node: Node, root: Root, index: Index) -> bytes:
    """The answer of files.list: every file of a root, sorted by its path in lower case; in gcodes only G-code."""
    made = node.listings.get("tree")
    if made is not None:
        return made
    version, only_gcode = node.version, root.name == "gcodes"
    found = [(path.lower(), path, entry) for path, entry in index.files(root.name)]
    found.sort(key=lambda row: row[0])
    rows = (
        _ENCODER.encode(FileInfo(path, seconds(entry.mtime_ns), entry.size, permissions(entry, root)))
        for _, path, entry in found
        if not only_gcode or is_gcode_name(path)
    )
    return await _made(node, "tree", version, rows)


async def directories(node: Node, root: Root) -> bytes:
    """The folders in a folder."""
    kept = f"dirs:{root.permissions}"
    made = node.listings.get(kept)
    if made is not None:
        return made
    named = [(below, below.name, "" if below.reserved else root.permissions) for below in node.folders.values()]
    named += [(target, name, root.permissions) for name, target in node.aliases.items()]
    rows = (
        _ENCODER.encode(NamedDirectory(seconds(below.mtime_ns), below.size, rights, name))
        for below, name, rights in named
    )
    return await _made(node, kept, node.version, rows)


async def files(node: Node, root: Root, extras: Extras | None) -> bytes:
    """The files in a folder; with `extras` their metadata too."""
    kept = f"{'files' if extras is None else 'extended'}:{root.permissions}"
    made = node.listings.get(kept)
    if made is not None:
        return made
    visible = [(file, entry) for file, entry in node.entries.items() if entry.visible]
    return await _made(node, kept, node.version, _file_rows(node.place, visible, root, extras))


def _file_rows(folder: Place, visible: list[tuple[str, Entry]], root: Root, extras: Extras | None) -> Iterable[bytes]:
    for file, entry in visible:
        row = _ENCODER.encode(NamedFile(seconds(entry.mtime_ns), entry.size, permissions(entry, root), file))
        more = extras(folder.child(file), entry) if extras is not None else b""
        yield b"%b,%b}" % (row[:-1], more) if more else row


async def _made(node: Node, kept: str, version: int, rows: Iterable[bytes]) -> bytes:
    """The list of these rows, which is kept if it is still true when it is done. A row may tell of what happened
    meanwhile; whoever lists then has been told of it by a notification behind the listing."""
    encoded: list[bytes] = []
    for row in rows:
        encoded.append(row)
        if len(encoded) % SLICE == 0:
            await asyncio.sleep(0)
    made = b"[%b]" % b",".join(encoded)
    if node.version == version:
        node.listings[kept] = made
    return made


def item(index: Index, place: Place, root: Root | None) -> Item | None:
    """A file or folder as the index knows it; None when it is not there."""
    if root is None:
        return None
    entry = index.entry(place)
    if entry is not None:
        return Item(seconds(entry.mtime_ns), entry.size, permissions(entry, root), place.path, place.root)
    node = index.folder(place)
    if node is not None:
        return Item(seconds(node.mtime_ns), node.size, root.permissions, place.path, place.root)
    return None


def gone(place: Place) -> Item:
    """What stands for an item that is not there any more."""
    return Item(0, 0, "", place.path, place.root)
