"""Heaters and temperature sensors by the names that Klipper gives them, as the reports tell of them."""

from __future__ import annotations

from moonraker_lite.marlin.temperature_report import SENSORS, Temperatures
from moonraker_lite.marlin.temperature_report import Heater as Reading

FULL_POWER = 127.0


class Heater:
    """A heater, or a mere sensor when `target` is None."""

    __slots__ = ("measured_max", "measured_min", "power", "target", "temperature")

    def __init__(self, target: float | None = None) -> None:
        self.temperature = 0.0
        self.target = target
        self.power = 0.0
        self.measured_min = 99999999.0
        self.measured_max = 0.0

    def read(self, reading: Reading, *, heats: bool) -> None:
        self.temperature = reading.actual
        self.measured_min = min(self.measured_min, reading.actual)
        self.measured_max = max(self.measured_max, reading.actual)
        if heats and reading.target is not None:
            self.target = max(0.0, reading.target)
        if reading.power is not None:
            self.power = min(max(reading.power / FULL_POWER, 0.0), 1.0)


class Heaters:
    """All of them. `by_name` grows as the firmware reports more; what a session does not report again goes."""

    def __init__(self) -> None:
        self.by_name: dict[str, Heater] = {"extruder": Heater(0.0)}
        self._reported: set[str] = set()

    def begin_session(self) -> None:
        self._reported = set()

    def end_identification(self) -> None:
        """The first report of the session is here: what it does not name belongs to another printer."""
        if self._reported:
            for name in [name for name in self.by_name if name not in self._reported and name != "extruder"]:
                del self.by_name[name]

    def read(self, report: Temperatures, tool: int) -> None:
        """Take in a report. `tool` is the active one, whose power some firmwares tell without its number."""
        readings = report.heaters
        several = "T0" in readings
        for key, reading in readings.items():
            name = _name(key, reading, active=None if several else 0)
            if name is None:
                continue
            heater = self.by_name.get(name)
            if heater is None:
                heater = self.by_name[name] = Heater()
            self._reported.add(name)
            heater.read(reading, heats=not name.startswith("temperature_sensor "))
            if heater.target is None and name.startswith("extruder"):
                heater.target = 0.0  # Marlin 1, while it waits, tells no target
        if several and "T" in readings and (power := readings["T"].power) is not None:
            active = readings.get(f"T{tool}")
            if active is not None and active.power is None:
                self.by_name[extruder_name(tool)].power = min(max(power / FULL_POWER, 0.0), 1.0)

    @property
    def hotends(self) -> int:
        """How many hotends the firmware reports, at least one."""
        return 1 + max(0, *(extruder_index(name) for name in self.by_name))


def _name(key: str, reading: Reading, *, active: int | None) -> str | None:
    """Return the object of a key. `T` repeats the active hotend where `T0` is told as well: then `active` is None."""
    if key[0] == "T":
        index = int(key[1:]) if len(key) > 1 else active
        return None if index is None or index > 15 else extruder_name(index)
    if key == "B":
        return "heater_bed"
    if key == "C" and reading.target is not None:
        return "heater_generic chamber"
    return f"temperature_sensor {SENSORS[key]}"


def extruder_name(index: int) -> str:
    return f"extruder{index}" if index else "extruder"


def extruder_index(name: str) -> int:
    """Return the tool number of `extruder`, `extruder1`, ...; -1 for anything else."""
    if not name.startswith("extruder"):
        return -1
    digits = name[len("extruder") :]
    if not digits:
        return 0
    return int(digits) if digits.isdigit() else -1
