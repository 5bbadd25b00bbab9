"""Looking at the disk: blocking functions for a thread. They know nothing of the index."""

from __future__ import annotations

import enum
import logging
import os
import stat
from collections.abc import Callable

import msgspec

from moonraker_lite.components.file_manager.names import GIT, is_part
from moonraker_lite.components.file_manager.paths import MAX_DEPTH, is_plain_name
from moonraker_lite.components.file_manager.roots import Reserved

_LOGGER = logging.getLogger(__name__)

Key = tuple[int, int]
"""Device and inode: the identity of a folder, whatever its paths."""

Watch = Callable[[str], int | None]
"""Begins to watch a directory (a real path) and gives the watch's number, or None when it cannot be watched."""


class Kind(enum.Enum):
    MISSING = enum.auto()
    FILE = enum.auto()
    FOLDER = enum.auto()
    HIDDEN = enum.auto()  # a broken link, a socket, a device: nothing a client could use
    RESERVED = enum.auto()  # a reserved file, or a link into a reserved place


class Look(msgspec.Struct, frozen=True):
    """What one name is. For links `link` is set, and size, time and kind are those of what it leads to."""

    kind: Kind
    size: int = 0
    mtime_ns: int = 0
    link: bool = False
    key: Key = (0, 0)
    real: str = ""
    links: int = 1


class Tree(msgspec.Struct):
    """A directory as it was read. `folders` are the real subdirectories, `links` lead to directories."""

    key: Key
    size: int
    mtime_ns: int
    wd: int | None
    files: dict[str, Look]
    folders: dict[str, Tree | None]
    links: dict[str, Look]


_MISSING = Look(Kind.MISSING)


def look(path: str, reserved: Reserved) -> Look:
    """What `path` is now."""
    try:
        found = os.lstat(path)
        if reserved.holds(path):
            return Look(Kind.RESERVED, real=path)
        if not stat.S_ISLNK(found.st_mode):
            return _described(found, False, path)
        real = os.path.realpath(path)
        if reserved.holds(real):
            return Look(Kind.RESERVED, link=True, real=real)
        try:
            return _described(os.stat(path), True, real)
        except OSError:
            return Look(Kind.HIDDEN, link=True, real=real)
    except (OSError, ValueError):
        return _MISSING


def _described(found: os.stat_result, link: bool, real: str) -> Look:
    kind = Kind.HIDDEN
    if stat.S_ISREG(found.st_mode):
        kind = Kind.FILE
    elif stat.S_ISDIR(found.st_mode):
        kind = Kind.FOLDER
    return Look(kind, found.st_size, found.st_mtime_ns, link, (found.st_dev, found.st_ino), real, found.st_nlink)


class TreeReader:
    """Reads directories with all that is below them, and sets a watch on each before it is read, so that nothing that
    happens meanwhile is missed. Temporary files that no upload holds any more are removed on the way."""

    def __init__(self, reserved: Reserved, watch: Watch, sweep: Callable[[str], None]) -> None:
        self._reserved = reserved
        self._watch = watch
        self._sweep = sweep

    def read(self, path: str) -> Tree | None:
        """The tree at a real path; None when it is no directory that may be read."""
        return self._read(path, 0)

    def _read(self, path: str, depth: int) -> Tree | None:
        try:
            wd = self._watch(path)
            found = os.stat(path)
            tree = Tree((found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns, wd, {}, {}, {})
            names: list[str] = []
            with os.scandir(path) as entries:
                for entry in entries:
                    self._enter(entry, tree, names)
        except OSError as error:
            _LOGGER.info("folder %r cannot be read: %s", path, error.strerror)
            return None
        for name in names:
            below = os.path.join(path, name)
            closed = name == GIT or self._reserved.holds(below) or depth >= MAX_DEPTH
            tree.folders[name] = None if closed else self._read(below, depth + 1)
        return tree

    def _enter(self, entry: os.DirEntry[str], tree: Tree, names: list[str]) -> None:
        name = entry.name
        if is_part(name):
            self._sweep(entry.path)
        elif not is_plain_name(name):
            return
        elif entry.is_symlink():
            seen = look(entry.path, self._reserved)
            (tree.links if seen.kind is Kind.FOLDER else tree.files)[name] = seen
        elif entry.is_dir(follow_symlinks=False):
            names.append(name)
        else:
            seen = look(entry.path, self._reserved)
            if seen.kind is not Kind.MISSING:
                tree.files[name] = seen


def disk_usage(path: str) -> tuple[int, int, int]:
    """Total, used and free bytes of the file system that holds `path`."""
    found = os.statvfs(path)
    return (
        found.f_blocks * found.f_frsize,
        (found.f_blocks - found.f_bfree) * found.f_frsize,
        found.f_bavail * found.f_frsize,
    )
