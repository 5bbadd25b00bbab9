"""Klipper's commands as Marlin's: a table of small pure functions.

Each gets the parameters and what is known of the machine, and returns the lines that do the same on Marlin. Whatever
needs to wait, or belongs to the print job, is a host command instead (`gcode.host_commands`).
"""

from __future__ import annotations

from collections.abc import Callable

from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.words import fixed
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.state import Machine, extruder_index, extruder_name

# One M290 moves at most 2 mm; what is more goes in steps.
BABYSTEP_LIMIT = 2.0


Translation = Callable[[Options, Machine], list[str]]


def set_heater_temperature(options: Options, machine: Machine) -> list[str]:
    name = options.choice("HEATER", machine.heater_names)
    return [heater_command(name, checked_target(name, options.number("TARGET", 0.0), machine))]


def heater_command(name: str, target: float, *, wait: bool = False) -> str:
    """Return the command that sets a heater by its short name."""
    if name == "heater_bed":
        return f"{'M190' if wait else 'M140'} S{fixed(target)}"
    if name == "chamber":
        return f"{'M191' if wait else 'M141'} S{fixed(target)}"
    return f"{'M109' if wait else 'M104'} T{extruder_index(name)} S{fixed(target)}"


def checked_target(name: str, target: float, machine: Machine) -> float:
    limit = machine.settings.bed_max_temp if name == "heater_bed" else machine.settings.extruder_max_temp
    if target and not 0.0 <= target <= limit:
        raise CommandError(f"Requested temperature ({target}) out of range (0.0:{limit})")
    return target


def turn_off_heaters(_: Options | None, machine: Machine) -> list[str]:
    return [heater_command(name, 0.0) for name in machine.heater_names]


def set_gcode_offset(options: Options, machine: Machine) -> list[str]:
    """Only Z, by babysteps: that is what the frontends' Z-offset control does."""
    for axis in "XYE":
        if options.number(axis, 0.0) or options.number(f"{axis}_ADJUST", 0.0):
            raise CommandError(f"Marlin has no offset for {axis} that a host could set: only Z, by babysteps")
    current = machine.motion.babystep
    if "Z" in options:
        delta = options.number("Z") - current
    else:
        delta = options.number("Z_ADJUST", 0.0)
    if not delta:
        return []
    if not machine.firmware.can("BABYSTEPPING", unknown=True):
        raise CommandError("This firmware was built without babystepping (M290)")
    lines = []
    while abs(delta) > 1e-6:
        step = max(-BABYSTEP_LIMIT, min(BABYSTEP_LIMIT, delta))
        lines.append(f"M290 Z{step:.3f}")
        delta -= step
    return lines


def set_velocity_limit(options: Options, machine: Machine) -> list[str]:
    lines = []
    if "VELOCITY" in options:
        speed = options.number("VELOCITY", minimum=1.0)
        lines.append(f"M203 X{fixed(speed)} Y{fixed(speed)}")
    if "ACCEL" in options:
        accel = options.number("ACCEL", minimum=1.0)
        lines.append(f"M204 P{fixed(accel)} T{fixed(accel)}")
    if "SQUARE_CORNER_VELOCITY" in options:
        corner = options.number("SQUARE_CORNER_VELOCITY", minimum=0.0)
        if machine.firmware.report("M205", "J") is not None:
            accel = options.number("ACCEL", machine.limits.max_accel)
            lines.append(f"M205 J{corner**2 * (2**0.5 - 1) / accel:.4f}")
        else:
            lines.append(f"M205 X{fixed(corner)} Y{fixed(corner)}")
    return lines


def set_pressure_advance(options: Options, machine: Machine) -> list[str]:
    if "ADVANCE" not in options:
        return []
    name = options.text("EXTRUDER", extruder_name(machine.motion.tool)).lower()
    tool = f" T{extruder_index(name)}" if machine.firmware.extruders > 1 else ""
    return [f"M900{tool} K{fixed(options.number('ADVANCE', minimum=0.0))}"]


def set_fan_speed(options: Options, machine: Machine) -> list[str]:
    name = options.text("FAN").lower()
    index = name.removeprefix("fan") or "0"
    if not name.startswith("fan") or not index.isdigit():
        raise CommandError(f"The value '{name}' is not valid for FAN. Options: 'fan'")
    speed = round(min(options.number("SPEED", 0.0, minimum=0.0), 1.0) * 255)
    return [f"M106 P{index} S{speed}"]


def activate_extruder(options: Options, machine: Machine) -> list[str]:
    names = [extruder_name(index) for index in range(machine.firmware.extruders)]
    return [f"T{extruder_index(options.choice('EXTRUDER', names))}"]


def bed_mesh_profile(options: Options, _: Machine) -> list[str]:
    if "LOAD" in options:
        return ["M420 S1"]
    if "SAVE" in options:
        return ["M500"]
    if "REMOVE" in options:
        raise CommandError("Marlin keeps one mesh in its EEPROM and cannot remove it: BED_MESH_CLEAR switches it off")
    return ["M420 V"]


def pid_calibrate(options: Options, machine: Machine) -> list[str]:
    name = options.choice("HEATER", machine.heater_names)
    target = checked_target(name, options.number("TARGET"), machine)
    index = -1 if name == "heater_bed" else extruder_index(name)
    return [f"M303 E{index} S{fixed(target)} C8 U1"]


TRANSLATIONS: dict[str, Translation] = {
    "ACTIVATE_EXTRUDER": activate_extruder,
    "BED_MESH_CALIBRATE": lambda _, machine: (
        [machine.firmware.mesh_probing, machine.firmware.mesh_report] if machine.firmware.has_levelling else ["G29"]
    ),
    "BED_MESH_CLEAR": lambda *_: ["M420 S0"],
    "BED_MESH_MAP": lambda _, machine: [machine.firmware.mesh_report],
    "BED_MESH_OUTPUT": lambda _, machine: [machine.firmware.mesh_report],
    "BED_MESH_PROFILE": bed_mesh_profile,
    "PID_CALIBRATE": pid_calibrate,
    "SET_FAN_SPEED": set_fan_speed,
    "SET_GCODE_OFFSET": set_gcode_offset,
    "SET_HEATER_TEMPERATURE": set_heater_temperature,
    "SET_PRESSURE_ADVANCE": set_pressure_advance,
    "SET_VELOCITY_LIMIT": set_velocity_limit,
    "TURN_OFF_HEATERS": turn_off_heaters,
}
