"""What history needs to know of G-code files. `filename` is relative to the gcodes root everywhere."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class JobFiles(Protocol):
    """The file manager, as history sees it."""

    async def metadata(self, filename: str) -> dict[str, Any] | None:
        """What is known of the file; None when nothing is."""

    async def set_job(self, filename: str, job_id: str, start_time: float) -> None:
        """Remember in the file's metadata that it was printed."""

    def exists(self, filename: str, size: int | None, modified: float | None) -> bool:
        """Whether the file is there, of this size and time of change where they are given."""


_NOT_OF_THE_FILE = ("print_start_time", "job_id", "filename")


def snapshot(metadata: dict[str, Any] | None) -> bytes | None:
    """The metadata that a row keeps, as JSON: those of the file, not those of its last print."""
    if metadata is None:
        return None
    return msgspec.json.encode({key: value for key, value in metadata.items() if key not in _NOT_OF_THE_FILE})


class _Stamp(msgspec.Struct, frozen=True):
    size: int | None = None
    modified: float | None = None


_STAMP = msgspec.json.Decoder(_Stamp)


def is_there(files: JobFiles, filename: str, metadata: bytes) -> bool:
    """Whether the file is still the one that `metadata` was a snapshot of."""
    try:
        stamp = _STAMP.decode(metadata)
    except msgspec.DecodeError:
        stamp = _Stamp()
    return files.exists(filename, stamp.size, stamp.modified)
