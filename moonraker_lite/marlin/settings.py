"""What the owner may say about the printer, and what the firmware says about itself.

Everything has a default: a stock board needs no settings at all. What the firmware reports (M115, M503, M211) wins
over a default and loses against a setting that was given. `printer_config` makes settings of marlin.cfg.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from moonraker_lite.errors import BadRequest
from moonraker_lite.marlin.firmware import UNKNOWN, profile_of
from moonraker_lite.marlin.identity import parse_area, parse_capability, parse_m115
from moonraker_lite.marlin.settings_report import parse_endstop_limits, parse_setting

AXES = "xyz"


Ends = tuple[float | None, float | None, float | None]


class SettingsError(BadRequest):
    """The settings file cannot be used; the message says why."""


class PrinterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings file: JSON with any of these keys. Lengths in mm, speeds in mm/s, temperatures in Celsius."""

    kinematics: str = "cartesian"
    # By axis; None where only the firmware knows.
    position_min: Ends | None = None
    position_max: Ends | None = None
    max_velocity: float | None = None
    max_accel: float | None = None
    max_z_velocity: float | None = None
    max_z_accel: float | None = None
    square_corner_velocity: float | None = None
    minimum_cruise_ratio: float = 0.5
    # How many extruders there are, where the firmware does not say it or counts otherwise.
    extruders: int | None = None
    nozzle_diameter: float = 0.4
    filament_diameter: float = 1.75
    extruder_max_temp: float = 275.0
    bed_max_temp: float = 120.0
    chamber_max_temp: float = 70.0
    min_extrude_temp: float = 170.0
    max_extrude_only_distance: float = 200.0
    # Where the mesh lies on the bed; without these it keeps `probing_margin` from the bed's edges.
    mesh_min: tuple[float, float] | None = None
    mesh_max: tuple[float, float] | None = None
    probing_margin: float = 10.0
    # Scripts that replace nothing and run in addition, for parking and the like.
    pause_gcode: str = ""
    resume_gcode: str = ""
    cancel_gcode: str = ""
    # Seconds without any activity until heaters (and, unless a print is paused, motors) go off; 0 for never.
    idle_timeout: float = 1800.0
    # Refuse typed moves of axes that are not homed or beyond the limits, as Klipper does. Files are not checked:
    # their start sequences often use what a firmware clips.
    check_moves: bool = True
    # Marlin 2: G90 and G91 set the mode of E, too. Marlin 1: they do not.
    g90_sets_extruder: bool | None = None


def load_settings(path: Path | None) -> PrinterSettings:
    """Raise SettingsError naming the file and what is wrong with it."""
    if path is None:
        return PrinterSettings()
    try:
        return msgspec.json.decode(path.read_bytes(), type=PrinterSettings)
    except OSError as error:
        raise SettingsError(f"Cannot read settings {path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise SettingsError(f"Settings {path} are not valid: {error}") from None


class Firmware:
    """What M115, M503 and M211 told. `reports` holds the last words of each setting, such as M92 -> {X: 80}."""

    def __init__(self) -> None:
        self.name = ""
        self.machine = ""
        self.profile = UNKNOWN
        self.extruders = 1
        self.capabilities: dict[str, bool] = {}
        self.reports: dict[str, dict[str, float]] = {}
        self.area_min: tuple[float, float, float] | None = None
        self.area_max: tuple[float, float, float] | None = None

    def can(self, capability: str, *, unknown: bool = False) -> bool:
        """Return what `Cap:NAME` said; builds without the list leave everything unknown."""
        return self.capabilities.get(capability, self.profile.capabilities.get(capability, unknown))

    def report(self, command: str, word: str) -> float | None:
        return self.reports.get(command, {}).get(word)

    def read_line(self, line: str) -> None:
        """Take any line of the answers to M115, M503 and M211."""
        if info := parse_m115(line):
            self.name, self.machine, self.extruders = info.name, info.machine, max(1, info.extruders)
            self.profile = profile_of(line)
        elif capability := parse_capability(line):
            self.capabilities[capability[0]] = capability[1]
        elif area := parse_area(line):
            self._set_area(area.full_min, area.full_max)
        elif limits := parse_endstop_limits(line):
            self._set_area(*limits)
        elif (setting := parse_setting(line)) and not (setting.command == "M301" and setting.values.get("E")):
            # M301 with E is the PID of a further hotend.
            self.reports.setdefault(setting.command, {}).update(setting.values)

    def _set_area(self, minimum: dict[str, float], maximum: dict[str, float]) -> None:
        self.area_min = _point(minimum) or self.area_min
        self.area_max = _point(maximum) or self.area_max


def _point(values: dict[str, float]) -> tuple[float, float, float] | None:
    """Return x, y, z of a report that names its axes in either case."""
    by_axis = {axis.lower(): value for axis, value in values.items()}
    if not all(axis in by_axis for axis in AXES):
        return None
    return by_axis["x"], by_axis["y"], by_axis["z"]


class Limits(msgspec.Struct, frozen=True):
    """The limits that hold after settings, firmware reports and defaults have been laid over each other."""

    position_min: tuple[float, float, float]
    position_max: tuple[float, float, float]
    max_velocity: float
    max_accel: float
    max_z_velocity: float
    max_z_accel: float
    square_corner_velocity: float
    # The position limits were told by somebody, they are not mere defaults.
    known: bool


def limits_of(settings: PrinterSettings, firmware: Firmware) -> Limits:
    accel = settings.max_accel or firmware.report("M204", "P") or firmware.report("M201", "X") or 3000.0
    return Limits(
        position_min=_laid_over(settings.position_min, firmware.area_min or (0.0, 0.0, 0.0)),
        position_max=_laid_over(settings.position_max, firmware.area_max or (235.0, 235.0, 250.0)),
        max_velocity=settings.max_velocity or firmware.report("M203", "X") or 300.0,
        max_accel=accel,
        max_z_velocity=settings.max_z_velocity or firmware.report("M203", "Z") or 15.0,
        max_z_accel=settings.max_z_accel or firmware.report("M201", "Z") or 100.0,
        square_corner_velocity=settings.square_corner_velocity or _corner_velocity(firmware, accel),
        known=None not in (settings.position_max or (None,)) or firmware.area_max is not None,
    )


def _laid_over(own: Ends | None, told: tuple[float, float, float]) -> tuple[float, float, float]:
    x, y, z = (below if above is None else above for above, below in zip(own or (None,) * 3, told, strict=True))
    return x, y, z


def _corner_velocity(firmware: Firmware, accel: float) -> float:
    """Return the speed of a 90° corner: the jerk, or what the junction deviation allows (d = v² (√2 - 1) / a)."""
    if jerk := firmware.report("M205", "X"):
        return jerk
    if deviation := firmware.report("M205", "J"):
        return corner_velocity(deviation, accel)
    return 5.0


def corner_velocity(deviation: float, accel: float) -> float:
    """Return the speed of a 90° corner in mm/s that a junction deviation in mm allows."""
    return round(math.sqrt(max(deviation, 0.0) * accel / (math.sqrt(2.0) - 1.0)), 3)
