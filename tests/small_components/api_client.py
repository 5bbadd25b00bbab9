"""A client of a running host: HTTP calls, and one websocket for JSON-RPC and notifications."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def result(self) -> Any:
        assert self.status == 200, (self.status, self.body)
        return self.json["result"]

    @property
    def error(self) -> str:
        """The message of an error."""
        return str(self.json["error"]["message"])


class RpcError(Exception):
    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error)
        self.code: int = error["code"]
        self.message: str = error["message"]


class ApiClient:
    """Talks to 127.0.0.1:port. The websocket opens with the first call that needs it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.notifications: list[dict[str, Any]] = []
        self._ids = itertools.count(1)
        self._http = AsyncHTTPClient(force_instance=True)
        self._socket: WebSocketClientConnection | None = None
        self._answers: dict[int, dict[str, Any]] = {}

    async def http(
        self, verb: str, path: str, data: Any = None, *, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """One HTTP call; `data` goes as a JSON body. Errors are answers too."""
        given = {"Content-Type": "application/json", **(headers or {})} if data is not None else headers or {}
        content = json.dumps(data).encode() if data is not None else body
        request = HTTPRequest(
            f"http://127.0.0.1:{self.port}{path}",
            method=verb,
            headers=given,
            body=content or (b"" if verb in ("POST", "PUT", "PATCH") else None),
            allow_nonstandard_methods=True,
            follow_redirects=False,
            request_timeout=10,
        )
        answer = await self._http.fetch(request, raise_error=False)
        return Answer(answer.code, answer.body, dict(answer.headers))

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.http("GET", path, headers={key.replace("_", "-"): value for key, value in headers.items()})

    async def post(self, path: str, data: Any = None) -> Answer:
        return await self.http("POST", path, data)

    async def connect(self, path: str = "/websocket", headers: dict[str, str] | None = None) -> None:
        """Open the websocket."""
        self._socket = await websocket_connect(HTTPRequest(f"ws://127.0.0.1:{self.port}{path}", headers=headers or {}))

    async def rpc(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """One JSON-RPC call; raises RpcError."""
        if self._socket is None:
            await self.connect()
        assert self._socket is not None
        number = next(self._ids)
        message = {"jsonrpc": "2.0", "method": method, "params": params or {}, "id": number}
        await self._socket.write_message(json.dumps(message))
        async with asyncio.timeout(10):
            while number not in self._answers:
                await self._read()
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]

    async def notification(self, method: str) -> Any:
        """Wait for a notification and return its first parameter (None when it has none)."""
        async with asyncio.timeout(10):
            while True:
                for at, message in enumerate(self.notifications):
                    if message["method"] == method:
                        del self.notifications[at]
                        return (message.get("params") or [None])[0]
                await self._read()

    async def closed(self) -> bool:
        """Whether the host closes the websocket within two seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                while self._socket is not None:
                    await self._read()
        return self._socket is None

    async def _read(self) -> None:
        assert self._socket is not None, "the websocket is closed"
        text = await self._socket.read_message()
        if text is None:
            self._socket.close()
            self._socket = None
            return
        message = json.loads(text)
        if "method" in message:
            self.notifications.append(message)
        else:
            self._answers[message["id"]] = message

    async def close(self) -> None:
        if (socket := self._socket) is not None:
            self._socket = None
            socket.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    while await socket.read_message() is not None:
                        pass
        self._http.close()


@contextlib.asynccontextmanager
async def client_of(port: int) -> AsyncIterator[ApiClient]:
    client = ApiClient(port)
    try:
        yield client
    finally:
        await client.close()
