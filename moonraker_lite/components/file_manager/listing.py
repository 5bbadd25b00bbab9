"""Listings as encoded JSON, made from the index and kept until something in them changes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.index import Entry, Index, Node
from moonraker_lite.components.file_manager.names import is_gcode_name
from moonraker_lite.components.file_manager.roots import Root
from moonraker_lite.components.file_manager.types import FileInfo, Item, NamedDirectory, NamedFile

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


def file_list(node: Node, root: Root, index: Index) -> bytes:
    """The answer of files.list: every file of a root, sorted by its path in lower case; in gcodes only G-code."""
    made = node.listings.get("tree")
    if made is None:
        only_gcode = root.name == "gcodes"
        rows = [
            (path.lower(), FileInfo(path, seconds(entry.mtime_ns), entry.size, permissions(entry, root)))
            for path, entry in index.files(root.name)
            if not only_gcode or is_gcode_name(path)
        ]
        rows.sort(key=lambda row: row[0])
        made = node.listings["tree"] = _ENCODER.encode([row for _, row in rows])
    return made


def directories(node: Node, root: Root) -> bytes:
    """The folders in a folder."""
    kept = f"dirs:{root.permissions}"
    made = node.listings.get(kept)
    if made is None:
        rows = [
            NamedDirectory(seconds(below.mtime_ns), below.size, "" if below.reserved else root.permissions, below.name)
            for below in node.folders.values()
        ]
        rows += [
            NamedDirectory(seconds(target.mtime_ns), target.size, root.permissions, name)
            for name, target in node.aliases.items()
        ]
        made = node.listings[kept] = _ENCODER.encode(rows)
    return made


def files(node: Node, root: Root, extras: Extras | None) -> bytes:
    """The files in a folder; with `extras` their metadata too."""
    kept = f"{'files' if extras is None else 'extended'}:{root.permissions}"
    made = node.listings.get(kept)
    if made is None:
        visible = [(file, entry) for file, entry in node.entries.items() if entry.visible]
        rows = [
            NamedFile(seconds(entry.mtime_ns), entry.size, permissions(entry, root), file) for file, entry in visible
        ]
        made = _ENCODER.encode(rows) if extras is None else _extended(node.place, rows, visible, extras)
        node.listings[kept] = made
    return made


def _extended(folder: Place, rows: list[NamedFile], visible: list[tuple[str, Entry]], extras: Extras) -> bytes:
    encoded = []
    for row, (file, entry) in zip(rows, visible, strict=True):
        plain = _ENCODER.encode(row)
        more = extras(folder.child(file), entry)
        encoded.append(b"%b,%b}" % (plain[:-1], more) if more else plain)
    return b"[%b]" % b",".join(encoded)


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
