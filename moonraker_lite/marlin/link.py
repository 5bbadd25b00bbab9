"""The byte pipe to a printer: a serial port or pty by path, or a TCP socket, behind one small interface.

Ports are opened and set up by pyserial, which knows the odd baud rates (250000, 500000) on every system. Bytes are
moved with the file descriptor on the event loop: pyserial's own reading and pyserial-asyncio's transport cost as much
CPU per line as the whole protocol.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import urlsplit

from moonraker_lite.errors import Unavailable

if TYPE_CHECKING:
    import serial

MAX_UNSENT = 64 * 1024
_READ_SIZE = 4096
_CONNECT_TIMEOUT = 10.0


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

    def close(self) -> None:
        """Close; idempotent; `on_lost` is not called."""


async def open_link(url: str, baud: int, *, on_data: Callable[[bytes], None], on_lost: Callable[[str], None]) -> Link:
    """Open `/dev/ttyUSB0`, a pty's path or `socket://host:port`.

    `on_data` gets bytes as they come; `on_lost` is called once with a sentence when the pipe breaks, never after
    `close`. LinkError: cannot be opened.
    """
    if url.startswith("socket://"):
        return await _open_socket(url, on_data, on_lost)
    return await PortLink.open(url, baud, on_data, on_lost)


class PortLink:
    """A serial port or pty."""

    def __init__(
        self, url: str, port: serial.Serial, on_data: Callable[[bytes], None], on_lost: Callable[[str], None]
    ) -> None:
        self.url = url
        self._port: serial.Serial | None = port
        self._fd: int = port.fileno()
        self._loop = asyncio.get_running_loop()
        self._on_data = on_data
        self._on_lost = on_lost
        self._unsent = b""
        os.set_blocking(self._fd, False)
        self._loop.add_reader(self._fd, self._read)

    @classmethod
    async def open(
        cls, url: str, baud: int, on_data: Callable[[bytes], None], on_lost: Callable[[str], None]
    ) -> PortLink:
        """LinkError: there is no such port, it is in use, or it does not know the baud rate."""
        import serial

        def open_port() -> serial.Serial:
            return serial.Serial(url, baud, timeout=0, write_timeout=0, exclusive=True)

        # Some drivers (Bluetooth, network adapters) take seconds to open.
        opening = asyncio.ensure_future(asyncio.to_thread(open_port))
        try:
            port = await asyncio.shield(opening)
        except asyncio.CancelledError:
            # A thread cannot be stopped: what it opens is closed when it is done.
            opening.add_done_callback(_close_unwanted)
            raise
        except (serial.SerialException, OSError, ValueError) as error:
            raise LinkError(f"Serial port {url} at {baud} baud cannot be opened: {error}") from error
        return cls(url, port, on_data, on_lost)

    @property
    def unsent(self) -> int:
        """Bytes that the operating system has not taken yet."""
        return len(self._unsent)

    def write(self, data: bytes) -> None:
        """Send now or as soon as the port takes it. LinkError: it is closed, or more than 64 KiB wait."""
        if self._port is None:
            raise LinkError(f"Serial port {self.url} is closed")
        if self._unsent:
            if len(self._unsent) + len(data) > MAX_UNSENT:
                raise LinkError(f"Serial port {self.url} takes no more data")
            self._unsent += data
            return
        try:
            sent = os.write(self._fd, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._break(f"Serial port {self.url} was lost while writing: {error.strerror}")
            return
        if sent < len(data):
            self._unsent = data[sent:]
            self._loop.add_writer(self._fd, self._write_rest)

    def _write_rest(self) -> None:
        try:
            self._unsent = self._unsent[os.write(self._fd, self._unsent) :]
        except BlockingIOError:
            return
        except OSError as error:
            self._break(f"Serial port {self.url} was lost while writing: {error.strerror}")
            return
        if not self._unsent:
            self._loop.remove_writer(self._fd)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._break(f"Serial port {self.url} was lost: {error.strerror}")
            return
        if data:
            self._on_data(data)
        else:
            # Readable without data: the device is gone.
            self._break(f"Serial port {self.url} was lost: the device was unplugged or switched off")

    def _break(self, message: str) -> None:
        # Told in the loop's next turn: whoever is writing now must not find himself closed on return.
        self.close()
        self._loop.call_soon(self._on_lost, message)

    def close(self) -> None:
        """Close; idempotent; `on_lost` is not called."""
        port, self._port = self._port, None
        if port is None:
            return
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._unsent = b""
        port.close()


def _close_unwanted(opening: asyncio.Future[serial.Serial]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class SocketLink(asyncio.Protocol):
    """A TCP connection to a serial server (ser2net, an ESP3D, a simulator)."""

    def __init__(self, url: str, on_data: Callable[[bytes], None], on_lost: Callable[[str], None]) -> None:
        self.url = url
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
        """Send now or as soon as the socket takes it. LinkError: it is closed, or more than 64 KiB wait."""
        if self._transport is None:
            raise LinkError(f"{self.url} is closed")
        if self.unsent + len(data) > MAX_UNSENT:
            raise LinkError(f"{self.url} takes no more data")
        self._transport.write(data)

    def close(self) -> None:
        """Close; idempotent; `on_lost` is not called."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()


async def _open_socket(url: str, on_data: Callable[[bytes], None], on_lost: Callable[[str], None]) -> SocketLink:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise LinkError(f"{url} cannot be opened: {error}") from error
    if not host or not port:
        raise LinkError(f"{url} cannot be opened: expected socket://host:port")
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            _, link = await loop.create_connection(lambda: SocketLink(url, on_data, on_lost), host, port)
    except (OSError, TimeoutError) as error:
        raise LinkError(f"{url} cannot be opened: {error or 'no answer'}") from error
    return link
