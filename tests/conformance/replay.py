"""Replays a recorded scenario against a running host and says where it differs: in status, shape or notifications.

The requests are those of the recording, one after the other; what its machine had on disk is made by `scenes`. Nothing
waits for a fixed time: notifications are awaited as they were recorded, and one that was not is found at the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from moonraker_lite.gcode_metadata import is_gcode_name
from tests.support.recordings import shape_differences

Record = dict[str, Any]
PATIENCE = 30.0  # s for an answer or a recorded notification to come
QUIET = 0.25  # s without a message after which none is expected any more
# Told for reasons that a replay does not have, such as another program on the recorded machine.
UNRELATED = {
    "notify_gcode_response",
    "notify_klippy_disconnected",
    "notify_klippy_ready",
    "notify_power_changed",
    "notify_proc_stat_update",
    "notify_service_state_changed",
    "notify_status_update",
}
HEADERS = ("Content-Type", "Content-Disposition", "Content-Range", "Accept-Ranges")
# Never sent here, or depending on what was printed before; and what depends on the configuration.
IGNORED = {"traceback", "job_id", "print_start_time"}
FREE_FORM = {"config", "orig", "settings", "configfile"}
GENERATED = "/server/files/gcodes/"  # files that are the same on every machine
BOUNDARY = "----replayBoundary7MA4YWxk"


class Notice(NamedTuple):
    """What a notification says: of a change its action and path, of others only the method."""

    method: str
    action: str | None
    path: str | None


class Session:
    """A client of the host on two websockets: one to call, one to listen."""

    def __init__(self, port: int, calls: WebSocketClientConnection, listener: WebSocketClientConnection) -> None:
        self._port = port
        self._calls = calls
        self._listener = listener
        self._heard: list[Notice] = []
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, port: int) -> AsyncIterator[Session]:
        """Connect to 127.0.0.1:port."""
        address = f"ws://127.0.0.1:{port}/websocket"
        session = cls(port, await websocket_connect(address), await websocket_connect(address))
        try:
            yield session
        finally:
            await session._close()

    async def _close(self) -> None:
        self._calls.close()
        self._listener.close()
        await self._listening
        while await self._calls.read_message() is not None:
            pass

    async def _listen(self) -> None:
        while (text := await self._listener.read_message()) is not None:
            self._heard += notices([json.loads(text)])

    async def quiet(self, seconds: float) -> None:
        """Wait until nothing was told for so long, and forget what was."""
        known = -1
        while known != len(self._heard):
            known = len(self._heard)
            await asyncio.sleep(seconds)
        self._heard.clear()

    async def settled(self, gcodes: Path, seconds: float) -> None:
        """Wait until the server knows all G-code files in its folder and has told of them; forget what it told."""
        async with asyncio.timeout(60):
            while await self._unknown(gcodes):
                await asyncio.sleep(0.05)
        await self.quiet(seconds)

    async def _unknown(self, gcodes: Path) -> bool:
        """Whether a visible G-code file is not listed yet, or still being scanned."""
        for folder, names, files in os.walk(gcodes):
            names[:] = [name for name in names if name[0] != "."]
            place = Path("gcodes", Path(folder).relative_to(gcodes))
            call = {"path": str(place), "extended": True}
            answer = await self.call(
                {"jsonrpc": "2.0", "id": 0, "method": "server.files.get_directory", "params": call}
            )
            listed = {file["filename"]: file for file in answer.get("result", {"files": ()})["files"]}
            there = [name for name in files if is_gcode_name(name) and os.path.exists(f"{folder}/{name}")]
            if any(name not in listed or listed[name].get("metadata_state") == "scanning" for name in there):
                return True
        return False

    async def differences(self, record: Record, content: bytes = b"", patience: float = PATIENCE) -> list[str]:
        """Send the request of a record; how the outcome differs from what was recorded.

        `content` is the file of an upload, which recordings do not hold. `patience` (s) is for its notifications.
        """
        want = record["response"]
        if record["kind"] == "raw":
            return _raw_differences(want, await self._raw(record["request"], len(want)))
        if record["kind"] == "ws":
            got = await self.call(record["request"])
            found = _code_differences(_rpc_code(want), _rpc_code(got)) or shape_differences(_body(want), _body(got))
        else:
            answer = await asyncio.to_thread(self._http, record["request"], content)
            found = _http_differences(want, answer)
            if not found and record["request"]["path"].startswith(GENERATED):
                found = list(_file_differences(want, answer))
        if "notify" in record:
            found += await self._notification_differences(notices(record["notify"]), patience)
        return found

    async def _notification_differences(self, want: list[Notice], patience: float) -> list[str]:
        end = time.monotonic() + patience
        while len(self._heard) < len(want) and time.monotonic() < end:
            await asyncio.sleep(0.01)
        got = self._heard[:]
        self._heard.clear()
        return [] if got == want else [f"{want} expected, {got} told"]

    # -- one request -----------------------------------------------------------------------------------------------

    async def call(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a JSON-RPC request; its answer."""
        await self._calls.write_message(json.dumps(request))
        async with asyncio.timeout(PATIENCE):
            while True:
                answer: dict[str, Any] = json.loads(await self._calls.read_message() or "{}")
                if answer.get("id") == request["id"]:
                    return answer

    async def _raw(self, request: dict[str, Any], expected: int) -> list[dict[str, Any]]:
        """Send messages on a websocket of their own; what comes back until as much as expected has come."""
        received: list[dict[str, Any]] = []
        address = HTTPRequest(f"ws://127.0.0.1:{self._port}{request['path']}")
        try:
            socket = await websocket_connect(address)
        except Exception as error:  # noqa: BLE001 - whatever refused the connection is the outcome
            return [{"connect_error": repr(error)}]
        for message in request["messages"]:
            frame = message if isinstance(message, str) else json.dumps(message)
            binary = re.fullmatch("7b[0-9a-f]*7d", frame)  # a binary frame is recorded as the digits of its bytes
            await socket.write_message(bytes.fromhex(frame) if binary else frame, binary=bool(binary))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE if expected else QUIET):
                while len(received) < max(expected, 1) and (text := await socket.read_message()) is not None:
                    message = json.loads(text)
                    if not isinstance(message, dict) or message.get("method") not in UNRELATED:
                        received.append(message)
        socket.close()
        while await socket.read_message() is not None:
            pass
        return received

    def _http(self, request: dict[str, Any], content: bytes) -> dict[str, Any]:
        headers, body = dict(request["headers"]), request.get("body")
        if "json" in request:
            body = json.dumps(request["json"])
        elif isinstance(body, dict):
            body = _form(body["multipart"], content)
            headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
        data = body.encode() if isinstance(body, str) else body
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            connection.putrequest(request["method"], request["path"], skip_accept_encoding=True)
            if data is not None:
                headers.setdefault("Content-Length", str(len(data)))
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(data)
            answer = connection.getresponse()
            raw = answer.read()
            found: dict[str, Any] = {"status": answer.status, "headers": dict(answer.getheaders()), "body": raw}
            with contextlib.suppress(ValueError):
                found["json"] = json.loads(raw)
            return found
        finally:
            connection.close()


