"""HTTP: decode a call, ask the API table, encode the answer. No feature code.

This speaks Tornado's connection interface directly: one small object per call, streamed bodies with back-pressure,
and an answer before the body is read where the body is not wanted.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Awaitable
from email.utils import formatdate
from functools import lru_cache
from http.client import responses
from typing import Any

from tornado.http1connection import HTTP1Connection
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError

from moonraker_lite.api import json_in
from moonraker_lite.api.access import AccessPolicy
from moonraker_lite.api.answers import as_host_error, http_error, http_result
from moonraker_lite.api.endpoint import Endpoint
from moonraker_lite.api.params import parse_query
from moonraker_lite.api.replies import FileReply, RawReply, Reply
from moonraker_lite.api.request import BodySink, Request, User
from moonraker_lite.api.table import ApiTable, is_waiting
from moonraker_lite.errors import BadRequest, Forbidden, HostError, MethodNotAllowed, PayloadTooLarge, Unauthorized
from moonraker_lite.tasks import TaskOwner
from moonraker_lite.transports.files import block_size, send_file
from moonraker_lite.transports.patience import Patience, Turns, see_taken

_LOGGER = logging.getLogger(__name__)

MAX_BODY = json_in.MAX_MESSAGE  # bytes of a body that is held in memory (JSON, forms)
BODY_CHUNK = 128 * 1024  # bytes of a streamed body that are handed on at once; more are not faster
MAX_DISCARD = 64 * 1024 * 1024  # bytes of an unwanted body that are read so that the client sees our answer
DISCARD_SECONDS = 20.0
BODY_SECONDS = 60.0  # for a body that is held in memory
STREAM_SECONDS = 24 * 3600.0  # for one that is streamed; `Patience` sees to it that it goes on
SMALL_BODY = 1024 * 1024
JSON = "application/json; charset=UTF-8"
_SECRETS = ("token", "access_token", "_")
_CORS_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Origin, Accept, Content-Type, X-Requested-With, X-CRSF-Token, Authorization, "
    "X-Access-Token, X-Api-Key",
    "Access-Control-Allow-Private-Network": "true",
}


@lru_cache(maxsize=1)
def _date(now: int) -> str:
    return formatdate(now, usegmt=True)


class HttpApi:
    """The HTTP side of the API table: what all calls share."""

    def __init__(self, table: ApiTable, access: AccessPolicy, max_upload: int) -> None:
        """`max_upload` bounds streamed bodies (bytes)."""
        self.table = table
        self.access = access
        self.max_upload = max_upload
        self.tasks = TaskOwner("http")
        self.turns = Turns()
        self.sending = 0  # files that are on their way to clients

    async def close(self) -> None:
        """Cancel the calls that are still running."""
        await self.tasks.close()


class HttpCall(HTTPMessageDelegate):
    """One request and its answer."""

    __slots__ = (
        "_api", "_body", "_conn", "_discarded", "_endpoint", "_failure", "_headers", "_ip", "_limit", "_named",
        "_origin", "_path", "_patience", "_received", "_sink", "_user", "_values", "_verb",
    )  # fmt: skip

    def __init__(self, api: HttpApi, connection: HTTP1Connection) -> None:
        self._api = api
        self._conn = connection
        self._verb = ""
        self._path = ""
        self._headers = HTTPHeaders()
        self._ip = ""
        self._origin: str | None = None
        self._endpoint: Endpoint | None = None
        self._user: User | None = None
        self._values: dict[str, Any] = {}
        self._named: dict[str, str] = {}
        self._body: list[bytes] = []
        self._received = 0
        self._limit = MAX_BODY
        self._sink: BodySink | None = None
        self._failure: HostError | None = None
        self._discarded: int | None = None
        self._patience: Patience | None = None

    # -- what comes in ---------------------------------------------------------------------------------------------

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)
        self._verb = start_line.method
        self._headers = headers
        self._path, _, query = start_line.path.partition("?")
        try:
            self._check_host(start_line.version)
            user = self._identify(query)
            if self._verb == "OPTIONS":
                return None
            endpoint = self._endpoint = self._find()
            if endpoint.auth and user is None:
                raise Unauthorized("Unauthorized")
            length = self._announced_length()
            self._limit = self._api.max_upload if endpoint.stream else MAX_BODY
            if length > self._limit:
                raise PayloadTooLarge(f"The body has {length} bytes; at most {self._limit} are taken")
            self._conn.set_max_body_size(self._limit)
            if endpoint.stream:
                self._conn.stream.read_chunk_size = BODY_CHUNK
                self._conn.set_body_timeout(STREAM_SECONDS)
                return self._open_sink(endpoint, self._request(user))
            self._user = user
        except Exception as error:  # noqa: BLE001 - boundary: whatever goes wrong becomes this call's answer
            self._refuse(as_host_error(error))
        return self._api.turns.breathe()

    def _check_host(self, version: str) -> None:
        """RFC 9112, section 3.2: whoever forwards requests may read two names differently than we do."""
        host = self._headers.get("Host")
        if (host is None and version == "HTTP/1.1") or (host is not None and "," in host):
            raise BadRequest("A request needs exactly one Host header")

    def _announced_length(self) -> int:
        """What Content-Length says; 0 for what is no length, as Tornado refuses such a request by itself."""
        text = self._headers.get("Content-Length", "").partition(",")[0].strip()
        return int(text) if text.isdecimal() and len(text) < 100 else 0

    def _identify(self, query: str) -> User | None:
        access = self._api.access
        peer: str = getattr(self._conn.context, "remote_ip", "")
        self._ip = access.client_ip(self._headers, peer)
        origin = self._headers.get("Origin")
        if origin is not None:
            self._check_origin(origin)
        arguments = parse_query(query)
        user = access.authorize(self._headers, arguments, peer)
        for name in _SECRETS:
            arguments.pop(name, None)
        self._values = arguments
        return user

    def _check_origin(self, origin: str) -> None:
        """Foreign pages may read nothing (no CORS headers) and change nothing (a form is posted without asking)."""
        if self._api.access.origin_allowed(origin):
            self._origin = origin
        elif self._verb not in ("GET", "HEAD", "OPTIONS") and not self._api.access.same_site(self._headers):
            raise Forbidden("Pages of this origin may not change anything here; see cors_domains in the configuration")

    def _find(self) -> Endpoint:
        if self._verb == "HEAD":
            endpoint, self._named = self._api.table.find_path("GET", self._path)
            if endpoint.result is not FileReply:
                raise MethodNotAllowed("HEAD is possible for files only")
        else:
            endpoint, self._named = self._api.table.find_path(self._verb, self._path)
        self._values.update(self._named)
        return endpoint

    def _request(self, user: User | None, body: bytes = b"") -> Request:
        return Request(
            transport="http",
            verb=self._verb,
            path=self._path,
            remote_ip=self._ip,
            arguments=self._values,
            headers=self._headers,
            user=user,
            body=body,
        )

    async def _open_sink(self, endpoint: Endpoint, request: Request) -> None:
        try:
            result = self._api.table.call(endpoint, request)
            self._sink = await result if is_waiting(result) else result
            self._patience = Patience(self._conn.stream.close)
            self._patience.wait()
        except Exception as error:  # noqa: BLE001 - boundary: whatever goes wrong becomes this call's answer
            self._refuse(as_host_error(error))

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self._discarded is not None:
            self._discarded += len(chunk)
            if self._discarded > MAX_DISCARD:
                self._discarded = None
                self._sink = None
                self._conn.finish()
            return None
        if self._failure is not None:
            return None
        if self._sink is not None:
            return self._write_sink(self._sink, chunk)
        self._received += len(chunk)
        if self._received <= self._limit:
            self._body.append(chunk)
        return None

    async def _write_sink(self, sink: BodySink, chunk: bytes) -> None:
        assert self._patience is not None
        self._patience.pause()
        try:
            await sink.write(chunk)
            self._patience.wait()
        except Exception as error:  # noqa: BLE001 - boundary: whatever goes wrong becomes this call's answer
            self._sink = None
            self._patience.stop()
            await sink.abort()
            self._refuse(as_host_error(error))

    def finish(self) -> None:
        if self._patience is not None:
            self._patience.stop()
        if self._discarded is not None:
            self._conn.finish()
        elif self._failure is not None:
            self._answer_error(self._failure)
        elif self._verb == "OPTIONS":
            self._preflight()
        elif self._sink is not None:
            sink, self._sink = self._sink, None
            self._api.tasks.spawn(self._complete(sink.finish()), self._path)
        elif self._endpoint is not None:
            self._run(self._endpoint)

    def on_connection_close(self) -> None:
        """The client went away before its request was whole."""
        if self._patience is not None:
            self._patience.stop()
        if self._sink is not None:
            sink, self._sink = self._sink, None
            self._api.tasks.spawn(sink.abort(), "abort")

    # -- the call --------------------------------------------------------------------------------------------------

    def _run(self, endpoint: Endpoint) -> None:
        try:
            body = b"".join(self._body)
            if endpoint.params is not None:
                self._values = {**self._values, **self._body_arguments(body), **self._named}
            result = self._api.table.call(endpoint, self._request(self._user, body))
        except Exception as error:  # noqa: BLE001 - boundary: whatever a method raises becomes its answer
            self._answer_error(as_host_error(error))
            return
        if is_waiting(result):
            self._api.tasks.spawn(self._complete(result), self._path)
        elif isinstance(result, FileReply):
            self._api.tasks.spawn(self._send_file(result), self._path)
        else:
            self._answer(result)

    def _body_arguments(self, body: bytes) -> dict[str, Any]:
        if not body:
            return {}
        kind = self._headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind == "application/x-www-form-urlencoded":
            try:
                return parse_query(body.decode())
            except UnicodeDecodeError:
                raise BadRequest("The form body is not valid UTF-8") from None
        if kind != "application/json":
            return {}
        value = json_in.decode(body)
        if not isinstance(value, dict):
            raise BadRequest("The JSON body must be an object with the arguments")
        return value

    async def _complete(self, work: Awaitable[Any]) -> None:
        try:
            result = await work
        except Exception as error:  # noqa: BLE001 - boundary: whatever a method raises becomes its answer
            self._answer_error(as_host_error(error))
            return
        if isinstance(result, FileReply):
            await self._send_file(result)
        else:
            self._answer(result)

    async def _send_file(self, reply: FileReply) -> None:
        self._api.sending += 1
        try:
            await send_file(
                self._conn, self._verb, self._headers, reply, self._common_headers(), block_size(self._api.sending)
            )
            self._conn.finish()
        except HostError as error:
            self._answer_error(error)
        except StreamClosedError:
            pass
        except OSError as error:
            _LOGGER.warning("sending %s broke off: %s", reply.name, error)
            self._conn.close()
        finally:
            self._api.sending -= 1

    # -- what goes out ---------------------------------------------------------------------------------------------

    def _preflight(self) -> None:
        try:
            self._api.table.check_path(self._path)
            if self._origin is None:
                raise MethodNotAllowed("OPTIONS needs an Origin that cors_domains allows")
        except HostError as error:
            self._answer_error(error)
            return
        headers = self._common_headers()
        headers.update(_CORS_PREFLIGHT)
        self._write(204, headers, b"")

    def _common_headers(self) -> HTTPHeaders:
        headers = HTTPHeaders()
        headers["Server"] = "moonraker-lite"
        headers["Date"] = _date(int(time.time()))
        headers["X-Content-Type-Options"] = "nosniff"
        if self._origin is not None:
            headers["Access-Control-Allow-Origin"] = self._origin
        return headers

    def _answer(self, result: Any) -> None:
        assert self._endpoint is not None
        headers = self._common_headers()
        status = 200
        if isinstance(result, RawReply):
            headers["Content-Type"] = result.content_type
            headers.update(result.headers)
            self._write(result.status, headers, result.body)
            return
        if isinstance(result, Reply):
            status = result.status
            headers.update(result.headers)
            result = result.body
        try:
            body = http_result(result, self._endpoint.wrap) if status != 204 else b""
        except Exception as error:  # noqa: BLE001 - boundary: a result that cannot be encoded is our own fault
            self._answer_error(as_host_error(error))
            return
        headers["Content-Type"] = JSON
        if self._verb == "GET" and status == 200:
            tag = f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'
            headers["Etag"] = tag
            if (known := self._headers.get("If-None-Match")) and (known == "*" or tag in known):
                del headers["Content-Type"]
                self._write(304, headers, b"")
                return
        self._write(status, headers, body)

    def _answer_error(self, error: HostError) -> None:
        headers = self._common_headers()
        headers["Content-Type"] = JSON
        self._write(error.status, headers, b"" if self._verb == "HEAD" else http_error(error))

    def _refuse(self, error: HostError) -> None:
        """Answer an error before the body has been read.

        What still comes is read and thrown away, within bounds: a client that is closed on while it sends would
        never see the answer. After a small body the connection goes on.
        """
        if self._announced_length() <= SMALL_BODY and "Transfer-Encoding" not in self._headers:
            self._failure = error
            self._conn.set_body_timeout(DISCARD_SECONDS)
            return
        self._headers.pop("Expect", None)  # Tornado would ask for the body after our answer
        headers = self._common_headers()
        headers["Content-Type"] = JSON
        headers["Connection"] = "close"
        body = b"" if self._verb == "HEAD" else http_error(error)
        headers["Content-Length"] = str(len(body))
        self._conn.set_max_body_size(1 << 62)
        self._conn.set_body_timeout(DISCARD_SECONDS)
        self._discarded = 0
        self._start(error.status, headers, body)

    def _write(self, status: int, headers: HTTPHeaders, body: bytes) -> None:
        if status not in (204, 304):
            headers["Content-Length"] = str(len(body))
        self._start(status, headers, body)
        self._conn.finish()

    def _start(self, status: int, headers: HTTPHeaders, body: bytes) -> None:
        line = ResponseStartLine("HTTP/1.1", status, responses.get(status, "Unknown"))
        stream = self._conn.stream
        written = self._conn.write_headers(line, headers, body or None)
        if stream.writing():
            self._api.tasks.spawn(see_taken(written, len(body), stream), "answer")
