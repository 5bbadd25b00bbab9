"""The load generator: many connections in one epoll loop, each with one call on its way.

Plain non-blocking sockets and prepared bytes: it costs about 10 µs for each call, so the server is what is measured.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Sequence

import msgspec

TIMEOUT = 30.0  # s without any byte


class Rate(msgspec.Struct, frozen=True):
    """Calls answered in a while: how many for each second, and what share of that time the client itself was busy."""

    calls: int
    seconds: float
    client_share: float

    @property
    def per_second(self) -> float:
        return self.calls / self.seconds


# Takes what has come so far; returns the number of bytes that belong to the first answer, 0 when it is not whole yet.
Whole = Callable[[bytearray], int]


def http_whole(data: bytearray) -> int:
    """The length of the HTTP answer at the beginning of `data`; 0 when it is not whole yet."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    head = bytes(data[:end]).lower()
    if not head.startswith(b"http/1.1 200"):
        raise OSError(f"the server answers {head.partition(bytes((13,)))[0].decode()}")
    at = head.index(b"content-length:") + 15
    line_end = head.find(b"\r", at)
    length = end + 4 + int(head[at : line_end if line_end >= 0 else None])
    return length if len(data) >= length else 0


def frame_length(data: bytearray, at: int = 0) -> tuple[int, int]:
    """(offset of the payload, offset behind the frame) of the unmasked frame at `at`; (0, 0) when it is not whole."""
    if len(data) < at + 2:
        return 0, 0
    size = data[at + 1] & 0x7F
    body = at + 2
    if size == 126:
        body = at + 4
        size = int.from_bytes(data[at + 2 : body])
    elif size == 127:
        body = at + 10
        size = int.from_bytes(data[at + 2 : body])
    return (body, body + size) if len(data) >= max(body, body + size) else (0, 0)


def websocket_whole(data: bytearray) -> int:
    """Like `http_whole` for a websocket answer; what was sent unasked is skipped."""
    at = 0
    while True:
        body, end = frame_length(data, at)
        if not end:
            return 0
        is_text = data[at] & 0x0F == 1
        if is_text and data.find(b'"notify_', body, min(end, body + 60)) < 0:
            return end
        at = end


def run_calls(sockets: Sequence[socket.socket], call: bytes, whole: Whole, seconds: float) -> Rate:
    """Send `call` on every socket, and again whenever its answer is whole, for so many seconds.

    Raises:
        OSError: a connection broke, an answer is no success, or nothing comes.
    """
    selector = selectors.DefaultSelector()
    buffers = {}
    for connection in sockets:
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
        buffers[connection] = bytearray()
    calls = 0
    busy = time.process_time()
    begin = time.perf_counter()
    end = begin + seconds
    for connection in sockets:
        connection.send(call)
    waiting = len(sockets)
    while waiting:
        events = selector.select(TIMEOUT)
        if not events:
            raise TimeoutError("the server has stopped answering")
        again = time.perf_counter() < end
        for key, _ in events:
            peer = key.fileobj
            assert isinstance(peer, socket.socket)
            data = peer.recv(1 << 18)
            if not data:
                raise OSError("the server has closed the connection")
            buffer = buffers[peer]
            buffer += data
            length = whole(buffer)
            if not length:
                continue
            del buffer[:length]
            calls += 1
            if again:
                peer.send(call)
            else:
                waiting -= 1
    taken = time.perf_counter() - begin
    selector.close()
    return Rate(calls, taken, (time.process_time() - busy) / taken)
