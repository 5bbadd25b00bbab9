"""The API table: every endpoint of the host, found by HTTP verb and path or by JSON-RPC method."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

import msgspec

from moonraker_lite.api import params
from moonraker_lite.api.endpoint import Endpoint, Via
from moonraker_lite.api.request import Request
from moonraker_lite.errors import BadRequest, MethodNotAllowed, NotFound, Unauthorized


class _Template(msgspec.Struct, frozen=True):
    """A path with placeholders, split into segments; `rest` names the placeholder that takes all that follows."""

    segments: tuple[str, ...]
    rest: str | None

    def match(self, parts: list[str]) -> dict[str, str] | None:
        fixed = len(self.segments)
        if len(parts) < fixed + (1 if self.rest else 0) or (self.rest is None and len(parts) != fixed):
            return None
        found: dict[str, str] = {}
        for segment, part in zip(self.segments, parts, strict=False):
            if segment.startswith("{"):
                found[segment[1:-1]] = _decoded(part)
            elif segment != part:
                return None
        if self.rest is not None:
            found[self.rest] = _decoded("/".join(parts[fixed:]))
        return found


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BadRequest("The path is not valid UTF-8 after percent-decoding") from None


def _split(path: str) -> list[str]:
    """The segments of a path. A trailing slash makes an empty last one: no name, but the start of a rest."""
    return path.removeprefix("/").split("/")


def _template(path: str) -> _Template:
    segments = _split(path)
    rest = segments.pop()[1:].removesuffix(":rest}") if path.endswith(":rest}") else None
    return _Template(tuple(segments), rest)


class ApiTable:
    """All endpoints. Exact paths win over templates; templates are tried in the order they were added."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[str, Endpoint]] = {}
        self._templates: dict[str, tuple[_Template, dict[str, Endpoint]]] = {}
        self._methods: dict[str, Endpoint] = {}
        self.revision = 0
        """Counts the changes of the table, for what is worked out from it."""

    def add(self, endpoints: Iterable[Endpoint]) -> None:
        """Add endpoints.

        Raises:
            ValueError: one is there already; two components must not claim the same name.
        """
        for endpoint in endpoints:
            if endpoint.path is not None and Via.HTTP in endpoint.via:
                self._add_path(endpoint.path, endpoint)
            if endpoint.rpc is not None:
                if endpoint.rpc in self._methods:
                    raise ValueError(f"JSON-RPC method {endpoint.rpc} is declared twice")
                self._methods[endpoint.rpc] = endpoint
        self.revision += 1

    def _add_path(self, path: str, endpoint: Endpoint) -> None:
        if "{" in path:
            verbs = self._templates.setdefault(path, (_template(path), {}))[1]
        else:
            verbs = self._exact.setdefault(path, {})
        if endpoint.verb in verbs:
            raise ValueError(f"{endpoint.verb} {path} is declared twice")
        verbs[endpoint.verb] = endpoint

    @property
    def endpoints(self) -> list[Endpoint]:
        """Every endpoint once, in the order of path and method."""
        unique: dict[int, Endpoint] = {}
        for verbs in (*self._exact.values(), *(verbs for _, verbs in self._templates.values())):
            unique.update((id(endpoint), endpoint) for endpoint in verbs.values())
        unique.update((id(endpoint), endpoint) for endpoint in self._methods.values())
        return sorted(unique.values(), key=lambda e: (e.path or "~", e.rpc or "", e.verb))

    def find_path(self, verb: str, path: str) -> tuple[Endpoint, dict[str, str]]:
        """Find the endpoint of an HTTP call and the values of its placeholders.

        Raises:
            NotFound: no endpoint has this path.
            MethodNotAllowed: the path is known, the verb is not.
        """
        exact = self._exact.get(path)
        if exact is not None and verb in exact:
            return exact[verb], {}
        allowed: set[str] = set()
        for verbs, values in self._candidates(path):
            if verb in verbs:
                return verbs[verb], values
            allowed.update(verbs)
        if allowed:
            raise MethodNotAllowed(f"{verb} is not possible here; the path takes {', '.join(sorted(allowed))}")
        raise _no_such_path()

    def check_path(self, path: str) -> None:
        """Raise NotFound when no endpoint has this path, whatever the verb."""
        if not any(True for _ in self._candidates(path)):
            raise _no_such_path()

    def _candidates(self, path: str) -> Iterator[tuple[dict[str, Endpoint], dict[str, str]]]:
        """What has this path: endpoints by verb, and the values of placeholders."""
        if path in self._exact:
            yield self._exact[path], {}
            return
        parts = _split(path)
        for template, verbs in self._templates.values():
            values = template.match(parts)
            if values is not None:
                yield verbs, values

    def find_method(self, name: str, via: Via) -> Endpoint:
        """Find the endpoint of a JSON-RPC method.

        Raises:
            NotFound: unknown, or not offered over this transport.
        """
        endpoint = self._methods.get(name)
        if endpoint is None:
            raise NotFound("Method not found")
        if endpoint.via is not Via.ALL and not endpoint.via & via:  # the arithmetic of flags is slow
            raise NotFound("Method not found for this transport")
        return endpoint

    def has_method(self, name: str) -> bool:
        """Whether some endpoint has this JSON-RPC name."""
        return name in self._methods

    @staticmethod
    def call(endpoint: Endpoint, request: Request) -> Any:
        """Check authorization, decode the params and call the method. Returns its result, or a coroutine for it.

        Raises:
            Unauthorized: the endpoint needs a user and the request has none.
            BadRequest: the arguments do not fit.
        """
        if endpoint.auth and request.user is None:
            raise Unauthorized("Unauthorized")
        if endpoint.params is None:
            return endpoint.call(request)
        return endpoint.call(request, params.decode(endpoint.params, request.arguments))


def _no_such_path() -> NotFound:
    return NotFound("Not Found: no endpoint has this path")


def is_waiting(result: Any) -> bool:
    """Whether `ApiTable.call` gave a coroutine (the method is `async def`) instead of the result itself."""
    return inspect.iscoroutine(result)
