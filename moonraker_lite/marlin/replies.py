"""Parsing of one reply line of the firmware: pure functions, None where the line is something else.

All take the line as `Line.text` or `Acknowledged.replies` give it: without line end, perhaps with leading spaces.
None of them raises on any text.
"""

from __future__ import annotations

import enum
import math
import re

import msgspec


class ReplyKind(enum.Enum):
    """What a line is, by its beginning."""

    OK = "ok"
    RESEND = "resend"
    ERROR = "error"
    BUSY = "busy"
    TEMPERATURE = "temperature"
    POSITION = "position"
    ECHO = "echo"
    ACTION = "action"
    START = "start"
    WAIT = "wait"
    OTHER = "other"


class Heater(msgspec.Struct, frozen=True):
    """One sensor: degrees Celsius; `target` None where the firmware names none; `power` 0..127 or None."""

    actual: float
    target: float | None = None
    power: int | None = None


class Temperatures(msgspec.Struct, frozen=True):
    """One temperature report. Keys of `heaters`: `T` (active hotend), `T0`, `T1`, ..., `B`, `C`, `P`, `R`, `L`.

    `waiting`: the line is of M109/M190/M191 (`W:`); `seconds_left` is None while the target is not reached (`W:?`).
    """

    heaters: dict[str, Heater]
    waiting: bool = False
    seconds_left: int | None = None


class Position(msgspec.Struct, frozen=True):
    """One position report in mm: the planned end position. `steps` are the `Count` values, by axis."""

    x: float
    y: float
    z: float
    e: float = 0.0
    steps: dict[str, int] = {}


class FirmwareInfo(msgspec.Struct, frozen=True):
    """M115's first line. `fields` has every KEY:value of it."""

    name: str
    fields: dict[str, str]

    @property
    def machine(self) -> str:
        """MACHINE_TYPE, or the empty string."""
        return self.fields.get("MACHINE_TYPE", "")

    @property
    def extruders(self) -> int:
        """EXTRUDER_COUNT, 1 where it is not told."""
        count = self.fields.get("EXTRUDER_COUNT", "")
        return int(count) if count.isascii() and count.isdigit() else 1


class Area(msgspec.Struct, frozen=True):
    """M115's `area:` line: travel limits in mm by axis letter x, y, z."""

    full_min: dict[str, float]
    full_max: dict[str, float]
    work_min: dict[str, float]
    work_max: dict[str, float]


class HostAction(msgspec.Struct, frozen=True):
    """`//action:NAME TAIL`: name is the first word, tail the rest (may be empty)."""

    name: str
    tail: str = ""


class Setting(msgspec.Struct, frozen=True):
    """One line of M503, or the answer to a bare M92, M203, ...: `M92`, {"X": 80.0, ...}. A letter alone counts 1.0."""

    command: str
    values: dict[str, float]


class Endstop(msgspec.Struct, frozen=True):
    """One line of M119."""

    name: str
    triggered: bool


class FlowRate(msgspec.Struct, frozen=True):
    """Answer to M221: percent of an extruder."""

    extruder: int
    percent: float


class FanSpeed(msgspec.Struct, frozen=True):
    """Echo of M106/M107: fan index and speed 0..255."""

    fan: int
    speed: int


