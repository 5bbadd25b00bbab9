"""The byte pipe to a printer: a serial port or pty by path, or a TCP socket, behind one small interface.

Ports are opened and set up by pyserial, which knows the odd baud rates (250000, 500000) on every system, and moved on
the event loop by pyserial-asyncio. Both pipes are asyncio transports, so one `StreamLink` serves them.
"""

from __future__ import annotations

import asyncio
import enum
import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import urlsplit

from moonraker_lite.errors import Unavailable

if TYPE_CHECKING:
    from moonraker_lite.marlin.port import Port

MAX_UNSENT = 64 * 1024
_CONNECT_TIMEOUT = 10.0

OnData = Callable[[bytes], None]
OnLost = Callable[[str], None]


class Reset(enum.Enum):
    """What opening a port does about the board's reset line, which hangs on DTR on many boards."""

    AS_IT_COMES = "as it comes"
    """The system asserts DTR on opening and drops it on closing: most boards reset when they are opened."""
    AVOID = "avoid"
    """DTR stays as it is when the port is closed, so that opening it again resets nothing."""
    PULSE = "pulse"
    """DTR and RTS are dropped for a moment."""


class LinkError(Unavailable):
    """The port cannot be opened or was lost. The message names it."""


class Link(Protocol):
    """An open byte pipe. All calls on the event loop's thread."""

    url: str

    def write(self, data: bytes) -> None:
        """Send now or as soon as the pipe takes it. LinkError: it is closed, or more than 64 KiB wait."""

    @property
    def unsent(self) -> int:
        """Bytes that the operating system has not taken yet."""

    def set_baud(self, baud: int) -> bool:
        """Go on at another speed, without opening anew; what was not read is forgotten. False: it does not know it."""

    def close(self) -> None:
        """Close; idempotent; `on_lost` is not called."""


async def open_link(url: str, baud: int, *, on_data: OnData, on_lost: OnLost, reset: Reset = Reset.AS_IT_COMES) -> Link:
    """Open `/dev/ttyUSB0`, a pty's path or `socket://host:port`.

    `reset`: what is done about the board's reset line. `on_data` gets bytes as they come; `on_lost` is called once
    with a sentence when the pipe breaks, never after `close`. LinkError: cannot be opened.
    """
    link = StreamLink(url, on_data, on_lost)
    if url.startswith("socket://"):
        await _connect(link)
    else:
        await _open_port(link, baud, reset)
    return link


class StreamLink(asyncio.Protocol):
    """A link over any asyncio transport.

    pyserial-asyncio hands every write to the loop's next turn, which doubles the cost of a line. So while nothing
    waits in the transport, a serial `port` is written at once, as asyncio's own transports do.
    """

    def __init__(self, url: str, on_data: OnData, on_lost: OnLost) -> None:
        self.url = url
        self.port: Port | None = None
        self._on_data = on_data
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's call."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """asyncio's call."""
        if self._transport is not None:
            self._on_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's call."""
        if self._transport is not None:
            self._transport = None
            self._on_lost(f"{self.url} was lost: {exc or 'closed by the other side'}")

    @property
    def unsent(self) -> int:
        """Bytes that the operating system has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def write(self, data: bytes) -> None:
        """Send now or as soon as the pipe takes it. LinkError: it is closed, or more than 64 KiB wait."""
        if self._transport is None:
            raise LinkError(f"{self.url} is closed")
        if self.unsent + len(data) > MAX_UNSENT:
            raise LinkError(f"{self.url} takes no more data")
        if self.port is not None and not self.unsent:
            data = data[self._write_now(self.port, data) :]
        if data:
            self._transport.write(data)

    def _write_now(self, port: Port, data: bytes) -> int:
        try:
            return port.write(data)
        except OSError:
            return 0  # the transport finds the same fault, and tells it in the loop's next turn

    def set_baud(self, baud: int) -> bool:
        """Go on at another speed. False: the port does not know it. A socket has none, and takes any."""
        if self.port is None:
            return self._transport is not None
        try:
            self.port.baudrate = baud
            self.port.reset_input_buffer()
        except (OSError, ValueError):
            return False
        return True

    def close(self) -> None:
        """Close; idempotent; `on_lost` is not called."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()


async def _open_port(link: StreamLink, baud: int, reset: Reset) -> None:
    """LinkError: there is no such port, it is in use, or it does not know the baud rate."""
    import serial_asyncio

    from moonraker_lite.marlin.port import open_port

    # Some drivers (Bluetooth, network adapters) take seconds to open.
    opening = asyncio.ensure_future(asyncio.to_thread(open_port, link.url, baud, reset))
    try:
        port = await asyncio.shield(opening)
    except asyncio.CancelledError:
        # A thread cannot be stopped: what it opens is closed when it is done.
        opening.add_done_callback(_close_unwanted)
        raise
    except (OSError, ValueError) as error:
        raise LinkError(f"Serial port {link.url} at {baud} baud cannot be opened: {_why(error)}") from error
    transport, _ = await serial_asyncio.connection_for_serial(asyncio.get_running_loop(), lambda: link, port)
    link.port = port
    link.connection_made(transport)  # usable at once; the transport itself says so in the loop's next turn


def _why(error: OSError | ValueError) -> str:
    """pyserial's reason, and what can be done about the usual ones."""
    number = getattr(error, "errno", None)
    if number == errno.EACCES:
        return f"{error}. Is the user in the group that may use serial ports (often dialout)?"
    if number in (errno.EAGAIN, errno.EBUSY):
        return f"{error}. Another program has it."
    if number == errno.ENOENT:
        return f"{error}. `moonraker-lite ports` lists those that are there."
    return str(error)


def _close_unwanted(opening: asyncio.Future[Port]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def _connect(link: StreamLink) -> None:
    try:
        parts = urlsplit(link.url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise LinkError(f"{link.url} cannot be opened: {error}") from error
    if not host or not port:
        raise LinkError(f"{link.url} cannot be opened: expected socket://host:port")
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            await asyncio.get_running_loop().create_connection(lambda: link, host, port)
    except (OSError, TimeoutError) as error:
        raise LinkError(f"{link.url} cannot be opened: {error or 'no answer'}") from error
