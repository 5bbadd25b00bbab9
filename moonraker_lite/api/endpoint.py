"""Endpoint declarations.

An endpoint is declared once, on the method that implements it:

    @endpoint("POST", "/server/files/move", rpc="server.files.move")
    async def move(self, request: Request, params: MoveParams) -> MoveResult: ...

HTTP, websocket, unix socket, the OpenAPI document and the authorization matrix all derive from this. A method may carry
several declarations. The third parameter may be absent (no arguments), a msgspec.Struct (decoded and validated), or
`dict[str, Any]` (passed through, for Klipper's own endpoints).
"""

from __future__ import annotations

import enum
import inspect
import typing
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import msgspec

from moonraker_lite.api.request import Request

F = TypeVar("F", bound=Callable[..., Any])
Handler = Callable[..., Awaitable[Any]]
_ATTRIBUTE = "__endpoints__"


class Via(enum.Flag):
    """Transports that offer an endpoint."""

    HTTP = enum.auto()
    WEBSOCKET = enum.auto()
    SOCKET = enum.auto()
    RPC_HTTP = enum.auto()
    CONNECTION = WEBSOCKET | SOCKET
    RPC = WEBSOCKET | SOCKET | RPC_HTTP
    ALL = HTTP | WEBSOCKET | SOCKET | RPC_HTTP


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """What `@endpoint` is told.

    `path` may hold `{name}` (one segment) and, at its end, `{name:rest}` (all that follows). `wrap` says whether HTTP
    answers are `{"result": ...}`. A `stream` endpoint gets the body piece by piece: its method returns a `BodySink`.
    """

    verb: str
    path: str | None
    rpc: str | None = None
    via: Via = Via.ALL
    auth: bool = True
    wrap: bool = True
    stream: bool = False


class Endpoint(Declaration, frozen=True, kw_only=True):
    """A callable entry of the API table: a declaration, and the method of a component's instance with its types.

    `tag` is the component's name.
    """

    params: Any
    result: Any
    call: Handler
    doc: str
    tag: str


def endpoint(
    verb: str,
    path: str | None,
    *,
    rpc: str | None = None,
    via: Via = Via.ALL,
    auth: bool = True,
    wrap: bool = True,
    stream: bool = False,
) -> Callable[[F], F]:
    """Declare the decorated method as an endpoint. `path=None` makes it JSON-RPC only, `rpc=None` HTTP only."""
    declaration = Declaration(verb=verb, path=path, rpc=rpc, via=via, auth=auth, wrap=wrap, stream=stream)

    def attach(method: F) -> F:
        setattr(method, _ATTRIBUTE, (declaration, *getattr(method, _ATTRIBUTE, ())))
        return method

    return attach


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """What `typing.get_type_hints` tells of a function or method: its annotations, resolved, the result as "return".

    There are hundreds to resolve at start-up, and nearly all are names of the function's module: to look these up
    takes a small part of the time that it takes to compile them.
    """
    scope: dict[str, Any] = getattr(function, "__globals__", {})
    texts: dict[str, Any] = getattr(function, "__annotations__", {})
    if all(isinstance(text, str) and (text == "None" or text in scope) for text in texts.values()):
        return {name: type(None) if text == "None" else scope[text] for name, text in texts.items()}
    return typing.get_type_hints(function)


def bind(declaration: Declaration, method: Handler, tag: str) -> Endpoint:
    """Make the table entry of one declaration for a bound method.

    Raises:
        TypeError: the method's signature is not that of an endpoint.
    """
    hints = annotations_of(method)
    names = [name for name in hints if name != "return"]
    if len(names) not in (1, 2) or hints[names[0]] is not Request:
        raise TypeError(f"{method!r}: an endpoint takes (request: Request) or (request: Request, params: ...)")
    return Endpoint(
        **msgspec.structs.asdict(declaration),
        params=hints[names[1]] if len(names) == 2 else None,
        result=hints.get("return", Any),
        call=method,
        doc=inspect.getdoc(method) or "",
        tag=tag,
    )


def endpoints_of(owner: object, tag: str) -> Iterator[Endpoint]:
    """Yield the endpoints that are declared on the methods of `owner`."""
    for name in dir(type(owner)):
        declarations = getattr(getattr(type(owner), name, None), _ATTRIBUTE, ())
        for declaration in declarations:
            yield bind(declaration, getattr(owner, name), tag)
