"""The websocket: JSON-RPC both ways over one connection.

Each connection has one writer task and a bounded outbox. Messages go straight to the socket while it takes them; when
it does not, they wait in the outbox, and a client that lets it overflow, or takes nothing for a while, is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import Awaitable
from typing import Any

from tornado.iostream import IOStream, StreamClosedError
from tornado.web import Application
from tornado.websocket import WebSocketProtocol13

from moonraker_lite.api import json_in
from moonraker_lite.api.access import AccessPolicy
from moonraker_lite.api.connections import ClientConnection, Connections, Outbox
from moonraker_lite.api.jsonrpc import Answer, JsonRpc
from moonraker_lite.api.request import Request, User
from moonraker_lite.errors import Unavailable
from moonraker_lite.tasks import TaskOwner
from moonraker_lite.transports.handshake import GuardedSocket
from moonraker_lite.transports.patience import Turns

_LOGGER = logging.getLogger(__name__)

WRITE_SECONDS = 30.0  # a client that has not taken a batch by then is cut off
MAX_CALLS = 256  # calls of one connection at once; beyond that it is not read from
PING_SECONDS = 20.0
STRANGER_MESSAGE = 64 * 1024  # bytes of a message from somebody unknown, who has little to say but who they are


def text_frame(payload: bytes) -> bytes:
    """One unmasked, unfragmented text frame (RFC 6455, section 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((0x81, length)) + payload
    if length < 65536:
        return struct.pack(">BBH", 0x81, 126, length) + payload
    return struct.pack(">BBQ", 0x81, 127, length) + payload


class WebsocketConnection(ClientConnection):
    """One websocket client."""

    def __init__(self, stream: IOStream, remote_ip: str, user: User | None) -> None:
        super().__init__(remote_ip, user)
        self.tasks = TaskOwner(f"websocket-{self.id}")
        self.calls = 0
        self._stream = stream
        self._outbox = Outbox()
        self._wake = asyncio.Event()
        self.tasks.spawn(self._writer(), "writer")

    def send(self, message: bytes, key: str | None = None) -> None:
        if self._stream.closed():
            return
        if not self._outbox and not self._stream.writing():
            self._write_now(text_frame(message))
        elif self._outbox.put(message, key):
            self._wake.set()
        else:
            self.close("client does not read")

    def _write_now(self, frame: bytes) -> None:
        """Hand a frame to the kernel; only what it does not take goes through the stream, which costs much more."""
        try:
            sent = self._stream.write_to_fd(memoryview(frame))
        except BlockingIOError:
            sent = 0
        except OSError:
            self._stream.close()
            return
        if sent < len(frame):
            with contextlib.suppress(StreamClosedError):
                self._stream.write(frame[sent:])

    async def _writer(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox:
                frames = b"".join(text_frame(message) for message in self._outbox.take())
                try:
                    await asyncio.wait_for(self._stream.write(frames), WRITE_SECONDS)
                except TimeoutError:
                    self.close("client takes nothing")
                    return
                except StreamClosedError:
                    return

    def close(self, reason: str) -> None:
        _LOGGER.info("websocket %d of %s closed: %s", self.id, self.remote_ip, reason)
        self._stream.close()


class WebsocketEndpoint(GuardedSocket):
    """/websocket: Tornado does the handshake, masking and control frames; the rest is `WebsocketConnection`."""

    def initialize(  # type: ignore[override]  # Tornado hands over what the rule names
        self, access: AccessPolicy, rpc: JsonRpc, connections: Connections, limit: int, turns: Turns
    ) -> None:
        super().initialize(access)
        self._rpc = rpc
        self._connections = connections
        self._limit = limit
        self._turns = turns
        self._connection: WebsocketConnection | None = None
        self._ip = ""
        self._user: User | None = None

    def prepare(self) -> None:
        self._ip = self.access.client_ip(self.request.headers, self.request.remote_ip or "")
        self._user = self.caller()
        if len(self._connections) >= self._limit and not self._make_room():
            self.refuse(Unavailable("Too many connections; see max_websocket_connections"))

    def _make_room(self) -> bool:
        """Close the oldest connection of somebody unknown: strangers must not keep users out."""
        stranger = next((other for other in self._connections if other.user is None), None)
        if stranger is not None:
            stranger.close("another client needs the place")
        return stranger is not None

    @property
    def max_message_size(self) -> int:
        """Bytes of one message; Tornado asks once, at the handshake."""
        return STRANGER_MESSAGE if self._user is None else json_in.MAX_MESSAGE

    def open(self, *args: str, **kwargs: str) -> None:
        assert self.ws_connection is not None
        stream = self.ws_connection.stream
        assert stream is not None
        stream.set_nodelay(True)
        self._connection = WebsocketConnection(stream, self._ip, self._user)
        self._connections.add(self._connection)

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        connection = self._connection
        if connection is None:
            return None
        answer = self._rpc.handle(message, self._make_request)
        if self._user is None and connection.user is not None:
            self._now_known(connection.user)
        if isinstance(answer, bytes):
            connection.send(answer)
        elif answer is not None:
            connection.calls += 1
            task = connection.tasks.spawn(_answer_later(connection, answer), "call")
            if connection.calls >= MAX_CALLS:
                return _until(task)
        return self._turns.breathe()

    def _now_known(self, user: User) -> None:
        self._user = user
        if isinstance(self.ws_connection, WebSocketProtocol13):
            self.ws_connection.params.max_message_size = self.max_message_size

    def _make_request(self, arguments: dict[str, Any]) -> Request:
        connection = self._connection
        assert connection is not None
        return Request(
            transport="websocket",
            remote_ip=self._ip,
            arguments=arguments,
            headers=self.request.headers,
            connection=connection,
            user=connection.user,
        )

    def on_close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.ended()
            connection.tasks.cancel()


async def _answer_later(connection: WebsocketConnection, work: Awaitable[Answer]) -> None:
    try:
        answer = await work
        if answer is not None:
            connection.send(answer)
    finally:
        connection.calls -= 1


async def _until(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])


def application(
    rpc: JsonRpc, access: AccessPolicy, connections: Connections, limit: int, others: list[tuple[Any, ...]]
) -> Application:
    """The Tornado application of the websocket paths; `others` are further rules."""
    arguments = {"rpc": rpc, "access": access, "connections": connections, "limit": limit, "turns": Turns()}
    return Application(
        [(r"/websocket", WebsocketEndpoint, arguments), *others],
        websocket_ping_interval=PING_SECONDS,
        websocket_max_message_size=json_in.MAX_MESSAGE,
        log_function=_no_access_log,
    )


def _no_access_log(handler: object) -> None:
    """Websocket handshakes are logged by the connections themselves."""
