"""What `[printer]` of moonraker.conf says about a Marlin printer, as options of the Marlin process."""

from __future__ import annotations

from pathlib import Path

from moonraker_lite.config import PrinterSettings

# Option of [printer] -> section and option of marlin.cfg, which is where the Marlin process knows them from.
_PLACES = {
    "reset_on_connect": ("marlin", "reset_on_connect"),
    "kinematics": ("printer", "kinematics"),
    "max_velocity": ("printer", "max_velocity"),
    "max_accel": ("printer", "max_accel"),
    "extruders": ("printer", "extruders"),
    "nozzle_diameter": ("extruder", "nozzle_diameter"),
    "filament_diameter": ("extruder", "filament_diameter"),
    "min_extrude_temp": ("extruder", "min_extrude_temp"),
    "extruder_max_temp": ("extruder", "max_temp"),
    "bed_max_temp": ("heater_bed", "max_temp"),
    "chamber_max_temp": ("heater_generic chamber", "max_temp"),
}


def marlin_options(settings: PrinterSettings, config_folder: Path) -> list[str]:
    """Return the part of the command line that describes the printer."""
    options = ["--config", str(config_folder / settings.config_file)]
    for name, (section, option) in _PLACES.items():
        value = getattr(settings, name)
        if value is not None:
            options.append(f"--set={section}:{option}={value if isinstance(value, str) else format(value, 'g')}")
    for end in ("position_min", "position_max"):
        places = zip("xyz", getattr(settings, end) or (), strict=False)
        options += [f"--set=stepper_{axis}:{end}={place:g}" for axis, place in places]
    for corner in ("mesh_min", "mesh_max"):
        if place := getattr(settings, corner):
            options.append(f"--set=bed_mesh:{corner}={', '.join(f'{value:g}' for value in place)}")
    return options
