"""The printer's state in OctoPrint's words, followed through Klipper's status objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from moonraker_lite.components.octoprint_compat.bodies import PrinterStatus, Temperature, state_info
from moonraker_lite.klippy import KlippyClient, KlippyState, StatusHub

# A print that was cancelled or failed leaves "Error" until the next one, as Moonraker has it.
_STATES = {"standby": "Operational", "printing": "Printing", "paused": "Paused", "complete": "Operational"}
_NOT_READY = {
    KlippyState.DISCONNECTED: "Offline",
    KlippyState.STARTUP: "Offline",
    KlippyState.ERROR: "Error",
    KlippyState.SHUTDOWN: "Error",
}


class PrinterWatch:
    """Watches the print's state and every heater that the printer has."""

    def __init__(self, klippy: KlippyClient, hub: StatusHub) -> None:
        self._klippy = klippy
        self._hub = hub
        self._heaters: tuple[str, ...] = ()
        self._known: dict[str, dict[str, Any]] = {}
        self._end_state: Callable[[], None] | None = None
        self._end_heaters: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin to watch."""
        objects: dict[str, Sequence[str]] = {"print_stats": ["state"], "heaters": ["available_heaters"]}
        self._end_state = self._hub.watch(objects, self._changed)

    def stop(self) -> None:
        """End it."""
        for end in (self._end_state, self._end_heaters):
            if end is not None:
                end()
        self._end_state = self._end_heaters = None

    @property
    def ready(self) -> bool:
        """Whether commands can be sent."""
        return self._klippy.state is KlippyState.READY

    @property
    def state(self) -> str:
        """Operational, Printing, Paused, Error or Offline."""
        if not self.ready:
            return _NOT_READY[self._klippy.state]
        return _STATES.get(self._hub.value("print_stats", "state", "standby"), "Error")

    @property
    def status(self) -> PrinterStatus:
        """State and temperatures; the last known ones while the printer is not connected."""
        temperatures = {}
        for heater in self._heaters:
            known = self._known.get(heater, {})
            actual, target = known.get("temperature"), known.get("target")
            if isinstance(actual, int | float) and isinstance(target, int | float):
                temperatures[octoprint_name(heater)] = Temperature(round(actual, 2), 0, target)
        return PrinterStatus(temperatures, state_info(self.state))

    def _heated(self, status: dict[str, dict[str, Any]], eventtime: float) -> None:
        for heater, fields in status.items():
            self._known.setdefault(heater, {}).update(fields)

    def _changed(self, status: dict[str, dict[str, Any]], eventtime: float) -> None:
        found = status.get("heaters", {}).get("available_heaters")
        if not isinstance(found, list):
            return
        heaters = tuple(name for name in found if isinstance(name, str))
        if heaters == self._heaters:
            return
        if self._end_heaters is not None:
            self._end_heaters()
        self._heaters = heaters
        self._known.clear()
        objects = {name: ["temperature", "target"] for name in heaters}
        self._end_heaters = self._hub.watch(objects, self._heated) if objects else None


def octoprint_name(heater: str) -> str:
    """OctoPrint's name of a heater: extruder2 is tool2, heater_bed is bed, another keeps its own name."""
    if heater == "heater_bed":
        return "bed"
    number = heater.removeprefix("extruder")
    if number != heater and (not number or number.isdigit()):
        return f"tool{number or 0}"
    return heater.rpartition(" ")[2]
