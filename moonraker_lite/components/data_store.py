"""What happened lately: the console's lines (server.gcode_store) and temperatures (server.temperature_store)."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from moonraker_lite.api.endpoint import endpoint
from moonraker_lite.api.request import Request
from moonraker_lite.component import Component
from moonraker_lite.components.printer import Printer
from moonraker_lite.events import Events
from moonraker_lite.klippy import KlippyClient, StatusHub
from moonraker_lite.klippy.relay import GcodeCommand, GcodeResponse
from moonraker_lite.tasks import TaskOwner

INTERVAL = 1.0  # s between two temperatures; clients count on it, as the store holds no times
MAX_MESSAGE = 16 * 1024  # characters of one line or script that are kept

# The field of a status object, and the name of its list in the answer. A sensor has those that its status has.
_KEPT = {"temperature": "temperatures", "target": "targets", "speed": "speeds", "power": "powers"}


class DataStoreSettings(msgspec.Struct, frozen=True):
    """`[data_store]`: how many temperatures (one a second) and how many lines are kept."""

    temperature_store_size: Annotated[int, Meta(ge=1, le=100_000)] = 1200
    gcode_store_size: Annotated[int, Meta(ge=1, le=100_000)] = 1000


class GcodeEntry(msgspec.Struct, frozen=True):
    """`type` is "command" (what was sent, perhaps several lines) or "response"; `time` is the Unix time."""

    message: str
    time: float
    type: str


class GcodeStore(msgspec.Struct, frozen=True):
    """Oldest first."""

    gcode_store: list[GcodeEntry]


class GcodeStoreParams(msgspec.Struct, frozen=True):
    """`count` newest entries; all of them if it is left out or 0."""

    count: float | None = None


class TemperatureStoreParams(msgspec.Struct, frozen=True):
    """`include_monitors`: also sensors that may have no value, such as those of stepper drivers."""

    include_monitors: bool = False


class Series:
    """The history of one sensor, or monitor: its last known values, appended every second."""

    def __init__(self, status: dict[str, Any], size: int, *, monitor: bool) -> None:
        self.monitor = monitor
        self._values: dict[str, float | None] = {}
        self._lists: dict[str, deque[float | None]] = {}
        for field in _KEPT:
            if field in status:
                self._values[field] = None if monitor else 0.0
                self._lists[field] = deque(maxlen=size)
        self.update(status)

    def update(self, status: dict[str, Any]) -> None:
        """Take new values; a sensor without one keeps its last, a monitor has none then."""
        for field in self._values:
            value = status.get(field, self._values[field])
            if isinstance(value, int | float) and math.isfinite(value):
                self._values[field] = round(value, 2)
            elif self.monitor:
                self._values[field] = None

    def sample(self) -> None:
        for field, values in self._lists.items():
            values.append(self._values[field])

    def answer(self) -> dict[str, list[float | None]]:
        return {_KEPT[field]: list(values) for field, values in self._lists.items()}


class DataStore(Component, section="data_store"):
    """Keeps both stores in memory, bounded by the settings."""

    def __init__(
        self, settings: DataStoreSettings, klippy: KlippyClient, hub: StatusHub, printer: Printer, events: Events
    ) -> None:
        self._settings = settings
        self._klippy = klippy
        self._hub = hub
        self._events = events
        self._lines: deque[GcodeEntry] = deque(maxlen=settings.gcode_store_size)
        self._series: dict[str, Series] = {}
        self._tasks = TaskOwner("data_store")
        self._sampling = False
        self._end_watch: Callable[[], None] | None = None
        self._ends: list[Callable[[], None]] = []
        printer.before_ready(self._prepare)

    async def start(self) -> None:
        self._ends = [
            self._events.subscribe(GcodeCommand, lambda event: self._keep(event.script, "command")),
            self._events.subscribe(GcodeResponse, lambda event: self._keep(event.text, "response")),
        ]

    async def stop(self) -> None:
        for end in self._ends:
            end()
        if self._end_watch is not None:
            self._end_watch()
        await self._tasks.close()

    @endpoint("GET", "/server/gcode_store", rpc="server.gcode_store")
    def gcode_store(self, request: Request, params: GcodeStoreParams) -> GcodeStore:
        """The last lines of the console."""
        count = int(params.count) if params.count is not None and math.isfinite(params.count) else 0
        return GcodeStore(list(self._lines)[-count:])

    @endpoint("GET", "/server/temperature_store", rpc="server.temperature_store")
    def temperature_store(self, request: Request, params: TemperatureStoreParams) -> dict[str, Any]:
        """Temperatures, targets, powers and fan speeds of all sensors, one value a second, oldest first."""
        shown = {name: s for name, s in self._series.items() if params.include_monitors or not s.monitor}
        return {name: series.answer() for name, series in shown.items()}

    def _keep(self, message: str, kind: str) -> None:
        if message.strip():
            self._lines.append(GcodeEntry(message[:MAX_MESSAGE], time.time(), kind))

    # -- temperatures ----------------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        """The printer is ready: which sensors has it, and what do they say?"""
        answer = await self._klippy.request("objects/query", {"objects": {"heaters": None}})
        heaters = answer["status"].get("heaters", {})
        sensors = [name for name in heaters.get("available_sensors", []) if isinstance(name, str)]
        monitors = [name for name in heaters.get("available_monitors", []) if isinstance(name, str)]
        names = dict.fromkeys([*sensors, *monitors])
        for gone in self._series.keys() - names.keys():
            del self._series[gone]
        if self._end_watch is not None:
            self._end_watch()
        arrived = asyncio.Event()

        def take(status: dict[str, dict[str, Any]], _eventtime: float) -> None:
            for name, values in status.items():
                self._update(name, values, monitor=name not in sensors)
            arrived.set()

        self._end_watch = self._hub.watch(dict.fromkeys(names), take)
        if names:
            await arrived.wait()
        if not self._sampling:
            self._sampling = True
            self._tasks.spawn(self._sample(), "sampling")

    def _update(self, name: str, values: dict[str, Any], *, monitor: bool) -> None:
        series = self._series.get(name)
        if series is not None and series.monitor == monitor:
            series.update(values)
        elif values:
            self._series[name] = Series(values, self._settings.temperature_store_size, monitor=monitor)

    async def _sample(self) -> None:
        """Once a second for ever, also while the printer is away: the place in the list is the time."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + INTERVAL, loop.time())
            await asyncio.sleep(due - loop.time())
            for series in self._series.values():
                series.sample()