_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_TEMPERATURE = re.compile(rf"(?:^|\s)(T\d*|[BCPRLA]):\s*({_NUMBER})(?:\s*/\s*({_NUMBER}))?", re.ASCII)
_POWER = re.compile(r"(?:^|\s)([BCL]?)@(\d*):\s*(-?\d+)", re.ASCII)
_WAIT = re.compile(r"\sW:\s*(\d+|\?)", re.ASCII)
_POSITION = re.compile(rf"X:\s*({_NUMBER})\s+Y:\s*({_NUMBER})\s+Z:\s*({_NUMBER})(?:\s+E\d*:\s*({_NUMBER}))?", re.ASCII)
_STEPS = re.compile(r"\b([A-Z]):\s*(-?\d+)", re.ASCII)
_KEY = re.compile(r"(?:^|\s)([A-Z][A-Z0-9_]+):", re.ASCII)
_BOX = re.compile(r"\b(full|work):\{min:\{([^{}]*)\},max:\{([^{}]*)\}\}", re.ASCII)
_AXIS = re.compile(rf"([a-z]):\s*({_NUMBER})", re.ASCII)
_ENDSTOP = re.compile(r"^([A-Za-z][\w ]*?):\s*(open|TRIGGERED)$", re.ASCII)
_SETTING = re.compile(r"^(?:echo:)?\s*([GM]\d+)\b(.*)$", re.ASCII)
_WORD = re.compile(rf"([A-Z])\s*({_NUMBER})?(?=\s|$|[A-Z])", re.ASCII)
_WORDS = re.compile(rf"^(?:\s*[A-Z]\s*(?:{_NUMBER})?(?=\s|$|[A-Z]))*\s*$", re.ASCII)
_FEEDRATE = re.compile(rf"^(?:echo:)?\s*FR:\s*({_NUMBER})\s*%", re.ASCII)
_FLOW = re.compile(rf"^(?:echo:)?\s*E(\d+)\s+Flow:\s*({_NUMBER})\s*%", re.ASCII)
_FAN = re.compile(r"^M106 P(\d+) S(\d+)$", re.ASCII)
_LIMITS = re.compile(r"Min:\s*(.*?)\s*Max:\s*(.*)$", re.ASCII)
_ACTION = re.compile(r"^//\s*action:\s*(\S+)\s*(.*)$", re.DOTALL)


def classify(line: str) -> ReplyKind:
    """What kind of line this is."""
    text = line.strip()
    if text[:2] == "ok" and not text[2:3].isalnum():
        return ReplyKind.OK
    for beginning, kind in _BEGINNINGS:
        if text.startswith(beginning):
            return kind
    if text == "start":
        return ReplyKind.START
    if text == "wait":
        return ReplyKind.WAIT
    if _TEMPERATURE.match(text):
        return ReplyKind.TEMPERATURE
    if text[:2] == "X:" and _POSITION.match(text):
        return ReplyKind.POSITION
    if text[:6].lower() == "resend" or text[:3] == "rs ":
        return ReplyKind.RESEND
    return ReplyKind.OTHER


_BEGINNINGS = (
    ("echo:busy:", ReplyKind.BUSY),
    ("busy:", ReplyKind.BUSY),
    ("echo:", ReplyKind.ECHO),
    ("//", ReplyKind.ACTION),
    ("Error:", ReplyKind.ERROR),
    ("!!", ReplyKind.ERROR),
    ("fatal:", ReplyKind.ERROR),
)


def parse_temperatures(line: str) -> Temperatures | None:
    """`ok T:21.05 /0.00 B:21.17 /0.00 @:0 B@:0`, ` T:... W:?`; None for anything else.

    The first occurrence of a sensor counts. A position report may hold `P:` and `B:` too and is none.
    """
    if ":" not in line or "X:" in line or line.startswith(("echo:", "Error:", "//", "Bed ")):
        return None
    found = _TEMPERATURE.findall(line)
    if not found or not any(name[0] in "TBC" for name, _, _ in found):
        return None
    power = {heater + index: int(value) for heater, index, value in _POWER.findall(line)}
    heaters: dict[str, Heater] = {}
    for name, actual, target in found:
        if name not in heaters:
            # `@:` is the active hotend's, `@1:` that of T1, `B@:` the bed's.
            watts = power.get(name[1:] if name[0] == "T" else name)
            heaters[name] = Heater(float(actual), float(target) if target else None, watts)
    wait = _WAIT.search(line)
    left = wait.group(1) if wait is not None else "?"
    return Temperatures(heaters, wait is not None, int(left) if left != "?" else None)


def parse_position(line: str) -> Position | None:
    """`X:0.00 Y:0.00 Z:5.00 E:0.00 Count X:0 Y:0 Z:2000`, also behind `ok`."""
    text = line.strip()
    if text[:3] == "ok ":
        text = text[3:].lstrip()
    planned, _, count = text.partition("Count")
    match = _POSITION.match(planned)
    if match is None:
        return None
    x, y, z, e = (float(value) if value else 0.0 for value in match.groups())
    return Position(x, y, z, e, {axis: int(steps) for axis, steps in _STEPS.findall(count)})


