"""What a firmware says of its settings: M503 and the answers to M92, M203, M211, M220, M221, M302, M412, M900, ...

Each is one line; both of M503's forms (`echo:  M92 X80.00 ...` below `echo:; Title:`, and without the echo) and
the old headings in words are known. Nothing here raises on any text.
"""

from __future__ import annotations

import re

import msgspec

from moonraker_lite.marlin.temperature_report import number_of


class Setting(msgspec.Struct, frozen=True):
    """One line of M503, or the answer to a bare M92, M203, ...: `M92`, {"X": 80.0, ...}. A letter alone counts 1.0."""

    command: str
    values: dict[str, float]


class FlowRate(msgspec.Struct, frozen=True):
    """Answer to M221: percent of an extruder."""

    extruder: int
    percent: float


class FanSpeed(msgspec.Struct, frozen=True):
    """Echo of M106/M107: fan index and speed 0..255."""

    fan: int
    speed: int


Ends = dict[str, float]

_NUMBER = r"[-+]?(?:\d{1,9}(?:[.,]\d{0,9})?|[.,]\d{1,9})"
_SETTING = re.compile(r"^(?:echo:)?\s*([GM]\d{1,4})\b(.*)$", re.ASCII)
# RepRapFirmware writes the values of several extruders with colons; the first is the first extruder's.
_WORD = re.compile(rf"([A-Z])\s*({_NUMBER})?(?::[\d.:]+)?(?=\s|$|[A-Z])", re.ASCII)
_WORDS = re.compile(rf"^(?:\s*[A-Z]\s*(?:{_NUMBER})?(?::[\d.:]+)?(?=\s|$|[A-Z]))*\s*$", re.ASCII)
_FEEDRATE = re.compile(
    rf"^(?:echo:)?\s*(?:FR:|SpeedMultiply:|Speed factor(?: override)?:)\s*({_NUMBER})\s*(?:%|$)", re.ASCII
)
_FLOW = re.compile(
    rf"^(?:echo:)?\s*(?:E(\d{{1,2}})\s+Flow:|FlowMultiply:|Extrusion factor override for extruder (\d{{1,2}}):)"
    rf"\s*({_NUMBER})\s*(?:%|$)",
    re.ASCII,
)
_FAN = re.compile(r"^M106 P(\d{1,2}) S(\d{1,5})$", re.ASCII)
_FAN_IN_WORDS = re.compile(r"^Fanspeed:\s*(\d{1,3})$", re.ASCII)
_LIMITS = re.compile(r"Min:\s*(.*?)\s*Max:\s*(.*)$", re.ASCII)
_PLACE = re.compile(rf"([A-Z]):?\s*({_NUMBER})", re.ASCII)
_RANGES = re.compile(rf"\b([XYZ])\s*({_NUMBER}):({_NUMBER})", re.ASCII)
_ADVANCE = re.compile(rf"Advance K\s*[=:]\s*({_NUMBER})\s*$", re.ASCII)
_COLD = re.compile(rf"Cold extrudes are (?:en|dis)abled \(min temp ({_NUMBER})\s*°?C?\)", re.ASCII)
_RUNOUT = re.compile(r"^(?:echo:)?\s*Filament runout\s*(?:sensor)?\s*:?\s*(ON|OFF)\b", re.ASCII | re.IGNORECASE)
_DRIVER = re.compile(r"^(?:echo:)?\s*([XYZE])0? (?:axis )?driver current: (\d{1,6})$", re.ASCII)
_DRIVER_AXES = re.compile(r"^\s+[XYZE]\d?(?:\s+[XYZE]\d?)*\s*$", re.ASCII)
_GAIN = re.compile(
    rf"^(?:echo:)?\s*#define\s+DEFAULT_(bed)?K([pid])\s+({_NUMBER})\s*$|^\s*K([pid]):\s*({_NUMBER})\s*$",
    re.ASCII | re.IGNORECASE,
)


def parse_setting(line: str) -> Setting | None:
    """`echo:  M92 X80.00 Y80.00 Z400.00 E93.00`, `  M301 P22.20 I1.08 D114.00 ; note`."""
    match = _SETTING.match(line.partition(";")[0].rstrip())
    if match is None or not _WORDS.match(match.group(2)):
        return None
    words = _WORD.findall(match.group(2))
    return Setting(match.group(1), {letter: number_of(value) if value else 1.0 for letter, value in words})


