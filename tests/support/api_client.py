"""A client of a running host: HTTP calls, and one websocket for JSON-RPC and notifications."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

SECONDS = 20.0  # for one answer; a host that hangs fails a test, not the whole run


class Answer(NamedTuple):
    """An HTTP answer."""

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
    """A JSON-RPC call was answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error)
        self.code: int = error["code"]
        self.message: str = error["message"]


class ApiClient:
    """Talks to 127.0.0.1:port. The websocket opens with the first call that needs it.

    Notifications are kept in `notes` as (method, params) in the order of their arrival.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.notes: list[tuple[str, Any]] = []
        self._ids = itertools.count(1)
        self._http = AsyncHTTPClient(force_instance=True)
        self._socket: WebSocketClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._news = asyncio.Event()

    # -- HTTP ------------------------------------------------------------------------------------------------------

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
            request_timeout=60,
        )
        answer = await self._http.fetch(request, raise_error=False)
        return Answer(answer.code, answer.body, dict(answer.headers))

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.http("GET", path, headers={key.replace("_", "-"): value for key, value in headers.items()})

    async def post(self, path: str, data: Any = None) -> Answer:
        return await self.http("POST", path, data)

    # -- the websocket ---------------------------------------------------------------------------------------------

    async def connect(self, path: str = "/websocket", headers: dict[str, str] | None = None) -> None:
        """Open the websocket."""
        request = HTTPRequest(f"ws://127.0.0.1:{self.port}{path}", headers=headers or {})
        self._socket = await websocket_connect(request)
        self._reader = asyncio.create_task(self._read(self._socket), name="test client")

    async def answer(self, method: str, params: Any = None) -> dict[str, Any]:
        """The whole answer of one JSON-RPC call; None leaves the params out."""
        if self._socket is None:
            await self.connect()
        assert self._socket is not None
        number = next(self._ids)
        message = {"jsonrpc": "2.0", "method": method, "id": number}
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.write_message(json.dumps(message if params is None else {**message, "params": params}))
        return await asyncio.wait_for(future, SECONDS)

    async def rpc(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """The result of one call. Raises RpcError."""
        answer = await self.answer(method, params)
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]

    async def call(self, method: str, **params: Any) -> Any:
        """The result of one call. Raises RpcError."""
        return await self.rpc(method, params)

    async def error(self, method: str, **params: Any) -> dict[str, Any]:
        """The error of one call."""
        answer = await self.answer(method, params)
        assert "error" in answer, answer
        error: dict[str, Any] = answer["error"]
        return error

    def of(self, method: str) -> list[Any]:
        """The params of the notifications with this name."""
        return [params for name, params in self.notes if name == method]

    async def notification(self, method: str) -> Any:
        """Wait for a notification, take it out of `notes`, and return its first parameter (None when it has none)."""
        await self.until(lambda: self.of(method), SECONDS)
        found = next(note for note in self.notes if note[0] == method)
        self.notes.remove(found)
        return (found[1] or [None])[0]

    async def until(self, condition: Callable[[], object], seconds: float = 8.0) -> None:
        """Wait for something that notifications bring about, or the host itself."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 0.01)

    async def closed(self) -> bool:
        """Whether the host closes the websocket within two seconds."""
        assert self._reader is not None
        done, _ = await asyncio.wait({self._reader}, timeout=2)
        return bool(done)

    async def _read(self, socket: WebSocketClientConnection) -> None:
        while (text := await socket.read_message()) is not None:
            message = json.loads(text)
            if "method" in message:
                self.notes.append((message["method"], message.get("params")))
            elif message.get("id") in self._answers:
                self._answers.pop(message["id"]).set_result(message)
            self._news.set()
        socket.close()
        self._socket = None
        for future in self._answers.values():
            if not future.done():
                future.set_exception(ConnectionError("the websocket was closed"))

    async def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=2)
        self._http.close()


@contextlib.asynccontextmanager
async def client_of(port: int) -> AsyncIterator[ApiClient]:
    """A client whose websocket opens when it is needed."""
    client = ApiClient(port)
    try:
        yield client
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[ApiClient]:
    """A client whose websocket is open: it hears every notification from now on."""
    async with client_of(port) as client:
        await client.connect()
        yield client
