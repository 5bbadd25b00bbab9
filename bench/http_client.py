"""HTTP on raw sockets: single calls, uploads by sendfile, downloads into one buffer."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.loader import TIMEOUT

_BOUNDARY = "----moonraker-lite-bench"


class Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes

    def result(self) -> Any:
        """The `result` of a successful answer.

        Raises:
            OSError: it is an error.
        """
        if self.status not in (200, 201):
            raise OSError(f"the server answers {self.status}: {self.body[:200].decode(errors='replace')}")
        answer = msgspec.json.decode(self.body)
        return answer["result"] if isinstance(answer, dict) and "result" in answer else answer


class HttpClient:
    """One connection that is kept, opened by the first call."""

    def __init__(self, port: int, timeout: float = TIMEOUT) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def call(self, verb: str, path: str) -> Answer:
        """Send a call without a body and wait for the answer."""
        self.socket.sendall(call_bytes(path, self.port, verb))
        status, length, begun = self._head()
        body = bytearray(begun)
        while len(body) < length:
            body += self._receive(min(1 << 18, length - len(body)))
        return Answer(status, bytes(body))

    def get(self, path: str) -> Any:
        """The `result` of a GET. Raises OSError when it is an error."""
        return self.call("GET", path).result()

    def upload(self, path: Path, name: str) -> float:
        """Upload a file into the root gcodes; returns the seconds until the answer, which must be 201."""
        fields = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="root"\r\n\r\ngcodes\r\n'
        fields += f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        before = f"{fields}Content-Type: application/octet-stream\r\n\r\n".encode()
        after = f"\r\n--{_BOUNDARY}--\r\n".encode()
        length = len(before) + path.stat().st_size + len(after)
        head = f"POST /server/files/upload HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Length: {length}\r\n"
        head += f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n\r\n"
        with path.open("rb") as file:
            begin = time.perf_counter()
            self.socket.sendall(head.encode() + before)
            self.socket.sendfile(file)
            self.socket.sendall(after)
            status, size, begun = self._head()
            taken = time.perf_counter() - begin
        while len(begun) < size:
            begun += self._receive(size - len(begun))
        if status != 201:
            raise OSError(f"upload: the server answers {status}: {begun[:200].decode(errors='replace')}")
        return taken

    def download(self, path: str, size: int) -> float:
        """Fetch a file of so many bytes and throw it away; returns the seconds that it took."""
        buffer = memoryview(bytearray(1 << 20))
        begin = time.perf_counter()
        self.socket.sendall(call_bytes(path, self.port))
        status, length, begun = self._head()
        if status != 200 or length != size:
            raise OSError(f"download: status {status}, {length} bytes; wanted {size}")
        missing = length - len(begun)
        while missing:
            got = self.socket.recv_into(buffer, min(len(buffer), missing))
            if not got:
                raise OSError("download: the server has closed the connection")
            missing -= got
        return time.perf_counter() - begin

    def _receive(self, size: int) -> bytes:
        data = self.socket.recv(size)
        if not data:
            raise OSError("the server has closed the connection")
        return data

    def _head(self) -> tuple[int, int, bytes]:
        """(status, length of the body, beginning of the body)."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive(1 << 16)
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        return int(lines[0].split(" ", 2)[1]), int(headers.get("content-length", "0")), body


def call_bytes(path: str, port: int, verb: str = "GET") -> bytes:
    """The bytes of a call without a body."""
    length = "" if verb == "GET" else "Content-Length: 0\r\n"
    return f"{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{length}\r\n".encode()
