"""Temporary files in a root: what is uploaded, copied or packed stands under such a name until it is whole.

A part holds an advisory lock, so that the leftovers of a process that was killed can be told from those in use, also by
another host that shares the folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import logging
import os
import stat
from collections.abc import Iterator

from moonraker_lite.components.file_manager.names import part_name
from moonraker_lite.components.file_manager.removing import remove_tree
from moonraker_lite.components.file_manager.roots import Folder

_LOGGER = logging.getLogger(__name__)

_WRITE_NOW = 2  # SYNC_FILE_RANGE_WRITE: begin to write out, do not wait
_LIBC = ctypes.CDLL(None, use_errno=True)


class Part:
    """A new, locked file in a folder. `place` makes it real; `discard` leaves nothing. All calls are blocking."""

    def __init__(self, folder: Folder) -> None:
        """Raises OSError: the folder cannot be written to."""
        self.name = part_name()
        self.directory = folder.path
        self.fd = os.open(self.name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder.fd)
        self._folder_fd = os.dup(folder.fd)
        _lock(self.fd)

    @property
    def path(self) -> str:
        return os.path.join(self.directory, self.name)

    @property
    def device(self) -> int:
        return os.fstat(self.fd).st_dev

    def write_out(self, start: int, length: int) -> None:
        """Have the disk begin with these bytes, so that the final sync finds little left to do."""
        # Only a hint: where the call is not known, the sync takes longer.
        _LIBC.sync_file_range(self.fd, ctypes.c_int64(start), ctypes.c_int64(length), _WRITE_NOW)

    def place(self, folder: Folder, name: str) -> None:
        """Make the content durable and give it its name in `folder`, replacing what has it. The part is used up.

        Raises:
            OSError: the disk refuses, or the folder is on another file system; then the part is still there.
        """
        os.fsync(self.fd)
        os.rename(self.name, name, src_dir_fd=self._folder_fd, dst_dir_fd=folder.fd)
        folder.sync()
        self._close()

    def discard(self) -> None:
        """Remove the part. Does nothing after `place`."""
        if self.fd >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self.name, dir_fd=self._folder_fd)
            self._close()

    def _close(self) -> None:
        os.close(self.fd)
        os.close(self._folder_fd)
        self.fd = -1


@contextlib.contextmanager
def new_part(folder: Folder) -> Iterator[Part]:
    """A part that is gone after the block unless it was placed."""
    part = Part(folder)
    try:
        yield part
    finally:
        part.discard()


@contextlib.contextmanager
def new_part_folder(folder: Folder) -> Iterator[Folder]:
    """A new, locked temporary folder in `folder`; what is left of it after the block is removed."""
    name = part_name()
    os.mkdir(name, dir_fd=folder.fd)
    path = folder.join(name)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    _lock(fd)
    try:
        yield _Opened(fd, path)
    finally:
        with contextlib.suppress(OSError):
            remove_tree(name, folder.fd)
        os.close(fd)


class _Opened(Folder):
    """A folder that is open already."""

    def __init__(self, fd: int, path: str) -> None:
        self.fd = fd
        self.path = path


def sweep(path: str) -> None:
    """Remove a leftover part unless somebody holds it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            remove_tree(path, fd)
        else:
            os.unlink(path)
        _LOGGER.info("removed what an interrupted upload left: %s", os.path.basename(path))
    except OSError:
        return
    finally:
        os.close(fd)


def _lock(fd: int) -> None:
    # A file system without locks cannot tell leftovers from what is in use; then they stay.
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
