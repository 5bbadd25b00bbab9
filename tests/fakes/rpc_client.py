"""A websocket and HTTP client for tests of a whole host."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect


class RpcClient:
    """Calls by websocket; notifications are kept in `notes` as (method, params) in the order of their arrival."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: WebSocketClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._next = 0
        self.notes: list[tuple[str, Any]] = []

    async def __aenter__(self) -> Self:
        self._socket = await websocket_connect(f"ws://127.0.0.1:{self._port}/websocket")
        self._reader = asyncio.create_task(self._read(self._socket))
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._socket is not None
        self._socket.close()
        assert self._reader is not None
        await asyncio.wait({self._reader}, timeout=5)

    async def _read(self, socket: WebSocketClientConnection) -> None:
        while (raw := await socket.read_message()) is not None:
            message = json.loads(raw)
            if "method" in message:
                self.notes.append((message["method"], message.get("params")))
            elif message.get("id") in self._answers:
                self._answers.pop(message["id"]).set_result(message)

    async def answer(self, method: str, params: Any = None) -> dict[str, Any]:
        """The whole answer of one call."""
        assert self._socket is not None
        self._next += 1
        message = {"jsonrpc": "2.0", "method": method, "id": self._next}
        future = self._answers[self._next] = asyncio.get_running_loop().create_future()
        await self._socket.write_message(json.dumps(message if params is None else {**message, "params": params}))
        answer: dict[str, Any] = await asyncio.wait_for(future, 10)
        return answer

    async def call(self, method: str, **params: Any) -> Any:
        """The result of one call; an error is an AssertionError."""
        answer = await self.answer(method, params)
        assert "result" in answer, answer
        return answer["result"]

    async def error(self, method: str, **params: Any) -> dict[str, Any]:
        """The error of one call."""
        answer = await self.answer(method, params)
        assert "error" in answer, answer
        error: dict[str, Any] = answer["error"]
        return error

    def of(self, method: str) -> list[Any]:
        """The params of the notifications with this name."""
        return [params for name, params in self.notes if name == method]

    async def until(self, condition: Callable[[], object], seconds: float = 8.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)


async def http(port: int, verb: str, path: str, body: Any = ...) -> tuple[int, Any]:
    """Status and decoded JSON of one HTTP call."""
    headers = {"Content-Type": "application/json"} if body is not ... else {}
    answer = await AsyncHTTPClient().fetch(
        f"http://127.0.0.1:{port}{path}",
        method=verb,
        headers=headers,
        body=json.dumps(body) if body is not ... else None,
        allow_nonstandard_methods=True,
        raise_error=False,
    )
    return answer.code, json.loads(answer.body)
