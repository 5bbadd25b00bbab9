"""Which firmware the virtual Marlin plays: what it says of itself, what it has, and how its settings begin."""

from __future__ import annotations

import enum

import msgspec

Values = dict[str, dict[str, float]]


class MeshKind(enum.Enum):
    """How the bed is levelled; each has commands and tables of its own."""

    NONE = "none"
    BILINEAR = "bilinear"
    UBL = "ubl"
    MEASURED = "mesh bed levelling"
    PRUSA = "prusa"


class Personality(msgspec.Struct, frozen=True):
    """One firmware on one machine. Lengths in mm."""

    name: str
    m115: str
    """M115's first line; `{machine}` and the like are not filled in."""
    capabilities: dict[str, int]
    settings: Values
    """What M502 loads, in the order of M503. `M301 E1` is that of the second extruder."""
    mesh: MeshKind = MeshKind.BILINEAR
    hotends: int = 1
    chamber: bool = False
    fans: int = 1
    bed: tuple[float, float, float] = (200.0, 200.0, 200.0)
    reports_area: bool = True
    """M115 tells the travel limits, and M211 knows them."""
    old_titles: bool = False
    """M503's titles are those of Marlin 1.1: words without a semicolon."""
    extra_sensors: tuple[tuple[str, float], ...] = ()
    """Letter and temperature of what stands behind the powers in a report."""
    advanced_ok: bool = True
    emergency_parser: bool = True
    runout: bool = True


_CAPABILITIES = {
    "SERIAL_XON_XOFF": 0,
    "BINARY_FILE_TRANSFER": 0,
    "EEPROM": 1,
    "VOLUMETRIC": 1,
    "AUTOREPORT_POS": 1,
    "AUTOREPORT_TEMP": 1,
    "PROGRESS": 0,
    "PRINT_JOB": 1,
    "AUTOLEVEL": 1,
    "RUNOUT": 1,
    "Z_PROBE": 1,
    "LEVELING_DATA": 1,
    "BUILD_PERCENT": 1,
    "SOFTWARE_POWER": 0,
    "TOGGLE_LIGHTS": 0,
    "CASE_LIGHT_BRIGHTNESS": 0,
    "EMERGENCY_PARSER": 1,
    "HOST_ACTION_COMMANDS": 1,
    "PROMPT_SUPPORT": 1,
    "SDCARD": 0,
    "REPEAT": 0,
    "SD_WRITE": 0,
    "AUTOREPORT_SD_STATUS": 0,
    "LONG_FILENAME": 0,
    "THERMAL_PROTECTION": 1,
    "MOTION_MODES": 0,
    "ARCS": 1,
    "BABYSTEPPING": 1,
    "CHAMBER_TEMPERATURE": 0,
    "COOLER_TEMPERATURE": 0,
    "MEATPACK": 0,
    "CONFIG_EXPORT": 0,
}

_SETTINGS: Values = {
    "M200": {"S": 0.0, "D": 1.75},
    "M92": {"X": 80.0, "Y": 80.0, "Z": 400.0, "E": 93.0},
    "M203": {"X": 500.0, "Y": 500.0, "Z": 20.0, "E": 100.0},
    "M201": {"X": 5000.0, "Y": 5000.0, "Z": 500.0, "E": 10000.0},
    "M204": {"P": 3000.0, "R": 3000.0, "T": 3000.0},
    "M205": {"B": 20000.0, "S": 0.0, "T": 0.0, "J": 0.01},
    "M206": {"X": 0.0, "Y": 0.0, "Z": 0.0},
    "M420": {"S": 0.0, "Z": 10.0},
    "M301": {"P": 22.2, "I": 1.08, "D": 114.0},
    "M304": {"P": 10.0, "I": 0.02, "D": 305.4},
    "M207": {"S": 3.0, "W": 13.0, "F": 2700.0, "Z": 0.0},
    "M208": {"S": 0.0, "W": 0.0, "F": 480.0},
    "M209": {"S": 0.0},
    "M851": {"X": 0.0, "Y": 0.0, "Z": 0.0},
    "M900": {"K": 0.22},
    "M603": {"L": 0.0, "U": 100.0},
    "M412": {"S": 1.0},
}


def _without(settings: Values, *names: str) -> Values:
    return {name: words for name, words in settings.items() if name not in names}


_UUID = "cede2a2f-41a2-4748-9b12-c55c62f367ff"
_MARLIN = "SOURCE_CODE_URL:github.com/MarlinFirmware/Marlin PROTOCOL_VERSION:1.0"

MARLIN_2_1 = Personality(
    "marlin-2.1",
    f"FIRMWARE_NAME:Marlin bugfix-2.1.x (Jan  1 2026 00:00:00) {_MARLIN} MACHINE_TYPE:Virtual Marlin EXTRUDER_COUNT:1 "
    f"UUID:{_UUID}",
    _CAPABILITIES,
    _SETTINGS,
)

