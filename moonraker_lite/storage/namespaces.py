"""Key/value store: namespaces with dotted keys into JSON documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .database import Database

Key = str | Sequence[str]
"""`"a.b.c"`, or its parts (a part may hold dots then)."""


class Namespaces:
    """JSON values of any type below namespace and key. Errors are the client-facing ones of the database API."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def list(self) -> list[str]:
        """Names of the namespaces that hold something, sorted."""
        raise NotImplementedError

    async def get(self, namespace: str, key: Key | None = None) -> Any:
        """The value of a key, or the whole namespace. Raises NotFound, BadRequest (key format)."""
        raise NotImplementedError

    async def insert(self, namespace: str, key: Key, value: Any) -> None:
        """Set the value at a key; scalars on the way become objects. None deletes. Raises BadRequest."""
        raise NotImplementedError

    async def delete(self, namespace: str, key: Key) -> Any:
        """Remove a key and return what it held. Raises NotFound, BadRequest."""
        raise NotImplementedError
