"""What history needs to know of G-code files. `filename` is relative to the gcodes root everywhere."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import msgspec

SCAN_SECONDS = 2.0  # that the news of a print may wait for a scan of its file


class JobFiles(Protocol):
    """The file manager, as history sees it."""

    def metadata(self, filename: str) -> dict[str, Any] | None:
        """What is known of the file; None when nothing is."""

    async def scanned_metadata(self, filename: str) -> dict[str, Any] | None:
        """The same after any scan of the file that is due."""

    def set_job(self, filename: str, job_id: str, start_time: float) -> None:
        """Remember in the file's metadata that it was printed."""

    def exists(self, filename: str) -> bool:
        """Whether the file is there."""


_NOT_OF_THE_FILE = ("print_start_time", "job_id", "filename", "metadata_state")


async def snapshot(files: JobFiles, filename: str) -> bytes | None:
    """The metadata that a row keeps, as JSON: those of the file, not those of its last print. None: nothing known."""
    try:
        async with asyncio.timeout(SCAN_SECONDS):
            metadata = await files.scanned_metadata(filename)
    except TimeoutError:
        metadata = files.metadata(filename)
    if metadata is None:
        return None
    return msgspec.json.encode({key: value for key, value in metadata.items() if key not in _NOT_OF_THE_FILE})


class _Stamp(msgspec.Struct, frozen=True):
    size: int | None = None
    modified: float | None = None


_STAMP = msgspec.json.Decoder(_Stamp)


class Presence:
    """Tells for the rows of one answer whether their files are still the same; each file is looked up once."""

    def __init__(self, files: JobFiles) -> None:
        self._files = files
        self._known: dict[str, _Stamp | None] = {}

    def of(self, filename: str, snapshot: bytes) -> bool:
        """Whether the file is there and still the one that `snapshot` was taken of."""
        if filename not in self._known:
            self._known[filename] = self._look(filename)
        now = self._known[filename]
        try:
            then = _STAMP.decode(snapshot)
        except msgspec.DecodeError:
            then = _Stamp()
        return now is not None and (now == then or None in (now.size, then.size))

    def _look(self, filename: str) -> _Stamp | None:
        """Size and time of a file; empty when nothing is known of it, None when it is not there."""
        if not self._files.exists(filename):
            return None
        metadata = self._files.metadata(filename) or {}
        return _Stamp(metadata.get("size"), metadata.get("modified"))
