"""What the firmware says about itself: identity, capabilities, limits, settings."""

from __future__ import annotations

from moonraker_lite.marlin.eeprom import STORED, StoredSettings, Values
from moonraker_lite.marlin.firmware import UNKNOWN, profile_of
from moonraker_lite.marlin.identity import parse_area, parse_capability, parse_m115
from moonraker_lite.marlin.settings_report import (
    Setting,
    parse_advance,
    parse_cold_extrusion,
    parse_endstop_limits,
    parse_setting,
)

Place = tuple[float, float, float]
AXES = "xyz"

# Told by M503 as well, but not to be stored on their own.
_OTHER_SETTINGS = frozenset({"M149", "M211", "M350"})
# RepRapFirmware has these speeds in mm/min.
_PER_MINUTE = frozenset({"M203", "M566"})


class Firmware:
    """What M115, M503, M211, M302 and M412 told, and the changes of settings since: see `StoredSettings`."""

    def __init__(self) -> None:
        self.name = ""
        self.version = ""
        self.machine = ""
        self.fields: dict[str, str] = {}
        self.profile = UNKNOWN
        self.extruders = 1
        self.capabilities: dict[str, bool] = {}
        self.settings = StoredSettings()
        self.area_min: Place | None = None
        self.area_max: Place | None = None
        # The least temperature in which it extrudes, where it told.
        self.min_extrude_temp: float | None = None

    def can(self, capability: str, *, unknown: bool = False) -> bool:
        """Return what `Cap:NAME` said; builds without the list leave everything unknown."""
        return self.capabilities.get(capability, self.profile.capabilities.get(capability, unknown))

    def report(self, command: str, word: str, tool: int = 0) -> float | None:
        """Return a word of a setting that the firmware told or was given, such as `M92`, `X`."""
        return self.settings.get(command, word, tool)

    def stored(self, command: str, word: str, tool: int = 0) -> float | None:
        """Return a word of a setting as the EEPROM holds it, as far as that is known."""
        return self.settings.get(command, word, tool, stored=True)

    @property
    def reports(self) -> dict[str, Values]:
        """All settings that it told or was given: command -> word -> number."""
        return self.settings.values

    @property
    def kinematics(self) -> str:
        """M115's KINEMATICS (Marlin since 2.1.3), delta by its settings (M665 L), else cartesian."""
        told = self.fields.get("KINEMATICS", "").lower()
        if told in ("corexy", "corexz", "coreyz", "polar", "delta"):
            return told
        return "delta" if {"L", "R"} <= self.settings.values.get("M665", {}).keys() else "cartesian"

    @property
    def has_levelling(self) -> bool:
        """It keeps a mesh: the capability, or where those are not told, its setting."""
        told = self.can("AUTOLEVEL") or self.can("LEVELING_DATA") or "M420" in self.settings.values
        return told or self.is_prusa

    @property
    def mesh_report(self) -> str:
        """The command that prints the mesh."""
        return "G81" if self.is_prusa else "M420 V"

    @property
    def mesh_probing(self) -> str:
        """The command that probes the bed; V4 has Marlin tell where it does."""
        if self.is_prusa:
            return "G80"
        return "G29 V4" if self.can("AUTOLEVEL") else "G29"

    @property
    def has_probe(self) -> bool:
        return self.can("Z_PROBE") or "M851" in self.settings.values

    @property
    def is_prusa(self) -> bool:
        """Prusa's 8-bit firmware, a relative of Marlin 1 with commands of its own."""
        return self.profile.name == "Prusa MK3"

    @property
    def report_request(self) -> str:
        """The command for a temperature report each second; Prusa adds the turns of its fans by a mask."""
        return "M155 S1 C3" if self.can("AUTOREPORT_FANS") else "M155 S1"

    @property
    def own_question(self) -> str:
        """What only this firmware understands: RepRapFirmware tells its travel limits by M208."""
        return "M208" if self.profile.name == "RepRapFirmware" else ""

    @property
    def asks_safely_for_cold_extrusion(self) -> bool:
        """M302 alone is a question in Marlin since 1.1; older ones, and Prusa's, allow cold extrusion by it."""
        return self.name.startswith("Marlin 2")

    def read_line(self, line: str) -> Setting | None:
        """Take any line of the answers to M115, M503, M211, ...; return the setting that it tells."""
        if info := parse_m115(line):
            self.name, self.machine, self.extruders = info.name, info.machine, max(1, info.extruders)
            self.version, self.fields = info.version, info.fields
            self.profile = profile_of(line)
        elif capability := parse_capability(line):
            self.capabilities[capability[0]] = capability[1]
        elif area := parse_area(line):
            self._set_area(area.full_min, area.full_max)
        elif limits := parse_endstop_limits(line):
            self._set_area(*limits)
        elif setting := parse_setting(line):
            if setting.command in _PER_MINUTE and self.profile.name == "RepRapFirmware":
                setting = Setting(setting.command, {axis: value / 60.0 for axis, value in setting.values.items()})
            if setting.command in STORED or setting.command in _OTHER_SETTINGS:
                self.settings.read(setting)
            return setting
        elif (factor := parse_advance(line)) is not None:
            self.settings.read(Setting("M900", {"K": factor}))
        elif (lowest := parse_cold_extrusion(line)) is not None:
            self.min_extrude_temp = lowest
        return None

    def _set_area(self, minimum: dict[str, float], maximum: dict[str, float]) -> None:
        self.area_min = _point(minimum) or self.area_min
        self.area_max = _point(maximum) or self.area_max


def _point(values: dict[str, float]) -> Place | None:
    """Return x, y, z of a report that names its axes in either case."""
    by_axis = {axis.lower(): value for axis, value in values.items()}
    if not all(axis in by_axis for axis in AXES):
        return None
    return by_axis["x"], by_axis["y"], by_axis["z"]
