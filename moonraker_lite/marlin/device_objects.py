"""The objects of what not every printer has: heaters, sensors, fans, mesh, probe, runout, retraction, drivers.

They appear as the firmware tells of them. Each is a function of what is known of the machine; None is for what is not
there (any more).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moonraker_lite.marlin.heaters import Heater
from moonraker_lite.marlin.state import Machine, extruder_index

Status = dict[str, Any]

# The firmware does not name its drivers; frontends look for the names of known ones.
DRIVER = "tmc2209"
_MOTORS = (("X", "stepper_x"), ("Y", "stepper_y"), ("Z", "stepper_z"), ("E", "extruder"))


class DeviceObjects:
    """Asked by name; `names` lists what is there now."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._single: dict[str, tuple[Callable[[], bool], Callable[[], Status]]] = {
            "bed_mesh": (lambda: machine.firmware.has_levelling, machine.mesh.status),
            "probe": (lambda: machine.firmware.has_probe, self._probe),
            "firmware_retraction": (lambda: "M207" in machine.firmware.reports, self._retraction),
            "input_shaper": (lambda: bool(shaper(machine)), lambda: shaper(machine)),
        }
        # Prefix of the name -> what is there of it: rest of the name -> status.
        self._families: dict[str, Callable[[], dict[str, Status]]] = {
            "fan_generic ": self._fans,
            "heater_fan ": self._hotend_fans,
            "filament_switch_sensor ": self._filament_sensors,
            f"{DRIVER} ": self._drivers,
        }

    def names(self) -> list[str]:
        names = list(self._machine.heaters)
        names += [name for name, (present, _) in self._single.items() if present()]
        for prefix, family in self._families.items():
            names += [prefix + rest for rest in family()]
        return names

    def snapshot(self, name: str) -> Status | None:
        if heater := self._machine.heaters.get(name):
            return self._heater(name, heater)
        if single := self._single.get(name):
            return single[1]() if single[0]() else None
        prefix, blank, rest = name.partition(" ")
        family = self._families.get(prefix + blank)
        return family().get(rest) if family else None

    def _heater(self, name: str, heater: Heater) -> Status:
        if heater.target is None:
            return {
                "temperature": heater.temperature,
                "measured_min_temp": heater.measured_min,
                "measured_max_temp": heater.measured_max,
            }
        status = {"temperature": heater.temperature, "target": heater.target, "power": round(heater.power, 4)}
        tool = extruder_index(name)
        if tool < 0:
            return status
        return {
            **status,
            "can_extrude": heater.temperature >= self._machine.min_extrude_temp,
            "pressure_advance": self._machine.pressure_advance(tool),
            "smooth_time": 0.04,
            "motion_queue": None,
        }

    def _probe(self) -> Status:
        probe = self._machine.probe
        return {"name": "probe", "last_query": probe.triggered, "last_z_result": probe.last_z}

    def _retraction(self) -> Status:
        report = self._machine.firmware.report
        return {
            "retract_length": report("M207", "S") or 0.0,
            "retract_speed": round((report("M207", "F") or 0.0) / 60.0, 3),
            "unretract_extra_length": report("M208", "S") or 0.0,
            "unretract_speed": round((report("M208", "F") or 0.0) / 60.0, 3),
        }

    def _fans(self) -> dict[str, Status]:
        """Fans besides the first: those that commands or reports (M106 P) have named."""
        fans = self._machine.motion.fans
        return {f"fan{index}": {"speed": speed, "rpm": None} for index, speed in fans.items() if index}

    def _hotend_fans(self) -> dict[str, Status]:
        """Fans whose turns the firmware measures."""
        hotends = self._machine.fan_speeds.hotends
        return {f"hotend{index or ''}": {"speed": speed, "rpm": rpm} for index, (speed, rpm) in hotends.items()}

    def _filament_sensors(self) -> dict[str, Status]:
        sensors = self._machine.filament
        enabled = sensors.enabled is not False
        return {
            name: {"filament_detected": detected, "enabled": enabled} for name, detected in sensors.detected.items()
        }

    def _drivers(self) -> dict[str, Status]:
        """Currents of M906, in A."""
        found = {}
        for axis, motor in _MOTORS:
            if (current := self._machine.firmware.report("M906", axis)) is not None:
                found[motor] = {
                    "run_current": round(current / 1000.0, 3),
                    "hold_current": None,
                    "drv_status": None,
                    "temperature": None,
                    "mcu_phase_offset": None,
                    "phase_offset_position": None,
                }
        return found


def shaper(machine: Machine) -> Status:
    """Return Klipper's options of M593, empty where the firmware has none."""
    found: Status = {}
    for axis in "xy":
        frequency = machine.firmware.report(f"M593 {axis.upper()}", "F")
        if frequency is not None:
            found[f"shaper_freq_{axis}"] = frequency
            found[f"shaper_type_{axis}"] = "zv"
            found[f"damping_ratio_{axis}"] = machine.firmware.report(f"M593 {axis.upper()}", "D") or 0.1
    return found