def parse_m115(line: str) -> FirmwareInfo | None:
    """`FIRMWARE_NAME:... SOURCE_CODE_URL:... PROTOCOL_VERSION:...`; values may hold spaces and colons."""
    text = line.strip()
    if not text.startswith("FIRMWARE_NAME:"):
        return None
    keys = list(_KEY.finditer(text))
    ends = [match.start() for match in keys[1:]] + [len(text)]
    fields = {match.group(1): text[match.end() : end].strip() for match, end in zip(keys, ends, strict=True)}
    return FirmwareInfo(fields["FIRMWARE_NAME"], fields)


def parse_capability(line: str) -> tuple[str, bool] | None:
    """`Cap:EEPROM:1` -> ("EEPROM", True)."""
    parts = line.strip().split(":")
    if len(parts) != 3 or parts[0] != "Cap" or not parts[1] or parts[2] not in ("0", "1"):
        return None
    return parts[1], parts[2] == "1"


def parse_area(line: str) -> Area | None:
    """`area:{full:{min:{x:..,y:..,z:..},max:{..}},work:{..}}`; without quotes, so it is no JSON."""
    text = line.strip()
    if not text.startswith("area:"):
        return None
    boxes = {name: (_axes(low), _axes(high)) for name, low, high in _BOX.findall(text)}
    if "full" not in boxes:
        return None
    full = boxes["full"]
    work = boxes.get("work", full)
    return Area(full[0], full[1], work[0], work[1])


def _axes(text: str) -> dict[str, float]:
    return {axis: float(value) for axis, value in _AXIS.findall(text)}


def parse_host_action(line: str) -> HostAction | None:
    """`//action:pause filament_runout 0`, `// action:cancel`."""
    match = _ACTION.match(line.strip())
    return HostAction(match.group(1), match.group(2)) if match is not None else None


def parse_endstop(line: str) -> Endstop | None:
    """`x_min: open`, `filament: TRIGGERED`."""
    match = _ENDSTOP.match(line.strip())
    return Endstop(match.group(1), match.group(2) == "TRIGGERED") if match is not None else None


def parse_setting(line: str) -> Setting | None:
    """`echo:  M92 X80.00 Y80.00 Z400.00 E93.00`, `  M301 P22.20 I1.08 D114.00 ; note`."""
    match = _SETTING.match(line.partition(";")[0].rstrip())
    if match is None or not _WORDS.match(match.group(2)):
        return None
    words = _WORD.findall(match.group(2))
    return Setting(match.group(1), {letter: float(value) if value else 1.0 for letter, value in words})


def parse_feedrate(line: str) -> float | None:
    """`FR:100%` (M220)."""
    match = _FEEDRATE.match(line)
    return float(match.group(1)) if match is not None else None


def parse_flow(line: str) -> FlowRate | None:
    """`echo:E0 Flow: 100%` (M221)."""
    match = _FLOW.match(line)
    return FlowRate(int(match.group(1)), float(match.group(2))) if match is not None else None


def parse_fan(line: str) -> FanSpeed | None:
    """`M106 P0 S128`; 0 after M107."""
    match = _FAN.match(line.strip())
    return FanSpeed(int(match.group(1)), min(int(match.group(2)), 255)) if match is not None else None


def parse_endstop_limits(line: str) -> tuple[dict[str, float], dict[str, float]] | None:
    """M211's `  Min:  X0.00 Y0.00 Z0.00   Max:  X200.00 Y200.00 Z200.00` -> (min, max) by upper-case letter."""
    match = _LIMITS.search(line)
    if match is None:
        return None
    low, high = ({axis: float(value) for axis, value in _WORD.findall(part) if value} for part in match.groups())
    return (low, high) if low and high else None


def parse_error(line: str) -> str | None:
    """The text behind `Error:`, `!!` or `fatal:`, stripped; None for other lines."""
    text = line.strip()
    for beginning in ("Error:", "!!", "fatal:"):
        if text.startswith(beginning):
            return text[len(beginning) :].strip()
    return None


def parse_advance(line: str) -> float | None:
    """`echo:Advance K=0.22` (M900)."""
    _, found, value = line.partition("Advance K=")
    if not found:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
