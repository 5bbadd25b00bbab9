"""Parsing reply lines: by example, by the recordings, and with any text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.marlin import replies
from moonraker_lite.marlin.replies import (
    Endstop,
    FanSpeed,
    FlowRate,
    Heater,
    HostAction,
    Position,
    ReplyKind,
    Setting,
    Temperatures,
    classify,
)
from tests.marlin_line.transcripts import names, needs_transcripts
from tests.marlin_line.transcripts import replies as recorded

PARSERS: tuple[Callable[[str], object], ...] = (
    replies.parse_advance,
    replies.parse_area,
    replies.parse_capability,
    replies.parse_endstop,
    replies.parse_endstop_limits,
    replies.parse_error,
    replies.parse_fan,
    replies.parse_feedrate,
    replies.parse_flow,
    replies.parse_host_action,
    replies.parse_m115,
    replies.parse_position,
    replies.parse_setting,
    replies.parse_temperatures,
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "ok T:21.05 /0.00 B:21.17 /0.00 @:0 B@:0",
            Temperatures({"T": Heater(21.05, 0.0, 0), "B": Heater(21.17, 0.0, 0)}),
        ),
        (
            " T:209.57 /210.00 B:21.05 /0.00 @:26 B@:0 W:9",
            Temperatures({"T": Heater(209.57, 210.0, 26), "B": Heater(21.05, 0.0, 0)}, True, 9),
        ),
        ("T:59.31 /210.00 @:127 W:?", Temperatures({"T": Heater(59.31, 210.0, 127)}, True, None)),
        (
            "ok T:210.0 /210.0 T0:210.0 /210.0 T1:25.1 /0.0 B:60.1 /60.0 C:30.0 /0.0 @:5 @0:5 @1:0 B@:9",
            Temperatures(
                {
                    "T": Heater(210.0, 210.0, 5),
                    "T0": Heater(210.0, 210.0, 5),
                    "T1": Heater(25.1, 0.0, 0),
                    "B": Heater(60.1, 60.0, 9),
                    "C": Heater(30.0, 0.0),
                }
            ),
        ),
        ("T:21.30/ 0.00 B:21.30/ 0.00 @:64", Temperatures({"T": Heater(21.3, 0.0, 64), "B": Heater(21.3, 0.0)})),
        ("T:-15.00 /-5.00", Temperatures({"T": Heater(-15.0, -5.0)})),
        ("T:20", Temperatures({"T": Heater(20.0)})),
        ("X:0.00 Y:0.00 Z:5.00 E:0.00 Count X:0 Y:0 Z:2000", None),
        ("echo:T:5", None),
        ("Bed X: 100.00 Y: 100.00 Z: 0.00", None),
        ("ok P15 B3", None),
        ("ok", None),
    ],
)
def test_temperatures(line: str, expected: Temperatures | None) -> None:
    assert replies.parse_temperatures(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "X:100.00 Y:-1.50 Z:4.82 E:0.00 Count X:8000 Y:-120 Z:1928",
            Position(100.0, -1.5, 4.82, 0.0, {"X": 8000, "Y": -120, "Z": 1928}),
        ),
        ("ok X:1.00 Y:2.00 Z:3.00 E:4.00", Position(1.0, 2.0, 3.0, 4.0)),
        ("X:1.00 Y:2.00 Z:3.00", Position(1.0, 2.0, 3.0)),
        ("Bed X: 20.00 Y: 20.00 Z: 0.09", None),
        ("X: nothing", None),
    ],
)
def test_positions(line: str, expected: Position | None) -> None:
    assert replies.parse_position(line) == expected


def test_m115() -> None:
    info = replies.parse_m115(
        "FIRMWARE_NAME:Marlin bugfix-2.1.x (Nov 20 2026 13:31:02) SOURCE_CODE_URL:github.com/MarlinFirmware/Marlin "
        "PROTOCOL_VERSION:1.0 MACHINE_TYPE:My Printer EXTRUDER_COUNT:2 UUID:cede2a2f-41a2-4748-9b12-c55c62f367ff"
    )
    assert info is not None
    assert info.name == "Marlin bugfix-2.1.x (Nov 20 2026 13:31:02)"
    assert info.machine == "My Printer"
    assert info.extruders == 2
    assert info.fields["SOURCE_CODE_URL"] == "github.com/MarlinFirmware/Marlin"
    old = replies.parse_m115("FIRMWARE_NAME:Marlin V1; Sprinter/grbl mashup for gen6 FIRMWARE_URL:https://x.y/z")
    assert old is not None
    assert (old.name, old.machine, old.extruders) == ("Marlin V1; Sprinter/grbl mashup for gen6", "", 1)
    assert replies.parse_m115("Cap:EEPROM:1") is None


def test_capabilities() -> None:
    assert replies.parse_capability("Cap:EEPROM:1") == ("EEPROM", True)
    assert replies.parse_capability("Cap:PROGRESS:0") == ("PROGRESS", False)
    for line in ("Cap:EEPROM:2", "Cap::1", "Cap:EEPROM", "cap:EEPROM:1"):
        assert replies.parse_capability(line) is None


def test_area() -> None:
    area = replies.parse_area(
        "area:{full:{min:{x:-5.00,y:0.00,z:0.00},max:{x:200.00,y:210.00,z:220.00}},"
        "work:{min:{x:0.00,y:0.00,z:0.00},max:{x:190.00,y:200.00,z:200.00}}}"
    )
    assert area is not None
    assert area.full_min == {"x": -5.0, "y": 0.0, "z": 0.0}
    assert area.work_max == {"x": 190.0, "y": 200.0, "z": 200.0}
    assert replies.parse_area("area:{}") is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("//action:cancel", HostAction("cancel")),
        ("// action:pause filament_runout 0", HostAction("pause", "filament_runout 0")),
        ("//action:prompt_begin Click to go on", HostAction("prompt_begin", "Click to go on")),
        ("//plain", None),
        ("//action:", None),
    ],
)
def test_host_actions(line: str, expected: HostAction | None) -> None:
    assert replies.parse_host_action(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("echo:  M92 X80.00 Y80.00 Z400.00 E93.00", Setting("M92", {"X": 80.0, "Y": 80.0, "Z": 400.0, "E": 93.0})),
        ("  M851 X0 Y0 Z-1.25 ; (mm)", Setting("M851", {"X": 0.0, "Y": 0.0, "Z": -1.25})),
        ("echo:  M149 C ; Units in Celsius", Setting("M149", {"C": 1.0})),
        ("echo:  G21 ; (mm)", Setting("G21", {})),
        ("M106 P0 S128", Setting("M106", {"P": 0.0, "S": 128.0})),
        ("echo: M73 Progress: 50%; Time left: 10m;", None),
        ("G29 Auto Bed Leveling", None),
        ("echo:; Steps per unit:", None),
    ],
)
def test_settings(line: str, expected: Setting | None) -> None:
    assert replies.parse_setting(line) == expected


def test_the_small_ones() -> None:
    assert replies.parse_endstop("x_min: open") == Endstop("x_min", False)
    assert replies.parse_endstop("filament: TRIGGERED") == Endstop("filament", True)
    assert replies.parse_endstop("Reporting endstop status") is None
    assert replies.parse_feedrate("FR:150%") == 150.0
    assert replies.parse_flow("echo:E0 Flow: 95%") == FlowRate(0, 95.0)
    assert replies.parse_fan("M106 P0 S128") == FanSpeed(0, 128)
    assert replies.parse_fan("M106 P0 S999") == FanSpeed(0, 255)
    assert replies.parse_fan("M107") is None
    assert replies.parse_advance("echo:Advance K=0.22") == 0.22
    assert replies.parse_advance("echo:Advance K=nan") is None
    assert replies.parse_error("Error:Probing Failed") == "Probing Failed"
    assert replies.parse_error("!! halted") == "halted"
    assert replies.parse_error("echo:Error") is None
    limits = replies.parse_endstop_limits("  Min:  X0.00 Y-2.00 Z0.00   Max:  X200.00 Y210.00 Z200.00")
    assert limits == ({"X": 0.0, "Y": -2.0, "Z": 0.0}, {"X": 200.0, "Y": 210.0, "Z": 200.0})
    assert replies.parse_endstop_limits("Min: Max:") is None


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("ok", ReplyKind.OK),
        ("ok T:21.0 /0.0", ReplyKind.OK),
        ("okay", ReplyKind.OTHER),
        ("Resend: 3", ReplyKind.RESEND),
        ("rs 3", ReplyKind.RESEND),
        ("Error:Probing Failed", ReplyKind.ERROR),
        ("echo:busy: processing", ReplyKind.BUSY),
        (" T:20.9 /0.0 B:21.0 /0.0", ReplyKind.TEMPERATURE),
        ("X:0.00 Y:0.00 Z:5.00 E:0.00 Count X:0 Y:0 Z:2000", ReplyKind.POSITION),
        ("echo:  M92 X80.00", ReplyKind.ECHO),
        ("//action:prompt_end", ReplyKind.ACTION),
        ("start", ReplyKind.START),
        ("starting", ReplyKind.OTHER),
        ("wait", ReplyKind.WAIT),
        ("", ReplyKind.OTHER),
    ],
)
def test_kinds(line: str, kind: ReplyKind) -> None:
    assert classify(line) is kind


@given(st.text(max_size=120))
def test_no_text_is_too_odd(line: str) -> None:
    classify(line)
    for parser in PARSERS:
        parser(line)


@given(
    st.text(alphabet="TBCPXYZEW0123456789:/.@-+ okechM", max_size=60),
)
def test_nothing_almost_right_is_too_odd(line: str) -> None:
    classify(line)
    for parser in PARSERS:
        parser(line)


@given(st.floats(-99, 999), st.floats(-5, 300), st.floats(0, 120))
def test_temperatures_come_back(hotend: float, target: float, bed: float) -> None:
    parsed = replies.parse_temperatures(f"ok T:{hotend:.2f} /{target:.2f} B:{bed:.2f} /0.00 @:12 B@:0")
    assert parsed is not None
    assert parsed.heaters["T"] == Heater(float(f"{hotend:.2f}"), float(f"{target:.2f}"), 12)
    assert parsed.heaters["B"].actual == float(f"{bed:.2f}")


@needs_transcripts
@pytest.mark.parametrize("name", names())
def test_recordings_are_understood(name: str) -> None:
    """Every line that looks like a report is one, and no line is two things."""
    for raw in recorded(name):
        line = raw.decode("latin-1").rstrip("\r")
        kind = classify(line)
        temperature = replies.parse_temperatures(line)
        assert (" T:" in line and "/" in line and kind in (ReplyKind.OK, ReplyKind.TEMPERATURE)) == bool(temperature)
        assert (kind is ReplyKind.POSITION) == bool(replies.parse_position(line))
        assert (kind is ReplyKind.ERROR) == (replies.parse_error(line) is not None)
        assert line.startswith("Cap:") == (replies.parse_capability(line) is not None)
        understood = [parser.__name__ for parser in PARSERS if parser(line) is not None]
        assert len(understood) <= 1 or understood == ["parse_fan", "parse_setting"], line
