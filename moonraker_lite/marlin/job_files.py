"""Which file a name means: one of the gcodes directory, or one on the printer's own SD card."""

from __future__ import annotations

from pathlib import Path

import msgspec

from moonraker_lite.marlin.gcode_folder import file_size, resolve
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.sdcard import PREFIX, CardFile, SdCard


class JobFile(msgspec.Struct, frozen=True):
    """A file that can be printed; `size` in bytes. Either `path` or `on_card` is set."""

    name: str
    size: int
    path: Path | None = None
    on_card: CardFile | None = None


class JobFiles:
    """`card`: the printer's own SD card, where it has one."""

    def __init__(self, gcodes: Path) -> None:
        self.card: SdCard | None = None
        self._gcodes = gcodes

    def find(self, name: str) -> JobFile:
        """Raise CommandError when there is no such file."""
        if (file := self._find_on_card(name)) is not None:
            return JobFile(PREFIX + file.name, file.size, on_card=file)
        path = resolve(self._gcodes, name)
        size = file_size(path) if path else None
        if path is None or size is None:
            raise CommandError("Unable to open file")
        return JobFile(path.relative_to(self._gcodes).as_posix(), size, path)

    async def look_for(self, name: str) -> None:
        """Make sure that a file on the printer's SD card is known, if that is what the name means."""
        wanted = self.card is not None and self.card.available and name.lstrip("/").startswith(PREFIX)
        if self.card is not None and wanted and self._find_on_card(name) is None:
            await self.card.refresh_in_turn()

    def _find_on_card(self, name: str) -> CardFile | None:
        name = name.lstrip("/")
        if self.card is None or not name.startswith(PREFIX) or resolve(self._gcodes, name) is not None:
            return None
        return self.card.find(name[len(PREFIX) :])
