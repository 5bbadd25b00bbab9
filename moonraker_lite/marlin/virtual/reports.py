"""What the virtual Marlin says at length: banner, M115, settings."""

from __future__ import annotations

from collections.abc import Iterator

from moonraker_lite.marlin.virtual.personality import Personality, Values

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

_TITLES = {
    "M200": "Filament settings (Disabled)",
    "M92": "Steps per unit",
    "M203": "Max feedrates (units/s)",
    "M201": "Max Acceleration (units/s2)",
    "M204": "Acceleration (units/s2) (P<print-accel> R<retract-accel> T<travel-accel>)",
    "M205": "Advanced (B<min_segment_time_us> S<min_feedrate> T<min_travel_feedrate> J<junc_dev>)",
    "M206": "Home offset",
    "M218": "Hotend offsets",
    "M420": "Auto Bed Leveling",
    "M301": "Hotend PID",
    "M304": "Bed PID",
    "M309": "Chamber PID",
    "M207": "Retract (S<length> F<feedrate> Z<lift>)",
    "M208": "Recover (S<length> F<feedrate>)",
    "M209": "Auto-Retract (S<enable>)",
    "M851": "Z-Probe Offset",
    "M900": "Linear Advance",
    "M906": "Stepper driver current",
    "M593": "Input Shaping",
    "M603": "Filament load/unload",
    "M412": "Filament runout sensor",
}
_OLD_TITLES = {
    "M203": "Maximum feedrates (units/s)",
    "M201": "Maximum Acceleration (units/s2)",
    "M204": "Acceleration (units/s2): P<print_accel> R<retract_accel> T<travel_accel>",
    "M205": "Advanced: B<min_segment_time_us> S<min_feedrate> T<min_travel_feedrate> X<max_x_jerk>",
    "M301": "PID settings",
    "M304": "PID heatbed settings",
    "M900": "Linear Advance",
}
_NOTES = {"M851": "(mm)", "M603": "(mm)"}
_SWITCHES = {"M420": "Leveling", "M412": "Sensor"}


_CARD = ("SDCARD", "SD_WRITE", "AUTOREPORT_SD_STATUS", "LONG_FILENAME", "LFN_WRITE")


def firmware(who: Personality, *, emergency_parser: bool, card: bool = False) -> Iterator[bytes]:
    """M115."""
    yield f"{who.m115}\n".encode()
    capabilities = {**who.capabilities, **(dict.fromkeys(_CARD, 1) if card else {})}
    for name, value in capabilities.items():
        yield f"Cap:{name}:{int(emergency_parser) if name == 'EMERGENCY_PARSER' else value}\n".encode()
    if who.reports_area:
        x, y, z = who.bed
        box = f"min:{{x:0.00,y:0.00,z:0.00}},max:{{x:{x:.2f},y:{y:.2f},z:{z:.2f}}}"
        yield f"area:{{full:{{{box}}},work:{{{box}}}}}\n".encode()


def endstop_limits(who: Personality, *, on: bool) -> Iterator[bytes]:
    """M211."""
    x, y, z = who.bed
    limits = f"Min:  X0.00 Y0.00 Z0.00   Max:  X{x:.2f} Y{y:.2f} Z{z:.2f}"
    if who.reports_area:
        yield b"  M211 S%d ; %b\n" % (on, b"ON" if on else b"OFF")
        yield f"  {limits}\n".encode()
    else:
        yield f"echo:Soft endstops: {'ON' if on else 'OFF'}  {limits}\n".encode()


def setting(name: str, values: dict[str, float]) -> bytes:
    """`  M92 X80.00 Y80.00 Z400.00 E93.00`."""
    words = " ".join(f"{letter}{_number(name, letter, value)}" for letter, value in values.items())
    note = ""
    if name in _NOTES:
        note = f" ; {_NOTES[name]}"
    elif name in _SWITCHES:
        note = f" ; {_SWITCHES[name]} {'ON' if values['S'] else 'OFF'}"
    return f"  {name} {words}{note}\n".encode()


def _number(name: str, letter: str, value: float) -> str:
    if (letter == "S" and name in ("M200", "M209", *_SWITCHES)) or (name == "M851" and letter != "Z"):
        return f"{value:g}"
    return f"{value:.0f}" if name == "M906" else f"{value:.2f}"


def settings(who: Personality, values: Values, *, titles: bool, levelling: tuple[bytes, ...] = ()) -> Iterator[bytes]:
    """M503; `titles` False for S0. `levelling`: what follows behind M420."""
    echo = b"echo:" if titles else b""
    mark = "" if who.old_titles else "; "
    if titles and not who.old_titles:
        yield b"echo:; Linear Units:\n"
    yield echo + b"  G21 ; (mm)\n"
    if titles and not who.old_titles:
        yield b"echo:; Temperature Units:\n"
    yield echo + b"  M149 C ; Units in Celsius\n"
    before = ""
    for name, words in values.items():
        command = name[:4].rstrip()
        title = (_OLD_TITLES.get(command) if who.old_titles else None) or _TITLES[command]
        if command == "M420" and levelling:
            title = "Unified Bed Leveling"
        if titles and command != before:
            yield f"echo:{mark}{title}:\n".encode()
        before = command
        shown = "M301 E0" if name == "M301" and "M301 E1" in values else name
        yield echo + setting(shown, words)
        if command == "M420":
            yield from levelling
