"""Opening the database file: settings of the connection, check, quarantine of a damaged file, migrations."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from pathlib import Path

from moonraker_lite.storage.errors import StorageError
from moonraker_lite.storage.schema import migrate

_LOGGER = logging.getLogger(__name__)

BUSY_TIMEOUT = 5.0  # s to wait for another process that has the file locked
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SIDE_FILES = ("-wal", "-shm", "-journal")

# FULL: a commit is on the disk when it returns. The size limit keeps a WAL that a burst has blown up from staying so.
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_size_limit = 4194304",
)


class _Damaged(Exception):
    """The file is no database any more; the message says what SQLite found."""


def open_database(path: Path) -> tuple[sqlite3.Connection, list[str]]:
    """Open (or create) the file at `path` in today's schema. Returns the connection and warnings for the user.

    A damaged file is renamed to `<name>.damaged-<time>` and a fresh one is made: a dead database must not be a dead
    printer. What can be read of the old one is copied.

    Raises:
        SchemaTooNew: a newer version wrote the file.
        StorageError: the file cannot be opened, read or created.
    """
    try:
        try:
            return _open(path), []
        except _Damaged as damage:
            aside = _quarantine(path)
            _LOGGER.error("database %s is damaged (%s): moved to %s", path.name, damage, aside.name)
            conn = _open(path)
            count = _rescue(aside, conn)
            return conn, [
                f"The database was damaged and has been replaced by a new one with the {count} entries that could be"
                f" rescued; the old one is kept as {aside.name}"
            ]
    except (OSError, sqlite3.Error, _Damaged) as error:
        raise StorageError(f"The database {path.name} cannot be opened: {error}") from error


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    conn = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        for pragma in _PRAGMAS:
            conn.execute(pragma)
        problem = conn.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise _Damaged(problem)
        migrate(conn)
    except sqlite3.DatabaseError as error:
        conn.close()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            raise _Damaged(str(error)) from error
        raise
    except BaseException:
        conn.close()
        raise
    return conn


def _rescue(damaged: Path, conn: sqlite3.Connection) -> int:
    from moonraker_lite.storage.rescue import rescue  # hardly ever needed

    conn.execute("BEGIN IMMEDIATE")
    count = rescue(damaged, conn)
    conn.execute("COMMIT")
    return count


def _quarantine(path: Path) -> Path:
    """Rename the file, and what belongs to it, out of the way. Never over an older one."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    count = 1
    while aside.exists():
        count += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{count}")
    path.rename(aside)
    for suffix in _SIDE_FILES:
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(aside.with_name(aside.name + suffix))
    return aside
