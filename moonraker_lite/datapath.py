"""The data path: one folder per printer, laid out as Moonraker's."""

from __future__ import annotations

from pathlib import Path

import msgspec


class DataPath(msgspec.Struct, frozen=True):
    """Folders of one printer. `alias` is the last part of the root's name: how its Marlin process calls itself."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def gcodes(self) -> Path:
        return self.root / "gcodes"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def database(self) -> Path:
        return self.root / "database"

    @property
    def comms(self) -> Path:
        return self.root / "comms"

    @property
    def certs(self) -> Path:
        return self.root / "certs"

    @property
    def alias(self) -> str:
        return self.root.name

    def make(self) -> None:
        """Create the folders that are missing. Sockets, keys and databases are for the owner alone.

        Raises:
            OSError: the path is not writable.
        """
        for folder in (self.config, self.gcodes, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.database, self.comms, self.certs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
