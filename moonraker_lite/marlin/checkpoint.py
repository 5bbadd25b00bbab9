"""The durable record of how far a print has come: which file, byte and line the printer has acknowledged.

Written about once a second, in a thread, by temporary file, fsync and rename: whatever happens, the file on disk is
whole. It stays behind when a print ends badly, and tells the next start where.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import msgspec

_LOGGER = logging.getLogger(__name__)

FILE_NAME = "print_checkpoint.json"


class Checkpoint(msgspec.Struct, frozen=True):
    """What is needed to print the rest of a file. Lengths in mm, speed in mm/min, temperatures in degrees.

    `file` is relative to the gcodes directory, `modified` its time in ns. Everything before byte `position` has been
    acknowledged; x, y, z, e and `speed` are where the file believed the head to be there. `targets` are the heaters
    that the print needs, by the names of their objects, even where a pause has let them cool.
    """

    file: str
    size: int
    position: int
    line: int
    state: str
    z: float
    written: float
    modified: int = 0
    message: str = ""
    x: float = 0.0
    y: float = 0.0
    e: float = 0.0
    speed: float = 1500.0
    absolute: bool = True
    absolute_e: bool = True
    inches: bool = False
    tool: int = 0
    targets: dict[str, float] = {}
    fans: dict[int, float] = {}
    speed_factor: float = 1.0
    extrude_factor: float = 1.0
    babystep: float = 0.0
    excluded: list[str] = []
    layer: int | None = None
    layers: int | None = None

    @property
    def percent(self) -> int:
        return int(self.position * 100 / self.size) if self.size else 0


class CheckpointFile:
    """Keeps the latest checkpoint on disk."""

    def __init__(self, directory: Path | None) -> None:
        self._path = directory / FILE_NAME if directory else None
        self._writing: asyncio.Future[None] | None = None
        self._next: Checkpoint | None = None
        # What was asked for last, without its time.
        self._last: Checkpoint | None = None

    def load(self) -> Checkpoint | None:
        """Return what a print that ended badly left behind, None if there is nothing or nothing readable."""
        if self._path is None:
            return None
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Checkpoint)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            _LOGGER.warning("Checkpoint %s is not readable: %s", self._path, error)
            return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Write soon, if there is news; when the disk is slow, only the latest of those that wait is written."""
        timeless = msgspec.structs.replace(checkpoint, written=0.0)
        if self._path is None or timeless == self._last:
            return
        self._last = timeless
        if self._writing is not None:
            self._next = checkpoint
        else:
            self._begin(self._path, checkpoint)

    def _begin(self, path: Path, checkpoint: Checkpoint) -> None:
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(None, _write, path, checkpoint)
        self._writing.add_done_callback(self._written)

    async def flush(self) -> None:
        """Wait until what was saved is on disk."""
        while self._writing is not None:
            await asyncio.wait([self._writing])
            await asyncio.sleep(0)

    async def remove(self) -> None:
        """The print is over and needs no record."""
        self._next = self._last = None
        await self.flush()
        if self._path is None:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _LOGGER.warning("Checkpoint not removed: %s", error)

    def _written(self, done: asyncio.Future[None]) -> None:
        self._writing = None
        if not done.cancelled() and (error := done.exception()):
            _LOGGER.warning("Checkpoint not written: %s", error)
            self._last = None
        if self._path is not None and self._next is not None:
            checkpoint, self._next = self._next, None
            self._begin(self._path, checkpoint)


def _write(path: Path, checkpoint: Checkpoint) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(msgspec.json.encode(checkpoint))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
