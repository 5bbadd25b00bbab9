"""Websocket clients on raw sockets."""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from bench.http_client import HttpClient
from bench.loader import frame_length, websocket_whole

_IDENTITY = {"client_name": "bench", "version": "1", "type": "other", "url": "http://localhost"}


def text_frame(text: bytes) -> bytes:
    """A client's text frame. It is masked as the standard demands, with a key that changes nothing."""
    size = len(text)
    if size < 126:
        return struct.pack(">BB4x", 0x81, 0x80 | size) + text
    return struct.pack(">BBH4x", 0x81, 0xFE, size) + text


def request(method: str, params: dict[str, Any] | None = None) -> bytes:
    """The frame of a JSON-RPC call."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        message["params"] = params
    return text_frame(msgspec.json.encode({**message, "id": 7}))


def connect(port: int, path: str = "/websocket", *, identify: bool = True) -> socket.socket:
    """A connected client that has said who it is. The caller closes the socket."""
    client = HttpClient(port)
    connection = client.socket
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: bW9vbnJha2VyLWxpdGUhIQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        if not (data := connection.recv(1)):  # byte by byte: what follows is the first frame
            raise OSError("the websocket was refused")
        answer += data
    if b" 101 " not in answer[:20]:
        connection.close()
        raise OSError(f"the websocket was refused: {answer[:60].decode()}")
    if identify:
        call(connection, "server.connection.identify", _IDENTITY)
    return connection


def call(connection: socket.socket, method: str, params: dict[str, Any] | None = None) -> Any:
    """Make one call and return its result; what was sent unasked meanwhile is dropped.

    Raises:
        OSError: it failed.
    """
    connection.sendall(request(method, params))
    data = bytearray()
    while not (end := websocket_whole(data)):
        if not (chunk := connection.recv(1 << 18)):
            raise OSError("the websocket was closed")
        data += chunk
    at = 0
    while frame_length(data, at)[1] < end:
        at = frame_length(data, at)[1]
    answer = msgspec.json.decode(data[frame_length(data, at)[0] : end])
    if "result" not in answer:
        raise OSError(f"{method}: {answer}")
    return answer["result"]


def listen(groups: Sequence[Sequence[socket.socket]], word: bytes, seconds: float) -> list[int]:
    """Read from groups of clients for a while; returns how many messages with `word` in each group got."""
    selector = selectors.DefaultSelector()
    for number, group in enumerate(groups):
        for connection in group:
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ, number)
    counts = [0] * len(groups)
    end = time.perf_counter() + seconds
    while (rest := end - time.perf_counter()) > 0:
        for key, _ in selector.select(rest):
            assert isinstance(key.fileobj, socket.socket)
            data = key.fileobj.recv(1 << 18)
            if not data:
                raise OSError("the websocket was closed")
            counts[key.data] += data.count(word)
    selector.close()
    return counts
