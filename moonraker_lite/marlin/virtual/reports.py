"""What the virtual Marlin says at length: banner, M115, settings, mesh."""

from __future__ import annotations

import math
from collections.abc import Iterator

BANNER = (
    b"start\n",
    b"PowerUp\n",
    b"Marlin bugfix-2.1.x\n",
    b"echo: Last Updated: 2023-01-07 | Author: (moonraker-lite, virtual)\n",
    b"echo: Compiled: Jan  1 2026\n",
    b"echo: Free Memory: 0  PlannerBufferBytes: 1472\n",
    b"echo:V87 stored settings retrieved (678 bytes; crc 2619)\n",
    b"//action:notification Stored settings retrieved\n",
    b"//action:prompt_end\n",
)

_CAPABILITIES = {
    "SERIAL_XON_XOFF": 0,
    "BINARY_FILE_TRANSFER": 0,
    "EEPROM": 1,
    "VOLUMETRIC": 0,
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

_BOX = "min:{x:0.00,y:0.00,z:0.00},max:{x:200.00,y:200.00,z:200.00}"

DEFAULTS: dict[str, dict[str, float]] = {
    "M92": {"X": 80.0, "Y": 80.0, "Z": 400.0, "E": 93.0},
    "M203": {"X": 500.0, "Y": 500.0, "Z": 20.0, "E": 100.0},
    "M201": {"X": 5000.0, "Y": 5000.0, "Z": 500.0, "E": 10000.0},
    "M204": {"P": 3000.0, "R": 3000.0, "T": 3000.0},
    "M205": {"B": 20000.0, "S": 0.0, "T": 0.0, "J": 0.01},
    "M206": {"X": 0.0, "Y": 0.0, "Z": 0.0},
    "M420": {"S": 0.0, "Z": 10.0},
    "M301": {"P": 22.2, "I": 1.08, "D": 114.0},
    "M304": {"P": 10.0, "I": 0.02, "D": 305.4},
    "M851": {"X": 0.0, "Y": 0.0, "Z": 0.0},
    "M900": {"K": 0.22},
    "M412": {"S": 1.0},
}

_TITLES = {
    "M92": "Steps per unit",
    "M203": "Max feedrates (units/s)",
    "M201": "Max Acceleration (units/s2)",
    "M204": "Acceleration (units/s2) (P<print-accel> R<retract-accel> T<travel-accel>)",
    "M205": "Advanced (B<min_segment_time_us> S<min_feedrate> T<min_travel_feedrate> J<junc_dev>)",
    "M206": "Home offset",
    "M420": "Auto Bed Leveling",
    "M301": "Hotend PID",
    "M304": "Bed PID",
    "M851": "Z-Probe Offset",
    "M900": "Linear Advance",
    "M412": "Filament runout sensor",
}


def firmware(*, emergency_parser: bool) -> Iterator[bytes]:
    """M115."""
    yield (
        b"FIRMWARE_NAME:Marlin bugfix-2.1.x (Jan  1 2026 00:00:00) SOURCE_CODE_URL:github.com/MarlinFirmware/Marlin "
        b"PROTOCOL_VERSION:1.0 MACHINE_TYPE:Virtual Marlin EXTRUDER_COUNT:1 UUID:cede2a2f-41a2-4748-9b12-c55c62f367ff\n"
    )
    for name, value in _CAPABILITIES.items():
        yield f"Cap:{name}:{int(emergency_parser) if name == 'EMERGENCY_PARSER' else value}\n".encode()
    yield f"area:{{full:{{{_BOX}}},work:{{{_BOX}}}}}\n".encode()


def setting(name: str, values: dict[str, float]) -> bytes:
    """`  M92 X80.00 Y80.00 Z400.00 E93.00`."""
    words = " ".join(f"{letter}{_number(name, letter, value)}" for letter, value in values.items())
    note = ""
    if name == "M851":
        note = " ; (mm)"
    elif name in _SWITCHES:
        note = f" ; {_SWITCHES[name]} {'ON' if values['S'] else 'OFF'}"
    return f"  {name} {words}{note}\n".encode()


_SWITCHES = {"M420": "Leveling", "M412": "Sensor"}


def _number(name: str, letter: str, value: float) -> str:
    if (letter == "S" and name in _SWITCHES) or (name == "M851" and letter != "Z"):
        return f"{value:g}"
    return f"{value:.2f}"


def settings(values: dict[str, dict[str, float]], *, titles: bool) -> Iterator[bytes]:
    """M503; `titles` False for S0."""
    echo = b"echo:" if titles else b""
    if titles:
        yield b"echo:; Linear Units:\n"
    yield echo + b"  G21 ; (mm)\n"
    if titles:
        yield b"echo:; Temperature Units:\n"
    yield echo + b"  M149 C ; Units in Celsius\n"
    for name, words in values.items():
        if titles:
            yield f"echo:; {_TITLES[name]}:\n".encode()
        yield echo + setting(name, words)


def mesh_value(column: int, row: int) -> float:
    """Height of the virtual bed at a point of its 5 x 5 mesh, in mm."""
    return 0.15 * math.sin(1.0 + 0.9 * column) - 0.05 * row + 0.02 * math.cos(3.0 * row)


def mesh() -> Iterator[bytes]:
    """The bilinear grid as G29 and M420 V print it."""
    yield b"Bilinear Leveling Grid:\n"
    yield b"       0      1      2      3      4\n"
    for row in range(5):
        yield f" {row} {' '.join(f'{mesh_value(column, row):+.3f}' for column in range(5))}\n".encode()
    yield b"\n"
