"""Group commit: what waits at the same time shares one transaction, and so one fsync."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from moonraker_lite.errors import HostError, InsufficientStorage
from moonraker_lite.storage.errors import StorageError

Work = Callable[[sqlite3.Connection], Any]


class Outcome:
    """What became of one piece of work: a value or an error."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any = None, error: Exception | None = None) -> None:
        self.value = value
        self.error = error


def run_batch(conn: sqlite3.Connection, works: Sequence[Work]) -> list[Outcome]:
    """Run `works` in order, each as if it were alone: one that fails is rolled back and leaves the others as they are.

    When the transaction itself fails (a full disk, for example), each is tried again in one of its own. So `works` may
    be called twice; they must have no effect but on the database.
    """
    if len(works) > 1:
        try:
            return _run_together(conn, works)
        except sqlite3.Error:
            _rollback(conn)
    return [_run_alone(conn, work) for work in works]


def _run_together(conn: sqlite3.Connection, works: Sequence[Work]) -> list[Outcome]:
    outcomes = []
    conn.execute("BEGIN IMMEDIATE")
    for work in works:
        conn.execute("SAVEPOINT one")
        outcome = _outcome(conn, work)
        if outcome.error is not None:
            conn.execute("ROLLBACK TO one")
        conn.execute("RELEASE one")
        outcomes.append(outcome)
    conn.execute("COMMIT")
    return outcomes


def _run_alone(conn: sqlite3.Connection, work: Work) -> Outcome:
    try:
        conn.execute("BEGIN IMMEDIATE")
        outcome = _outcome(conn, work)
        if outcome.error is None:
            conn.execute("COMMIT")
    except sqlite3.Error as error:
        outcome = Outcome(error=answerable(error))
    _rollback(conn)
    return outcome


def _outcome(conn: sqlite3.Connection, work: Work) -> Outcome:
    try:
        return Outcome(work(conn))
    except Exception as error:  # noqa: BLE001  (boundary: the error belongs to whoever gave the work)
        return Outcome(error=answerable(error))


def _rollback(conn: sqlite3.Connection) -> None:
    """End a transaction that has failed, if SQLite has not ended it already."""
    if conn.in_transaction:
        conn.execute("ROLLBACK")


def answerable(error: Exception) -> Exception:
    """Name the troubles that the user can mend."""
    if isinstance(error, StopIteration):
        return _caused(RuntimeError("work for the database ended an iteration"), error)  # a future cannot carry it
    if isinstance(error, HostError) or not isinstance(error, sqlite3.Error):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return _caused(InsufficientStorage("The disk is full: the database cannot be written"), error)
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_BUSY):
        return _caused(StorageError(f"The database cannot be used: {error}"), error)
    return error


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error
