"""The server under attack: its processes, and sockets to them that are as rude as they are told to be."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

START_SECONDS = 30.0
HEADERS_END = b"\r\n\r\n"
VIRTUAL = "[printer]\ntype: virtual\nvirtual_speed: 0\n"
LOCKED = "[authorization]\ntrusted_clients:\n    192.0.2.1\ncors_domains:\n    https://good.example\n"


class Answer(NamedTuple):
    """An answer over HTTP; names of headers are in lower case, `raw` is all that came."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The sentence of an error."""
        return str(self.json["error"]["message"])


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def parse(raw: bytes) -> Answer:
    """Read one answer; status 0 when nothing came."""
    head, _, body = raw.partition(HEADERS_END)
    if not head:
        return Answer(0, {}, b"", raw)
    lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines[1:]]
    return Answer(int(lines[0].split()[1]), {name.lower(): value.strip() for name, _, value in pairs}, body, raw)


def form(name: bytes, content: bytes = b"G28\n", fields: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """The body of an upload; the boundary is `x`."""
    parts = [b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % field for field in fields]
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\n' % name
    return b"".join((*parts, head, content, b"\r\n--x--\r\n"))


def frame(payload: bytes, opcode: int = 1, length: int | None = None) -> bytes:
    """A masked websocket frame (with a mask of zeros)."""
    size = len(payload) if length is None else length
    if size < 126:
        head = struct.pack(">BB", 0x80 | opcode, 0x80 | size)
    elif size < 65536:
        head = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + b"\0\0\0\0" + payload


class Target:
    """One data path with its host process and the virtual printer."""

    def __init__(self, root: Path, config: str = VIRTUAL) -> None:
        self.root = root
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        path = root / "config" / "moonraker.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never the real services and power of the machine that runs the tests.
        path.write_text(f"[server]\nhost: 127.0.0.1\nport: {self.port}\n[machine]\nprovider: none\n{config}\n")

    # -- processes -------------------------------------------------------------------------------------------------

    def start(self) -> Target:
        """Start the host; return when it answers and, if it may tell, its printer is ready."""
        with (self.root / "host.out").open("ab") as output:
            command = [sys.executable, "-m", "moonraker_lite", "-d", str(self.root)]
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        end = time.monotonic() + START_SECONDS
        answer = None
        while time.monotonic() < end:
            time.sleep(0.05)
            try:
                answer = self.request("GET", "/server/info", headers=self.credential)
            except OSError:
                continue
            if answer.status == 200 and answer.json["result"]["klippy_state"] == "ready":
                return self
        self.stop()
        raise AssertionError(f"not ready: {answer}; {(self.root / 'host.out').read_text()[-2000:]}")

    def stop(self, *, marlin: bool = True) -> None:
        """End the host, then the Marlin process that is its child."""
        left = self.marlin_pid if marlin else None
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)
        if left is not None:
            os.kill(left, 15)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def children(self, word: str) -> list[int]:
        """Processes of the host whose command line holds this word."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.pid and word.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except (OSError, IndexError, ValueError):
                continue
        return found

    @property
    def marlin_pid(self) -> int | None:
        return next(iter(self.children("moonraker_lite.marlin")), None) if self._process is not None else None

    @property
    def memory(self) -> int:
        """Resident memory of the host in MiB."""
        lines = Path(f"/proc/{self.pid}/status").read_text().split("\n")
        return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    # -- what it keeps ---------------------------------------------------------------------------------------------

    @property
    def gcodes(self) -> Path:
        return self.root / "gcodes"

    @property
    def key(self) -> str:
        try:
            return (self.root / "database" / "api_key").read_text().strip()
        except FileNotFoundError:
            return ""

    @property
    def credential(self) -> dict[str, str]:
        return {"X-Api-Key": key} if (key := self.key) else {}

    @property
    def log(self) -> str:
        """All logs of host and Marlin process."""
        return self.log_since({})

    def log_sizes(self) -> dict[Path, int]:
        """How much of each log there is now."""
        return {path: path.stat().st_size for path in (self.root / "logs").glob("*.log*")}

    def log_since(self, sizes: Mapping[Path, int]) -> str:
        """What has been logged since `log_sizes`."""
        news = ((path, path.read_bytes()[sizes.get(path, 0) :]) for path in sorted((self.root / "logs").glob("*.log*")))
        return "".join(text.decode("utf-8", "replace") for _, text in news)

    # -- sockets ---------------------------------------------------------------------------------------------------

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def raw(self, data: bytes, seconds: float = 5.0, *, shut: bool = False) -> bytes:
        """Send bytes and read until the server closes, an answer of known length is complete, or time is up."""
        with self.connect() as wire:
            try:
                wire.sendall(data)
                if shut:
                    wire.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it answered and closed before it had read all
            return read_answer(wire, seconds)

    def request(
        self, verb: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, seconds: float = 30.0
    ) -> Answer:
        """One well-formed request. `path` may hold any characters below 256."""
        given = {"Host": f"127.0.0.1:{self.port}", "Connection": "close", **(headers or {})}
        if body or verb in ("POST", "PUT"):
            given.setdefault("Content-Length", str(len(body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        return parse(self.raw(f"{verb} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body, seconds))

    def get(self, path: str, /, **arguments: str) -> Answer:
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in arguments.items())
        return self.request("GET", f"{path}?{query}" if query else path)

    def post(self, path: str, /, **arguments: Any) -> Answer:
        """A call with a JSON body."""
        return self.request("POST", path, json.dumps(arguments).encode(), {"Content-Type": "application/json"})

    def upload(
        self, body: bytes, kind: str = "multipart/form-data; boundary=x", path: str = "/server/files/upload"
    ) -> Answer:
        return self.request("POST", path, body, {"Content-Type": kind})

    def websocket(
        self, headers: Mapping[str, str] | None = None, path: str = "/websocket"
    ) -> tuple[socket.socket, Answer]:
        """Open a websocket; the answer's status is 101 when it is one."""
        given = {
            "Host": f"127.0.0.1:{self.port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            **(headers or {}),
        }
        wire = self.connect()
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        wire.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        raw = b""
        while HEADERS_END not in raw and (piece := wire.recv(1)):
            raw += piece
        return wire, parse(raw)

    def unix(self, name: str = "moonraker.sock") -> socket.socket:
        path, end = str(self.root / "comms" / name), time.monotonic() + 10
        while True:
            wire = socket.socket(socket.AF_UNIX)
            wire.settimeout(10)
            try:
                wire.connect(path)
            except BlockingIOError:  # many want to be taken just now
                wire.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
            else:
                return wire

    def rpc(self, method: str, /, **params: Any) -> dict[str, Any]:
        """One JSON-RPC call over the unix socket: the whole answer."""
        with self.unix() as wire:
            call = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
            wire.sendall(json.dumps(call).encode() + b"\x03")
            return answer_of(wire)


