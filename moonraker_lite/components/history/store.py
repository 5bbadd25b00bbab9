"""The tables of the history. Every change of a job is one transaction."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from moonraker_lite.components.history.prints import LastPrint, OpenJob, Print, PrintStats, Status
from moonraker_lite.components.history.types import JobTotals
from moonraker_lite.storage import Database

_COLUMNS = (
    "SELECT id, user, filename, status, start_time, end_time, print_duration, total_duration, filament_used, metadata,"
    " auxiliary_data FROM job_history"
)
_ONE = f"{_COLUMNS} WHERE id = ?"
_MANY = f"{_COLUMNS} WHERE (?1 IS NULL OR end_time < ?1) AND (?2 IS NULL OR start_time > ?2)"
_NEWEST = f"{_MANY} ORDER BY id DESC LIMIT ?3 OFFSET ?4"
_OLDEST = f"{_MANY} ORDER BY id LIMIT ?3 OFFSET ?4"
_ADD = (
    "INSERT INTO job_history (user, filename, status, start_time, print_duration, total_duration, filament_used,"
    " metadata, auxiliary_data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_RUN = "INSERT INTO running_job (id, started, boot_id, seen, left_open) VALUES (?, ?, ?, ?, 0)"
_FIGURES = "UPDATE job_history SET print_duration = ?, total_duration = ?, filament_used = ? WHERE id = ?"
_SEEN = "UPDATE running_job SET seen = ?, left_open = ? WHERE id = ?"
_END = (
    "UPDATE job_history SET status = ?, end_time = ?, print_duration = ?, total_duration = ?, filament_used = ?,"
    " metadata = coalesce(?, metadata) WHERE id = ?"
)
_REOPEN = "UPDATE job_history SET status = 'in_progress', end_time = NULL WHERE id = ?"
_OPEN = (
    "SELECT h.id, h.filename, h.status, h.start_time, h.total_duration, h.print_duration, h.filament_used,"
    " r.started, r.boot_id, r.seen, r.left_open FROM running_job r JOIN job_history h USING (id)"
)
_ADD_TOTAL = (
    "INSERT INTO job_totals (field, value) VALUES (?, ?)"
    " ON CONFLICT (field) DO UPDATE SET value = value + excluded.value"
)
_MAX_TOTAL = (
    "INSERT INTO job_totals (field, value) VALUES (?, ?)"
    " ON CONFLICT (field) DO UPDATE SET value = max(value, excluded.value)"
)
_LAST = "REPLACE INTO last_print (only, state, filename, total_duration) VALUES (1, ?, ?, ?)"


class JobRow(msgspec.Struct, frozen=True):
    """A row of job_history; `metadata` and `auxiliary_data` are JSON."""

    id: int
    user: str
    filename: str
    status: str
    start_time: float
    end_time: float | None
    print_duration: float
    total_duration: float
    filament_used: float
    metadata: bytes
    auxiliary_data: bytes


class JobStore:
    """All that history keeps."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # -- the running job -------------------------------------------------------------------------------------------

    async def open_job(self) -> tuple[int, OpenJob] | None:
        """The row that a host before us has left open, and its id."""
        return await self._db.run(_open_job)

    async def add(self, run: Print, user: str, metadata: bytes) -> int:
        """A row for a print that runs. Returns its id."""
        return await self._db.run(lambda conn: _add(conn, run, user, metadata))

    async def checkpoint(self, job: int, run: Print, left_open: bool) -> None:
        """Remember how far the print is, in case that nobody sees its end."""
        await self._db.run(lambda conn: _checkpoint(conn, job, run, left_open))

    async def end(
        self, job: int, status: Status, stats: PrintStats, end_time: float, metadata: bytes | None, resumable: bool
    ) -> None:
        """Close the row and count it. `metadata` None leaves what is there."""
        await self._db.run(lambda conn: _end(conn, job, status, stats, end_time, metadata, resumable))

    async def reopen(self, job: int) -> bool:
        """Undo `end` of a resumable job; False when its row has been deleted meanwhile."""
        return await self._db.run(lambda conn: _reopen(conn, job))

    async def last_print(self) -> LastPrint | None:
        """What `set_last_print` or `end` kept."""
        rows = await self._db.fetch("SELECT state, filename, total_duration FROM last_print")
        return LastPrint(*rows[0]) if rows else None

    async def set_last_print(self, last: LastPrint) -> None:
        """Keep what the printer said when no print ran."""
        await self._db.execute(_LAST, msgspec.structs.astuple(last))

    # -- what clients ask for --------------------------------------------------------------------------------------

    async def get(self, job: int) -> JobRow | None:
        """One row."""
        rows = await self._db.fetch(_ONE, (job,))
        return JobRow(*rows[0]) if rows else None

    async def rows(
        self, limit: int, start: int, before: float | None, since: float | None, ascending: bool
    ) -> list[JobRow]:
        """Rows by id, newest first unless `ascending`. A negative `limit` means all."""
        found = await self._db.fetch(_OLDEST if ascending else _NEWEST, (before, since, limit, start))
        return [JobRow(*row) for row in found]

    async def delete(self, job: int) -> bool:
        """Remove a row that is not open; False when there is none."""
        return await self._db.execute("DELETE FROM job_history WHERE id = ? AND status != 'in_progress'", (job,)) > 0

    async def delete_all(self) -> list[int]:
        """Remove all rows but an open one. Returns their ids."""
        return await self._db.run(_delete_all)

    async def totals(self) -> JobTotals:
        """The sums and maxima."""
        return await self._db.run(_totals)

    async def reset_totals(self) -> JobTotals:
        """Set all to zero; returns what they were."""
        return await self._db.run(_reset_totals)


