"""The SD card of the virtual printer: files by their short names, one that is written, one that is printed."""

from __future__ import annotations

import re

FAT_TIME = 0x28210800
"""What every file of a board without a clock says."""
_BAD = re.compile(rb"[^A-Z0-9_~-]")


class CardFile:
    """`short` is the name of old FAT, `long` the one that was given."""

    __slots__ = ("data", "long", "short")

    def __init__(self, short: bytes, long: bytes, data: bytes = b"") -> None:
        self.short = short
        self.long = long
        self.data = data


class Card:
    """`released`: taken out, as far as the firmware is concerned (M22)."""

    def __init__(self) -> None:
        self.files: dict[bytes, CardFile] = {}
        self.released = False
        self.writing: CardFile | None = None
        self.selected: CardFile | None = None
        self.position = 0
        self.printing = False
        self.at_end = False
        """All of the file has been read; what was read may still be under way."""

    def reset(self) -> None:
        """Power on. The files stay."""
        self.released = self.printing = self.at_end = False
        self.writing = self.selected = None
        self.position = 0

    def find(self, name: bytes) -> CardFile | None:
        """The file of this name, short or long, in either case."""
        wanted = name.strip().lstrip(b"/").upper()
        for file in () if self.released else self.files.values():
            if wanted in (file.short, file.long.upper()):
                return file
        return None

    def create(self, name: bytes) -> CardFile:
        """An empty file, in place of one that has the name."""
        long = name.strip().lstrip(b"/")
        if (old := self.find(long)) is not None:
            old.data = b""
            return old
        file = CardFile(self._short_name(long), long)
        if file.short == long.upper():
            file.long = file.short
        self.files[file.short] = file
        return file

    def _short_name(self, long: bytes) -> bytes:
        stem, _, extension = long.upper().rpartition(b".")
        stem, extension = (stem, extension) if stem else (extension, b"")
        clean, tail = _BAD.sub(b"", stem), _BAD.sub(b"", extension)[:3]
        if clean == stem and len(stem) <= 8 and len(extension) <= 3:
            return b"%b.%b" % (clean, tail) if tail else clean
        number = 10
        while (short := b"%b~%d.%b" % (clean[:5], number, tail)) in self.files:
            number += 1
        return short

    def listing(self, *, long: bool, time: bool) -> list[bytes]:
        """M20's lines, oldest file first."""
        lines = []
        for file in () if self.released else self.files.values():
            parts = [file.short, b"%d" % len(file.data)]
            if time:
                parts.append(b"0x%x" % FAT_TIME)
            if long:
                parts.append(file.long)
            lines.append(b" ".join(parts) + b"\n")
        return lines

    def next_line(self) -> bytes | None:
        """The next command of the file that is printed; None at its end."""
        assert self.selected is not None
        data = self.selected.data
        while self.position < len(data):
            end = data.find(b"\n", self.position)
            end = len(data) if end < 0 else end + 1
            line = data[self.position : end].partition(b";")[0].strip()
            self.position = end
            if line:
                return line
        self.at_end = True
        return None
