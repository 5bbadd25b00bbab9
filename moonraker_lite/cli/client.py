"""A small client of the host's own API, for the command line: streamed upload, JSON-RPC over the websocket."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

_BLOCK = 256 * 1024


class ClientError(Exception):
    """The host refused, or cannot be reached; the message is for the user."""


def base_url(host: str) -> str:
    """The root of the API for what a user typed: "printer.local", "10.0.0.5:7126", "https://printer".

    Raises:
        ClientError: it is no address.
    """
    try:
        parts = urlsplit(host if "://" in host else f"http://{host}")
        explicit = parts.port is not None or parts.scheme == "https"
    except ValueError:
        parts, explicit = urlsplit(""), False
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise ClientError(f"'{host}' is no address; give for example --host printer.local or --host 127.0.0.1:7125")
    return f"{parts.scheme}://{parts.netloc}" + ("" if explicit else ":7125")


async def upload(base: str, path: Path, api_key: str | None, sent: Callable[[int], None]) -> str:
    """Upload a G-code file; `sent` is told the bytes so far. Returns the name under which it is stored.

    Raises:
        ClientError: the host refused it, with its reason.
    """
    boundary = f"moonraker-lite-{secrets.token_hex(8)}"
    name = path.name.replace("\\", "_").replace('"', "_")
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()

    async def body(write: Callable[[bytes], Awaitable[None]]) -> None:
        await write(head)
        with path.open("rb") as file:
            done = 0
            while block := await asyncio.to_thread(file.read, _BLOCK):
                await write(block)
                done += len(block)
                sent(done)
        await write(tail)

    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(head) + path.stat().st_size + len(tail)),
    }
    if api_key:
        headers["X-Api-Key"] = api_key
    request = HTTPRequest(
        f"{base}/server/files/upload",
        "POST",
        headers,
        body_producer=body,  # type: ignore[arg-type]  # Tornado's hint is older than coroutines
        request_timeout=3600.0,
        connect_timeout=10.0,
    )
    try:
        response = await AsyncHTTPClient().fetch(request, raise_error=False)
    except OSError as error:
        raise ClientError(f"{base} cannot be reached: {error}") from None
    answer = _json(response.body)
    if response.code != 201:
        reason = answer.get("error", {}).get("message") or (str(response.error) if response.error else response.reason)
        raise ClientError(f"The upload was refused ({response.code}): {reason}")
    return str(answer["item"]["path"])


def _json(body: bytes | None) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


class RpcClient:
    """JSON-RPC over the host's websocket. Notifications go to `on_notify(method, params)`."""

    def __init__(self, socket: WebSocketClientConnection, on_notify: Callable[[str, list[Any]], None]) -> None:
        self._socket = socket
        self._on_notify = on_notify
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    @classmethod
    async def connect(cls, base: str, api_key: str | None, on_notify: Callable[[str, list[Any]], None]) -> RpcClient:
        """Open the websocket.

        Raises:
            ClientError: the host cannot be reached or refuses.
        """
        headers = {"X-Api-Key": api_key} if api_key else {}
        request = HTTPRequest(f"ws{base.removeprefix('http')}/websocket", headers=headers, connect_timeout=10.0)
        try:
            return cls(await websocket_connect(request), on_notify)
        except Exception as error:  # noqa: BLE001 - boundary: Tornado raises many kinds; the user gets one sentence
            raise ClientError(f"{base} cannot be reached: {error}") from None

    async def call(self, method: str, **params: Any) -> Any:
        """Call a method and wait for its result.

        Raises:
            ClientError: the answer is an error.
        """
        number = next(self._ids)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.write_message(
            json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": number})
        )
        return await future

    async def listen(self) -> None:
        """Read until the connection ends; owns the answers to `call`."""
        while (text := await self._socket.read_message()) is not None:
            message = _json(text.encode() if isinstance(text, str) else text)
            future = self._waiting.pop(message.get("id", 0), None)
            if future is not None and not future.done():
                if "error" in message:
                    future.set_exception(ClientError(str(message["error"].get("message"))))
                else:
                    future.set_result(message.get("result"))
            elif "method" in message:
                self._on_notify(message["method"], message.get("params") or [])
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ClientError("The connection to the host was lost"))

    def close(self) -> None:
        """Close the websocket; `listen` returns."""
        self._socket.close()
