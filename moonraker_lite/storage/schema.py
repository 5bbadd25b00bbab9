"""The tables, and how a file of any older version becomes one of today's.

`PRAGMA user_version` counts the migrations that a file has seen. Each is a function of its own, runs in the same
transaction as the others, and is never changed once it has been released: tests keep the SQL of every old schema.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from moonraker_lite.storage.errors import SchemaTooNew

APPLICATION_ID = 0x4D6C6974  # "Mlit": tells our files from other programs' databases

Migration = Callable[[sqlite3.Connection], None]


def _namespaces(conn: sqlite3.Connection) -> None:
    """One row per namespace and first part of the key; `value` is JSON."""
    conn.execute(
        "CREATE TABLE namespace_store (namespace TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,"
        " PRIMARY KEY (namespace, key)) STRICT, WITHOUT ROWID"
    )


def _metadata(conn: sqlite3.Connection) -> None:
    """One row per G-code file; `path` is relative to the gcodes root, `data` is JSON."""
    conn.execute(
        "CREATE TABLE gcode_metadata (path TEXT NOT NULL PRIMARY KEY, size INTEGER NOT NULL,"
        " mtime_ns INTEGER NOT NULL, version INTEGER NOT NULL, data BLOB NOT NULL) STRICT"
    )


def _history(conn: sqlite3.Connection) -> None:
    """Jobs, the one that runs, what was last seen of the printer, and the totals.

    `started` in running_job is on the back end's clock of the boot named by `boot_id`; `seen` is the time of day of
    the last checkpoint; `left_open` is 1 when the host stopped in good order while the job went on.
    """
    conn.execute(
        "CREATE TABLE job_history (id INTEGER PRIMARY KEY, user TEXT NOT NULL, filename TEXT NOT NULL,"
        " status TEXT NOT NULL, start_time REAL NOT NULL, end_time REAL, print_duration REAL NOT NULL,"
        " total_duration REAL NOT NULL, filament_used REAL NOT NULL, metadata BLOB NOT NULL,"
        " auxiliary_data BLOB NOT NULL) STRICT"
    )
    conn.execute(
        "CREATE TABLE running_job (id INTEGER PRIMARY KEY REFERENCES job_history (id) ON DELETE CASCADE,"
        " started REAL NOT NULL, boot_id TEXT NOT NULL, seen REAL NOT NULL, left_open INTEGER NOT NULL) STRICT"
    )
    conn.execute("CREATE TABLE job_totals (field TEXT NOT NULL PRIMARY KEY, value REAL NOT NULL) STRICT, WITHOUT ROWID")
    conn.execute(
        "CREATE TABLE last_print (only INTEGER PRIMARY KEY CHECK (only = 1), state TEXT NOT NULL,"
        " filename TEXT NOT NULL, total_duration REAL NOT NULL) STRICT"
    )


MIGRATIONS: tuple[Migration, ...] = (_namespaces, _metadata, _history)
VERSION = len(MIGRATIONS)


def version_of(conn: sqlite3.Connection) -> int:
    """How many migrations the file has seen; 0 is an empty one."""
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def migrate(conn: sqlite3.Connection) -> None:
    """Bring the file to today's schema, wholly or not at all.

    Raises:
        SchemaTooNew: a newer version wrote it. Nothing is changed.
        sqlite3.Error: the disk refuses.
    """
    found = version_of(conn)
    if found > VERSION:
        raise SchemaTooNew(
            f"The database has schema {found}, this version knows {VERSION}: update the program, or move the file away"
        )
    if found == VERSION:
        return
    conn.execute("BEGIN IMMEDIATE")
    try:
        for migration in MIGRATIONS[found:]:
            migration(conn)
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        conn.execute(f"PRAGMA user_version = {VERSION}")
        conn.execute("COMMIT")
    except BaseException:
        conn.rollback()
        raise
