"""Klipper's `configfile` object for a printer that has no Klipper configuration.

Frontends draw their panels by what they find here: `config` keeps Klipper's spelling and string values, `settings`
has lower-case section names and parsed values. Both are made from the settings and from what the firmware reported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moonraker_lite.marlin.state import Machine, extruder_name

Section = dict[str, Any]

# Frontends hide macros that rename an existing command: these three are the host's own, not buttons.
_MACROS = ("PAUSE", "RESUME", "CANCEL_PRINT")


def build(machine: Machine, gcodes: Path, serial: str, baud: int) -> dict[str, Any]:
    """Return the whole object. Built anew when the firmware has told something new, not per query."""
    settings: dict[str, Section] = {
        "mcu": {"serial": serial, "baud": baud},
        "printer": _printer(machine),
        **_steppers(machine),
        **_extruders(machine),
        "fan": {"pin": "marlin:fan", "max_power": 1.0, "off_below": 0.0, "kick_start_time": 0.0, "shutdown_speed": 0.0},
        "virtual_sdcard": {"path": str(gcodes)},
        "pause_resume": {"recover_velocity": 50.0},
        "display_status": {},
        "exclude_object": {},
        "respond": {"default_type": "echo", "default_prefix": "echo:"},
        "idle_timeout": {"timeout": machine.settings.idle_timeout},
    }
    if "heater_bed" in machine.heaters:
        settings["heater_bed"] = _heater("bed", machine.settings.bed_max_temp, machine, "M304")
    if "heater_generic chamber" in machine.heaters:
        settings["heater_generic chamber"] = _heater("chamber", machine.settings.bed_max_temp, machine, "M309")
    for name in machine.heaters:
        if name.startswith("temperature_sensor "):
            settings[name] = {"sensor_type": "marlin", "min_temp": 0.0, "max_temp": 200.0}
    if machine.firmware.can("ARCS", unknown=True):
        settings["gcode_arcs"] = {"resolution": 1.0}
    if machine.firmware.can("AUTOLEVEL"):
        settings["bed_mesh"] = _bed_mesh(machine)
    if machine.firmware.can("Z_PROBE"):
        settings["probe"] = _probe(machine)
    config = {name: {key: _spell(value) for key, value in section.items()} for name, section in settings.items()}
    for name in _MACROS:
        description = {"PAUSE": "Pause the print", "RESUME": "Go on with the print"}.get(
            name, "Stop the print for good"
        )
        macro = {"rename_existing": f"{name}_BASE", "gcode": f"\n{name}_BASE", "description": description}
        config[f"gcode_macro {name}"] = macro
        settings[f"gcode_macro {name.lower()}"] = macro
    return {
        "config": config,
        "settings": settings,
        "warnings": [],
        "save_config_pending": machine.save_pending,
        "save_config_pending_items": {"eeprom": {"stored": "False"}} if machine.save_pending else {},
    }


def _spell(value: object) -> str:
    """Return a value as it would stand in a printer.cfg."""
    if isinstance(value, list | tuple):
        return ", ".join(_spell(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _printer(machine: Machine) -> Section:
    limits = machine.limits
    return {
        "kinematics": machine.settings.kinematics,
        "max_velocity": limits.max_velocity,
        "max_accel": limits.max_accel,
        "minimum_cruise_ratio": machine.minimum_cruise_ratio,
        "square_corner_velocity": limits.square_corner_velocity,
        "max_z_velocity": limits.max_z_velocity,
        "max_z_accel": limits.max_z_accel,
    }


def _steppers(machine: Machine) -> dict[str, Section]:
    steppers = {}
    for index, axis in enumerate("xyz"):
        steps = machine.firmware.report("M92", axis.upper()) or 80.0
        steppers[f"stepper_{axis}"] = {
            "endstop_pin": f"marlin:{axis}_min",
            "position_endstop": machine.limits.position_min[index],
            "position_min": machine.limits.position_min[index],
            "position_max": machine.limits.position_max[index],
            "homing_speed": 5.0 if axis == "z" else 50.0,
            "homing_positive_dir": False,
            "microsteps": 16,
            "full_steps_per_rotation": 200,
            "rotation_distance": round(3200.0 / steps, 5) if steps > 0 else 40.0,
        }
    return steppers


def _extruders(machine: Machine) -> dict[str, Section]:
    own = machine.settings
    section = {
        **_heater("extruder", own.extruder_max_temp, machine, "M301"),
        "min_extrude_temp": own.min_extrude_temp,
        "nozzle_diameter": own.nozzle_diameter,
        "filament_diameter": own.filament_diameter,
        "max_extrude_only_distance": own.max_extrude_only_distance,
        "max_extrude_only_velocity": machine.firmware.report("M203", "E") or 50.0,
        "max_extrude_only_accel": machine.firmware.report("M201", "E") or 1000.0,
        "pressure_advance": machine.firmware.report("M900", "K") or 0.0,
        "pressure_advance_smooth_time": 0.04,
    }
    return {extruder_name(index): section for index in range(machine.firmware.extruders)}


def _heater(name: str, max_temp: float, machine: Machine, pid: str) -> Section:
    section: Section = {
        "heater_pin": f"marlin:{name}",
        "sensor_type": "marlin",
        "sensor_pin": f"marlin:{name}_sensor",
        "min_temp": 0.0,
        "max_temp": max_temp,
        "max_power": 1.0,
        "control": "watermark",
    }
    gains = {key: machine.firmware.report(pid, word) for key, word in (("p", "P"), ("i", "I"), ("d", "D"))}
    if all(gain is not None for gain in gains.values()):
        section["control"] = "pid"
        section.update({f"pid_k{key}": gain for key, gain in gains.items()})
    return section


def _bed_mesh(machine: Machine) -> Section:
    points = machine.mesh.points
    return {
        "mesh_min": machine.mesh.minimum,
        "mesh_max": machine.mesh.maximum,
        "probe_count": (len(points[0]), len(points)) if points else (5, 5),
        "algorithm": "direct",
        "horizontal_move_z": 5.0,
        "speed": 50.0,
    }


def _probe(machine: Machine) -> Section:
    report = machine.firmware.report
    return {
        "pin": "marlin:z_probe",
        "x_offset": report("M851", "X") or 0.0,
        "y_offset": report("M851", "Y") or 0.0,
        "z_offset": -(report("M851", "Z") or 0.0),
        "speed": 5.0,
    }
