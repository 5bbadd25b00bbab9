"""The printer's own SD card: what is on it, writing to it, deleting from it. Facts: M20 and its kin on real Marlin."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.gcode.reader import GcodeFile
from moonraker_lite.marlin.gcode.words import parse, squeeze
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.state import Machine

# The root under which the host shows the card; also what a file name begins with that means the card.
PREFIX = "sdcard/"

_BEGIN, _END = "Begin file list", "End file list"
_ENTRY = re.compile(r"(\S+) (\d+)(?: (0x[0-9A-Fa-f]{1,8})(?=\s|$))?(?: (.*))?")
_PROGRESS = re.compile(r"SD printing byte\s+(\d+)/(\d+)")
_NOT_OF_A_SHORT_NAME = re.compile(r"[^A-Z0-9_-]")
# Lines that are written before others get a turn, and before the progress is told.
_BATCH = 50


class CardFile(msgspec.Struct, frozen=True):
    """A file on the card. `path` is what the firmware wants to hear, `name` what people call it. `time`: FAT's."""

    path: str
    name: str
    size: int
    time: int | None = None


def parse_listing(lines: Iterable[str]) -> list[CardFile]:
    """Read the answer to M20 in each form: `A.GCO 85`, with a time `0x28210800`, with a long name, with both."""
    files: list[CardFile] = []
    inside = False
    for line in lines:
        text = line.strip()
        if text.startswith(_BEGIN):
            inside, files = True, []
        elif text.startswith(_END):
            inside = False
        elif inside and (match := _ENTRY.fullmatch(text)):
            short, size, time, long = match.groups()
            path = short.lstrip("/")
            folder, slash, base = path.rpartition("/")
            files.append(CardFile(path, f"{folder}{slash}{long or base}", int(size), int(time, 16) if time else None))
    return files


def parse_progress(lines: Iterable[str]) -> tuple[int, int] | None:
    """Return position and size of `SD printing byte 12/85`, None where nothing is printed from the card."""
    for line in lines:
        if match := _PROGRESS.search(line):
            return int(match[1]), int(match[2])
    return None


def short_name(name: str) -> str:
    """Return a name that old FAT takes: eight characters, a point, three."""
    stem, point, extension = name.rpartition(".")
    if not point:
        stem, extension = name, "GCO"
    stem = _NOT_OF_A_SHORT_NAME.sub("", stem.upper())[:8] or "FILE"
    extension = {"GCODE": "GCO"}.get(extension.upper(), _NOT_OF_A_SHORT_NAME.sub("", extension.upper())[:3])
    return f"{stem}.{extension or 'GCO'}"


class SdCard:
    """Works while the firmware says that it has one. `send` gives one line to the firmware and waits for it."""

    def __init__(
        self,
        machine: Machine,
        console: Console,
        send: Callable[[str], asyncio.Future[tuple[str, ...]]],
        exclusively: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
    ) -> None:
        """`exclusively` runs something when no print and no script is under way; raises CommandError while printing."""
        self.files: list[CardFile] = []
        self._machine = machine
        self._console = console
        self._send = send
        self._exclusively = exclusively
        self._written: float | None = None

    @property
    def available(self) -> bool:
        return self._machine.firmware.can("SDCARD")

    @property
    def writable(self) -> bool:
        return self.available and self._machine.firmware.can("SD_WRITE")

    @property
    def writing(self) -> bool:
        """Whatever goes to the firmware now becomes part of a file."""
        return self._written is not None

    def status(self) -> dict[str, Any]:
        """Return the object `sdcard`; `writing` is a fraction while a file is written."""
        return {"available": self.available, "writable": self.writable, "writing": self._written}

    def find(self, name: str) -> CardFile | None:
        wanted = name.lstrip("/").lower()
        return next((file for file in self.files if wanted in (file.name.lower(), file.path.lower())), None)

    async def refresh(self) -> list[CardFile]:
        """Ask for the list. Raise CommandError where there is no card or a print is under way, LineError."""
        self._check(self.available, "This firmware has no SD card")
        await self._exclusively(self._list)
        return self.files

    async def refresh_in_turn(self) -> None:
        """As `refresh`, for a command whose script has the turn and which is about to begin a print."""
        self._check(self.available, "This firmware has no SD card")
        await self._list()

    async def delete(self, name: str) -> None:
        """Raise CommandError when there is no such file or the firmware does not delete it, LineError."""
        self._check(self.writable, "This firmware does not write to its SD card")
        file = self._existing(name)

        async def work() -> None:
            replies = await self._ask(f"M30 /{file.path}")
            await self._list()
            if any("Deletion failed" in reply for reply in replies):
                raise CommandError(f"The printer could not delete {file.name} from its SD card")

        await self._exclusively(work)

    async def upload(self, source: Path, name: str) -> CardFile:
        """Write a file to the card, line by line without comments. Slow: the line takes some kB each second.

        Raise CommandError when the firmware refuses, or where a line of the file is too long; OSError, LineError.
        """
        self._check(self.writable, "This firmware does not write to its SD card")
        base = name.rpartition("/")[2]
        target = base if self._machine.firmware.can("LFN_WRITE") else short_name(base)

        async def work() -> None:
            await self._write(source, target)
            await self._list()

        await self._exclusively(work)
        file = self.find(target)
        if file is None:
            raise CommandError(f"{target} is not on the SD card, although the printer has written it")
        return file

    def _existing(self, name: str) -> CardFile:
        file = self.find(name)
        if file is None:
            raise CommandError(f"There is no {name} on the SD card")
        return file

    async def _list(self) -> None:
        long = self._machine.firmware.can("LONG_FILENAME")
        self.files = parse_listing(await self._ask("M20 L T" if long else "M20"))
        if long and self.files and not any(file.time is not None for file in self.files):
            # An older one, which looks at the first letter only.
            self.files = parse_listing(await self._ask("M20 L"))

    async def _write(self, source: Path, target: str) -> None:
        with GcodeFile(source) as file:
            replies = await self._ask(f"M28 {target}")
            if not any("Writing to file" in reply for reply in replies):
                raise CommandError(f"The printer does not open {target} on its SD card")
            self._written = 0.0
            done = 0
            # From here on the printer takes whatever it gets for a line of the file, until M29.
            try:
                while lines := await file.lines():
                    for begin in range(0, len(lines), _BATCH):
                        batch = lines[begin : begin + _BATCH]
                        sent = [self._send(text) for text in map(_sendable, batch) if text]
                        await asyncio.gather(*sent)
                        done += sum(map(len, batch))
                        self._written = done / file.size if file.size else 1.0
            finally:
                self._written = None
                await self._ask("M29")

    async def _ask(self, command: str) -> tuple[str, ...]:
        self._console.muted = True
        try:
            return await self._send(command)
        finally:
            self._console.muted = False

    @staticmethod
    def _check(possible: bool, message: str) -> None:
        if not possible:
            raise CommandError(message)


def _sendable(raw: bytes) -> str:
    """Return what of a line of a file is for the firmware, "" where nothing is."""
    command = parse(raw.decode("utf-8", "surrogateescape"))
    if command is None or command.name in ("M28", "M29", "M30"):
        return ""
    return command.line if len(command.line) <= 70 else squeeze(command.line)
