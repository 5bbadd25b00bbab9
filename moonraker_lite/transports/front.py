"""The listening HTTP server: websocket paths go to Tornado's application, everything else to the API."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado.http1connection import HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import IOStream

from moonraker_lite.transports.http import BODY_CHUNK, BODY_SECONDS, HttpApi, HttpCall

if TYPE_CHECKING:
    from tornado.web import Application

_LOGGER = logging.getLogger(__name__)

# Connections at a time, websockets not counted. A new one takes the place of that on which nothing has happened for
# longest, so that clients which are slow on purpose keep nobody out.
MAX_CONNECTIONS = 1000
WARN_SECONDS = 60.0
BACKLOG = 1024  # connections that wait to be taken; beyond that clients try again after a second
# Tornado clears a new buffer of this size for every read, so it is small until a body is streamed.
READ_CHUNK = 16 * 1024
WEBSOCKET_PATHS = frozenset(("/websocket", "/klippysocket"))


class Front(HTTPServerConnectionDelegate):
    """Chooses by path who takes a request."""

    def __init__(self, api: HttpApi, make_websockets: Callable[[], Application]) -> None:
        """`make_websockets` is called for the first handshake: until then the modules for it need not be there."""
        self.api = api
        self._make_websockets = make_websockets
        # In the order of what last came from their clients.
        self._streams: dict[HTTP1ServerConnection, IOStream] = {}
        self._warned = 0.0

    @cached_property
    def websockets(self) -> Application:
        return self._make_websockets()

    def start_request(self, server_conn: Any, request_conn: Any) -> HTTPMessageDelegate:
        request_conn.stream.read_chunk_size = READ_CHUNK
        self._streams[server_conn] = request_conn.stream
        return _Chooser(self, server_conn, request_conn)

    def heard_of(self, server_conn: HTTP1ServerConnection) -> None:
        """Something came from the client of this connection."""
        stream = self._streams.pop(server_conn, None)
        if stream is not None:
            self._streams[server_conn] = stream

    def let_go(self, server_conn: HTTP1ServerConnection) -> None:
        """This connection has ended, or is a websocket's now."""
        self._streams.pop(server_conn, None)

    def make_room(self) -> None:
        """Close the connection of which we have not heard for longest."""
        now = time.monotonic()
        if now - self._warned > WARN_SECONDS:
            self._warned = now
            _LOGGER.warning("%d connections at once: the quietest are closed", MAX_CONNECTIONS)
        for server_conn, stream in self._streams.items():
            del self._streams[server_conn]
            stream.close()
            return


class _Chooser(HttpCall):
    """An API call until its path says that it is a websocket handshake."""

    __slots__ = ("_front", "_other", "_server")

    def __init__(self, front: Front, server_conn: HTTP1ServerConnection, connection: Any) -> None:
        super().__init__(front.api, connection)
        self._front = front
        self._server = server_conn
        self._other: HTTPMessageDelegate | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)
        if start_line.path.partition("?")[0] not in WEBSOCKET_PATHS:
            return super().headers_received(start_line, headers)
        self._front.let_go(self._server)
        request = HTTPServerRequest(
            connection=self._conn, server_connection=self._server, start_line=start_line, headers=headers
        )
        self._other = self._front.websockets.find_handler(request)
        return self._other.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self._other is not None:
            return self._other.data_received(chunk)
        self._front.heard_of(self._server)
        return super().data_received(chunk)

    def finish(self) -> None:
        if self._other is not None:
            self._other.finish()
        else:
            self._front.heard_of(self._server)
            super().finish()

    def on_connection_close(self) -> None:
        if self._other is not None:
            self._other.on_connection_close()
        else:
            super().on_connection_close()


class _Server(HTTPServer):
    """Tornado's server, with a bound on the connections."""

    front: Front

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            self.front.make_room()
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        assert isinstance(server_conn, HTTP1ServerConnection)
        self.front.let_go(server_conn)
        super().on_close(server_conn)


class FrontServer:
    """Owns the listening sockets, plain and TLS."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._servers: list[HTTPServer] = []

    def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen and return the port (of use when `port` is 0).

        Raises:
            OSError: the port is taken, or not ours to use.
        """
        listener = _bind(host, port)
        server = _Server(
            self._front,
            ssl_options=tls,
            chunk_size=BODY_CHUNK,
            max_body_size=1 << 20,
            body_timeout=BODY_SECONDS,
            max_buffer_size=8 * 1024 * 1024,
            idle_connection_timeout=300,
        )
        server.front = self._front
        server.add_sockets([listener])
        self._servers.append(server)
        bound: int = listener.getsockname()[1]
        return bound

    def stop_listening(self) -> None:
        """Take no new connections."""
        for server in self._servers:
            server.stop()

    async def close(self) -> None:
        """Close the connections that are still open."""
        self.stop_listening()
        for server in self._servers:
            await server.close_all_connections()
        self._servers.clear()
        await self._front.api.close()


def _bind(host: str, port: int) -> socket.socket:
    """A listening socket; `all` means every address, of IPv6 too where the machine has it."""
    try:
        if host in ("", "all") and socket.has_dualstack_ipv6():
            listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server(("" if host == "all" else host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # Python adds the address to the system's words
        raise OSError(f"Cannot listen on {host} port {port}: {reason}; see host and port in [server]") from None
    listener.setblocking(False)
    return listener


def tls_context(cert: Path, key: Path) -> ssl.SSLContext:
    """The TLS context of a certificate and its key.

    Raises:
        OSError: a file is not there or cannot be used (ssl.SSLError is one).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context
