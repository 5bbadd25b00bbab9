"""What can still be read of a damaged database, copied into a fresh one."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any

import msgspec

_LOGGER = logging.getLogger(__name__)

# Each with its key and the columns that hold JSON. Metadata of files is left out: it is found again in the files.
_TABLES = {
    "namespace_store": ("namespace, key", ("value",)),
    "job_history": ("id", ("metadata", "auxiliary_data")),
    "running_job": ("id", ()),
    "job_totals": ("field", ()),
    "last_print": ("only", ()),
}


def rescue(damaged: Path, fresh: sqlite3.Connection) -> int:
    """Copy readable rows from the file at `damaged`; returns how many. Never raises because of the damage."""
    try:
        source = sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error:
        return 0
    try:
        return sum(_copy(source, fresh, table, *about) for table, about in _TABLES.items())
    finally:
        source.close()


def _copy(source: sqlite3.Connection, fresh: sqlite3.Connection, table: str, key: str, json: tuple[str, ...]) -> int:
    """One table, from both ends towards the damage."""
    count = 0
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{column} {direction}" for column in key.split(", "))
        try:
            rows = source.execute(f"SELECT * FROM {table} ORDER BY {order}")  # noqa: S608  (names of our own)
            names = [column[0] for column in rows.description]
            for row in rows:
                count += _insert(fresh, table, dict(zip(names, row, strict=True)), json)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            _LOGGER.info("rescue of %s ended: %s", table, error)
        else:
            break
    return count


def _insert(fresh: sqlite3.Connection, table: str, row: dict[str, Any], json: tuple[str, ...]) -> int:
    """Insert a row if it is sound and not there yet. Columns that are newer than the damaged file get no value."""
    try:
        for column in json:
            msgspec.json.decode(row[column])
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        statement = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"  # noqa: S608  (names of our own)
        return fresh.execute(statement, tuple(row.values())).rowcount
    except (sqlite3.Error, msgspec.MsgspecError, TypeError, UnicodeError, KeyError):
        return 0
