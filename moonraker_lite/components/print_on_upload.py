"""Uploads with `print`: starts the uploaded file, if nothing is printing."""

from __future__ import annotations

from collections.abc import Callable

from moonraker_lite.api.request import User
from moonraker_lite.component import Component
from moonraker_lite.components.file_manager.manager import FileManager
from moonraker_lite.components.printer import Printer
from moonraker_lite.errors import Conflict
from moonraker_lite.klippy import StatusHub

# Klipper would take a new print in place of a paused one; an upload must not end somebody's print.
_BUSY = ("printing", "paused")


class PrintOnUpload(Component, section="print_on_upload"):
    """The file manager's PrintStarter."""

    def __init__(self, files: FileManager, printer: Printer, hub: StatusHub) -> None:
        self._files = files
        self._printer = printer
        self._hub = hub
        self._end: Callable[[], None] | None = None

    async def start(self) -> None:
        """Follow whether something is printing, and offer to start uploads."""
        self._end = self._hub.watch({"print_stats": ["state"]}, lambda status, eventtime: None)
        self._files.set_print_starter(self)

    async def stop(self) -> None:
        """End following."""
        if self._end is not None:
            self._end()

    async def start_print(self, filename: str, user: User | None) -> None:
        """Start printing a file (path relative to the gcodes folder).

        Raises:
            Conflict: something is printing or paused. KlippyError, Unavailable: the printer cannot print now.
        """
        state = self._hub.value("print_stats", "state")
        if state in _BUSY:
            raise Conflict(f"The printer is {state}")
        await self._printer.start_print(filename, user.name if user is not None else None)
