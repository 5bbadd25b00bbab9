"""The kernel's side of following the disk: inotify, and what happens when it runs out of watches."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
from typing import NamedTuple

import inotify_simple
from inotify_simple import flags

_LOGGER = logging.getLogger(__name__)

# The library would look for libc by starting ldconfig and gcc, which takes longer than the whole of our start.
if inotify_simple._libc is None:
    inotify_simple._libc = ctypes.CDLL(None, use_errno=True)

CREATE, DELETE, MODIFY, ATTRIB = int(flags.CREATE), int(flags.DELETE), int(flags.MODIFY), int(flags.ATTRIB)
CLOSE_WRITE, MOVED_FROM, MOVED_TO = int(flags.CLOSE_WRITE), int(flags.MOVED_FROM), int(flags.MOVED_TO)
DELETE_SELF, MOVE_SELF, UNMOUNT = int(flags.DELETE_SELF), int(flags.MOVE_SELF), int(flags.UNMOUNT)
OVERFLOW, IGNORED, IS_DIR = int(flags.Q_OVERFLOW), int(flags.IGNORED), int(flags.ISDIR)
_MASK = (
    CREATE | DELETE | MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | DELETE_SELF | MOVE_SELF
    | int(flags.ONLYDIR) | int(flags.EXCL_UNLINK)
)  # fmt: skip
_BLOCK = 16 * 1024  # bytes: some hundred records, which are then worked on together


class RawEvent(NamedTuple):
    """One record of the kernel. `name` is "" for the watched directory itself."""

    wd: int
    mask: int
    cookie: int
    name: str


class KernelWatches:
    """An inotify instance. `add` and `remove` may be called from any thread."""

    def __init__(self) -> None:
        """Raises OSError: the user has no inotify instances left."""
        self._inotify = inotify_simple.INotify(nonblocking=True)
        self.exhausted = False

    def fileno(self) -> int:
        return int(self._inotify.fileno())

    def close(self) -> None:
        self._inotify.close()

    def add(self, path: str) -> int | None:
        """Watch a directory. None when the limit of watches is reached, then `exhausted` is set.

        Raises:
            OSError: it is no directory, or may not be read.
        """
        try:
            return int(self._inotify.add_watch(path, _MASK))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.ENOMEM):
                raise
            if not self.exhausted:
                _LOGGER.warning("no inotify watches left, some folders are polled (fs.inotify.max_user_watches)")
            self.exhausted = True
            return None

    def remove(self, wd: int) -> None:
        """End a watch; one that the kernel has dropped already is no error."""
        with contextlib.suppress(OSError):
            self._inotify.rm_watch(wd)

    def read(self) -> list[bytes]:
        """Take all that has happened so far, without waiting, in blocks of whole records for `parse`."""
        blocks = []
        with contextlib.suppress(BlockingIOError):
            while block := os.read(self.fileno(), _BLOCK):
                blocks.append(block)
        return blocks


def parse(block: bytes) -> list[RawEvent]:
    """The records of a block, in their order."""
    return [RawEvent(*event) for event in inotify_simple.parse_events(block)]
