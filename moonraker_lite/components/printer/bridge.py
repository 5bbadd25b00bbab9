"""Which program is the printer back end, and keeping our own one running.

Klipper is started by its own service. For `type: marlin` and `type: virtual` this starts `python -m
moonraker_lite.marlin`, which serves Klipper's API socket, goes on printing while the host restarts, and is found again
by the next host.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moonraker_lite.api.facts import HostFacts
from moonraker_lite.component import Component
from moonraker_lite.components.printer.marlin_options import marlin_options
from moonraker_lite.components.printer.process import PrinterProcess, ProcessKeeper, describe_exit
from moonraker_lite.config import Config, PrinterSettings
from moonraker_lite.config.hints import MARLIN_SECTIONS
from moonraker_lite.datapath import DataPath
from moonraker_lite.errors import HostError
from moonraker_lite.events import Events
from moonraker_lite.klippy import KlippyClient, KlippyState, StatusHub
from moonraker_lite.klippy.relay import KlippyStateChanged
from moonraker_lite.tasks import TaskOwner

MODULE = "moonraker_lite.marlin"
SHORT_LIFE = 20.0  # s; a process that lives shorter has failed, and the next one waits
MAX_DELAY = 30.0  # s until the next attempt at most
RETIRE_SECONDS = 5.0  # s for a process with outdated settings to say whether it prints
RECHECK = 2.0  # s between two looks at a socket that somebody else serves and we are not connected to
WARNING = "printer_bridge"

_LOGGER = logging.getLogger(__name__)


class PrinterBridge(Component, section="printer", name="printer_bridge"):
    """Chooses the back end and keeps the Marlin process running where it is the one."""

    marker = MODULE  # in the command line of our process, so that another one with its number is not taken for it

    def __init__(
        self,
        settings: PrinterSettings,
        config: Config,
        data: DataPath,
        klippy: KlippyClient,
        hub: StatusHub,
        events: Events,
        facts: HostFacts,
    ) -> None:
        self._settings = settings
        self._config = config
        self._hub = hub
        self._data = data
        self._klippy = klippy
        self._events = events
        self._facts = facts
        self._keeper = ProcessKeeper(data.comms / "printer.pid", data.logs / "printer_process.log")
        self._tasks = TaskOwner("printer_bridge")
        self._lost = asyncio.Event()
        self._ready = asyncio.Event()
        self._ends: list[Callable[[], None]] = []
        self._told: set[str] = set()

    async def start(self) -> None:
        self._ends.append(self._events.subscribe(KlippyStateChanged, self._on_state))
        self._tasks.spawn(self._supervise(), "supervise")

    async def stop(self) -> None:
        """The process goes on: a print must not end with the host."""
        for end in self._ends:
            end()
        await self._tasks.close()

    def _on_state(self, event: KlippyStateChanged) -> None:
        if event.state is KlippyState.DISCONNECTED:
            self._ready.clear()
            self._lost.set()
        else:
            self._lost.clear()
        if event.state is KlippyState.READY:
            self._ready.set()
            self._facts.unwarn(WARNING)

    def _on_warnings(self, changed: dict[str, Any], _eventtime: float) -> None:
        """What the Marlin process finds wrong with marlin.cfg and the macros is for server.info as well."""
        warnings = changed.get("configfile", {}).get("warnings")
        if warnings is None:
            return
        for key in self._told:
            self._facts.unwarn(key)
        messages = [str(warning.get("message", "")) for warning in warnings if isinstance(warning, dict)]
        self._told = {f"{WARNING} {message}" for message in messages}
        for message in messages:
            self._facts.warn(message, f"{WARNING} {message}")

    async def choose(self) -> str:
        """ "klipper", "marlin" or "virtual": as configured, else Klipper if there is any sign of it."""
        if self._settings.type is not None:
            return self._settings.type
        if (self._data.config / "printer.cfg").exists():
            return "klipper"
        if self._keeper.running(self.marker) is not None:
            return "virtual"
        return "klipper" if await answers(self._klippy.socket_path) else "virtual"

    def command(self, kind: str) -> list[str]:
        """The command line of the Marlin process."""
        settings, data = self._settings, self._data
        command = [sys.executable, "-m", MODULE, "--socket", str(self._klippy.socket_path)]
        command += ["--gcodes", str(data.gcodes), "--state-dir", str(data.database), "--name", data.alias]
        command += ["--log", str(data.logs / "marlin.log")]
        if kind == "virtual":
            command += ["--virtual", "--speed", f"{settings.virtual_speed:g}"]
            if settings.virtual_faults:
                command.append(f"--faults={settings.virtual_faults}")
            if settings.virtual_firmware:
                command.append(f"--firmware={settings.virtual_firmware}")
            if settings.virtual_sd_card:
                command.append("--sd-card")
        else:
            command.append(f"--serial={settings.serial}")
            if settings.baud is not None:
                command += ["--baud", str(settings.baud)]
        if any(self._config.sections(kind) for kind in MARLIN_SECTIONS):
            command += ["--host-config", str(self._config.path)]
        return [*command, *marlin_options(settings, data.config)]

    # -- the process -----------------------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        kind = await self.choose()
        _LOGGER.info("Printer back end: %s", kind)
        command = [] if kind == "klipper" else self.command(kind)
        if command:
            self._ends.append(self._hub.watch({"configfile": ["warnings"]}, self._on_warnings))
        running = self._keeper.running(self.marker)
        if running is not None and running.record.command != command:
            await self._retire(running)
        if kind == "marlin" and not self._settings.serial:
            self._facts.warn(
                "[printer] type: marlin needs the option serial, such as /dev/serial/by-id/usb-..., or auto",
                WARNING,
            )
            return
        if not command:
            return
        failures = 0
        while True:
            process = self._keeper.running(self.marker)
            if process is None and await answers(self._klippy.socket_path):
                await self._until_free()
                continue
            began = asyncio.get_running_loop().time()
            try:
                process = process or self._keeper.start(command, self.marker)
            except OSError as error:
                problem = f"cannot be started: {error.strerror}"
            else:
                problem = f"ended ({describe_exit(await process.ended())})"
            failures = 0 if asyncio.get_running_loop().time() - began > SHORT_LIFE else failures + 1
            self._complain(problem, failures)
            await asyncio.sleep(min(MAX_DELAY, 0.25 * 2**failures))

    def _complain(self, problem: str, failures: int) -> None:
        _LOGGER.warning("The printer process %s; it is started again", problem)
        if failures > 1:
            self._facts.warn(f"The printer process {problem}. The logs say why: printer_process.log", WARNING)

    async def _until_free(self) -> None:
        """Somebody else serves the socket: Klipper, or a process that was started by hand."""
        if self._klippy.connected:
            await self._lost.wait()
        else:
            await asyncio.sleep(RECHECK)

    async def _retire(self, process: PrinterProcess) -> None:
        """The settings have changed: end the old process, but never in the middle of a print."""
        try:
            async with asyncio.timeout(RETIRE_SECONDS):
                await self._ready.wait()
                answer = await self._klippy.request("objects/query", {"objects": {"print_stats": ["state"]}})
            state = answer["status"].get("print_stats", {}).get("state")
        except (TimeoutError, HostError):
            state = None
        if state in ("printing", "paused"):
            self._facts.warn("[printer] has changed; that takes effect when the print is over and the host restarts")
            await process.ended()
        else:
            _LOGGER.info("[printer] has changed: the printer process is started anew")
            await process.terminate()


async def answers(socket: Path) -> bool:
    """Whether somebody serves the socket."""
    try:
        async with asyncio.timeout(1.0):
            _reader, writer = await asyncio.open_unix_connection(str(socket))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
