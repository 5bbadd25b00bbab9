"""Where the head waits while a print is paused, if the owner has not said otherwise: up and aside, out of the heat."""

from __future__ import annotations

from moonraker_lite.marlin.gcode.motion import Z
from moonraker_lite.marlin.gcode.translate import heater_command
from moonraker_lite.marlin.gcode.words import fixed
from moonraker_lite.marlin.state import Machine

# Lengths in mm, speeds in mm/min.
RETRACT = 1.0
RETRACT_SPEED = 2100.0
LIFT = 10.0
LIFT_SPEED = 600.0
MARGIN = 10.0
TRAVEL_SPEED = 6000.0


def waiting_lines(machine: Machine, *, own_macro: bool) -> list[str]:
    """Return what brings the head where it may wait, and lets it cool as far as is wanted.

    `own_macro`: the owner's PAUSE does the moving.
    """
    settings = machine.settings
    script = settings.pause_gcode
    own_way = script is not None or own_macro
    lines = [script or ""] if own_way else parking_lines(machine)
    if machine.motion.inches:
        lines.insert(0, "G21")
    if settings.pause_hotend_temp is not None:
        for name, heater in machine.heaters.items():
            if name.startswith("extruder") and (heater.target or 0.0) > settings.pause_hotend_temp:
                lines.append(heater_command(name, settings.pause_hotend_temp))
    return lines


def parking_lines(machine: Machine) -> list[str]:
    """Return the moves from wherever the head is, in millimetres. Nothing where it is not known where that is."""
    motion, limits = machine.motion, machine.limits
    if set(motion.homed) != set("xyz"):
        return []
    lines = []
    if _can_extrude(machine) and not motion.retracted and not motion.firmware_retracted:
        lines += ["M83", f"G1 E-{fixed(RETRACT)} F{fixed(RETRACT_SPEED)}"]
    lines.append("G90")
    height = min(motion.position[Z] + LIFT, limits.position_max[Z])
    if height > motion.position[Z]:
        lines.append(f"G1 Z{fixed(height)} F{fixed(LIFT_SPEED)}")
    if limits.known:
        aside = limits.position_min[0] + MARGIN, limits.position_max[1] - MARGIN
        lines.append(f"G0 X{fixed(aside[0])} Y{fixed(aside[1])} F{fixed(TRAVEL_SPEED)}")
    return lines


def _can_extrude(machine: Machine) -> bool:
    name = f"extruder{machine.motion.tool or ''}"
    heater = machine.heaters.get(name)
    return heater is not None and heater.temperature >= machine.min_extrude_temp
