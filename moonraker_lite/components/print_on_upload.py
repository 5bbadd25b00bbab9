"""Joins files and printer: uploads with `print` are started, containers are unpacked before they are printed."""

from __future__ import annotations

from moonraker_lite.api.request import User
from moonraker_lite.component import Component
from moonraker_lite.components.file_manager.manager import FileManager
from moonraker_lite.components.printer import Printer


class PrintOnUpload(Component, section="print_on_upload"):
    """The file manager's PrintStarter."""

    def __init__(self, files: FileManager, printer: Printer) -> None:
        self._files = files
        self._printer = printer

    async def start(self) -> None:
        """Offer to start uploads, and have files made ready to print."""
        self._files.set_print_starter(self)
        self._printer.before_print(self._files.printable)

    async def start_print(self, filename: str, user: User | None) -> None:
        """Start printing a file (path relative to the gcodes folder).

        Raises:
            Conflict: something is printing or paused; an upload must not end somebody's print. KlippyError,
                Unavailable: the printer cannot print now.
        """
        await self._printer.start_print_if_idle(filename, user.name if user is not None else None)
