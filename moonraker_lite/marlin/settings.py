"""What the owner may say about the printer, and the limits that follow from that and from the firmware.

Everything has a default: a stock board needs no settings at all. What the firmware reports (M115, M503, M211) wins
over a default and loses against a setting that was given. `printer_config` makes settings of marlin.cfg.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import msgspec

from moonraker_lite.errors import BadRequest
from moonraker_lite.marlin.firmware_facts import Firmware, Place

Ends = tuple[float | None, float | None, float | None]


class SettingsError(BadRequest):
    """The settings file cannot be used; the message says why."""


class PrinterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings file: JSON with any of these keys. Lengths in mm, speeds in mm/s, temperatures in Celsius."""

    # Without it what the firmware tells, else cartesian.
    kinematics: str | None = None
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
    # Numbers of the fans besides the first, where they are to be shown before a command or report has named them.
    fans: tuple[int, ...] = ()
    nozzle_diameter: float = 0.4
    # Without it that of M200, else 1.75.
    filament_diameter: float | None = None
    extruder_max_temp: float = 275.0
    bed_max_temp: float = 120.0
    chamber_max_temp: float = 70.0
    # Without it what M302 tells, else 170.
    min_extrude_temp: float | None = None
    max_extrude_only_distance: float = 200.0
    # Where the mesh lies on the bed; without these it keeps `probing_margin` from the bed's edges.
    mesh_min: tuple[float, float] | None = None
    mesh_max: tuple[float, float] | None = None
    probing_margin: float = 10.0
    # Run before the first line of a file that is printed.
    start_gcode: str = ""
    # Run when a print has come to a stand; None parks the head up and aside, an empty script leaves it where it is.
    pause_gcode: str | None = None
    # Run before a print goes on, and behind a cancelled one whose heaters are off.
    resume_gcode: str = ""
    cancel_gcode: str = ""
    # What the hotends keep while a print is paused, 0 for off, None for all that they have.
    pause_hotend_temp: float | None = None
    # Seconds without any activity until heaters (and, unless a print is paused, motors) go off; 0 for never.
    idle_timeout: float = 1800.0
    # Tell the firmware's own print timer (M75, M76, M77) when a print begins, pauses and ends.
    job_timer: bool = False
    # Refuse typed moves of axes that are not homed or beyond the limits, as Klipper does. Files are not checked:
    # their start sequences often use what a firmware clips.
    check_moves: bool = True
    # Marlin 2: G90 and G91 set the mode of E, too. Marlin 1: they do not.
    g90_sets_extruder: bool | None = None
    # True: press the board's reset button when connecting. False: leave DTR alone, so that only the first opening
    # after plugging in may reset the board. None: as the system and the board will have it.
    reset_on_connect: bool | None = None


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


class Limits(msgspec.Struct, frozen=True):
    """The limits that hold after settings, firmware reports and defaults have been laid over each other."""

    position_min: Place
    position_max: Place
    max_velocity: float
    max_accel: float
    max_z_velocity: float
    max_z_accel: float
    square_corner_velocity: float
    # The position limits were told by somebody, they are not mere defaults.
    known: bool


def limits_of(settings: PrinterSettings, firmware: Firmware, *, stored: bool = False) -> Limits:
    """Return the limits in use, or those that the firmware begins with (`stored`)."""
    report = firmware.stored if stored else firmware.report
    accel = settings.max_accel or report("M204", "P") or report("M201", "X") or 3000.0
    return Limits(
        position_min=_laid_over(settings.position_min, firmware.area_min or (0.0, 0.0, 0.0)),
        position_max=_laid_over(settings.position_max, firmware.area_max or (235.0, 235.0, 250.0)),
        max_velocity=settings.max_velocity or report("M203", "X") or 300.0,
        max_accel=accel,
        max_z_velocity=settings.max_z_velocity or report("M203", "Z") or 15.0,
        max_z_accel=settings.max_z_accel or report("M201", "Z") or 100.0,
        square_corner_velocity=settings.square_corner_velocity or _corner_velocity(report, accel),
        known=None not in (settings.position_max or (None,)) or firmware.area_max is not None,
    )


def _laid_over(own: Ends | None, told: Place) -> Place:
    x, y, z = (below if above is None else above for above, below in zip(own or (None,) * 3, told, strict=True))
    return x, y, z


def _corner_velocity(report: Callable[[str, str], float | None], accel: float) -> float:
    """Return the speed of a 90° corner: the jerk, or what the junction deviation allows (d = v² (√2 - 1) / a)."""
    if jerk := report("M205", "X"):
        return jerk
    if deviation := report("M205", "J"):
        return corner_velocity(deviation, accel)
    return 5.0


def corner_velocity(deviation: float, accel: float) -> float:
    """Return the speed of a 90° corner in mm/s that a junction deviation in mm allows."""
    return round(math.sqrt(max(deviation, 0.0) * accel / (math.sqrt(2.0) - 1.0)), 3)
