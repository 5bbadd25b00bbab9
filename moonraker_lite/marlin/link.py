"""The byte pipe to a printer: a serial port or pty by path, or a TCP socket, behind one small class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from moonraker_lite.errors import Unavailable


class LinkError(Unavailable):
    """The port cannot be opened or was lost. The message names it."""


class Link(Protocol):
    """An open byte pipe. All calls on the event loop's thread."""

    url: str

    def write(self, data: bytes) -> None:
        """Send now or as soon as the pipe takes it. LinkError when closed, or more than 64 KiB wait."""
        raise NotImplementedError

    @property
    def unsent(self) -> int:
        """Bytes written by us that the operating system has not taken."""
        raise NotImplementedError

    def close(self) -> None:
        """Close; idempotent; `on_lost` is not called."""
        raise NotImplementedError


async def open_link(url: str, baud: int, *, on_data: Callable[[bytes], None], on_lost: Callable[[str], None]) -> Link:
    """Open `/dev/ttyUSB0`, a pty's path or `socket://host:port`.

    `on_data` gets bytes as they come; `on_lost` is called once with a sentence when the pipe breaks, never after
    `close`. LinkError: cannot be opened.
    """
    raise NotImplementedError
