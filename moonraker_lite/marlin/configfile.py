"""Klipper's `configfile` object for a printer that has no Klipper configuration.

Frontends draw their panels by what they find here: `config` keeps Klipper's spelling and string values, `settings`
has lower-case section names and parsed values. Both are made from what the firmware reported, from the settings, and
from marlin.cfg, whose words are taken over as they stand.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from moonraker_lite.marlin.device_objects import DRIVER, shaper
from moonraker_lite.marlin.printer_config import Sections
from moonraker_lite.marlin.state import Machine, extruder_index, extruder_name

Section = dict[str, Any]

# Frontends hide macros that rename an existing command: these three are the host's own, not buttons.
_MACROS = {
    "PAUSE": "Pause the print",
    "RESUME": "Go on with the print",
    "CANCEL_PRINT": "Stop the print for good",
}
# Others show these sections of marlin.cfg.
_OF_OTHERS = ("gcode_macro", "delayed_gcode", "include")
# Klipper counts so, whatever the board does: with it steps per mm become a rotation distance.
MICROSTEPS = 16
FULL_STEPS = 200


def basis(machine: Machine) -> Hashable:
    """Return what `build` depends on: as long as it is the same, so is the object."""
    return (
        id(machine.firmware),
        machine.firmware.settings.version,
        machine.mesh.version,
        machine.save_pending,
        machine.stored_limits,
        machine.settings,
        tuple((name, heater.target is None) for name, heater in machine.heaters.items()),
        tuple(machine.filament.detected),
        len(machine.switches),
        tuple(machine.motion.fans),
        tuple(machine.fan_speeds.hotends),
        machine.firmware.min_extrude_temp,
    )


def build(machine: Machine, own: Sections, gcodes: Path, serial: str, baud: int) -> dict[str, Any]:
    """Return the whole object. `own`: the sections of marlin.cfg."""
    settings: dict[str, Section] = {
        "mcu": {"serial": serial, "baud": baud, "restart_method": "arduino"},
        "printer": _printer(machine),
        **_steppers(machine),
        **_heaters(machine),
        **_fans(machine),
        "virtual_sdcard": {"path": str(gcodes)},
        "pause_resume": {"recover_velocity": 50.0},
        "display_status": {},
        "exclude_object": {},
        "respond": {"default_type": "echo", "default_prefix": "echo:"},
        "idle_timeout": {"timeout": machine.settings.idle_timeout},
        **_options(machine),
    }
    config = {name: {key: _spell(value) for key, value in section.items()} for name, section in settings.items()}
    for name, description in _MACROS.items():
        macro = {"rename_existing": f"{name}_BASE", "gcode": f"\n{name}_BASE", "description": description}
        config[f"gcode_macro {name}"] = macro
        settings[f"gcode_macro {name.lower()}"] = macro
    _lay_over(config, settings, own)
    return {
        "config": config,
        "settings": settings,
        "warnings": [],
        "save_config_pending": machine.save_pending,
        "save_config_pending_items": _pending(machine) if machine.save_pending else {},
    }


def _lay_over(config: dict[str, Section], settings: dict[str, Section], own: Sections) -> None:
    """What the owner wrote is shown as it stands."""
    for name, options in own.items():
        if name.partition(" ")[0] in _OF_OTHERS:
            continue
        before = settings.get(name.lower(), {})
        parsed = {option: _parse(text, before.get(option)) for option, text in options.items()}
        settings[name.lower()] = {**before, **parsed}
        config[name] = {**config.get(name, {}), **options}


def _parse(text: str, before: object) -> object:
    """Return an option as Klipper's `settings` have it: of the kind that it has without the file, else by its looks."""
    if isinstance(before, str):
        return text
    try:
        if "," in text:
            return [float(part) for part in text.split(",")]
        value = float(text)
    except ValueError:
        return {"true": True, "false": False}.get(text.lower(), text)
    if not math.isfinite(value):
        return text
    if isinstance(before, bool):
        return bool(value)
    return int(value) if text.lstrip("+-").isdigit() and not isinstance(before, float) else value


