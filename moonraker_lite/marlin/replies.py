"""Parsing of one reply line of the firmware: pure functions, None where the line is something else."""

from __future__ import annotations

import enum

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
    """One temperature report. Keys of `heaters`: `T` (active hotend), `T0`, `T1`, ..., `B`, `C`, `P`, `R`, `L`, ....

    `waiting`: the line comes from M109/M190/M191 (`W:`); `seconds_left` is None while the target is not reached (`W:?`).
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
        raise NotImplementedError


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


def classify(line: str) -> ReplyKind:
    """What kind of line this is."""
    raise NotImplementedError


def parse_temperatures(line: str) -> Temperatures | None:
    """`ok T:21.05 /0.00 B:21.17 /0.00 @:0 B@:0`, ` T:... W:?`; None for anything else."""
    raise NotImplementedError


def parse_position(line: str) -> Position | None:
    """`X:0.00 Y:0.00 Z:5.00 E:0.00 Count X:0 Y:0 Z:2000`."""
    raise NotImplementedError


def parse_m115(line: str) -> FirmwareInfo | None:
    """`FIRMWARE_NAME:... SOURCE_CODE_URL:... PROTOCOL_VERSION:...`."""
    raise NotImplementedError


def parse_capability(line: str) -> tuple[str, bool] | None:
    """`Cap:EEPROM:1` -> ("EEPROM", True)."""
    raise NotImplementedError


def parse_area(line: str) -> Area | None:
    """`area:{full:{min:{x:..,y:..,z:..},max:{..}},work:{..}}`."""
    raise NotImplementedError


def parse_host_action(line: str) -> HostAction | None:
    """`//action:pause filament_runout 0`, `// action:cancel`."""
    raise NotImplementedError


def parse_endstop(line: str) -> Endstop | None:
    """`x_min: open`, `filament: TRIGGERED`."""
    raise NotImplementedError


def parse_setting(line: str) -> Setting | None:
    """`echo:  M92 X80.00 Y80.00 Z400.00 E93.00`, `  M301 P22.20 I1.08 D114.00 ; note`."""
    raise NotImplementedError


def parse_feedrate(line: str) -> float | None:
    """`FR:100%` (M220)."""
    raise NotImplementedError


def parse_flow(line: str) -> FlowRate | None:
    """`echo:E0 Flow: 100%` (M221)."""
    raise NotImplementedError


def parse_fan(line: str) -> FanSpeed | None:
    """`M106 P0 S128`."""
    raise NotImplementedError


def parse_endstop_limits(line: str) -> tuple[dict[str, float], dict[str, float]] | None:
    """M211's `  Min:  X0.00 Y0.00 Z0.00   Max:  X200.00 Y200.00 Z200.00` -> (min, max) by upper-case letter."""
    raise NotImplementedError


def parse_error(line: str) -> str | None:
    """The text behind `Error:` (or `!! `, `fatal:`), stripped; None for other lines."""
    raise NotImplementedError
