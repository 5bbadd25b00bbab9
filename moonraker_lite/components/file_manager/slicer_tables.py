"""The owner's slicer tables (`config/slicers.d`): part of what records depend on, and read by the scanner's process.

Here nothing is known of their content. What is wrong with them is said by the scanner and told as warnings.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from moonraker_lite.api.facts import HostFacts
from moonraker_lite.components.file_manager.library import Library
from moonraker_lite.components.file_manager.types import FileChanged
from moonraker_lite.components.file_manager.worker import ScanFailed, ScanWorker
from moonraker_lite.events import Events
from moonraker_lite.gcode_metadata.model import SCANNER_VERSION
from moonraker_lite.tasks import TaskOwner

FOLDER = "slicers.d"
SETTLE = 0.5  # s without another change
MAX_BYTES = 16 * 1024 * 1024  # of all tables; what is beyond does not count
_ENDING = ".toml"


def version_of(folder: Path) -> int:
    """What records depend on: the scanner's version alone, or (below 2^63) that and the tables (blocking)."""
    digest = hashlib.sha256(str(SCANNER_VERSION).encode())
    found, left = False, MAX_BYTES
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(_ENDING) and not name.startswith("."))
    except OSError:
        names = []
    for name in names:
        try:
            with (folder / name).open("rb") as file:
                content = file.read(left)
        except OSError:
            content = b""
        found, left = True, left - len(content)
        digest.update(b"%d %b %d %b" % (len(name), os.fsencode(name), len(content), content))
    return int.from_bytes(digest.digest()[:8], "big") >> 1 if found else SCANNER_VERSION


class SlicerTables:
    """Follows the folder. `version` is what `version_of` last gave."""

    def __init__(self, config: Path, library: Library, worker: ScanWorker, facts: HostFacts, events: Events) -> None:
        self.folder = config / FOLDER
        self.version = SCANNER_VERSION
        self._library = library
        self._worker = worker
        self._facts = facts
        self._events = events
        self._warned: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._tasks = TaskOwner("slicer tables")

    async def start(self) -> int:
        """Begin to follow; gives the version."""
        self._unsubscribe = self._events.subscribe(FileChanged, self._changed)
        self.version = await self._library.glance(lambda: version_of(self.folder))
        if self.version != SCANNER_VERSION:
            self._tasks.spawn(self._check(), "check")
        return self.version

    async def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.close()

    def _changed(self, event: FileChanged) -> None:
        items = [event.notice.item, event.notice.source_item]
        if any(
            getattr(item, "root", "") == "config" and f"{getattr(item, 'path', '')}/".startswith(f"{FOLDER}/")
            for item in items
        ):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(SETTLE, self._due)

    def _due(self) -> None:
        self._timer = None
        self._tasks.spawn(self._refresh(), "refresh")

    async def _refresh(self) -> None:
        version = await self._library.glance(lambda: version_of(self.folder))
        if version != self.version:
            self.version = version
            await self._check()
            await self._library.outdated(version)

    async def _check(self) -> None:
        """Have the scanner read the tables, and warn of those that it cannot use."""
        try:
            problems = await self._worker.read_tables(str(self.folder))
        except ScanFailed:
            return  # it reads them when it starts
        for key in self._warned:
            self._facts.unwarn(key)
        self._warned = [f"file_manager: slicer table {number}" for number in range(len(problems))]
        for key, problem in zip(self._warned, problems, strict=True):
            self._facts.warn(f"A slicer table is not used. {FOLDER}/{problem}", key)