def _open_job(conn: sqlite3.Connection) -> tuple[int, OpenJob] | None:
    row = conn.execute(_OPEN).fetchone()
    if row is None:
        return None
    job, filename, status, start_time, total, printing, filament, started, boot_id, seen, left_open = row
    stats = PrintStats("printing", filename, total, printing, filament)
    run = Print(filename, started, boot_id, start_time, seen, stats)
    return job, OpenJob(run, closed=status != Status.IN_PROGRESS.value, left_open=bool(left_open))


def _figures(stats: PrintStats) -> tuple[float, float, float]:
    return stats.print_duration, stats.total_duration, stats.filament_used


def _add(conn: sqlite3.Connection, run: Print, user: str, metadata: bytes) -> int:
    conn.execute("DELETE FROM running_job")
    status = Status.IN_PROGRESS.value
    values = (user, run.filename, status, run.start_time, *_figures(run.stats), metadata, b"[]")
    job = conn.execute(_ADD, values).lastrowid
    assert job is not None
    conn.execute(_RUN, (job, run.started, run.boot_id, run.seen))
    return job


def _checkpoint(conn: sqlite3.Connection, job: int, run: Print, left_open: bool) -> None:
    if conn.execute(_SEEN, (run.seen, left_open, job)).rowcount:
        conn.execute(_FIGURES, (*_figures(run.stats), job))


def _end(
    conn: sqlite3.Connection,
    job: int,
    status: Status,
    stats: PrintStats,
    end_time: float,
    metadata: bytes | None,
    resumable: bool,
) -> None:
    conn.execute(_END, (status.value, end_time, *_figures(stats), metadata, job))
    if resumable:
        conn.execute(_SEEN, (end_time, False, job))
    else:
        conn.execute("DELETE FROM running_job")
    _count(conn, 1, *_figures(stats))
    conn.execute(_MAX_TOTAL, ("longest_job", stats.total_duration))
    conn.execute(_MAX_TOTAL, ("longest_print", stats.print_duration))
    conn.execute(_LAST, msgspec.structs.astuple(LastPrint.of(stats)))


def _count(conn: sqlite3.Connection, jobs: int, printing: float, total: float, filament: float) -> None:
    for field, value in (
        ("total_jobs", jobs),
        ("total_time", total),
        ("total_print_time", printing),
        ("total_filament_used", filament),
    ):
        conn.execute(_ADD_TOTAL, (field, float(value)))


def _reopen(conn: sqlite3.Connection, job: int) -> bool:
    """The maxima stay: the job will be at least as long as it was."""
    row = conn.execute(_ONE, (job,)).fetchone()
    if row is None:
        return False
    found = JobRow(*row)
    _count(conn, -1, -found.print_duration, -found.total_duration, -found.filament_used)
    conn.execute(_REOPEN, (job,))
    return True


def _delete_all(conn: sqlite3.Connection) -> list[int]:
    rows: list[Any] = conn.execute("SELECT id FROM job_history WHERE status != 'in_progress' ORDER BY id").fetchall()
    conn.execute("DELETE FROM job_history WHERE status != 'in_progress'")
    return [row[0] for row in rows]


def _totals(conn: sqlite3.Connection) -> JobTotals:
    return msgspec.convert(dict(conn.execute("SELECT field, value FROM job_totals")), JobTotals)


def _reset_totals(conn: sqlite3.Connection) -> JobTotals:
    before = _totals(conn)
    conn.execute("DELETE FROM job_totals")
    return before