def _spell(value: object) -> str:
    """Return a value as it would stand in a printer.cfg."""
    if isinstance(value, list | tuple):
        return ", ".join(_spell(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _printer(machine: Machine) -> Section:
    limits = machine.stored_limits
    return {
        "kinematics": machine.settings.kinematics or machine.firmware.kinematics,
        "max_velocity": limits.max_velocity,
        "max_accel": limits.max_accel,
        "minimum_cruise_ratio": machine.minimum_cruise_ratio,
        "square_corner_velocity": limits.square_corner_velocity,
        "max_z_velocity": limits.max_z_velocity,
        "max_z_accel": limits.max_z_accel,
    }


def _rotation_distance(machine: Machine, axis: str, tool: int = 0) -> Section:
    steps = machine.firmware.stored("M92", axis, tool)
    section: Section = {"microsteps": MICROSTEPS, "full_steps_per_rotation": FULL_STEPS, "gear_ratio": []}
    if steps:
        section["rotation_distance"] = round(MICROSTEPS * FULL_STEPS / abs(steps), 5)
    return section


def _steppers(machine: Machine) -> dict[str, Section]:
    steppers = {}
    limits = machine.stored_limits
    for index, axis in enumerate("xyz"):
        at_max = f"{axis}_min" not in machine.switches and f"{axis}_max" in machine.switches
        probed = axis == "z" and machine.firmware.has_probe
        steppers[f"stepper_{axis}"] = {
            "endstop_pin": "probe:z_virtual_endstop" if probed else f"marlin:{axis}_{'max' if at_max else 'min'}",
            "position_endstop": (limits.position_max if at_max else limits.position_min)[index],
            "position_min": limits.position_min[index],
            "position_max": limits.position_max[index],
            "homing_speed": 5.0 if axis == "z" else 50.0,
            "homing_positive_dir": at_max,
            **_rotation_distance(machine, axis.upper()),
        }
    return steppers


def _heaters(machine: Machine) -> dict[str, Section]:
    """Sections of everything that has a temperature, in the order in which it was reported."""
    sections: dict[str, Section] = {}
    for name, heater in machine.heaters.items():
        tool = extruder_index(name)
        if tool >= 0:
            sections[name] = _extruder(machine, tool)
        elif name == "heater_bed":
            sections[name] = _heater("bed", machine.settings.bed_max_temp, machine, "M304")
        elif heater.target is None:
            sections[name] = _sensor(name)
        else:
            sections[name] = _heater(name.partition(" ")[2], machine.settings.chamber_max_temp, machine, "M309")
    return sections


def _sensor(name: str) -> Section:
    return {
        "sensor_type": "marlin",
        "sensor_pin": f"marlin:{name.partition(' ')[2]}",
        "min_temp": -273.15,
        "max_temp": 300.0,
    }


def _extruder(machine: Machine, tool: int) -> Section:
    own, firmware = machine.settings, machine.firmware
    diameter = own.filament_diameter or firmware.stored("M200", "D", tool) or 1.75
    return {
        **_heater(extruder_name(tool), own.extruder_max_temp, machine, "M301", tool),
        "min_extrude_temp": machine.min_extrude_temp,
        "nozzle_diameter": own.nozzle_diameter,
        "filament_diameter": diameter,
        "max_extrude_only_distance": own.max_extrude_only_distance,
        "max_extrude_only_velocity": firmware.stored("M203", "E", tool) or 50.0,
        "max_extrude_only_accel": firmware.stored("M201", "E", tool) or 1000.0,
        "max_extrude_cross_section": round(4.0 * own.nozzle_diameter**2, 6),
        "instantaneous_corner_velocity": firmware.stored("M205", "E") or 1.0,
        "pressure_advance": firmware.stored("M900", "K", tool) or 0.0,
        "pressure_advance_smooth_time": 0.04,
        **_rotation_distance(machine, "E", tool),
    }


def _heater(name: str, max_temp: float, machine: Machine, pid: str, tool: int = 0) -> Section:
    section: Section = {
        "heater_pin": f"marlin:{name}",
        "sensor_type": "marlin",
        "sensor_pin": f"marlin:{name}_sensor",
        "min_temp": 0.0,
        "max_temp": max_temp,
        "max_power": 1.0,
        "smooth_time": 1.0,
        "control": "watermark",
    }
    gains = {key: machine.firmware.stored(pid, word, tool) for key, word in (("p", "P"), ("i", "I"), ("d", "D"))}
    if all(gain is not None for gain in gains.values()):
        section["control"] = "pid"
        section.update({f"pid_k{key}": gain for key, gain in gains.items()})
    return section


def _fans(machine: Machine) -> dict[str, Section]:
    fan = {"max_power": 1.0, "off_below": 0.0, "kick_start_time": 0.0, "shutdown_speed": 0.0}
    sections: dict[str, Section] = {"fan": {"pin": "marlin:fan", **fan}}
    for index in machine.motion.fans:
        if index:
            sections[f"fan_generic fan{index}"] = {"pin": f"marlin:fan{index}", **fan}
    for index in machine.fan_speeds.hotends:
        section = {"pin": f"marlin:hotend_fan{index}", "heater": [extruder_name(index)], "fan_speed": 1.0, **fan}
        sections[f"heater_fan hotend{index or ''}"] = section
    return sections


def _options(machine: Machine) -> dict[str, Section]:
    """Sections of what not every firmware has."""
    firmware = machine.firmware
    sections: dict[str, Section] = {}
    if firmware.can("ARCS", unknown=True):
        sections["gcode_arcs"] = {"resolution": 1.0}
    if firmware.has_levelling:
        sections["bed_mesh"] = _bed_mesh(machine)
    if firmware.has_probe:
        sections["probe"] = _probe(machine)
    if "M207" in firmware.reports:
        sections["firmware_retraction"] = {
            "retract_length": firmware.stored("M207", "S") or 0.0,
            "retract_speed": round((firmware.stored("M207", "F") or 0.0) / 60.0, 3),
            "unretract_extra_length": firmware.stored("M208", "S") or 0.0,
            "unretract_speed": round((firmware.stored("M208", "F") or 0.0) / 60.0, 3),
        }
    if shaped := shaper(machine):
        sections["input_shaper"] = shaped
    for name in machine.filament.detected:
        sections[f"filament_switch_sensor {name}"] = {
            "switch_pin": f"marlin:{name}",
            "pause_on_runout": True,
            "runout_gcode": "",
            "insert_gcode": "",
        }
    for axis, motor in (("X", "stepper_x"), ("Y", "stepper_y"), ("Z", "stepper_z"), ("E", "extruder")):
        if (current := firmware.stored("M906", axis)) is not None:
            sections[f"{DRIVER} {motor}"] = {"run_current": round(current / 1000.0, 3), "uart_pin": "marlin"}
    return sections


def _bed_mesh(machine: Machine) -> Section:
    points = machine.mesh.points
    return {
        "mesh_min": machine.mesh.minimum,
        "mesh_max": machine.mesh.maximum,
        "probe_count": (len(points[0]), len(points)) if points else (5, 5),
        "mesh_pps": (0, 0),
        "algorithm": "direct",
        "fade_start": 0.0,
        "fade_end": machine.firmware.stored("M420", "Z") or 0.0,
        "horizontal_move_z": 5.0,
        "speed": 50.0,
    }


def _probe(machine: Machine) -> Section:
    report = machine.firmware.stored
    return {
        "pin": "marlin:z_probe",
        "x_offset": report("M851", "X") or 0.0,
        "y_offset": report("M851", "Y") or 0.0,
        "z_offset": -(report("M851", "Z") or 0.0),
        "speed": 5.0,
        "samples": 1,
    }


# Settings that have a place in Klipper's configuration: command -> word -> section, option.
_PLACES: dict[str, dict[str, tuple[str, str]]] = {
    "M203": {"X": ("printer", "max_velocity"), "Z": ("printer", "max_z_velocity")},
    "M204": {"P": ("printer", "max_accel")},
    "M301": {"P": ("extruder", "pid_kp"), "I": ("extruder", "pid_ki"), "D": ("extruder", "pid_kd")},
    "M304": {"P": ("heater_bed", "pid_kp"), "I": ("heater_bed", "pid_ki"), "D": ("heater_bed", "pid_kd")},
    "M851": {"X": ("probe", "x_offset"), "Y": ("probe", "y_offset")},
    "M900": {"K": ("extruder", "pressure_advance")},
}


def _pending(machine: Machine) -> dict[str, dict[str, str]]:
    """What M500 would store, where Klipper keeps it; the rest in a section `eeprom`, under Marlin's names."""
    items: dict[str, dict[str, str]] = {}
    for key, words in machine.firmware.settings.pending().items():
        for word, value in words.items():
            if key == "M851" and word == "Z":
                items.setdefault("probe", {})["z_offset"] = f"{-value:.3f}"
                continue
            section, option = _PLACES.get(key, {}).get(word, ("eeprom", f"{key.replace(' ', '_')}_{word}".lower()))
            items.setdefault(section, {})[option] = f"{value:g}"
    if machine.mesh_pending:
        points = "\n".join(", ".join(f"{height:.6f}" for height in row) for row in machine.mesh.points)
        items[f"bed_mesh {machine.mesh.profile}"] = {"points": f"\n{points}"}
    return items
