"""Removing directories with all that is in them, however deep they are (blocking)."""

from __future__ import annotations

import os
from contextlib import suppress

from moonraker_lite.components.file_manager.names import part_name

DEEP = 64  # levels that are gone down; what is deeper is first moved up
ROUNDS = 10_000  # so often at most: somebody may be filling the tree while it is removed
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(name: str, parent: int) -> None:
    """Remove the directory `name` in the open directory `parent`. Links in it are removed, not followed.

    A tree may be thousands of levels deep, more than there are file descriptors or stack frames.

    Raises:
        OSError: something cannot be removed; what was removed before is gone.
    """
    top = os.open(name, _OPEN, dir_fd=parent)
    try:
        for _ in range(ROUNDS):
            if not _empty(top, top, 0):
                break
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


def _empty(folder: int, top: int, depth: int) -> bool:
    """Empty a directory. Whether something of it was too deep and stands directly in `top` now."""
    moved = False
    with os.scandir(folder) as found:
        children = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    for name, is_folder in children:
        with suppress(FileNotFoundError):  # somebody else was faster
            if not is_folder:
                os.unlink(name, dir_fd=folder)
            elif depth >= DEEP:
                os.rename(name, part_name(), src_dir_fd=folder, dst_dir_fd=top)
                moved = True
            else:
                moved |= _remove(name, folder, top, depth)
    return moved


def _remove(name: str, folder: int, top: int, depth: int) -> bool:
    child = os.open(name, _OPEN, dir_fd=folder)
    try:
        moved = _empty(child, top, depth + 1)
    finally:
        os.close(child)
    os.rmdir(name, dir_fd=folder)
    return moved
