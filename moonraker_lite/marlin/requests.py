"""One request of an API client: its parameters, and the errors that Klipper's API socket answers with.

The sentences of `Missing Argument [x]` and its like are part of the wire format: Moonraker and the frontends show
them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from moonraker_lite.errors import BadRequest


class RequestError(BadRequest):
    """The request cannot be served as it stands; answered as Klipper's `WebRequestError`."""


class CommandError(BadRequest):
    """A G-code command failed; its text goes to the console as `!! text` and to whoever sent the command."""


class Call(msgspec.Struct, frozen=True):
    """One frame of a client. Whatever does not decode into this is dropped without an answer, as Klipper does."""

    method: str
    params: dict[str, Any] = {}
    # Raw: an id of any JSON type is echoed byte for byte. Absent or null: nothing is answered.
    id: msgspec.Raw = msgspec.Raw(b"")

    @property
    def wants_answer(self) -> bool:
        return bool(self.id) and bytes(self.id) != b"null"


class Params:
    """The parameters of a call, read with Klipper's messages for what is missing or of a wrong type."""

    __slots__ = ("values",)

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def text(self, name: str, default: str | None = None) -> str:
        """Raise RequestError when absent (and no default is given) or not a string."""
        value = self._get(name, default)
        if not isinstance(value, str):
            raise RequestError(f"Invalid Argument Type [{name}]")
        return value

    def mapping(self, name: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
        """Raise RequestError when absent (and no default is given) or not an object."""
        value = self._get(name, default)
        if not isinstance(value, dict):
            raise RequestError(f"Invalid Argument Type [{name}]")
        return value

    def _get(self, name: str, default: object) -> object:
        if name in self.values:
            return self.values[name]
        if default is None:
            raise RequestError(f"Missing Argument [{name}]")
        return default


def object_fields(params: Params) -> dict[str, list[str] | None]:
    """Return what `objects/query` and `objects/subscribe` ask for: object name -> field names, None for all fields."""
    objects = params.mapping("objects")
    for fields in objects.values():
        if fields is None:
            continue
        if not isinstance(fields, list) or not all(isinstance(field, str) for field in fields):
            raise RequestError("Invalid argument")
    return objects
