"""The database: a single connection that lives in its own thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Row = tuple[Any, ...]


class Database:
    """SQLite behind one thread. What `run` or `execute` returned for is on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []

    async def open(self) -> None:
        """Open, check and migrate the file. Raises SchemaTooNew, StorageError."""
        raise NotImplementedError

    async def close(self) -> None:
        """Finish what is queued, then close. Idempotent."""
        raise NotImplementedError

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Execute `work` in the database's thread inside a transaction; an exception from it rolls back and is raised here."""
        raise NotImplementedError

    async def fetch(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        raise NotImplementedError

    async def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """One statement that changes something; returns the number of rows changed."""
        raise NotImplementedError
