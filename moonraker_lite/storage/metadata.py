"""What the scanner found in G-code files, one row per file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from moonraker_lite.storage.database import Database
from moonraker_lite.storage.documents import is_text

_ALL = "SELECT path, size, mtime_ns, version, data FROM gcode_metadata ORDER BY path"
_ONE = "SELECT path, size, mtime_ns, version, data FROM gcode_metadata WHERE path = ?"
_PUT = "INSERT OR REPLACE INTO gcode_metadata (path, size, mtime_ns, version, data) VALUES (?, ?, ?, ?, ?)"
_REMOVE = "DELETE FROM gcode_metadata WHERE path = ?"


class MetadataRow(msgspec.Struct, frozen=True):
    """`path` is relative to the gcodes root; `data` is the metadata as a JSON object, encoded by the caller."""

    path: str
    size: int
    mtime_ns: int
    version: int
    data: bytes


class MetadataStore:
    """Table `gcode_metadata`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def load_all(self) -> list[MetadataRow]:
        """Every row, sorted by path; meant for the start (10,000 rows in some ten milliseconds)."""
        return await self._db.run(_load)

    async def get(self, path: str) -> MetadataRow | None:
        """The row of one file."""
        rows = await self._db.fetch(_ONE, (path,)) if is_text(path) else []
        return MetadataRow(*rows[0]) if rows else None

    async def put_many(self, rows: Iterable[MetadataRow]) -> None:
        """Insert or replace rows, in one transaction. Those whose path is no valid Unicode are left out: they can be
        scanned again."""
        values = [msgspec.structs.astuple(row) for row in rows if is_text(row.path)]
        if values:
            await self._db.run(lambda conn: conn.executemany(_PUT, values).close())

    async def remove_many(self, paths: Iterable[str]) -> None:
        """Forget files; unknown ones are ignored."""
        values = [(path,) for path in paths if is_text(path)]
        if values:
            await self._db.run(lambda conn: conn.executemany(_REMOVE, values).close())


def _load(conn: sqlite3.Connection) -> list[MetadataRow]:
    return [MetadataRow(*row) for row in conn.execute(_ALL)]
