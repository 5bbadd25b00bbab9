"""The pictures of G-code files: they stand in `.thumbs` beside the file, named after it, and share its fate."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import Any

from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.copying import copy_content, open_regular
from moonraker_lite.components.file_manager.index import Index
from moonraker_lite.components.file_manager.metadata import Metadata, MetadataBook, changed
from moonraker_lite.components.file_manager.names import THUMBS, siblings, stem
from moonraker_lite.components.file_manager.parts import new_part
from moonraker_lite.components.file_manager.roots import Folder, Reserved
from moonraker_lite.tasks import TaskOwner

DISCARD_DELAY = 0.3  # s; a file that is removed may be replaced at once, by one with the same pictures' names

Thread = Callable[[Callable[[], None]], Awaitable[None]]


class Thumbs:
    """Removes and renames pictures, in a thread. Work for one file is done in order."""

    def __init__(self, index: Index, book: MetadataBook, thread: Thread) -> None:
        self._index = index
        self._book = book
        self._thread = thread
        self._doomed: dict[str, set[str]] = {}
        self._folders: dict[str, str] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._lock = asyncio.Lock()
        self._tasks = TaskOwner("thumbs")

    async def close(self) -> None:
        """Do what is left to do."""
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.close()
        await self.flush()

    # -- removing --------------------------------------------------------------------------------------------------

    def discard(self, path: str, record: Metadata | None, kept: Metadata | None = None) -> None:
        """The file at `path`, or its record, is gone: remove the pictures of `record` that `kept` does not have."""
        if record is None:
            return
        names = _names(record) - (_names(kept) if kept is not None else set())
        folder = self._index.folder(Place("gcodes", path).parent)
        if not names or folder is None:
            return
        self._doomed.setdefault(path, set()).update(names)
        self._folders[path] = folder.real
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DISCARD_DELAY, self._due)

    def _due(self) -> None:
        self._timer = None
        self._tasks.spawn(self.flush(), "discard")

    async def settle(self, path: str) -> None:
        """Remove now what is to be removed of this file, before new pictures are written."""
        if path in self._doomed:
            await self.flush()

    async def flush(self) -> None:
        """Remove everything that is to be removed and that no other file uses."""
        async with self._lock:
            doomed, self._doomed = self._doomed, {}
            folders, self._folders = self._folders, {}
            gone = [
                os.path.join(folders[path], THUMBS, name)
                for path, names in doomed.items()
                for name in names - self._used_beside(path)
            ]
            if gone:
                await self._thread(lambda: _unlink(gone))

    def _used_beside(self, path: str) -> set[str]:
        """Pictures of the files of this stem, which may differ in their endings only."""
        used: set[str] = set()
        for sibling in siblings(path):
            record = self._book.get(sibling)
            if record is not None:
                used |= _names(record)
        return used

    # -- moving ----------------------------------------------------------------------------------------------------

    async def follow(self, source: str, target: str) -> bool:
        """A file was moved, and its record with it: take its pictures along. False when that is not possible, because
        another file shows them too."""
        record = self._book.get(target)
        old_folder = self._index.folder(Place("gcodes", source).parent)
        new_folder = self._index.folder(Place("gcodes", target).parent)
        if record is None or old_folder is None or new_folder is None or not record.thumbnails:
            return True
        old_stem, new_stem = stem(Place("", source).name), stem(Place("", target).name)
        pictures: list[dict[str, Any]] = []
        moves: list[tuple[str, str]] = []
        keep = self._used_beside(source) if stem(source) != stem(target) else set()
        for picture in record.thumbnails:
            name = str(picture.get("relative_path", "")).rpartition("/")[2]
            new = new_stem + name[len(old_stem) :] if name.startswith(old_stem) else name
            pictures.append({**picture, "relative_path": f"{THUMBS}/{new}"})
            moves.append((os.path.join(old_folder.real, THUMBS, name), os.path.join(new_folder.real, THUMBS, new)))
            if name in keep:
                return False
        moves = [(old, new) for old, new in moves if old != new]
        if moves:
            self._book.put(target, changed(record, thumbnails=pictures))
            async with self._lock:
                await self._thread(lambda: _rename(moves))
        return True

    # -- copying ---------------------------------------------------------------------------------------------------

    async def copy(self, source: str, target: str) -> None:
        """A file was copied: its copy gets the picture that is not in the file, but came in a container with it."""
        record = self._book.get(source)
        old_folder = self._index.folder(Place("gcodes", source).parent)
        new_folder = self._index.folder(Place("gcodes", target).parent)
        name = f"{stem(Place('', source).name)}.png"
        if record is None or old_folder is None or new_folder is None or name not in _names(record):
            return
        old = os.path.join(old_folder.real, THUMBS, name)
        new = os.path.join(new_folder.real, THUMBS, f"{stem(Place('', target).name)}.png")
        if old != new:
            async with self._lock:
                await self._thread(lambda: _copy(old, new))


def _names(record: Metadata) -> set[str]:
    paths = [str(picture.get("relative_path", "")) for picture in record.thumbnails]
    return {path.rpartition("/")[2] for path in paths if path.startswith(f"{THUMBS}/")}


def _unlink(paths: list[str]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _rename(moves: list[tuple[str, str]]) -> None:
    for old, new in moves:
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(new), exist_ok=True)
            os.replace(old, new)


def _copy(old: str, new: str) -> None:
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(new), exist_ok=True)
        with open_regular(old) as source, Folder(os.path.dirname(new), Reserved()) as folder, new_part(folder) as part:
            copy_content(source, part.fd)
            part.place(folder, os.path.basename(new))
