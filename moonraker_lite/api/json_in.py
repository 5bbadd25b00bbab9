"""JSON from clients, within bounds.

Whatever is decoded here may later be stored, sent on or echoed by code that stands deeper in the call stack than the
decoder did, so the nesting is bounded well below what the encoder takes. The number of values is bounded because each
takes some 60 bytes of memory, of a message that may be all commas and brackets.
"""

from __future__ import annotations

from typing import Any

import msgspec

from moonraker_lite.errors import BadRequest, PayloadTooLarge

MAX_MESSAGE = 4 * 1024 * 1024  # bytes of a JSON message or body from the network
MAX_DEPTH = 128  # objects and arrays within each other
MAX_VALUES = 500_000
_FEW = 256 * 1024  # bytes; what is shorter cannot hold too many values

_DECODER = msgspec.json.Decoder()


class MalformedJson(BadRequest):
    """What came is no JSON, or none that can be read."""


def decode(data: bytes | str) -> Any:
    """Decode one JSON text.

    Raises:
        MalformedJson: it is none, or nested too deep. PayloadTooLarge: it holds too many values.
    """
    if len(data) > _FEW:
        _check_number(data)
    try:
        value = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise MalformedJson(f"Invalid JSON: {error}") from None
    except RecursionError:
        raise _too_deep() from None
    if len(data) > 2 * MAX_DEPTH and _brackets(data) > MAX_DEPTH and _is_deep(value):
        raise _too_deep()
    return value


def _check_number(data: bytes | str) -> None:
    commas = data.count(b",") if isinstance(data, bytes) else data.count(",")
    if commas + _brackets(data) > MAX_VALUES:
        raise PayloadTooLarge(f"The JSON holds too many values: at most {MAX_VALUES} are taken")


def _brackets(data: bytes | str) -> int:
    if isinstance(data, bytes):
        return data.count(b"[") + data.count(b"{")
    return data.count("[") + data.count("{")


def _is_deep(value: Any) -> bool:
    """Whether a value is nested deeper than `MAX_DEPTH`; goes through it level by level."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return True


def _too_deep() -> MalformedJson:
    return MalformedJson(f"Invalid JSON: it is nested deeper than {MAX_DEPTH} levels")
