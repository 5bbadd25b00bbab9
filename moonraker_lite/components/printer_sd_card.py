"""The SD card in the printer as a root `sdcard` of the file manager, where the printer says that it has one.

The card is at the other end of a serial line: the host knows names, sizes and times, and can have files written,
deleted and printed (`sdcard/<name>`), but cannot read them. So the root is a folder of empty stand-ins, sparse files
of the right size, and listings, notifications and deletions work as in any other root. A file that is uploaded there
is written to the card, line by line, and becomes a stand-in then.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from moonraker_lite.api.endpoint import endpoint
from moonraker_lite.api.facts import HostFacts
from moonraker_lite.api.request import Request
from moonraker_lite.component import Component
from moonraker_lite.components.file_manager.manager import FileManager
from moonraker_lite.components.file_manager.types import FileChanged
from moonraker_lite.datapath import DataPath
from moonraker_lite.errors import HostError, NotFound
from moonraker_lite.events import Events
from moonraker_lite.klippy import KlippyClient, KlippyState
from moonraker_lite.klippy.relay import KlippyStateChanged
from moonraker_lite.tasks import TaskOwner

_LOGGER = logging.getLogger(__name__)

ROOT = "sdcard"
# What marks a stand-in. Files that clients upload can be written by their owner.
_STAND_IN = 0o400
_WARNING = "printer_sd_card"
# How long, in seconds, until a printer is asked again that could not answer because it prints.
ASK_AGAIN = 30.0


class CardFile(msgspec.Struct, frozen=True):
    """A file as the printer lists it. `time`: FAT's date and time, in one number."""

    name: str
    size: int
    time: int | None = None

    @property
    def modified(self) -> float:
        if self.time is None:
            return 0.0
        date, clock = self.time >> 16, self.time & 0xFFFF
        when = (1980 + (date >> 9), date >> 5 & 15, date & 31, clock >> 11, clock >> 5 & 63, (clock & 31) * 2, 0, 0, -1)
        with suppress(ValueError, OverflowError):
            return time.mktime(when)
        return 0.0


class _Listing(msgspec.Struct):
    files: list[CardFile] = []


class RefreshResult(msgspec.Struct, frozen=True):
    """How many files the card has."""

    files: int


class PrinterSdCard(Component, section="printer_sd_card"):
    """Keeps the folder like the card, and the card like what clients do in the folder."""

    def __init__(
        self, data: DataPath, facts: HostFacts, klippy: KlippyClient, events: Events, files: FileManager
    ) -> None:
        self._folder = data.root / ROOT
        self._facts = facts
        self._klippy = klippy
        self._events = events
        self._files = files
        self._tasks = TaskOwner("printer_sd_card")
        self._ends: list[Callable[[], None]] = []
        # What the printer has listed last; None where it has no card.
        self._known: dict[str, CardFile] | None = None
        self._lock = asyncio.Lock()
        self._waiting = False

    async def start(self) -> None:
        self._ends = [
            self._events.subscribe(KlippyStateChanged, self._on_state),
            self._events.subscribe(FileChanged, self._on_change),
        ]

    async def stop(self) -> None:
        for end in self._ends:
            end()
        await self._tasks.close()

    @endpoint("POST", "/server/sdcard/refresh", rpc="server.sdcard.refresh")
    async def refresh(self, request: Request) -> RefreshResult:
        """Ask the printer again what is on its SD card: nobody tells us when a card is changed."""
        if not await self._ask():
            raise NotFound("The printer has no SD card that the host could use")
        return RefreshResult(len(self._known or {}))

    def _on_state(self, event: KlippyStateChanged) -> None:
        if event.state is KlippyState.READY:
            self._tasks.spawn(self._look(), "looking for an SD card")

    def _on_change(self, event: FileChanged) -> None:
        touched = {event.notice.item.root}
        if isinstance(event.notice.source_item, msgspec.Struct):
            touched.add(event.notice.source_item.root)
        if ROOT in touched and self._known is not None and not self._waiting:
            self._waiting = True
            self._tasks.spawn(self._follow(), "changes of the SD card")

    async def _look(self) -> None:
        while self._klippy.connected:
            try:
                await self._ask()
                return
            except HostError as error:
                _LOGGER.info("The SD card cannot be listed now: %s", error.message)
            await asyncio.sleep(ASK_AGAIN)

    async def _ask(self) -> bool:
        """List the card, if there is one. Raise HostError when the printer cannot do it now."""
        objects = await self._klippy.request("objects/list")
        if ROOT not in objects.get("objects", ()):
            self._known = None
            return False
        async with self._lock:
            # What a client has deleted just now must not come back with the list.
            await self._apply()
            await self._mirror(await self._klippy.request("sdcard/list"))
        await self._files.register_root(ROOT, self._folder, writable=True, readable=False)
        return True

    async def _mirror(self, answer: object) -> None:
        listed = msgspec.convert(answer, _Listing).files
        self._known = {file.name: file for file in listed if _is_path(file.name)}
        await asyncio.to_thread(_make_stand_ins, self._folder, self._known)

    async def _follow(self) -> None:
        """Do with the card what a client has done in the folder."""
        async with self._lock:
            self._waiting = False
            try:
                await self._apply()
                self._facts.unwarn(_WARNING)
            except HostError as error:
                self._facts.warn(f"The SD card in the printer was not changed: {error.message}", _WARNING)
                with suppress(HostError):
                    await self._mirror(await self._klippy.request("sdcard/list"))

    async def _apply(self) -> None:
        """Raise HostError when the printer does not do it."""
        if self._known is None:
            return
        found = dict(await asyncio.to_thread(lambda: list(_files_in(self._folder))))
        for name in [name for name in self._known if name not in found]:
            del self._known[name]
            await self._klippy.request("sdcard/delete", {"name": name})
        for name in [name for name, stands_in in found.items() if not stands_in]:
            await self._upload(name)

    async def _upload(self, name: str) -> None:
        path = self._folder / name
        try:
            answer = await self._klippy.request("sdcard/upload", {"path": str(path), "name": name})
        finally:
            # On the card or not: here it is nothing but a stand-in.
            await asyncio.to_thread(path.unlink, missing_ok=True)
        await self._mirror(answer)


def _is_path(name: str) -> bool:
    """Whether a name can stand in the folder and nowhere else."""
    parts = name.split("/")
    return name.isprintable() and not any(part in ("", ".", "..") or part.startswith(".") for part in parts)


def _files_in(folder: Path) -> Iterator[tuple[str, bool]]:
    """Name below the folder, and whether it is a stand-in (blocking)."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if name.startswith(".") or path.is_symlink():
                continue
            with suppress(FileNotFoundError):
                yield path.relative_to(folder).as_posix(), stat.S_IMODE(path.stat().st_mode) == _STAND_IN


def _make_stand_ins(folder: Path, files: dict[str, CardFile]) -> None:
    """Make the folder like the card; files that have not been written to it yet stay (blocking)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, stands_in in list(_files_in(folder)):
        if stands_in and name not in files:
            (folder / name).unlink(missing_ok=True)
    for name, file in files.items():
        path = folder / name
        with suppress(FileNotFoundError):
            status = path.stat()
            if stat.S_IMODE(status.st_mode) != _STAND_IN or status.st_size == file.size:
                continue
            path.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        with temporary.open("wb") as stand_in:
            stand_in.truncate(file.size)
        temporary.chmod(_STAND_IN)
        if file.modified:
            os.utime(temporary, (file.modified, file.modified))
        temporary.replace(path)
