"""The context of one call, whatever transport it came through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from moonraker_lite.api.connections import ClientConnection


class User(msgspec.Struct, frozen=True):
    """Who calls. `name` is `_TRUSTED_USER_`, `_API_KEY_USER_` or a user's own; `source` moonraker, ldap or trusted."""

    name: str
    source: str = "moonraker"


Transport = Literal["http", "websocket", "socket", "rpc_http"]


class Request:
    """One call.

    `arguments` are the decoded raw arguments (path,
    query, form, JSON body or JSON-RPC params merged); handlers use their typed params instead. `headers` are the HTTP
    headers, looked up without regard to case (empty for JSON-RPC over a socket). `connection` is the lasting one that
    the call came over, if it did.
    """

    __slots__ = ("arguments", "body", "connection", "headers", "path", "remote_ip", "transport", "user", "verb")

    def __init__(
        self,
        *,
        transport: Transport,
        verb: str = "",
        path: str = "",
        remote_ip: str = "",
        arguments: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        connection: ClientConnection | None = None,
        user: User | None = None,
        body: bytes = b"",
    ) -> None:
        self.transport = transport
        self.verb = verb
        self.path = path
        self.remote_ip = remote_ip
        self.arguments = arguments if arguments is not None else {}
        self.headers = headers if headers is not None else {}
        self.connection = connection
        self.user = user
        self.body = body


class BodySink(Protocol):
    """Receiver of a streamed request body. Exactly one of `finish` and `abort` ends it."""

    async def write(self, chunk: bytes) -> None:
        """Take the next piece; awaiting it is the back-pressure on the client."""

    async def finish(self) -> Any:
        """The body is complete: return the endpoint's result."""

    async def abort(self) -> None:
        """The client went away or the body is bad: leave nothing behind."""
