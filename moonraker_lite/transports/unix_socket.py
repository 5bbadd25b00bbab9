"""The unix socket `comms/moonraker.sock`: JSON-RPC messages, each ended by one byte 0x03.

Whoever may open the socket (mode 0600) is the machine's owner and trusted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from moonraker_lite.api.access import TRUSTED_USER
from moonraker_lite.api.connections import ClientConnection, Connections, Outbox
from moonraker_lite.api.jsonrpc import Answer, JsonRpc
from moonraker_lite.api.request import Request
from moonraker_lite.tasks import TaskOwner

_LOGGER = logging.getLogger(__name__)
_END = b"\x03"
MAX_MESSAGE = 16 * 1024 * 1024
MAX_CALLS = 256


class SocketConnection(ClientConnection):
    """One client of the unix socket."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        super().__init__("127.0.0.1", TRUSTED_USER)
        self.tasks = TaskOwner(f"socket-{self.id}")
        self._writer = writer
        self._outbox = Outbox()
        self._wake = asyncio.Event()
        self.tasks.spawn(self._write(), "writer")

    def send(self, message: bytes, key: str | None = None) -> None:
        if self._writer.is_closing():
            return
        if self._outbox.put(message, key):
            self._wake.set()
        else:
            self.close("client does not read")

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._writer.write(b"".join(message + _END for message in self._outbox.take()))
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()

    def close(self, reason: str) -> None:
        _LOGGER.info("socket connection %d closed: %s", self.id, reason)
        self._writer.transport.abort()  # a mere close would wait for a client that does not read


class UnixSocketServer:
    """Listens on the socket and serves its clients."""

    def __init__(self, path: Path, rpc: JsonRpc, connections: Connections) -> None:
        self._path = path
        self._rpc = rpc
        self._connections = connections
        self._tasks = TaskOwner("unix-socket")
        self._server: asyncio.Server | None = None
        self._made: tuple[int, int] | None = None

    async def start(self) -> None:
        """Begin listening; a socket file left behind is replaced.

        Raises:
            OSError: the path cannot be used.
        """
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_MESSAGE)
        finally:
            os.umask(mask)
        self._made = self._identity()

    async def stop(self) -> None:
        """Stop listening and close every client."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._tasks.close()
        # A host that was started before this one has ended has its own socket there by now.
        if self._made is not None and self._made == self._identity():
            self._path.unlink(missing_ok=True)

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.lstat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._tasks.spawn(self._read(reader, writer), "client")
        await asyncio.wait([task])

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = SocketConnection(writer)
        self._connections.add(connection)
        slots = asyncio.Semaphore(MAX_CALLS)

        def request(arguments: dict[str, Any]) -> Request:
            return Request(
                transport="socket",
                remote_ip=connection.remote_ip,
                arguments=arguments,
                connection=connection,
                user=connection.user,
            )

        async def later(work: Awaitable[Answer]) -> None:
            try:
                if (answer := await work) is not None:
                    connection.send(answer)
            finally:
                slots.release()

        try:
            while True:
                message = (await reader.readuntil(_END))[:-1]
                answer = self._rpc.handle(message, request)
                if isinstance(answer, bytes):
                    connection.send(answer)
                elif answer is not None:
                    await slots.acquire()
                    connection.tasks.spawn(later(answer), "call")
        except asyncio.LimitOverrunError:
            connection.close(f"a message is longer than {MAX_MESSAGE} bytes")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            connection.ended()
            connection.tasks.cancel()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
