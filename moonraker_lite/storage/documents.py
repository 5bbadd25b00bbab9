"""Dotted keys into JSON documents: pure functions, no database.

Behaviour as recorded from Moonraker: a key is `"a.b.c"` or the list of its parts; what lies on the way to a value is an
object; the parts of lists cannot be addressed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moonraker_lite.errors import BadRequest

Key = str | Sequence[Any]
"""`"a.b.c"`, or its parts (text or whole numbers; a part may hold dots then)."""

MAX_PARTS = 100  # far more than any client nests, far less than what the JSON encoder can take


class Missing(Exception):
    """Nothing stands at this key."""


class Occupied(Exception):
    """A value that is no object stands on the way; the argument is how many parts lead to it."""


def parse_key(key: Key) -> tuple[str, ...]:
    """Split a key into its parts, at least one.

    Raises:
        BadRequest: `Invalid Key Format: '<key>'`: empty, an empty part, too many parts, or one that is no text.
    """
    parts = key.split(".") if isinstance(key, str) else key
    if 0 < len(parts) <= MAX_PARTS and all(map(_is_part, parts)):
        return tuple(map(str, parts))
    raise BadRequest(f"Invalid Key Format: '{str(key)[:200]}'")


def _is_part(part: Any) -> bool:
    if isinstance(part, int) and not isinstance(part, bool):
        return True
    return isinstance(part, str) and part != "" and is_text(part)


def is_text(text: str) -> bool:
    """Whether a string can be stored: halves of surrogate pairs, which JSON can spell, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def dig(document: Any, path: Sequence[str]) -> Any:
    """The value at `path` below `document`.

    Raises:
        Missing: there is none.
    """
    for part in path:
        if not isinstance(document, dict) or part not in document:
            raise Missing
        document = document[part]
    return document


def plant(document: Any, path: Sequence[str], value: Any) -> Any:
    """Set the value at `path` and return the document. One that is no object is replaced by one, if there is a path.

    Raises:
        Occupied: deeper down, a value that is no object stands on the way.
    """
    if not path:
        return value
    if not isinstance(document, dict):
        document = {}
    parent = document
    for depth, part in enumerate(path[:-1]):
        parent = parent.setdefault(part, {})
        if not isinstance(parent, dict):
            raise Occupied(depth + 1)
    parent[path[-1]] = value
    return document


def prune(document: Any, path: Sequence[str]) -> Any:
    """Remove what stands at `path` (of one part at least) from the document and return it.

    Raises:
        Missing: there is nothing.
    """
    parent = dig(document, path[:-1])
    if not isinstance(parent, dict) or path[-1] not in parent:
        raise Missing
    return parent.pop(path[-1])
