"""Parsing of one reply line of the firmware: pure functions, None where the line is something else.

All take the line as `Line.text` or `Acknowledged.replies` give it: without line end, perhaps with leading spaces.
None of them raises on any text. Temperatures, identity and settings have modules of their own.
"""

from __future__ import annotations

import enum
import re

import msgspec

from moonraker_lite.marlin.temperature_report import number_of, parse_temperatures


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


class Position(msgspec.Struct, frozen=True):
    """One position report in mm: the planned end position. `steps` are the `Count` values, by axis."""

    x: float
    y: float
    z: float
    e: float = 0.0
    steps: dict[str, int] = {}


class HostAction(msgspec.Struct, frozen=True):
    """`//action:NAME TAIL`: name is the first word, tail the rest (may be empty)."""

    name: str
    tail: str = ""


class Endstop(msgspec.Struct, frozen=True):
    """One switch of M119's answer; `name` in lower case: `x_min`, `z_probe`, `filament`."""

    name: str
    triggered: bool


class ProbedPoint(msgspec.Struct, frozen=True):
    """One measurement of G29 V4 or G30 in mm."""

    x: float
    y: float
    z: float


class FanReport(msgspec.Struct, frozen=True):
    """Speeds of fans by their name in the report (`E0`, `PRN1`): turns per minute, and how far they are on, 0..1."""

    rpm: dict[str, float]
    speed: dict[str, float]


_NUMBER = r"[-+]?(?:\d{1,9}(?:[.,]\d{0,9})?|[.,]\d{1,9})"
_POSITION = re.compile(rf"X:\s*({_NUMBER})\s*Y:\s*({_NUMBER})\s*Z:\s*({_NUMBER})(?:\s*E\d*:\s*({_NUMBER}))?", re.ASCII)
_STEPS = re.compile(r"\b([A-Z]):\s*(-?\d{1,12})(?![\d.,])", re.ASCII)
_ENDSTOP = re.compile(r"^(?:ok )?([A-Za-z][\w ]*?)\s*:\s*(open|TRIGGERED)\b", re.ASCII | re.IGNORECASE)
_ENDSTOP_LETTERS = re.compile(r"\b([A-Za-z][\w-]*(?: state)?):\s*([LH01])\b", re.ASCII)
_ENDSTOP_WORDS = re.compile(
    r"([XYZ](?: probe)?): (not stopped|at m(?:in|ax) stop|no endstop)", re.ASCII | re.IGNORECASE
)
_BED = re.compile(
    rf"^(?:echo:)?\s*Bed X:\s*({_NUMBER})\s*Y:\s*({_NUMBER})\s*Z:\s*({_NUMBER})", re.ASCII | re.IGNORECASE
)
_TURNS = re.compile(r"\b([A-Z]+\d*):\s*(\d{1,6})\s*RPM", re.ASCII)
_FAN_POWER = re.compile(r"\b([A-Z]+\d+)@:\s*(\d{1,3})\b", re.ASCII)
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
    if text[:1] in ("T", "B", "C") and parse_temperatures(text) is not None:
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


def parse_position(line: str) -> Position | None:
    """`X:0.00 Y:0.00 Z:5.00 E:0.00 Count X:0 Y:0 Z:2000`, also behind `ok`, without blanks, with E0, E1, ..."""
    if "X:" not in line:
        return None
    text = line.strip()
    if text[:3] == "ok ":
        text = text[3:].lstrip()
    planned, _, count = text.partition("Count")
    match = _POSITION.match(planned)
    if match is None:
        return None
    x, y, z, e = (number_of(value) if value else 0.0 for value in match.groups())
    return Position(x, y, z, e, {axis: int(steps) for axis, steps in _STEPS.findall(count)})


def parse_host_action(line: str) -> HostAction | None:
    """`//action:pause filament_runout 0`, `// action:cancel`."""
    match = _ACTION.match(line.strip())
    return HostAction(match.group(1), match.group(2)) if match is not None else None


def parse_endstops(line: str) -> list[Endstop]:
    """What a line of M119's answer says: Marlin has one switch in each, Repetier and RepRapFirmware all in one.

    `x_min: open`, `filament 2: TRIGGERED`; `endstops hit: x_min:L z_min:H Z-probe state:H`;
    `Endstops - X: at min stop, Y: not stopped, Z probe: not stopped`.
    """
    text = line.strip()
    if match := _ENDSTOP.match(text):
        return [Endstop(_switch(match[1]), match[2].lower() == "triggered")]
    lower = text.lower()
    if lower.startswith("endstops -"):
        return [
            Endstop("z_probe" if "probe" in name.lower() else f"{name.lower()}_min", state.lower().startswith("at"))
            for name, state in _ENDSTOP_WORDS.findall(text)
        ]
    if lower.startswith(("endstops hit", "x_min:", "x_max:", "y_min:", "z_min:")):
        return [Endstop(_switch(name), state in "H1") for name, state in _ENDSTOP_LETTERS.findall(text)]
    return []


def _switch(name: str) -> str:
    name = "_".join(name.lower().split())
    return "z_probe" if "probe" in name else name


def parse_endstop(line: str) -> Endstop | None:
    """The first switch of a line, see `parse_endstops`."""
    found = parse_endstops(line)
    return found[0] if found else None


def parse_probed_point(line: str) -> ProbedPoint | None:
    """`Bed X: 20.00 Y: 20.00 Z: 0.09`."""
    match = _BED.match(line.strip())
    return ProbedPoint(*(number_of(value) for value in match.groups())) if match is not None else None


def parse_fan_report(line: str) -> FanReport | None:
    """Prusa's `E0:3240 RPM PRN1:4560 RPM E0@:255 PRN1@:255`, Marlin's M123 `E0:1200 RPM`."""
    if "RPM" not in line:
        return None
    rpm = {name: float(turns) for name, turns in _TURNS.findall(line)}
    speed = {name: min(int(power), 255) / 255.0 for name, power in _FAN_POWER.findall(line)}
    return FanReport(rpm, speed) if rpm else None


def parse_error(line: str) -> str | None:
    """The text behind `Error:`, `!!` or `fatal:`, stripped; None for other lines."""
    text = line.strip()
    for beginning in ("Error:", "!!", "fatal:"):
        if text.startswith(beginning):
            return text[len(beginning) :].strip()
    return None
