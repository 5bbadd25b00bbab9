"""The database: a single connection that lives in its own thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from moonraker_lite.storage.batch import Outcome, Work, answerable, run_batch
from moonraker_lite.storage.errors import StorageError
from moonraker_lite.storage.opening import open_database

T = TypeVar("T")
Row = tuple[Any, ...]

LIMIT = 10_000  # pieces of work that may wait; more means that the disk has stopped answering


class _State(Enum):
    CLOSED = "closed"
    OPEN = "open"
    CLOSING = "closing"  # takes nothing new, finishes what waits


class Database:
    """SQLite behind one thread: WAL, synchronous=FULL. What `run` or `execute` returned for is on disk.

    Work that arrives while the thread is busy is run as one transaction (see `batch`), so bursts are fast. Order is
    kept: what was given first is done first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._state = _State.CLOSED
        self._thread: ThreadPoolExecutor | None = None
        self._conn: sqlite3.Connection | None = None
        self._waiting: list[tuple[Work, asyncio.Future[Any]]] = []
        self._busy: asyncio.Future[Any] | None = None  # the batch that runs now

    async def open(self) -> None:
        """Open, check and migrate the file; a damaged one is set aside and `warnings` says so. Nothing if it is open.

        Raises:
            SchemaTooNew: a newer version wrote the file.
            StorageError: the file cannot be opened or created.
        """
        if self._state is not _State.CLOSED:
            return
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        try:
            self._conn, warnings = await self._in_thread(open_database, self.path)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        self.warnings.extend(warnings)
        self._state = _State.OPEN

    async def close(self) -> None:
        """Finish what waits, then close. Idempotent."""
        if self._state is not _State.OPEN:
            return
        assert self._thread is not None
        assert self._conn is not None
        self._state = _State.CLOSING
        while self._busy is not None:
            await asyncio.wait([self._busy])
            await asyncio.sleep(0)  # its callback begins the next batch
        await self._in_thread(self._conn.close)
        self._thread.shutdown(wait=False)
        self._state = _State.CLOSED

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Execute `work` in the database's thread inside a transaction; an exception from it rolls back and is raised
        here. It must not commit, must have no effect but on the database (it may be called twice), and must not keep
        the connection. If the caller is cancelled, the work may have been done or not.

        Raises:
            StorageError: the database is closed or overloaded, or the disk refuses.
            InsufficientStorage: the disk is full.
        """
        self._check_open()
        if len(self._waiting) >= LIMIT:
            raise StorageError("The database does not keep up: the disk is too slow or hangs")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        if self._busy is None:
            self._begin()
        return await future

    async def run_alone(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Execute `work` in the thread without a transaction: for VACUUM, backups and the like. Raises as `run`."""
        self._check_open()
        assert self._conn is not None
        try:
            return await self._in_thread(work, self._conn)
        except sqlite3.Error as error:
            raise answerable(error) from error

    async def fetch(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query. Raises as `run`."""
        return await self.run(lambda conn: conn.execute(sql, params).fetchall())

    async def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """One statement that changes something; returns the number of rows changed. Raises as `run`."""
        return await self.run(lambda conn: conn.execute(sql, params).rowcount)

    def _check_open(self) -> None:
        if self._state is not _State.OPEN:
            raise StorageError("The database is closed")

    def _in_thread(self, call: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, call, *args)

    def _begin(self) -> None:
        """Hand all that waits to the thread as one batch."""
        batch = [item for item in self._waiting if not item[1].cancelled()]
        self._waiting = []
        if not batch:
            return
        assert self._conn is not None
        works = [work for work, _ in batch]
        futures = [future for _, future in batch]
        self._busy = self._in_thread(run_batch, self._conn, works)
        self._busy.add_done_callback(lambda done: self._finish(done, futures))

    def _finish(self, done: asyncio.Future[list[Outcome]], futures: list[asyncio.Future[Any]]) -> None:
        self._busy = None
        for future, outcome in zip(futures, _outcomes(done, len(futures)), strict=True):
            if future.done():
                continue
            if outcome.error is not None:
                future.set_exception(outcome.error)
            else:
                future.set_result(outcome.value)
        self._begin()


def _outcomes(done: asyncio.Future[list[Outcome]], count: int) -> list[Outcome]:
    """The outcomes of a batch; the same error for all when the batch itself failed."""
    if not done.cancelled() and (error := done.exception()) is None:
        return done.result()
    reason = "its thread was ended" if done.cancelled() else str(error)
    return [Outcome(error=StorageError(f"The database has failed: {reason}")) for _ in range(count)]