def notices(rows: list[dict[str, Any]]) -> list[Notice]:
    """The notifications of a record that matter. Those of thumbnails vary from run to run, with Moonraker too."""
    found = []
    for row in rows:
        if "method" not in row or row["method"] in UNRELATED:
            continue
        first = (row.get("params") or [None])[0]
        change = first if isinstance(first, dict) else {}
        path = change.get("item", {}).get("path")
        if path is not None and (".thumbs" in path or path.endswith(".mru")):
            continue
        shown = re.sub(r"collection-\d+-\d+", "collection", path) if path is not None else None
        found.append(Notice(row["method"], change.get("action"), shown))
    return found


def _form(multipart: dict[str, Any], content: bytes) -> bytes:
    """A body as the recorder made it."""
    disposition = multipart["file_disposition"]
    named = f'filename="{multipart["file"]}"' if disposition is None else disposition
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; {named}\r\n'
    file = head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n"
    fields = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in multipart["fields"].items()
    ]
    parts = [*fields, file] if multipart["order"] == "fields_first" else [file, *fields]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def _rpc_code(answer: dict[str, Any]) -> object:
    return answer["error"]["code"] if "error" in answer else "result"


def _code_differences(want: object, got: object) -> list[str]:
    return [] if want == got else [f"{want} expected, {got} answered"]


def _raw_differences(want: list[Any], got: list[Any]) -> list[str]:
    if len(want) != len(got):
        return [f"{want} expected, {got} answered"]
    pairs = zip(want, got, strict=True)
    return [row for left, right in pairs for row in shape_differences(_body(left), _body(right))]


def _http_differences(want: dict[str, Any], got: dict[str, Any]) -> list[str]:
    found = _code_differences(want["status"], got["status"])
    if found:
        return [f"{found[0]}: {got['body'][:200]!r}"]
    return shape_differences(_body(want["json"]), _body(got.get("json"))) if "json" in want else []


def _file_differences(want: dict[str, Any], got: dict[str, Any]) -> Iterator[str]:
    for name in HEADERS:
        if name in want["headers"] and want["headers"][name] != got["headers"].get(name):
            yield f"{name}: {want['headers'][name]} expected, {got['headers'].get(name)} answered"
    if "sha256" in want and want["sha256"] != hashlib.sha256(got["body"]).hexdigest():
        yield f"other content: {got['body'][:60]!r}"


def _body(value: Any) -> Any:
    """An answer without what is not compared."""
    if isinstance(value, dict):
        return {
            key: type(part).__name__ if key in FREE_FORM else _body(part)
            for key, part in value.items()
            if key not in IGNORED
        }
    return [_body(part) for part in value] if isinstance(value, list) else value
