"""Copies of the database: made while it is in use, put back, and the file made small. All of it runs in the thread."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from moonraker_lite.errors import BadRequest
from moonraker_lite.storage.database import Database
from moonraker_lite.storage.schema import APPLICATION_ID, VERSION, migrate, version_of

_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
_NAMESPACES = "SELECT DISTINCT namespace FROM namespace_store ORDER BY namespace"


async def compact(db: Database) -> tuple[int, int]:
    """Give free pages back to the file system. Returns the size of the file before and after, in bytes."""
    return await db.run_alone(lambda conn: _compact(conn, db.path))


async def save(db: Database, target: Path) -> None:
    """Write a whole copy to `target`, which is replaced in one step. Its folder must exist."""
    await db.run_alone(lambda conn: _save(conn, target))


async def restore(db: Database, source: Path) -> tuple[list[str], list[str]]:
    """Replace everything by the copy at `source`. Returns the names of its tables and namespaces.

    Raises:
        BadRequest: the file is no sound copy of our database, or one of a newer version. Nothing is changed.
    """
    return await db.run_alone(lambda conn: _restore(conn, source))


def is_part(path: Path) -> bool:
    """Whether this is the name of a copy that is (or was) being written."""
    return path.name.startswith(".") and path.name.endswith(".part")


def _compact(conn: sqlite3.Connection, path: Path) -> tuple[int, int]:
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.stat().st_size
    conn.execute("VACUUM")
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return before, path.stat().st_size


def _save(conn: sqlite3.Connection, target: Path) -> None:
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        copy = sqlite3.connect(part, isolation_level=None)
        try:
            conn.backup(copy)
        finally:
            copy.close()
        _sync(part)
        part.replace(target)
        _sync(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _restore(conn: sqlite3.Connection, source: Path) -> tuple[list[str], list[str]]:
    copy = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        _check(copy, source.name)
        copy.backup(conn)
    finally:
        copy.close()
    migrate(conn)
    return [row[0] for row in conn.execute(_TABLES)], [row[0] for row in conn.execute(_NAMESPACES)]


def _check(copy: sqlite3.Connection, name: str) -> None:
    try:
        sound = copy.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        ours = copy.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        version = version_of(copy)
    except sqlite3.DatabaseError:
        sound = ours = False
    if not sound or not ours:
        raise BadRequest(f"{name} is not a sound backup of this server's database")
    if version > VERSION:
        raise BadRequest(f"{name} was made by a newer version of this server; update it first")
