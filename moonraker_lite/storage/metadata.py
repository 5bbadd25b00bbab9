"""What the scanner found in G-code files, one row per file."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from .database import Database


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
        """Every row; meant for the start (10,000 rows in some ten milliseconds)."""
        raise NotImplementedError

    async def put_many(self, rows: Iterable[MetadataRow]) -> None:
        """Insert or replace rows, in one transaction."""
        raise NotImplementedError

    async def remove_many(self, paths: Iterable[str]) -> None:
        """Forget files; unknown ones are ignored."""
        raise NotImplementedError

    async def move(self, source: str, target: str) -> None:
        """Rename the row of a file, and of everything below it when it is a folder. What stood at the target is replaced."""
        raise NotImplementedError

    async def clear(self) -> None:
        """Forget everything."""
        raise NotImplementedError