def parse_feedrate(line: str) -> float | None:
    """Percent of M220: `FR:100%`; Repetier's `SpeedMultiply:100`, RepRapFirmware's `Speed factor: 100.0%`."""
    match = _FEEDRATE.match(line.strip())
    return number_of(match.group(1)) if match is not None else None


def parse_flow(line: str) -> FlowRate | None:
    """Percent of M221: `echo:E0 Flow: 100%`, Repetier's `FlowMultiply:100`."""
    match = _FLOW.match(line.strip())
    return FlowRate(int(match[1] or match[2] or 0), number_of(match[3])) if match is not None else None


def parse_fan(line: str) -> FanSpeed | None:
    """`M106 P0 S128`, 0 after M107; Repetier's `Fanspeed:128`."""
    text = line.strip()
    if match := _FAN.match(text):
        return FanSpeed(int(match.group(1)), min(int(match.group(2)), 255))
    match = _FAN_IN_WORDS.match(text)
    return FanSpeed(0, min(int(match.group(1)), 255)) if match is not None else None


def parse_endstop_limits(line: str) -> tuple[Ends, Ends] | None:
    """Travel limits -> (min, max) by upper-case letter.

    M211's `  Min:  X0.00 Y0.00 Z0.00   Max:  X200.00 Y200.00 Z200.00`, in Marlin 1.1 behind `Soft endstops: ON`;
    RepRapFirmware's `Axis limits (mm) X0.0:200.0, Y0.0:200.0, Z0.0:200.0`.
    """
    if match := _LIMITS.search(line):
        low, high = ({axis: number_of(value) for axis, value in _PLACE.findall(part)} for part in match.groups())
        return (low, high) if low and high else None
    if line.strip().startswith("Axis limit"):
        found = _RANGES.findall(line)
        if found:
            return {axis: number_of(low) for axis, low, _ in found}, {axis: number_of(high) for axis, _, high in found}
    return None


def parse_advance(line: str) -> float | None:
    """`echo:Advance K=0.22` (M900)."""
    match = _ADVANCE.search(line)
    return number_of(match.group(1)) if match is not None else None


def parse_cold_extrusion(line: str) -> float | None:
    """M302's lowest temperature for extruding: `echo:Cold extrudes are disabled (min temp 170C)`."""
    match = _COLD.search(line)
    return number_of(match.group(1)) if match is not None else None


def parse_runout_switch(line: str) -> bool | None:
    """M412: `echo:Filament runout ON ; Host handling OFF`."""
    match = _RUNOUT.match(line.strip())
    return match.group(1).upper() == "ON" if match is not None else None


class DriverTable:
    """M122's table, of which the currents are taken: a header with the axes, `Set current` and a value for each."""

    def __init__(self) -> None:
        self._axes: list[str] = []

    def read(self, line: str) -> Setting | None:
        """Return M906 with the currents in mA when the line tells them; also of M906's own `X driver current: 800`."""
        if match := _DRIVER.match(line.strip()):
            return Setting("M906", {match[1]: number_of(match[2])})
        if _DRIVER_AXES.match(line):
            self._axes = line.split()
            return None
        name, _, rest = line.partition("\t")
        if name != "Set current" or not self._axes:
            return None
        cells = rest.split()
        if len(cells) != len(self._axes) or not all(cell.isascii() and cell.isdigit() for cell in cells):
            return None
        # Second motors of an axis (X2, Z2) have the current of the first in Klipper's view.
        pairs = zip(self._axes, cells, strict=True)
        return Setting("M906", {axis[0]: float(cell[:6]) for axis, cell in pairs if axis[1:] in ("", "0")})


def parse_autotune(line: str) -> tuple[str, str, float] | None:
    """One gain that M303 has found: `#define DEFAULT_Kp 22.20`, `#define DEFAULT_bedKi 0.02`, ` Kp: 22.20`.

    Returns (command, word, value): (`M301`, `P`, 22.2), for the bed `M304`.
    """
    match = _GAIN.match(line.strip())
    if match is None:
        return None
    return "M304" if match[1] else "M301", (match[2] or match[4]).upper(), number_of(match[3] or match[5])
