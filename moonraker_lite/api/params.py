"""Decoding of arguments: raw names and values in, a typed params Struct out.

HTTP brings strings, JSON-RPC brings JSON values; Moonraker accepts both for either, so a field's declared type decides.
Booleans from text are only `true` and `false`, lists from text are separated by commas.
"""

from __future__ import annotations

import types
import typing
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from moonraker_lite.api import json_in
from moonraker_lite.errors import BadRequest, HostError

_HINTS = ("int", "float", "bool", "json", "str")


class _Field(msgspec.Struct, frozen=True):
    name: str
    required: bool
    kind: str
    plain: Any


def _kind(declared: Any) -> str:
    """Name what text has to become for a field of this type: bool, int, float, str, list, or any (left alone)."""
    origin = typing.get_origin(declared)
    if origin is typing.Annotated:
        return _kind(typing.get_args(declared)[0])
    if origin in (typing.Union, types.UnionType):
        kinds = {_kind(part) for part in typing.get_args(declared) if part is not types.NoneType}
        return kinds.pop() if len(kinds) == 1 else "any"
    if origin is list or declared is list:
        return "list"
    for plain in (bool, int, float, str):
        if declared is plain:
            return str(plain.__name__)
    return "any"


@cache
def _fields(params: type[msgspec.Struct]) -> tuple[_Field, ...]:
    return tuple(
        _Field(field.encode_name, field.required, _kind(field.type), field.type)
        for field in msgspec.structs.fields(params)
    )


def from_text(text: str, kind: str, name: str) -> Any:
    """Turn the text of an argument into a value of `kind`.

    Raises:
        BadRequest: the text is not one.
    """
    try:
        if kind == "bool":
            return {"true": True, "false": False}[text.lower()]
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        if kind == "json":
            return json_in.decode(text)
        if kind == "list":
            return [part.strip() for part in text.split(",") if part.strip()]
    except (KeyError, ValueError, HostError):
        wanted = {"bool": "true or false", "int": "a whole number", "float": "a number", "json": "valid JSON"}[kind]
        raise BadRequest(f"Argument '{name}' must be {wanted}, not '{text[:80]}'") from None
    return text


def _coerce(field: _Field, value: Any) -> Any:
    if isinstance(value, str):
        return from_text(value, field.kind, field.name) if field.kind not in ("str", "any") else value
    if field.kind == "str" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if field.kind == "int" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def decode(params: Any, arguments: dict[str, Any]) -> Any:
    """Make a value of type `params` (a Struct, or a dict type: passed through) from raw arguments.

    Raises:
        BadRequest: an argument is missing or has the wrong type; the message names it and says what is wanted.
    """
    if not (isinstance(params, type) and issubclass(params, msgspec.Struct)):
        return arguments
    given: dict[str, Any] = {}
    for field in _fields(params):
        if field.name in arguments:
            given[field.name] = _coerce(field, arguments[field.name])
        elif field.required:
            raise BadRequest(f"No data for argument: {field.name}")
    try:
        return msgspec.convert(given, params)
    except msgspec.ValidationError as error:
        raise BadRequest(_sentence(str(error))) from None


def _sentence(problem: str) -> str:
    """Turn msgspec's "Expected `int`, got `str` - at `$.count`" into "Argument 'count': expected `int`, got `str`"."""
    what, _, where = problem.partition(" - at ")
    name = where.strip("`").removeprefix("$").removeprefix(".")
    return f"Argument '{name}': {what[:1].lower()}{what[1:]}" if name else what


def parse_query(query: str) -> dict[str, Any]:
    """Read a query string or form body; `name:hint=text` gives a typed value, a repeated name its last one.

    Raises:
        BadRequest: more than 1,000 arguments, bytes that are no UTF-8, or a text that is not of its hinted type.
    """
    if not query:
        return {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=1000, errors="strict")
    except UnicodeDecodeError:
        raise BadRequest("The arguments are not valid UTF-8 after percent-decoding") from None
    except ValueError:
        raise BadRequest("Too many arguments: at most 1000 are read") from None
    arguments: dict[str, Any] = {}
    for name, text in pairs:
        key, colon, hint = name.rpartition(":")
        if colon and hint in _HINTS:
            arguments[key] = from_text(text, hint, key)
        else:
            arguments[name] = text
    return arguments
