"""The daemon as a user has it: processes of their own, spoken to over sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.conftest import free_port

START_SECONDS = 30.0
BOUNDARY = "end-to-end-boundary"


def multipart(name: str, content: bytes, **fields: str) -> bytes:
    """The body of an upload."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    return b"".join([*parts, head, content, f"\r\n--{BOUNDARY}--\r\n".encode()])


class Daemon:
    """One data path with its host process; the Marlin process is the host's doing."""

    def __init__(self, root: Path, config: str = "") -> None:
        self.root = root
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        path = root / "config" / "moonraker.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"[server]\nhost: 127.0.0.1\nport: {self.port}\n{config}\n")

    async def start(self, state: str = "ready") -> None:
        """Start the host and wait for this state of the printer."""
        with (self.root / "host.out").open("ab") as output:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - starting does not block
                [sys.executable, "-m", "moonraker_lite", "-d", str(self.root)], stdout=output, stderr=output
            )
        end = asyncio.get_running_loop().time() + START_SECONDS
        seen = "nothing"
        while asyncio.get_running_loop().time() < end:
            with contextlib.suppress(OSError):
                seen = (await self.get("/server/info"))["klippy_state"]
                if seen == state:
                    return
            await asyncio.sleep(0.05)
        raise AssertionError(f"the printer is {seen}, not {state}; {(self.root / 'host.out').read_text()[-2000:]}")

    def kill(self) -> None:
        """Kill the host with SIGKILL; the Marlin process goes on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End the host, then the Marlin process."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        for pid in self.marlin_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def marlin_pids(self) -> list[int]:
        """Marlin processes of this data path."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if b"moonraker_lite.marlin" in words and any(str(self.root).encode() in word for word in words):
                    found.append(int(folder.name))
        return found

    async def fetch(self, verb: str, path: str, **options: Any) -> HTTPResponse:
        client = AsyncHTTPClient(force_instance=True)
        try:
            return await client.fetch(
                HTTPRequest(f"{self.base}{path}", verb, allow_nonstandard_methods=True, request_timeout=60, **options),
                raise_error=False,
            )
        finally:
            client.close()

    async def get(self, path: str) -> Any:
        """The result of a GET; OSError while the server is not there."""
        response = await self.fetch("GET", path)
        if response.code == 599:
            raise OSError(str(response.error))
        return json.loads(response.body)["result"]

    async def post(self, path: str, **arguments: Any) -> Any:
        response = await self.fetch(
            "POST", path, body=json.dumps(arguments), headers={"Content-Type": "application/json"}
        )
        answer = json.loads(response.body)
        assert response.code == 200, answer
        return answer["result"]

    async def upload(self, name: str, content: bytes, **fields: str) -> HTTPResponse:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        body = multipart(name, content, **fields)
        return await self.fetch("POST", "/server/files/upload", body=body, headers=headers)

    async def until(self, what: Callable[[dict[str, Any]], bool], seconds: float = 30) -> dict[str, Any]:
        """Wait until print_stats satisfies `what`; returns it."""
        end = asyncio.get_running_loop().time() + seconds
        stats: dict[str, Any] = {}
        while asyncio.get_running_loop().time() < end:
            with contextlib.suppress(OSError, KeyError):
                stats = (await self.get("/printer/objects/query?print_stats"))["status"]["print_stats"]
                if what(stats):
                    return stats
            await asyncio.sleep(0.1)
        raise AssertionError(f"waited in vain: {stats}")


class Observer:
    """A websocket client that keeps every notification."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self._socket = socket
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.ensure_future(self._read())
        self.notes: list[tuple[str, list[Any]]] = []

    @classmethod
    async def connect(cls, daemon: Daemon) -> Observer:
        return cls(await websocket_connect(f"ws://127.0.0.1:{daemon.port}/websocket"))

    async def _read(self) -> None:
        while (text := await self._socket.read_message()) is not None:
            message = json.loads(text)
            if "method" in message:
                self.notes.append((message["method"], message.get("params", [])))
            elif message["id"] in self._answers:
                self._answers.pop(message["id"]).set_result(message)

    async def call(self, method: str, **params: Any) -> Any:
        number = len(self.notes) * 1000 + len(self._answers) + 1
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.write_message(
            json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": number})
        )
        answer = await asyncio.wait_for(future, 30)
        assert "error" not in answer, answer
        return answer["result"]

    def named(self, method: str) -> list[Any]:
        """First params of all notifications of this name so far."""
        return [params[0] if params else None for name, params in self.notes if name == method]

    async def close(self) -> None:
        self._socket.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._reader, 5)