_ALL = (
    MARLIN_2_1,
    msgspec.structs.replace(MARLIN_2_1, name="marlin-2.1-ubl", mesh=MeshKind.UBL),
    msgspec.structs.replace(MARLIN_2_1, name="marlin-2.1-mbl", mesh=MeshKind.MEASURED),
    msgspec.structs.replace(
        MARLIN_2_1,
        name="marlin-2.1-dual",
        m115=MARLIN_2_1.m115.replace("Virtual Marlin EXTRUDER_COUNT:1", "Virtual IDEX EXTRUDER_COUNT:2"),
        capabilities={**_CAPABILITIES, "CHAMBER_TEMPERATURE": 1},
        settings={
            **_without(_SETTINGS, "M301", "M304", "M851", "M900", "M603", "M412"),
            "M218 T1": {"X": 300.0, "Y": 0.0, "Z": 0.0},
            "M301": {"P": 22.2, "I": 1.08, "D": 114.0},
            "M301 E1": {"P": 20.0, "I": 1.0, "D": 100.0},
            "M304": {"P": 10.0, "I": 0.02, "D": 305.4},
            "M309": {"P": 37.0, "I": 1.4, "D": 650.0},
            "M851": {"X": -10.0, "Y": 5.0, "Z": -1.2},
            "M900": {"K": 0.05},
            "M906": {"X": 800.0, "Y": 800.0, "Z": 800.0, "E": 650.0},
            "M593 X": {"F": 40.0, "D": 0.15},
            "M593 Y": {"F": 36.0, "D": 0.15},
            "M412": {"S": 1.0},
        },
        hotends=2,
        chamber=True,
        fans=2,
        bed=(300.0, 300.0, 350.0),
    ),
    Personality(
        "marlin-1.1",
        "FIRMWARE_NAME:Marlin 1.1.9 (Github) SOURCE_CODE_URL:https://github.com/MarlinFirmware/Marlin "
        f"PROTOCOL_VERSION:1.0 MACHINE_TYPE:RepRap EXTRUDER_COUNT:1 UUID:{_UUID}",
        {
            name: _CAPABILITIES[name]
            for name in (
                "SERIAL_XON_XOFF",
                "EEPROM",
                "AUTOREPORT_TEMP",
                "PROGRESS",
                "PRINT_JOB",
                "AUTOLEVEL",
                "Z_PROBE",
            )
        },
        {
            **_without(_SETTINGS, "M205", "M207", "M208", "M209", "M603", "M412"),
            "M205": {"B": 20000.0, "S": 0.0, "T": 0.0, "X": 10.0, "Y": 10.0, "Z": 0.3, "E": 5.0},
        },
        reports_area=False,
        old_titles=True,
        advanced_ok=False,
        emergency_parser=False,
        runout=False,
    ),
    Personality(
        "creality",
        f"FIRMWARE_NAME:Marlin V1.0.4 (Mar  3 2021 10:00:00) {_MARLIN} MACHINE_TYPE:Ender-3 V2 EXTRUDER_COUNT:1 "
        f"UUID:{_UUID}",
        {**_CAPABILITIES, "AUTOLEVEL": 0, "LEVELING_DATA": 0, "Z_PROBE": 0, "RUNOUT": 0, "AUTOREPORT_POS": 0},
        {
            **_without(_SETTINGS, "M205", "M420", "M207", "M208", "M209", "M851", "M603", "M412"),
            "M205": {"B": 20000.0, "S": 0.0, "T": 0.0, "X": 8.0, "Y": 8.0, "Z": 0.4, "E": 5.0},
        },
        mesh=MeshKind.NONE,
        bed=(235.0, 235.0, 250.0),
        reports_area=False,
        advanced_ok=False,
        emergency_parser=False,
        runout=False,
    ),
    Personality(
        "prusa-mk3",
        "FIRMWARE_NAME:Prusa-Firmware 3.14.1+8237 based on Marlin FIRMWARE_URL:https://github.com/prusa3d/"
        "Prusa-Firmware PROTOCOL_VERSION:1.0 MACHINE_TYPE:Prusa i3 MK3S EXTRUDER_COUNT:1",
        {"AUTOREPORT_TEMP": 1, "AUTOREPORT_FANS": 1, "AUTOREPORT_POSITION": 1, "EXTENDED_M20": 1, "PRUSA_MMU2": 1},
        {
            "M92": {"X": 100.0, "Y": 100.0, "Z": 400.0, "E": 280.0},
            "M203": {"X": 200.0, "Y": 200.0, "Z": 12.0, "E": 120.0},
            "M201": {"X": 1250.0, "Y": 1250.0, "Z": 200.0, "E": 5000.0},
            "M204": {"P": 1250.0, "R": 1250.0, "T": 1250.0},
            "M205": {"S": 0.0, "T": 0.0, "B": 20000.0, "X": 8.0, "Y": 8.0, "Z": 0.4, "E": 4.5},
            "M206": {"X": 0.0, "Y": 0.0, "Z": 0.0},
            "M301": {"P": 16.13, "I": 1.16, "D": 56.23},
            "M304": {"P": 126.13, "I": 4.3, "D": 924.76},
            "M900": {"K": 0.05},
        },
        mesh=MeshKind.PRUSA,
        bed=(250.0, 210.0, 210.0),
        reports_area=False,
        old_titles=True,
        extra_sensors=(("P", 29.0), ("A", 33.4)),
        advanced_ok=False,
        emergency_parser=False,
        runout=False,
    ),
)
PERSONALITIES = {personality.name: personality for personality in _ALL}


def personality_of(name: str) -> Personality:
    """Return the firmware of that name, the newest Marlin without one. ValueError names those that there are."""
    if not name:
        return MARLIN_2_1
    try:
        return PERSONALITIES[name.lower()]
    except KeyError:
        raise ValueError(f"The virtual printer plays {', '.join(PERSONALITIES)}, not {name!r}") from None
