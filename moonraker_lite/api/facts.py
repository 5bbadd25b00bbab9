"""What only the host knows of itself, for the components that tell it to clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

API_VERSION = (1, 5, 0)
"""The version of Moonraker's API that is spoken here."""


class HostFacts:
    """Filled by the host, read by server.info. Lists are as they are now, in the order in which things came up.

    `restart` begins an orderly restart and returns at once; None when the host cannot do it.
    `rollover` begins a new log file; None when there is no log file.
    """

    def __init__(self, version: str) -> None:
        self.version = version
        self.components: list[str] = []
        self.failed_components: list[str] = []
        self.directories: list[str] = []
        self.restart: Callable[[], None] | None = None
        self.rollover: Callable[[], Any] | None = None
        self._warnings: dict[str, str] = {}

    @property
    def moonraker_version(self) -> str:
        """Our version in the form that front ends compare with the Moonraker release they need."""
        return f"v0.11.0-0-lite{self.version}"

    @property
    def warnings(self) -> list[str]:
        """What the user should know and mend, one sentence each."""
        return list(self._warnings.values())

    def warn(self, text: str, key: str | None = None) -> None:
        """Add a warning, or replace the one with this key."""
        self._warnings[key or text] = text

    def unwarn(self, key: str) -> None:
        """Take a warning back; unknown ones are ignored."""
        self._warnings.pop(key, None)
