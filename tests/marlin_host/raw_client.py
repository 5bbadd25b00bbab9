"""A client of the API socket that sees frames as they are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any


class RawClient:
    """Sends raw bytes or JSON; keeps all that came, in order."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.closed = asyncio.Event()
        self._news = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._reader_task: asyncio.Task[None] | None = None
        self._last_id = 1000

    @classmethod
    async def connect(cls, path: Path) -> RawClient:
        client = cls()
        reader, client._writer = await asyncio.open_unix_connection(path)
        client._reader_task = asyncio.create_task(client._read(reader))
        return client

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                frame = await reader.readuntil(b"\x03")
                self.received.append(json.loads(frame[:-1]))
                self._news.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()
            self._news.set()

    def send(self, message: dict[str, Any]) -> None:
        self.send_raw(json.dumps(message).encode() + b"\x03")

    def send_raw(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)

    async def wait_for(self, number: int, timeout: float = 60.0) -> list[dict[str, Any]]:
        """Return all messages when there are at least so many."""
        async with asyncio.timeout(timeout):
            while len(self.received) < number:
                assert not self.closed.is_set(), f"closed after {self.received}"
                self._news.clear()
                await self._news.wait()
        return self.received

    async def call(self, method: str, timeout: float = 60.0, **params: Any) -> dict[str, Any]:
        """Send a request and return the whole answer."""
        self._last_id += 1
        identity = self._last_id
        self.send({"id": identity, "method": method, "params": params})
        async with asyncio.timeout(timeout):
            while True:
                for message in self.received:
                    if message.get("id") == identity:
                        return message
                assert not self.closed.is_set(), f"closed before the answer to {method}"
                self._news.clear()
                await self._news.wait()

    async def result(self, method: str, timeout: float = 60.0, **params: Any) -> Any:
        """Send a request and return its result; an error fails the test."""
        answer = await self.call(method, timeout, **params)
        assert "error" not in answer, answer
        return answer["result"]

    async def script(self, script: str, timeout: float = 60.0) -> dict[str, Any]:
        return await self.call("gcode/script", timeout, script=script)

    async def status(self, name: str) -> dict[str, Any]:
        status = (await self.result("objects/query", objects={name: None}))["status"]
        found: dict[str, Any] = status[name]
        return found

    async def listen(self) -> None:
        """Subscribe to the G-code output; see `output`."""
        await self.result("gcode/subscribe_output", response_template={"key": "output"})

    @property
    def output(self) -> list[str]:
        return [message["params"]["response"] for message in self.received if message.get("key") == "output"]

    async def close(self) -> None:
        assert self._writer is not None
        assert self._reader_task is not None
        self._writer.close()
        await self._reader_task