def read_answer(wire: socket.socket, seconds: float) -> bytes:
    """Read until the other side closes, one answer with a length is complete, or time is up."""
    data, wanted = b"", -1
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not 0 <= wanted <= len(data):
        wire.settimeout(left)
        try:
            piece = wire.recv(1 << 16)
        except OSError:
            break
        if not piece:
            break
        data += piece
        if wanted < 0 and HEADERS_END in data:
            answer = parse(data)
            if "content-length" in answer.headers:
                wanted = data.index(HEADERS_END) + 4 + int(answer.headers["content-length"])
    return data


def answer_of(wire: socket.socket, request_id: Any = 1) -> dict[str, Any]:
    """The answer with this id on a socket that ends messages with 0x03; notifications are passed over."""
    data = b""
    while piece := wire.recv(1 << 16):
        data += piece
        *messages, data = data.split(b"\x03")
        for message in messages:
            found = json.loads(message)
            if "method" not in found and found.get("id") == request_id:
                return dict(found)
    raise AssertionError("the connection was closed without an answer")


def closed(wire: socket.socket, seconds: float = 5.0) -> bool:
    """Whether the other side closes within this time; what it sends meanwhile is thrown away."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        wire.settimeout(left)
        try:
            if not wire.recv(1 << 16):
                return True
        except TimeoutError:
            return False
        except OSError:
            return True
    return False
