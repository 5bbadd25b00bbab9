"""Room on a disk: what is written on behalf of clients leaves some of it to the system (blocking)."""

from __future__ import annotations

from moonraker_lite.components.file_manager.facts import disk_usage
from moonraker_lite.errors import InsufficientStorage

ROOM = 200 * 1024 * 1024  # bytes that stay free, or 5 % of a small disk


def check_room(path: str, length: int, what: str) -> None:
    """Make sure that this many bytes have room on the disk of `path`; `what` they are stands in the message.

    Raises:
        InsufficientStorage: they have not.
    """
    try:
        total, _, free = disk_usage(path)
    except OSError:
        return
    if length > free - min(ROOM, total // 20):
        raise InsufficientStorage(f"There is not enough room for {what} of {length} bytes: {free} bytes are free")
