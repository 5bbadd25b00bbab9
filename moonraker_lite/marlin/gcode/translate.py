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
# mm at once. Nobody steps further by babysteps, and a slip of the finger must not become a million lines.
OFFSET_LIMIT = 20.0
# More meshes than any EEPROM holds.
MAX_SLOTS = 100


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
    settings = machine.settings
    limit = {"heater_bed": settings.bed_max_temp, "chamber": settings.chamber_max_temp}.get(
        name, settings.extruder_max_temp
    )
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
    if abs(delta) > OFFSET_LIMIT:
        raise CommandError(f"Babysteps move Z by at most {OFFSET_LIMIT:g} mm at once: this would be {delta:g} mm")
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
    if "MINIMUM_CRUISE_RATIO" in options:
        # Nothing of the kind is in Marlin; frontends want to see what they have set.
        machine.minimum_cruise_ratio = options.number("MINIMUM_CRUISE_RATIO", minimum=0.0, maximum=1.0)
    return lines


def set_pressure_advance(options: Options, machine: Machine) -> list[str]:
    if "ADVANCE" not in options:
        return []
    name = options.text("EXTRUDER", extruder_name(machine.motion.tool)).lower()
    tool = f" T{extruder_index(name)}" if machine.tools > 1 else ""
    return [f"M900{tool} K{fixed(options.number('ADVANCE', minimum=0.0))}"]


def set_fan_speed(options: Options, machine: Machine) -> list[str]:
    name = options.text("FAN").lower()
    index = name.removeprefix("fan") or "0"
    if not name.startswith("fan") or not index.isdigit():
        raise CommandError(f"The value '{name}' is not valid for FAN. Options: 'fan'")
    speed = round(min(options.number("SPEED", 0.0, minimum=0.0), 1.0) * 255)
    return [f"M106 P{index} S{speed}"]


def activate_extruder(options: Options, machine: Machine) -> list[str]:
    names = [extruder_name(index) for index in range(machine.tools)]
    return [f"T{extruder_index(options.choice('EXTRUDER', names))}"]


def has_mesh_slots(machine: Machine) -> bool:
    """Unified bed levelling: it keeps several meshes, and does in steps what bilinear levelling does at once."""
    return machine.mesh.slot is not None


def mesh_slot(text: str, machine: Machine) -> int:
    """Return the slot that a profile's name means: `2`, `slot 2`, or for any other the one in use."""
    digits = text.lower().removeprefix("slot").strip()
    if digits.isdecimal() and int(digits[:4]) < MAX_SLOTS:
        return int(digits[:4])
    return max(machine.mesh.slot or 0, 0)


def bed_mesh_calibrate(options: Options, machine: Machine) -> list[str]:
    firmware = machine.firmware
    if has_mesh_slots(machine):
        slot = mesh_slot(options.text("PROFILE", ""), machine)
        return ["G29 P1", "G29 P3", f"G29 S{slot}", "G29 A", firmware.mesh_report]
    return [firmware.mesh_probing, firmware.mesh_report] if firmware.has_levelling else ["G29"]


def bed_mesh_profile(options: Options, machine: Machine) -> list[str]:
    slots = has_mesh_slots(machine)
    if "LOAD" in options:
        return (
            [f"G29 L{mesh_slot(options.text('LOAD'), machine)}", "G29 A", machine.firmware.mesh_report]
            if slots
            else ["M420 S1"]
        )
    if "SAVE" in options:
        return [f"G29 S{mesh_slot(options.text('SAVE'), machine)}", "M500"] if slots else ["M500"]
    if "REMOVE" in options:
        raise CommandError("Marlin cannot remove a mesh from its EEPROM: BED_MESH_CLEAR switches it off")
    return [machine.firmware.mesh_report]


def bed_mesh_output(_: Options, machine: Machine) -> list[str]:
    return [machine.firmware.mesh_report]


