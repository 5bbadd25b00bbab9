"""Values of macro variables: Python literals that JSON can say."""

from __future__ import annotations

from typing import Any

import msgspec

MAX_LITERAL = 64 * 1024


class LiteralError(ValueError):
    """The text is no such value."""


def literal(text: str) -> Any:
    """Return the value of a literal: None, a truth value, a number, a text, or a list, tuple or dict of these.

    Raises:
        LiteralError: it is none, or it cannot be sent to clients.
    """
    import ast  # late: only macros with variables need it

    if len(text) > MAX_LITERAL:
        raise LiteralError(f"more than {MAX_LITERAL >> 10} KiB")
    try:
        value = ast.literal_eval(text.strip())
        _check(value)
        msgspec.json.encode(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, OverflowError) as error:
        raise LiteralError(str(error).partition("\n")[0] or type(error).__name__) from None
    return value


def _check(value: Any) -> None:
    """Raise TypeError for what JSON has no form of; msgspec would find one for some of it."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str | int | float):
                raise TypeError(f"a {type(key).__name__} cannot be a key in JSON")
            _check(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item)
    elif not isinstance(value, bool | int | float | str | None):
        raise TypeError(f"a {type(value).__name__} cannot be sent as JSON")
