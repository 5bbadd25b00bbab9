"""The component: endpoints under /printer, and what clients are told of the printer's state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from moonraker_lite.api.connections import ClientConnection, Connections
from moonraker_lite.api.endpoint import Via, endpoint
from moonraker_lite.api.facts import HostFacts
from moonraker_lite.api.request import Request
from moonraker_lite.api.table import ApiTable
from moonraker_lite.component import Component
from moonraker_lite.components.printer.announced import AnnouncedEndpoints
from moonraker_lite.components.printer.arguments import connection_id, no_connection, print_script, wanted_objects
from moonraker_lite.datapath import DataPath
from moonraker_lite.errors import Conflict, HostError, Unavailable
from moonraker_lite.events import Events
from moonraker_lite.klippy import KlippyClient, KlippyState, StatusHub
from moonraker_lite.klippy.client import LOST
from moonraker_lite.klippy.relay import GcodeResponse, KlippyStateChanged
from moonraker_lite.tasks import TaskOwner

PREPARE_SECONDS = 5.0  # what other components may take before clients are told that the printer is ready
FOLDERS = "gcodes_folder"  # key of a warning

_LOGGER = logging.getLogger(__name__)
Preparation = Callable[[], Awaitable[None]]
PrepareFile = Callable[[str], Awaitable[str]]


class PrintRequested(msgspec.Struct, frozen=True):
    """Somebody asks for a print; published before the printer is asked, which may refuse."""

    filename: str
    user: str | None


class StartParams(msgspec.Struct, frozen=True):
    """`filename` is relative to the gcodes folder."""

    filename: str


class Printer(Component, section="klippy_apis"):
    """Hands clients' calls to the printer back end, and its events to clients.

    Other components start and stop prints here (`start_print`, `pause`, `resume`, `cancel`, `emergency_stop`).
    """

    def __init__(
        self,
        klippy: KlippyClient,
        hub: StatusHub,
        table: ApiTable,
        connections: Connections,
        events: Events,
        data: DataPath,
        facts: HostFacts,
    ) -> None:
        self._klippy = klippy
        self._hub = hub
        self._connections = connections
        self._events = events
        self._data = data
        self._facts = facts
        self._announced = AnnouncedEndpoints(klippy, table)
        self._tasks = TaskOwner("printer")
        self._preparations: list[Preparation] = []
        self._prepare_file: PrepareFile | None = None
        self._ends: list[Callable[[], None]] = []
        self._subscribers: set[int] = set()  # connections whose end we wait for

    async def start(self) -> None:
        self._ends = [
            self._events.subscribe(KlippyStateChanged, self._on_state),
            self._events.subscribe(GcodeResponse, lambda event: self._events.notify("gcode_response", event.text)),
            self._hub.watch({"print_stats": ["state"]}, lambda _changed, _eventtime: None),  # see print_state
        ]

    async def stop(self) -> None:
        for end in self._ends:
            end()
        await self._tasks.close()

    # -- for other components --------------------------------------------------------------------------------------

    def before_ready(self, preparation: Preparation) -> None:
        """Run `preparation` whenever the printer has become ready, before clients are told so."""
        self._preparations.append(preparation)

    def before_print(self, prepare_file: PrepareFile) -> None:
        """Ask `prepare_file`, before each print, which file is to be printed in place of the one that was named."""
        self._prepare_file = prepare_file

    @property
    def print_state(self) -> str | None:
        """standby, printing, paused, complete, cancelled or error; None while the printer has not said."""
        state = self._hub.value("print_stats", "state")
        return state if isinstance(state, str) else None

    @property
    def busy(self) -> bool:
        """Whether a print runs or is paused."""
        return self.print_state in ("printing", "paused")

    async def start_print_if_idle(self, filename: str, user: str | None = None) -> None:
        """As `start_print`, but never in place of a paused print, which Klipper would end for it.

        Raises:
            Conflict: something is printing or paused. KlippyError, Unavailable, BadRequest: as `start_print`.
        """
        if self.busy:
            raise Conflict(f"The printer is {self.print_state}")
        await self.start_print(filename, user)

    async def start_print(self, filename: str, user: str | None = None) -> None:
        """Start printing a file (path relative to the gcodes folder) on behalf of `user`.

        Raises:
            KlippyError: the printer refuses: "SD busy", "Unable to open file", or it is shut down.
            Unavailable: there is no printer.
            BadRequest: no file can have this name.
            HostError: the file is a container whose print cannot be unpacked.
        """
        script = print_script(filename)
        if self._klippy.connected and self._prepare_file is not None:
            filename = await self._prepare_file(filename)
            script = print_script(filename)
        if self._klippy.connected:
            self._events.publish(PrintRequested(filename.lstrip("/"), user))
        await self._klippy.gcode(script)

    async def pause(self) -> None:
        """Pause the print; returns when it stands. Raises as `start_print`."""
        await self._klippy.request("pause_resume/pause")

    async def resume(self) -> None:
        """Go on with a paused print. Raises as `start_print`."""
        await self._klippy.request("pause_resume/resume")

    async def cancel(self) -> None:
        """End the print. Raises as `start_print`."""
        await self._klippy.request("pause_resume/cancel")

    async def emergency_stop(self) -> None:
        """Stop everything at once; the printer needs a firmware restart after it. Raises Unavailable."""
        await self._klippy.request("emergency_stop")

    # -- endpoints: state and control ------------------------------------------------------------------------------

    @endpoint("GET", "/printer/info", rpc="printer.info")
    @endpoint("POST", "/printer/info")
    async def info(self, request: Request) -> Any:
        """The state of the printer and what it says of itself."""
        return await self._klippy.request("info")

    @endpoint("POST", "/printer/emergency_stop", rpc="printer.emergency_stop")
    @endpoint("GET", "/printer/emergency_stop")
    async def stop_now(self, request: Request) -> str:
        """Stop everything at once. The printer needs a firmware restart after it."""
        await self.emergency_stop()
        return "ok"

    @endpoint("POST", "/printer/restart", rpc="printer.restart")
    async def restart(self, request: Request) -> str:
        """Restart the printer's software: its configuration is read again."""
        return await self._restart("RESTART")

    @endpoint("POST", "/printer/firmware_restart", rpc="printer.firmware_restart")
    async def firmware_restart(self, request: Request) -> str:
        """Restart the printer's software and its microcontrollers."""
        return await self._restart("FIRMWARE_RESTART")

    async def _restart(self, command: str) -> str:
        try:
            return await self._klippy.gcode(command)
        except Unavailable as error:
            if error.message == LOST:  # it went down before it had answered: that is what was asked for
                return "ok"
            raise

    @endpoint("GET", "/printer/query_endstops/status", rpc="printer.query_endstops.status")
    @endpoint("POST", "/printer/query_endstops/status")
    async def endstops(self, request: Request) -> Any:
        """The state of each endstop: "open" or "TRIGGERED"."""
        return await self._klippy.request("query_endstops/status")

    # -- endpoints: G-code and prints ------------------------------------------------------------------------------

    @endpoint("POST", "/printer/gcode/script", rpc="printer.gcode.script")
    @endpoint("GET", "/printer/gcode/script")
    async def script(self, request: Request, params: dict[str, Any]) -> str:
        """Run G-code: `script`, one command per line. The answer comes when all of it has run."""
        script = {"script": params["script"]} if "script" in params else {}  # Klipper complains of what is wrong
        await self._klippy.request("gcode/script", script)
        return "ok"

    @endpoint("GET", "/printer/gcode/help", rpc="printer.gcode.help")
    @endpoint("POST", "/printer/gcode/help")
    async def help(self, request: Request) -> Any:
        """The extended commands and what each does."""
        return await self._klippy.request("gcode/help")

    @endpoint("POST", "/printer/print/start", rpc="printer.print.start")
    async def print_start(self, request: Request, params: StartParams) -> str:
        """Start printing a file."""
        await self.start_print(params.filename, request.user.name if request.user else None)
        return "ok"

    @endpoint("POST", "/printer/print/pause", rpc="printer.print.pause")
    async def print_pause(self, request: Request) -> str:
        """Pause the print. The answer comes when it stands."""
        await self.pause()
        return "ok"

    @endpoint("POST", "/printer/print/resume", rpc="printer.print.resume")
    async def print_resume(self, request: Request) -> str:
        """Go on with a paused print."""
        await self.resume()
        return "ok"

    @endpoint("POST", "/printer/print/cancel", rpc="printer.print.cancel")
    async def print_cancel(self, request: Request) -> str:
        """End the print."""
        await self.cancel()
        return "ok"

    # -- endpoints: status -----------------------------------------------------------------------------------------

    @endpoint("GET", "/printer/objects/list", rpc="printer.objects.list")
    @endpoint("POST", "/printer/objects/list")
    async def objects_list(self, request: Request) -> Any:
        """The names of the printer's objects."""
        return await self._klippy.request("objects/list")

    @endpoint("GET", "/printer/objects/query", rpc="printer.objects.query")
    @endpoint("POST", "/printer/objects/query")
    async def objects_query(self, request: Request, params: dict[str, Any]) -> Any:
        """The status of `objects`: {name: null for all fields, or a list of fields}.

        Over HTTP also `?toolhead=position,homed_axes&extruder`. An unknown object is {}, an unknown field null.
        """
        return await self._klippy.request("objects/query", wanted_objects(params, request.transport))

    @endpoint("POST", "/printer/objects/subscribe", rpc="printer.objects.subscribe", via=Via.HTTP | Via.CONNECTION)
    @endpoint("GET", "/printer/objects/subscribe", via=Via.HTTP)
    async def objects_subscribe(self, request: Request, params: dict[str, Any]) -> dict[str, Any]:
        """Send notify_status_update when fields of `objects` change; the answer is their full status.

        It replaces the connection's subscription of before; empty `objects` end it. A restart of the printer ends it,
        too. Over HTTP `connection_id` says which websocket is meant.
        """
        connection = self._subscriber(request)
        objects = wanted_objects(params, request.transport).get("objects", {})
        answer = await self._hub.subscribe(connection.id, objects, connection.send)
        if self._connections.get(connection.id) is None:  # it went while an HTTP call for it was waiting
            self._hub.unsubscribe(connection.id)
        elif connection.id not in self._subscribers:
            self._subscribers.add(connection.id)
            connection.on_closed(lambda: self._forget(connection.id))
        return answer

    def _subscriber(self, request: Request) -> ClientConnection:
        connection = request.connection
        if request.transport == "http":
            wanted = connection_id(request)
            connection = self._connections.get(wanted) if wanted is not None else None
        if connection is None:
            raise no_connection()
        return connection

    def _forget(self, conn_id: int) -> None:
        self._subscribers.discard(conn_id)
        self._hub.unsubscribe(conn_id)

    # -- what the printer does -------------------------------------------------------------------------------------

    def _on_state(self, event: KlippyStateChanged) -> None:
        state = event.state
        self._announced.update()
        if state is KlippyState.READY:
            self._tasks.spawn(self._announce_ready(), "ready")
        elif state is KlippyState.SHUTDOWN:
            self._events.notify("klippy_shutdown")
        elif state is KlippyState.DISCONNECTED:
            self._tasks.cancel()
            self._events.notify("klippy_disconnected")

    async def _announce_ready(self) -> None:
        """Clients ask everything anew when they hear of it, so what they ask for is made ready before."""
        try:
            async with asyncio.timeout(PREPARE_SECONDS):
                await asyncio.gather(*(self._prepare(preparation) for preparation in self._preparations))
        except TimeoutError:
            _LOGGER.warning("Not everything was prepared in time for the printer")
        if self._klippy.state is KlippyState.READY:
            self._events.notify("klippy_ready")
            await self._compare_folders()

    async def _compare_folders(self) -> None:
        """Files that are uploaded here can be printed only if the printer looks for them in the same folder."""
        try:
            answer = await self._klippy.request("objects/query", {"objects": {"configfile": ["settings"]}})
            theirs = answer["status"]["configfile"]["settings"]["virtual_sdcard"]["path"]
            same = Path(theirs).expanduser().resolve() == self._data.gcodes.resolve()
        except (HostError, KeyError, TypeError, OSError, RuntimeError):
            return  # a back end that does not say it cannot be checked
        if same:
            self._facts.unwarn(FOLDERS)
        else:
            self._facts.warn(
                f"The printer prints files of {theirs}, but uploads go to {self._data.gcodes}: "
                "set the path of [virtual_sdcard] in printer.cfg to that",
                FOLDERS,
            )

    async def _prepare(self, preparation: Preparation) -> None:
        try:
            await preparation()
        except Exception:  # boundary: one component's fault must not keep the printer from all clients
            _LOGGER.exception("A component cannot prepare itself for the printer")
