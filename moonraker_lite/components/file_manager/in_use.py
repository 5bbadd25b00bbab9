"""The file that is being printed: nobody may change it or take it away."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moonraker_lite.errors import Forbidden
from moonraker_lite.events import Events
from moonraker_lite.klippy import KlippyState, StatusHub
from moonraker_lite.klippy.relay import KlippyStateChanged

_OBJECTS = {"print_stats": ("filename", "state"), "virtual_sdcard": ("file_path",)}


class PrintedFile:
    """Follows what the printer has loaded, printing or paused. `printing` is told when it begins and ends to move."""

    def __init__(
        self, gcodes: Path, hub: StatusHub, events: Events, printing: Callable[[bool], None] = lambda is_so: None
    ) -> None:
        self._printing = printing
        self._gcodes = gcodes
        self._hub = hub
        self._events = events
        self._values: dict[str, dict[str, Any]] = {"print_stats": {}, "virtual_sdcard": {}}
        self._ends: list[Any] = []

    def start(self) -> None:
        self._ends = [
            self._hub.watch(_OBJECTS, self._changed),
            self._events.subscribe(KlippyStateChanged, self._state),
        ]

    def stop(self) -> None:
        for end in self._ends:
            end()
        self._ends = []

    def _changed(self, status: dict[str, dict[str, Any]], eventtime: float) -> None:
        for name, known in self._values.items():
            known.update(status.get(name, {}))
        self._printing(self._values["print_stats"].get("state") == "printing")

    def _state(self, event: KlippyStateChanged) -> None:
        if event.state is KlippyState.DISCONNECTED:
            for known in self._values.values():
                known.clear()
            self._printing(False)

    @property
    def path(self) -> str | None:
        """The loaded file on disk; None when there is none."""
        loaded = self._values["virtual_sdcard"].get("file_path")
        if isinstance(loaded, str) and loaded:
            return loaded
        stats = self._values["print_stats"]
        name = stats.get("filename")
        if stats.get("state") in ("printing", "paused") and isinstance(name, str) and name:
            return str(self._gcodes / name)
        return None

    def protect(self, *paths: str) -> None:
        """Refuse to touch these files, and folders that hold the loaded one (blocking).

        Raises:
            Forbidden: one of them is in use. It is known by its identity, so that links to it count as well.
        """
        loaded = self.path
        if loaded is None:
            return
        try:
            found = os.stat(loaded)
        except OSError:
            return
        real = os.path.realpath(loaded)
        for path in paths:
            try:
                same = os.path.samestat(found, os.stat(path))
            except OSError:
                same = False
            if same or real.startswith(f"{os.path.realpath(path)}/"):
                raise Forbidden("File currently in use")
