"""Key/value store: namespaces with dotted keys into JSON documents."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from moonraker_lite.errors import BadRequest, NotFound
from moonraker_lite.storage.database import Database
from moonraker_lite.storage.documents import Key, Missing, Occupied, dig, is_text, parse_key, plant, prune

PRIVATE = "host/"
"""Namespaces whose names begin so belong to components: clients neither see nor change them."""

_GET = "SELECT value FROM namespace_store WHERE namespace = ? AND key = ?"
_ALL = "SELECT key, value FROM namespace_store WHERE namespace = ? ORDER BY key"
_PUT = "INSERT OR REPLACE INTO namespace_store (namespace, key, value) VALUES (?, ?, ?)"
_DELETE = "DELETE FROM namespace_store WHERE namespace = ? AND key = ?"
_LIST = "SELECT DISTINCT namespace FROM namespace_store ORDER BY namespace"


class Namespaces:
    """JSON values of any type below namespace and key. A namespace exists while it holds something.

    Errors are the client-facing ones of the database API. Components keep what is theirs alone in a namespace whose
    name begins with `PRIVATE`.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def list(self) -> list[str]:
        """Names of the namespaces that hold something, sorted."""
        return [row[0] for row in await self._db.fetch(_LIST)]

    async def get(self, namespace: str, key: Key | None = None) -> Any:
        """The value of a key, or the whole namespace as an object.

        Raises:
            NotFound: no such namespace or key.
            BadRequest: the key's format.
        """
        if key is None:
            return await self._db.run(lambda conn: _whole(conn, namespace))
        parts = parse_key(key)
        return await self._db.run(lambda conn: _value(conn, namespace, key, parts))

    async def insert(self, namespace: str, key: Key, value: Any) -> None:
        """Set the value at a key. Objects on the way are made; a scalar or list in the place of the first part is
        replaced by one. None removes a key of one part; deeper down it is a value like any other.

        Raises:
            BadRequest: the key's format, a value on the way that is no object, or one that JSON cannot hold.
        """
        parts = parse_key(key)
        _check_name(namespace)
        await self._db.run(lambda conn: _insert(conn, namespace, parts, value))

    async def delete(self, namespace: str, key: Key) -> Any:
        """Remove a key and return what it held. A first part that has become empty goes too.

        Raises:
            NotFound: no such key.
            BadRequest: the key's format.
        """
        parts = parse_key(key)
        return await self._db.run(lambda conn: _delete(conn, namespace, key, parts))


def missing_key(namespace: str, key: Key) -> NotFound:
    """The error for a key that is not there."""
    return NotFound(f"Key '{key}' in namespace '{namespace}' not found")


def _check_name(namespace: str) -> None:
    if not is_text(namespace):
        raise BadRequest("The namespace's name is no valid Unicode")


def _record(conn: sqlite3.Connection, namespace: str, first: str) -> Any:
    """The document below the first part of a key; None when there is none (no document is null)."""
    row = conn.execute(_GET, (namespace, first)).fetchone() if is_text(namespace) else None
    return None if row is None else msgspec.json.decode(row[0])


def _store(conn: sqlite3.Connection, namespace: str, first: str, document: Any) -> None:
    try:
        conn.execute(_PUT, (namespace, first, msgspec.json.encode(document)))
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise BadRequest(f"The value cannot be stored as JSON: {error}") from None


def _whole(conn: sqlite3.Connection, namespace: str) -> dict[str, Any]:
    rows = conn.execute(_ALL, (namespace,)).fetchall() if is_text(namespace) else []
    if not rows:
        raise NotFound(f"Namespace {namespace} not found")
    return {key: msgspec.json.decode(value) for key, value in rows}


def _value(conn: sqlite3.Connection, namespace: str, key: Key, parts: tuple[str, ...]) -> Any:
    record = _record(conn, namespace, parts[0])
    try:
        if record is None:
            raise Missing
        return dig(record, parts[1:])
    except Missing:
        raise missing_key(namespace, key) from None


def _insert(conn: sqlite3.Connection, namespace: str, parts: tuple[str, ...], value: Any) -> None:
    first, *rest = parts
    if not rest and value is None:
        conn.execute(_DELETE, (namespace, first))
        return
    try:
        document = plant(_record(conn, namespace, first), rest, value) if rest else value
    except Occupied as error:
        there = ".".join(parts[: error.args[0] + 1])
        raise BadRequest(
            f"Item at key '{there}' in namespace '{namespace}' is not a dictionary object, cannot insert"
        ) from None
    _store(conn, namespace, first, document)


def _delete(conn: sqlite3.Connection, namespace: str, key: Key, parts: tuple[str, ...]) -> Any:
    first, *rest = parts
    record = _record(conn, namespace, first)
    if record is None:
        raise missing_key(namespace, key)
    removed = record
    if rest:
        try:
            removed = prune(record, rest)
        except Missing:
            raise missing_key(namespace, key) from None
    if rest and record:
        _store(conn, namespace, first, record)
    else:
        conn.execute(_DELETE, (namespace, first))
    return removed
