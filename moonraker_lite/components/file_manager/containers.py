"""Containers of G-code that stand on the disk: unpacked when somebody prints them, and Cura's as soon as they are seen.

An upload is unpacked at once (`placing`); these came in other ways.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from typing import TYPE_CHECKING

from moonraker_lite.components.file_manager.changes import Action, Place
from moonraker_lite.components.file_manager.disk_errors import explained
from moonraker_lite.components.file_manager.in_use import PrintedFile
from moonraker_lite.components.file_manager.paths import normalize
from moonraker_lite.components.file_manager.placing import unpack_into
from moonraker_lite.components.file_manager.roots import Folder
from moonraker_lite.components.file_manager.unpacker import Unpacker
from moonraker_lite.errors import BadRequest, HostError
from moonraker_lite.gcode_metadata.kinds import Kind, file_kind, text_name

if TYPE_CHECKING:
    from moonraker_lite.components.file_manager.library import Library

_LOGGER = logging.getLogger(__name__)

SAME_TIME = 2_000_000_000  # ns; FAT keeps times no better


class Containers:
    """See the module. `scanning` asks here before it scans a file."""

    def __init__(self, library: Library, printed: PrintedFile, unpacker: Unpacker) -> None:
        self._library = library
        self._printed = printed
        self._unpacker = unpacker
        self._lock = asyncio.Lock()
        library.scanning.unpack = self.replaced

    async def printable(self, filename: str) -> str:
        """The file to print when a client asks for this one (path in the gcodes root).

        The text of a container stands beside it, under its name with `.gcode`, and has its time: so it is made once,
        and again when the container has changed. A file of that name that is something else stays, the text is then
        called by the container's whole name and `.gcode`.

        Raises:
            HostError: the container is damaged, or there is no room for its text.
        """
        library = self._library
        if not await library.glance(lambda: self._is_container(filename)):
            return filename  # a print must not wait for a folder that is still being read
        place = Place("gcodes", normalize(filename))
        await library.ready()
        await library.settle(place)
        place = library.canonical(place)
        node = library.index.folder(place.parent)
        if node is None or library.index.entry(place) is None:
            return filename
        folder, name = node.real, place.name
        async with self._lock:
            kind, text, fresh = await library.thread(lambda: self._look(folder, name))
            if kind is None:
                return filename
            target = place.parent.child(text)
            if not fresh:
                existed = library.index.entry(target) is not None
                async with library.operation(files=[target]) as made:
                    await self._unpacker.thread(lambda: self._unpack(folder, name, kind, text))
                    await library.settle(target)
                    await library.scanning.scan(target.path)
                    made.add(Action.MODIFY_FILE if existed else Action.CREATE_FILE, target)
        return target.path

    def _is_container(self, filename: str) -> bool:
        """Whether this is a container, if it is a file at all (blocking)."""
        root = self._library.roots.get("gcodes")
        try:
            return root is not None and file_kind(os.path.join(root.path, normalize(filename)), filename) is not None
        except (OSError, HostError):
            return False

    def _look(self, folder: str, name: str) -> tuple[Kind | None, str, bool]:
        """What a file is, the name of its text, and whether that is there already (blocking)."""
        path = os.path.join(folder, name)
        try:
            kind, found = file_kind(path, name), os.stat(path)
        except OSError:
            return None, name, False
        for text in (text_name(name), f"{name}.gcode"):
            try:
                other = os.stat(os.path.join(folder, text))
            except OSError:
                return kind, text, False
            if os.path.samestat(found, other):
                continue  # binary G-code under the name of text
            of_this = abs(other.st_mtime_ns - found.st_mtime_ns) <= SAME_TIME
            if of_this and stat.S_ISREG(other.st_mode) and other.st_size > 0:
                return kind, text, True
        return kind, text, False

    def _unpack(self, folder: str, name: str, kind: Kind, text: str) -> None:
        path = os.path.join(folder, name)
        with explained(f"Unpacking {name}"), Folder(folder, self._library.reserved) as opened:
            if opened.is_directory(text) or opened.is_link(text):
                raise BadRequest(f"{text} is in the way of the print in {name}; remove or rename it")
            times = os.stat(path).st_mtime_ns
            unpack_into(opened, text, path, name, kind, self._unpacker, self._printed, mtime_ns=times)

    async def replaced(self, place: Place) -> bool:
        """As Moonraker does: unpack a `.ufp` that another program put here, and remove it. False when it stays."""
        node = self._library.index.folder(place.parent)
        if node is None or not place.name.lower().endswith(Kind.UFP.value):
            return False
        folder, name = node.real, place.name
        try:
            await self._unpacker.thread(lambda: self._replace(folder, name))
        except HostError as error:
            _LOGGER.warning("%s stays as it is: %s", place, error.message)
            return False
        return True

    def _replace(self, folder: str, name: str) -> None:
        path, text = os.path.join(folder, name), text_name(name)
        with explained(f"Unpacking {name}"), Folder(folder, self._library.reserved) as opened:
            if opened.is_link(name) or opened.is_directory(text) or opened.is_link(text):
                raise BadRequest("it or what stands in the place of its print is no regular file")
            self._printed.protect(opened.join(name))
            unpack_into(opened, text, path, name, Kind.UFP, self._unpacker, self._printed)
            os.unlink(name, dir_fd=opened.fd)
            opened.sync()
