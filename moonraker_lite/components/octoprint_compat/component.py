"""The endpoints below /api. HTTP only, and the bodies are not wrapped in `result`: both as OctoPrint has it."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from moonraker_lite.api.endpoint import Via, endpoint
from moonraker_lite.api.facts import HostFacts
from moonraker_lite.api.replies import Reply
from moonraker_lite.api.request import BodySink, Request
from moonraker_lite.component import Component
from moonraker_lite.components.file_manager.manager import FileManager
from moonraker_lite.components.octoprint_compat import bodies
from moonraker_lite.components.octoprint_compat.settings import OctoPrintSettings
from moonraker_lite.components.octoprint_compat.status import PrinterWatch
from moonraker_lite.components.printer import Printer
from moonraker_lite.errors import BadRequest, Conflict, HostError, Unavailable
from moonraker_lite.klippy import KlippyClient, KlippyError, StatusHub

SERVER_VERSION = "1.5.0"
API_VERSION = "0.1"
_LOGGER = logging.getLogger(__name__)
_octoprint = partial(endpoint, via=Via.HTTP, wrap=False)


class CommandParams(msgspec.Struct, frozen=True):
    """OctoPrint takes one `command` or several `commands`."""

    commands: list[str] = []
    command: str | None = None


class SelectParams(msgspec.Struct, frozen=True):
    """`root` and `filename` come from the path."""

    root: str
    filename: str
    command: str
    print: bool = False


class OctoPrintCompat(Component, section="octoprint_compat"):
    """Answers slicers as OctoPrint would."""

    def __init__(
        self,
        settings: OctoPrintSettings,
        klippy: KlippyClient,
        hub: StatusHub,
        printer: Printer,
        files: FileManager,
        facts: HostFacts,
    ) -> None:
        self._settings = settings
        self._klippy = klippy
        self._files = files
        self._printer = printer
        self._facts = facts
        self._watch = PrinterWatch(klippy, hub)

    async def start(self) -> None:
        """Begin to follow the printer."""
        self._watch.start()

    async def stop(self) -> None:
        """End it."""
        self._watch.stop()

    @_octoprint("GET", "/api/version")
    def version(self, request: Request) -> bodies.Version:
        """Versions; what slicers ask first."""
        return bodies.Version(SERVER_VERSION, API_VERSION, f"OctoPrint (Moonraker {self._facts.moonraker_version})")

    @_octoprint("GET", "/api/server")
    def server(self, request: Request) -> bodies.ServerStatus:
        """The server's state; without a printer that is ready, OctoPrint would be in safe mode."""
        return bodies.ServerStatus(SERVER_VERSION, None if self._watch.ready else "settings")

    @_octoprint("POST", "/api/login")
    @_octoprint("GET", "/api/currentuser")
    def login(self, request: Request) -> bodies.Login:
        """Who the caller is; the log-in has happened already, by address or key."""
        return bodies.Login()

    @_octoprint("GET", "/api/settings")
    def settings(self, request: Request) -> dict[str, Any]:
        """The settings that Cura looks at."""
        return bodies.settings_body(self._settings)

    @_octoprint("GET", "/api/job")
    def job(self, request: Request) -> bodies.Job:
        """The state of the print."""
        return bodies.Job(self._watch.state)

    @_octoprint("GET", "/api/printer")
    def printer(self, request: Request) -> bodies.PrinterStatus:
        """Temperatures and state of the printer."""
        return self._watch.status

    @_octoprint("POST", "/api/printer/command")
    async def command(self, request: Request, params: CommandParams) -> dict[str, Any]:
        """Run G-code. Errors of the printer are not answered: they appear in its console, as with OctoPrint."""
        scripts = [*params.commands, *([params.command] if params.command is not None else [])]
        for script in scripts:
            try:
                await self._klippy.gcode(script)
            except HostError as error:
                _LOGGER.info("a command over OctoPrint's API failed: %s", error.message)
        return {}

    @_octoprint("GET", "/api/printerprofiles")
    def profiles(self, request: Request) -> dict[str, Any]:
        """The one printer profile."""
        return bodies.profiles_body()

    @_octoprint("POST", "/api/files/local", stream=True)
    async def upload(self, request: Request) -> BodySink:
        """Upload a file as with /server/files/upload: a form with `file`, and perhaps `root`, `path` and `print`."""
        return await self._files.open_upload(request, _location)

    @_octoprint("POST", "/api/files/moonraker/{root}/{filename:rest}")
    async def select(self, request: Request, params: SelectParams) -> Reply:
        """Select a file and, with `print`, start printing it. Selecting alone does nothing."""
        if params.command != "select":
            raise BadRequest(f"Unsupported Command: {params.command}")
        if params.root != "gcodes":
            raise BadRequest("File must be located in the 'gcodes' root")
        if not self._files.exists(params.filename):
            raise BadRequest("File does not exist")
        if params.print:
            try:
                await self._printer.start_print_if_idle(params.filename, request.user.name if request.user else None)
            except (KlippyError, Unavailable) as error:
                raise Conflict(error.message) from None
        return Reply(None, 204)


def _location(path: str) -> str:
    """Where Cura finds the uploaded file again, to select it: the path below /api of "gcodes/sub/a.gcode"."""
    return f"/api/files/moonraker/{quote(path)}"
