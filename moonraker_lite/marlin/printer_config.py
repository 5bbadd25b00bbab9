"""`marlin.cfg`: what the owner says about the printer and its macros, in the form of Klipper's printer.cfg.

The file is optional. Known sections become `PrinterSettings` (see `settings_of`); `[gcode_macro ...]` and whatever else
stands there is kept for those who ask. It is read at the start and at each RESTART, and a mistake in it is a warning:
the printer stays usable.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from moonraker_lite.marlin.settings import PrinterSettings

AXES = "xyz"
# What the owner may add to the printer; these sections may stand in moonraker.conf as well.
OWNERS = frozenset({"gcode_macro", "delayed_gcode", "output_pin", "led", "neopixel", "dotstar"})
_PROBLEM = re.compile(r"\[([^\]]+)\](?: (\w+):)?")
MAX_EXTRUDERS = 16
MAX_FANS = 16
_EXTRUDER = re.compile(r"extruder([1-9]\d?)?")
_FAN = re.compile(r"fan_generic fan([1-9]\d?)")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


Sections = dict[str, dict[str, str]]


class PrinterConfig(msgspec.Struct, frozen=True):
    """`sections`: name as it is spelled -> option (lower case) -> raw text, in the order of the file.

    `places`: section and option -> file and line, such as `marlin.cfg line 7`; option "" is the section's own place.
    `warnings` are sentences for the user that name file and line.
    """

    sections: Sections = {}
    warnings: tuple[str, ...] = ()
    places: dict[tuple[str, str], str] = {}

    def located(self, problem: str) -> str:
        """Return a sentence that begins with `[section] option:` with the place of that before it, where it has one."""
        match = _PROBLEM.match(problem)
        if match is None:
            return problem
        place = self.places.get((match[1], match[2] or "")) or self.places.get((match[1], ""))
        return f"{place}, {problem}" if place else problem


def read_printer_config(
    path: Path | None, given: Sections | None = None, host_config: Path | None = None
) -> PrinterConfig:
    """Read the file and what it includes; it wins over `given`. A missing file is an empty one. Never raises.

    Of `host_config`, which is moonraker.conf, only the sections in `OWNERS` count; its mistakes are the host's to tell.
    """
    sections = {name: dict(options) for name, options in (given or {}).items()}
    places: dict[tuple[str, str], str] = {}
    warnings: list[str] = []
    for file in (host_config, path):
        if file is None or not file.exists():
            continue
        # Imported late: most printers have no such file, and it would cost them memory.
        from moonraker_lite.config.reader import read_files

        reading = read_files(file)
        for name, section in reading.sections.items():
            if file is host_config and name.partition(" ")[0] not in OWNERS:
                continue
            options = sections.setdefault(name, {})
            options.update((option, entry.value) for option, entry in section.options.items())
            places[name, ""] = f"{section.file} line {section.line}"
            places.update(
                ((name, option), f"{entry.file} line {entry.line}") for option, entry in section.options.items()
            )
        if file is not host_config:
            warnings += (str(problem) for problem in (*reading.errors, *reading.notes))
    return PrinterConfig(sections, tuple(warnings), places)


def given_sections(options: Iterable[str]) -> Sections:
    """Return the sections of `SECTION:OPTION=VALUE` words, as the command line has them. ValueError: it is not one."""
    sections: Sections = {}
    for word in options:
        place, found, value = word.partition("=")
        section, colon, option = place.rpartition(":")
        if not (found and colon and section and option):
            raise ValueError(f"{word!r} is not SECTION:OPTION=VALUE")
        sections.setdefault(section, {})[option.lower()] = value
    return sections


class _Taker:
    """Takes values out of sections and remembers what is wrong with them."""

    def __init__(self, sections: Sections) -> None:
        self._sections = sections
        self.problems: list[str] = []

    def number(self, section: str, option: str) -> float | None:
        text = self._sections.get(section, {}).get(option)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            return value
        self._complain(section, option, text, "a number")
        return None

    def pair(self, section: str, option: str) -> tuple[float, float] | None:
        text = self._sections.get(section, {}).get(option)
        if text is None:
            return None
        try:
            x, y = (float(part) for part in text.split(","))
        except ValueError:
            x = y = math.nan
        if math.isfinite(x + y):
            return x, y
        self._complain(section, option, text, "two numbers with a comma between")
        return None

    def switch(self, section: str, option: str) -> bool | None:
        text = self._sections.get(section, {}).get(option)
        if text is None:
            return None
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        self._complain(section, option, text, "True or False")
        return None

    def text(self, section: str, option: str) -> str | None:
        return self._sections.get(section, {}).get(option)

    def _complain(self, section: str, option: str, text: str, wanted: str) -> None:
        self.problems.append(f"[{section}] {option}: {text!r} is not {wanted}; the option is left out")


# Section, option of the file -> name in PrinterSettings.
_NUMBERS: tuple[tuple[str, str, str], ...] = (
    ("printer", "max_velocity", "max_velocity"),
    ("printer", "max_accel", "max_accel"),
    ("printer", "max_z_velocity", "max_z_velocity"),
    ("printer", "max_z_accel", "max_z_accel"),
    ("printer", "square_corner_velocity", "square_corner_velocity"),
    ("printer", "minimum_cruise_ratio", "minimum_cruise_ratio"),
    ("extruder", "nozzle_diameter", "nozzle_diameter"),
    ("extruder", "filament_diameter", "filament_diameter"),
    ("extruder", "max_temp", "extruder_max_temp"),
    ("extruder", "min_extrude_temp", "min_extrude_temp"),
    ("extruder", "max_extrude_only_distance", "max_extrude_only_distance"),
    ("heater_bed", "max_temp", "bed_max_temp"),
    ("heater_generic chamber", "max_temp", "chamber_max_temp"),
    ("bed_mesh", "margin", "probing_margin"),
    ("idle_timeout", "timeout", "idle_timeout"),
    ("marlin", "pause_hotend_temp", "pause_hotend_temp"),
)
_TEXTS: tuple[tuple[str, str, str], ...] = (
    ("printer", "kinematics", "kinematics"),
    ("marlin", "start_gcode", "start_gcode"),
    ("marlin", "pause_gcode", "pause_gcode"),
    ("marlin", "resume_gcode", "resume_gcode"),
    ("marlin", "cancel_gcode", "cancel_gcode"),
)
_SWITCHES: tuple[tuple[str, str, str], ...] = (
    ("marlin", "check_moves", "check_moves"),
    ("marlin", "job_timer", "job_timer"),
    ("marlin", "g90_sets_extruder", "g90_sets_extruder"),
    ("marlin", "reset_on_connect", "reset_on_connect"),
)
_PAIRS: tuple[tuple[str, str, str], ...] = (
    ("bed_mesh", "mesh_min", "mesh_min"),
    ("bed_mesh", "mesh_max", "mesh_max"),
)


def settings_of(config: PrinterConfig, base: PrinterSettings | None = None) -> tuple[PrinterSettings, tuple[str, ...]]:
    """Lay the known options of the file over `base`; return the settings and warnings about values of no use."""
    base = base or PrinterSettings()
    take = _Taker(config.sections)
    found: dict[str, object] = {}
    for table, read in ((_NUMBERS, take.number), (_PAIRS, take.pair), (_SWITCHES, take.switch), (_TEXTS, take.text)):
        for section, option, name in table:
            if (value := read(section, option)) is not None:
                found[name] = value
    for end in ("position_min", "position_max"):
        before = getattr(base, end) or (None, None, None)
        told = [take.number(f"stepper_{axis}", end) for axis in AXES]
        if any(value is not None for value in told):
            found[end] = tuple(old if new is None else new for old, new in zip(before, told, strict=True))
    extruders = sum(1 for name in config.sections if _EXTRUDER.fullmatch(name))
    if extruders > 1 or (extruders := int(take.number("printer", "extruders") or 0)):
        found["extruders"] = min(max(extruders, 1), MAX_EXTRUDERS)
    fans = [int(match[1]) for name in config.sections if (match := _FAN.fullmatch(name))]
    if fans:
        found["fans"] = tuple(fans[:MAX_FANS])
    return msgspec.structs.replace(base, **found), tuple(take.problems)
