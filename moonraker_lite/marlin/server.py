"""Klipper's API socket, server side: JSON objects, each ended by one byte 0x03, over a unix socket.

The contract is what real klippy was recorded to do: an id of any JSON type is echoed, without an id nothing is
answered, a malformed frame is dropped in silence and the connection goes on, an error is `{"error":
"WebRequestError", ...}`.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from moonraker_lite.errors import HostError
from moonraker_lite.marlin.requests import Call, Params
from moonraker_lite.marlin.subscriptions import message_prefix

_LOGGER = logging.getLogger(__name__)

FRAME_END = b"\x03"
MAX_FRAME = 4 * 1024 * 1024
# What a client may leave unread before it is cut off: some minutes of updates, and no harm to the memory of the board.
MAX_UNREAD = 2 * 1024 * 1024
MAX_CONNECTIONS = 32
# Requests of one connection that may wait for the printer at once.
MAX_WAITING = 100

_decoder = msgspec.json.Decoder(Call)


class AlreadyServed(Exception):
    """Another living process answers on the socket."""


# An endpoint answers with a value at once, or with something to await. `Deferred` answers later by `Client.answer`.
Endpoint = Callable[["Client", Params, "Reply"], object]
Handler = Callable[["Client", str, Params, "Reply"], object]


class Deferred:
    """Returned by an endpoint that will use its `Reply` itself."""


DEFERRED = Deferred()


class Reply:
    """The answer to one call: used once, silent when the call had no id or its client is gone."""

    __slots__ = ("_client", "_id")

    def __init__(self, client: Client, call: Call) -> None:
        self._client = client
        self._id = bytes(call.id) if call.wants_answer else b""

    def result(self, value: object) -> None:
        self.encoded_result(msgspec.json.encode(value))

    def encoded_result(self, value: bytes) -> None:
        if self._id:
            self._client.send(b'{"id":' + self._id + b',"result":' + value + b"}")

    def error(self, message: str) -> None:
        if self._id:
            body = msgspec.json.encode({"error": "WebRequestError", "message": message})
            self._client.send(b'{"id":' + self._id + b',"error":' + body + b"}")


class Client(asyncio.Protocol):
    """One connection. Its calls belong to the server: a script goes on when its sender is gone."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._output_prefix: bytes | None = None
        self.waiting = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=MAX_UNREAD)
        self._server.client_joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._buffer.clear()
        self._server.client_left(self)

    def pause_writing(self) -> None:
        _LOGGER.warning("A client left %d bytes unread: connection closed", MAX_UNREAD)
        self.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if FRAME_END in data:
            *frames, rest = bytes(self._buffer).split(FRAME_END)
            self._buffer = bytearray(rest)
            for frame in frames:
                self._receive(frame)
        if len(self._buffer) > MAX_FRAME:
            _LOGGER.warning("A client sent a message of more than %d bytes: connection closed", MAX_FRAME)
            self.abort()

    def _receive(self, frame: bytes) -> None:
        try:
            call = _decoder.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            _LOGGER.info("Malformed message dropped: %r", frame[:80])
            return
        self._server.dispatch(self, call)

    def send(self, message: bytes) -> None:
        """Queue one encoded message."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(message + FRAME_END)

    def subscribe_output(self, template: dict[str, Any]) -> None:
        """From now on tell this connection each line of G-code output."""
        self._output_prefix = message_prefix(template)

    def send_output(self, encoded_line: bytes) -> None:
        if self._output_prefix is not None:
            self.send(self._output_prefix + b'{"response":' + encoded_line + b"}}")

    def close(self) -> None:
        """Close after what was queued has been written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class ApiServer:
    """Listens on the socket, decodes calls, turns results and errors into answers."""

    def __init__(self, path: Path, handler: Handler, on_left: Callable[[Client], None]) -> None:
        self._path = path
        self._handler = handler
        self._on_left = on_left
        self._clients: set[Client] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._lock: int | None = None

    async def start(self) -> None:
        """Raise AlreadyServed when another living process has the socket, OSError when it cannot be made."""
        self._lock = _take_lock(self._path)
        loop = asyncio.get_running_loop()
        # Whoever may open the socket owns the printer.
        mask = os.umask(0o177)
        try:
            self._server = await loop.create_unix_server(lambda: Client(self), self._path)
        finally:
            os.umask(mask)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)
        self.close_clients()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # One round of the loop, so that the transports close before the loop does.
        await asyncio.sleep(0)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def output(self, text: str) -> None:
        """Send one line (or block) of G-code output to everybody who subscribed."""
        encoded = msgspec.json.encode(text)
        for client in self._clients:
            client.send_output(encoded)

    def close_clients(self) -> None:
        """Close every connection, as klippy does on RESTART: clients come back and initialise anew."""
        for client in tuple(self._clients):
            client.close()

    def client_joined(self, client: Client) -> None:
        self._clients.add(client)
        if len(self._clients) > MAX_CONNECTIONS:
            _LOGGER.warning("More than %d connections: the newest is closed", MAX_CONNECTIONS)
            client.abort()

    def client_left(self, client: Client) -> None:
        self._clients.discard(client)
        self._on_left(client)

    def dispatch(self, client: Client, call: Call) -> None:
        """Run a call; the one place where errors become answers."""
        reply = Reply(client, call)
        if client.waiting >= MAX_WAITING:
            reply.error(f"{MAX_WAITING} requests of this connection are waiting already")
            return
        try:
            result = self._handler(client, call.method, Params(call.params), reply)
        except HostError as error:
            reply.error(error.message)
            return
        except RecursionError:
            reply.error("The parameters are nested too deep")
            return
        except Exception:  # boundary: a fault of ours must not end the connection, still less the print
            _LOGGER.exception("Internal error on request %r", call.method)
            reply.error(f"Internal error on request {call.method!r}")
            return
        if result is DEFERRED:
            return
        if isinstance(result, Awaitable):
            self._start(client, call.method, result, reply)
        else:
            reply.result(result)

    def _start(self, client: Client, method: str, work: Awaitable[object], reply: Reply) -> None:
        task = asyncio.ensure_future(self._finish(client, method, work, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, client: Client, method: str, work: Awaitable[object], reply: Reply) -> None:
        client.waiting += 1
        try:
            reply.result(await work)
        except HostError as error:
            reply.error(error.message)
        except Exception:  # boundary: see dispatch
            _LOGGER.exception("Internal error on request %r", method)
            reply.error(f"Internal error on request {method!r}")
        finally:
            client.waiting -= 1


def _take_lock(path: Path) -> int:
    """Make sure that nobody serves the path, and remove what a dead process left there. Return the lock to hold."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise AlreadyServed(f"{path} is served by another process") from None
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(os.fspath(path))
            except OSError:
                path.unlink(missing_ok=True)
            else:
                os.close(lock)
                raise AlreadyServed(f"{path} is served by another process")
    return lock
