"""`enable_object_processing`: new files get Klipper's object definitions before they are scanned and told of.

The work is done by the scanner's process, and replaces the file in one step. For clients it is part of the file's
appearance: there is one notification, of the file as it is then.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.in_use import PrintedFile
from moonraker_lite.components.file_manager.worker import ScanFailed, ScanWorker
from moonraker_lite.errors import Forbidden
from moonraker_lite.gcode_metadata.kinds import named_kind

if TYPE_CHECKING:
    from moonraker_lite.components.file_manager.library import Library

_LOGGER = logging.getLogger(__name__)


class ObjectDefinitions:
    """`scanning` asks here before it scans a file that is new or has changed."""

    def __init__(self, library: Library, printed: PrintedFile, worker: ScanWorker) -> None:
        self._library = library
        self._printed = printed
        self._worker = worker
        self._done: dict[str, float] = {}
        library.scanning.define_objects = self.define
        library.scanning.progress = self.progress

    def progress(self, path: str) -> str:
        """What is being done with a file, as a part of a sentence; empty when nothing is."""
        done = self._done.get(path)
        return "" if done is None else f"its objects are being defined, {done:.0%} is done"

    async def define(self, place: Place) -> None:
        """Define the objects of a file. Containers, links to files elsewhere, and the file that the printer has loaded
        stay as they are."""
        entry, folder = self._library.index.entry(place), self._library.index.folder(place.parent)
        if entry is None or folder is None or entry.link or named_kind(place.name) is not None:
            return
        path = f"{folder.real}/{place.name}"
        try:
            await self._library.thread(lambda: self._printed.protect(path))
        except Forbidden:
            return
        self._done[place.path] = 0.0
        try:
            if await self._worker.define_objects(path, lambda part: self._done.update({place.path: part})):
                await self._library.settle(place)
        except ScanFailed as error:
            _LOGGER.warning("the objects of %s are not defined: %s", place.path, error)
        finally:
            del self._done[place.path]