def set_retraction(options: Options, _: Machine) -> list[str]:
    lines = []
    for command, length, speed in (
        ("M207", "RETRACT_LENGTH", "RETRACT_SPEED"),
        ("M208", "UNRETRACT_EXTRA_LENGTH", "UNRETRACT_SPEED"),
    ):
        words = [f"S{fixed(options.number(length, minimum=0.0))}"] if length in options else []
        words += [f"F{fixed(options.number(speed, minimum=1.0) * 60)}"] if speed in options else []
        if words:
            lines.append(f"{command} {' '.join(words)}")
    return lines


def set_input_shaper(options: Options, _: Machine) -> list[str]:
    lines = []
    for axis in "XY":
        words = []
        if (name := f"SHAPER_FREQ_{axis}") in options:
            words.append(f"F{fixed(options.number(name, minimum=0.0))}")
        if (name := f"DAMPING_RATIO_{axis}") in options:
            words.append(f"D{fixed(options.number(name, minimum=0.0, maximum=1.0))}")
        if words:
            lines.append(f"M593 {axis} {' '.join(words)}")
    return lines


def set_filament_sensor(options: Options, machine: Machine) -> list[str]:
    """M412 switches all sensors."""
    options.choice("SENSOR", list(machine.filament.detected) or ["runout"])
    return [f"M412 S{int(options.integer('ENABLE', 1) != 0)}"]


def set_stepper_enable(options: Options, machine: Machine) -> list[str]:
    letter = _stepper(options, machine)
    return [f"{'M17' if options.integer('ENABLE', 1) else 'M18'} {letter}"]


def set_tmc_current(options: Options, machine: Machine) -> list[str]:
    letter = _stepper(options, machine)
    return [f"M906 {letter}{round(options.number('CURRENT', minimum=0.0, maximum=5.0) * 1000)}"]


def _stepper(options: Options, machine: Machine) -> str:
    """Return the axis of STEPPER=, as Marlin names it."""
    extruders = [extruder_name(index) for index in range(machine.tools)]
    name = options.choice("STEPPER", [*(f"stepper_{axis}" for axis in "xyz"), *extruders])
    return name[-1].upper() if name.startswith("stepper_") else "E"


def force_move(options: Options, machine: Machine) -> list[str]:
    """Marlin moves axes that are not homed: one relative move, and the modes as they were."""
    motion = machine.motion
    letter = _stepper(options, machine)
    distance, speed = options.number("DISTANCE"), options.number("VELOCITY", above=0.0)
    lines = [] if not motion.absolute and not motion.absolute_e else ["G91", *(["M83"] if letter == "E" else [])]
    lines.append(f"G1 {letter}{fixed(distance)} F{fixed(speed * 60)}")
    if lines[0] == "G91":
        lines += ["G90" if motion.absolute else "G91", "M82" if motion.absolute_e else "M83"]
    return [*lines, f"G1 F{fixed(motion.speed)}"]


TRANSLATIONS: dict[str, Translation] = {
    "ACTIVATE_EXTRUDER": activate_extruder,
    "BED_MESH_CALIBRATE": bed_mesh_calibrate,
    "BED_MESH_CLEAR": lambda *_: ["M420 S0"],
    "BED_MESH_MAP": bed_mesh_output,
    "BED_MESH_OUTPUT": bed_mesh_output,
    "BED_MESH_PROFILE": bed_mesh_profile,
    "DELTA_CALIBRATE": lambda *_: ["G33"],
    "FORCE_MOVE": force_move,
    "QUAD_GANTRY_LEVEL": lambda *_: ["G34"],
    "SET_FAN_SPEED": set_fan_speed,
    "SET_FILAMENT_SENSOR": set_filament_sensor,
    "SET_GCODE_OFFSET": set_gcode_offset,
    "SET_HEATER_TEMPERATURE": set_heater_temperature,
    "SET_INPUT_SHAPER": set_input_shaper,
    "SET_PRESSURE_ADVANCE": set_pressure_advance,
    "SET_RETRACTION": set_retraction,
    "SET_STEPPER_ENABLE": set_stepper_enable,
    "SET_TMC_CURRENT": set_tmc_current,
    "SET_VELOCITY_LIMIT": set_velocity_limit,
    "TURN_OFF_HEATERS": turn_off_heaters,
    "Z_TILT_ADJUST": lambda *_: ["G34"],
}
