"""Parsing reply lines: by example, by the recordings, and with any text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonraker_lite.marlin import identity, replies, settings_report, temperature_report
from moonraker_lite.marlin.replies import Endstop, FanReport, HostAction, Position, ProbedPoint, ReplyKind, classify
from moonraker_lite.marlin.settings_report import FanSpeed, FlowRate, Setting
from moonraker_lite.marlin.temperature_report import Heater, Temperatures
from tests.marlin_line.transcripts import names, needs_transcripts
from tests.marlin_line.transcripts import replies as recorded

# However slow the machine is.
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PARSERS: tuple[Callable[[str], object], ...] = (
    identity.parse_area,
    identity.parse_capability,
    identity.parse_m115,
    replies.parse_endstop,
    replies.parse_error,
    replies.parse_fan_report,
    replies.parse_host_action,
    replies.parse_position,
    replies.parse_probed_point,
    settings_report.parse_advance,
    settings_report.parse_autotune,
    settings_report.parse_cold_extrusion,
    settings_report.parse_endstop_limits,
    settings_report.parse_fan,
    settings_report.parse_feedrate,
    settings_report.parse_flow,
    settings_report.parse_runout_switch,
    settings_report.parse_setting,
    temperature_report.parse_temperatures,
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
        # Prusa MK3: PINDA and ambient. Buddy: heatbreak, board, the chamber behind C@; toolchangers, modular beds.
        (
            "ok T:21.6 /0.0 B:22.0 /0.0 T0:21.6 /0.0 @:0 B@:0 P:29.0 A:33.4",
            Temperatures(
                {
                    "T": Heater(21.6, 0.0, 0),
                    "B": Heater(22.0, 0.0, 0),
                    "T0": Heater(21.6, 0.0),
                    "P": Heater(29.0),
                    "A": Heater(33.4),
                }
            ),
        ),
        (
            "ok T:40.00/39.00 B:29.64/10.00 X:32.00/36.00 A:40.45/0.00 @:0 B@:0 C@:27.65 HBR@:0",
            Temperatures(
                {
                    "T": Heater(40.0, 39.0, 0),
                    "B": Heater(29.64, 10.0, 0),
                    "X": Heater(32.0, 36.0),
                    "A": Heater(40.45, 0.0),
                    "C": Heater(27.65),
                }
            ),
        ),
        (
            " T:6.00/0.00 X5:6.00/36.00 T0:22.00/5.00 T5:6.00/0.00 @:0 HBR@:0 @0:9 @5:0 B_0_0:21.80/0.00",
            Temperatures(
                {
                    "T": Heater(6.0, 0.0, 0),
                    "X": Heater(6.0, 36.0),
                    "T0": Heater(22.0, 5.0, 9),
                    "T5": Heater(6.0, 0.0, 0),
                }
            ),
        ),
        # Boards with more sensors; raw readings of the converter between.
        (
            " T:25.0 /0.0 (512.0) B:26.0 /0.0 (498.3) R:25.1 L:20.0 /18.0 M:31.5 S:44.0 @:0 B@:0 L@:3",
            Temperatures(
                {
                    "T": Heater(25.0, 0.0, 0),
                    "B": Heater(26.0, 0.0, 0),
                    "R": Heater(25.1),
                    "L": Heater(20.0, 18.0, 3),
                    "M": Heater(31.5),
                    "S": Heater(44.0),
                }
            ),
        ),
        # Marlin 1 names the extruder that it waits for.
        ("T:150.5 E:1 B:60.2", Temperatures({"B": Heater(60.2), "T1": Heater(150.5)})),
        ("T:150.5 E:0 W:?", Temperatures({"T0": Heater(150.5)}, True, None)),
        # Commas, no blanks, only the bed, only the chamber, powers with fractions, the bed first.
        ("okT:21,05/0,00B:21,17/5,0@:0B@:7", Temperatures({"T": Heater(21.05, 0.0, 0), "B": Heater(21.17, 5.0, 7)})),
        ("B:60.1 /60.0 W:5", Temperatures({"B": Heater(60.1, 60.0)}, True, 5)),
        ("ok C:30.1 /40", Temperatures({"C": Heater(30.1, 40.0)})),
        ("ok T:170.0/170.0 @:46.32", Temperatures({"T": Heater(170.0, 170.0, 46.32)})),
        (
            "ok B:20.1 /0.0 T0:25.0 /0.0 T1:24 /0",
            Temperatures({"B": Heater(20.1, 0.0), "T0": Heater(25.0, 0.0), "T1": Heater(24.0, 0.0)}),
        ),
        ("ok N5 P15 B3 T:20.0 /0.0", Temperatures({"T": Heater(20.0, 0.0)})),
        ("T:99999999999", None),
        ("C:1", Temperatures({"C": Heater(1.0)})),
        ("Temperature T:20", None),
        ("X:0.00 Y:0.00 Z:5.00 E:0.00 Count X:0 Y:0 Z:2000", None),
        ("echo:T:5", None),
        ("Bed X: 100.00 Y: 100.00 Z: 0.00", None),
        ("ok P15 B3", None),
        ("ok", None),
    ],
)
def test_temperatures(line: str, expected: Temperatures | None) -> None:
    assert temperature_report.parse_temperatures(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "X:100.00 Y:-1.50 Z:4.82 E:0.00 Count X:8000 Y:-120 Z:1928",
            Position(100.0, -1.5, 4.82, 0.0, {"X": 8000, "Y": -120, "Z": 1928}),
        ),
        ("ok X:1.00 Y:2.00 Z:3.00 E:4.00", Position(1.0, 2.0, 3.0, 4.0)),
        ("X:1.00 Y:2.00 Z:3.00", Position(1.0, 2.0, 3.0)),
        # Old Marlin, Prusa (counts in mm), Buddy (CoreXY), RepRapFirmware, a comma.
        ("X:0.00Y:1.00Z:2.00E:3.00 Count X:0.00Y:1.00Z:2.00", Position(0.0, 1.0, 2.0, 3.0)),
        ("X:0.00 Y:1.00 Z:0.15 E:2.00 Count X: 0.00 Y:1.00 Z:0.15 E:2.00", Position(0.0, 1.0, 0.15, 2.0)),
        (
            "X:0.00 Y:-4.00 Z:15.00 E:-2.00 Count A:-399 B:397 Z:6000",
            Position(0.0, -4.0, 15.0, -2.0, {"A": -399, "B": 397, "Z": 6000}),
        ),
        (
            "X:10.000 Y:20.000 Z:5.000 E:3.000 E0:3.0 E1:0.0 Count 800 1600 2000 Machine 10.000 20.000 5.000",
            Position(10.0, 20.0, 5.0, 3.0),
        ),
        ("X:10.000 Y:20.000 Z:5.000 E0:3.0 E1:0.0", Position(10.0, 20.0, 5.0, 3.0)),
        ("X:1,50 Y:2,00 Z:3,00 E:0,00", Position(1.5, 2.0, 3.0, 0.0)),
        ("Bed X: 20.00 Y: 20.00 Z: 0.09", None),
        ("X: nothing", None),
    ],
)
def test_positions(line: str, expected: Position | None) -> None:
    assert replies.parse_position(line) == expected


def test_m115() -> None:
    info = identity.parse_m115(
        "FIRMWARE_NAME:Marlin bugfix-2.1.x (Nov 20 2026 13:31:02) SOURCE_CODE_URL:github.com/MarlinFirmware/Marlin "
        "PROTOCOL_VERSION:1.0 MACHINE_TYPE:My Printer EXTRUDER_COUNT:2 UUID:cede2a2f-41a2-4748-9b12-c55c62f367ff"
    )
    assert info is not None
    assert info.name == "Marlin bugfix-2.1.x (Nov 20 2026 13:31:02)"
    assert info.machine == "My Printer"
    assert info.extruders == 2
    assert info.fields["SOURCE_CODE_URL"] == "github.com/MarlinFirmware/Marlin"
    old = identity.parse_m115("FIRMWARE_NAME:Marlin V1; Sprinter/grbl mashup for gen6 FIRMWARE_URL:https://x.y/z")
    assert old is not None
    assert (old.name, old.machine, old.extruders) == ("Marlin V1; Sprinter/grbl mashup for gen6", "", 1)
    assert identity.parse_m115("Cap:EEPROM:1") is None


@pytest.mark.parametrize(
    ("line", "name", "machine", "extruders"),
    [
        (
            "FIRMWARE_NAME:Prusa-Firmware 3.14.1 based on Marlin FIRMWARE_URL:https://github.com/prusa3d "
            "PROTOCOL_VERSION:1.0 MACHINE_TYPE:Prusa i3 MK3S EXTRUDER_COUNT:1 UUID:0-0",
            "Prusa-Firmware 3.14.1 based on Marlin",
            "Prusa i3 MK3S",
            1,
        ),
        (
            "FIRMWARE_NAME: RepRapFirmware for Duet 2 WiFi/Ethernet FIRMWARE_VERSION: 3.1.1 ELECTRONICS: Duet WiFi "
            "1.02 or later + DueX5 FIRMWARE_DATE: 2020-05-19b2",
            "RepRapFirmware for Duet 2 WiFi/Ethernet",
            "Duet WiFi 1.02 or later + DueX5",
            1,
        ),
        (
            "FIRMWARE_NAME:Repetier_1.0.4 COMPILED:Jul 10 2020 FIRMWARE_URL:https://github.com/repetier/ "
            "PROTOCOL_VERSION:1.0 MACHINE_TYPE:Mendel EXTRUDER_COUNT:2 REPETIER_PROTOCOL:3",
            "Repetier_1.0.4",
            "Mendel",
            2,
        ),
        (
            "FIRMWARE_NAME:Smoothieware, FIRMWARE_URL:http%3A//smoothieware.org, X-SOURCE_CODE_URL:x, "
            "FIRMWARE_VERSION:edge-94de12c, X-FIRMWARE_BUILD_DATE:Oct 28 2014 13:24:47, PROTOCOL_VERSION:1.0 ok",
            "Smoothieware",
            "",
            1,
        ),
        ('ok FIRMWARE_NAME:Marlin MACHINE_TYPE:"3D Printer" EXTRUDER_COUNT:1', "Marlin", "3D Printer", 1),
        ("FIRMWARE_NAME Marlin V1.0.4 MACHINE_TYPE Ender-3 V2 EXTRUDER_COUNT 1", "Marlin V1.0.4", "Ender-3 V2", 1),
        ("FIRMWARE_NAME:Marlin 2.1 (HTTP://x.y) EXTRUDER_COUNT:99999", "Marlin 2.1 (HTTP://x.y)", "", 1),
    ],
)
def test_m115_of_every_house(line: str, name: str, machine: str, extruders: int) -> None:
    info = identity.parse_m115(line)
    assert info is not None
    assert (info.name, info.machine, info.extruders) == (name, machine, extruders)


def test_capabilities() -> None:
    assert identity.parse_capability("Cap:EEPROM:1") == ("EEPROM", True)
    assert identity.parse_capability("Cap:PROGRESS:0") == ("PROGRESS", False)
    for line in ("Cap:EEPROM:2", "Cap::1", "Cap:EEPROM", "cap:EEPROM:1"):
        assert identity.parse_capability(line) is None


def test_area() -> None:
    area = identity.parse_area(
        "area:{full:{min:{x:-5.00,y:0.00,z:0.00},max:{x:200.00,y:210.00,z:220.00}},"
        "work:{min:{x:0.00,y:0.00,z:0.00},max:{x:190.00,y:200.00,z:200.00}}}"
    )
    assert area is not None
    assert area.full_min == {"x": -5.0, "y": 0.0, "z": 0.0}
    assert area.work_max == {"x": 190.0, "y": 200.0, "z": 200.0}
    assert identity.parse_area("area:{}") is None


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
    assert settings_report.parse_setting(line) == expected


def test_settings_of_reprapfirmware() -> None:
    """Several extruders stand with colons between."""
    setting = settings_report.parse_setting("M92 X80 Y80 Z400 E420:420")
    assert setting == Setting("M92", {"X": 80.0, "Y": 80.0, "Z": 400.0, "E": 420.0})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x_min: open", [("x_min", False)]),
        ("x_min:TRIGGERED", [("x_min", True)]),
        ("filament 2: open", [("filament_2", False)]),
        ("Z_PROBE: Triggered", [("z_probe", True)]),
        ("endstops hit: x_min:L y_max:H Z-probe state:H", [("x_min", False), ("y_max", True), ("z_probe", True)]),
        ("X_min:0 Y_min:0 Z_min:1", [("x_min", False), ("y_min", False), ("z_min", True)]),
        (
            "Endstops - X: at min stop, Y: not stopped, Z: not stopped, Z probe: at min stop",
            [("x_min", True), ("y_min", False), ("z_min", False), ("z_probe", True)],
        ),
        ("Reporting endstop status", []),
        ("echo:busy: processing", []),
    ],
)
def test_endstops(line: str, expected: list[tuple[str, bool]]) -> None:
    assert replies.parse_endstops(line) == [Endstop(name, triggered) for name, triggered in expected]


def test_probing_and_fans() -> None:
    assert replies.parse_probed_point("Bed X: 20.00 Y: 60.00 Z: -0.13") == ProbedPoint(20.0, 60.0, -0.13)
    assert replies.parse_probed_point("Bed X: 20.00") is None
    report = replies.parse_fan_report("E0:3240 RPM PRN1:4560 RPM E0@:255 PRN1@:51")
    assert report == FanReport({"E0": 3240.0, "PRN1": 4560.0}, {"E0": 1.0, "PRN1": 0.2})
    assert replies.parse_fan_report("3000 RPM") is None


def test_settings_in_other_words() -> None:
    assert settings_report.parse_feedrate("SpeedMultiply:90") == 90.0
    assert settings_report.parse_feedrate("Speed factor override: 75.0%") == 75.0
    assert settings_report.parse_flow("FlowMultiply:95") == FlowRate(0, 95.0)
    assert settings_report.parse_flow("Extrusion factor override for extruder 1: 90.0%") == FlowRate(1, 90.0)
    assert settings_report.parse_fan("Fanspeed:128") == FanSpeed(0, 128)
    assert settings_report.parse_cold_extrusion("echo:Cold extrudes are disabled (min temp 170C)") == 170.0
    assert settings_report.parse_cold_extrusion("echo:Cold extrudes are disabled") is None
    assert settings_report.parse_runout_switch("echo:Filament runout ON ; Host handling OFF") is True
    assert settings_report.parse_runout_switch("Filament runout sensor: off") is False
    assert settings_report.parse_runout_switch("Filament loaded") is None
    assert settings_report.parse_autotune("#define DEFAULT_Kp 22.20") == ("M301", "P", 22.2)
    assert settings_report.parse_autotune("#define DEFAULT_bedKi 0.02") == ("M304", "I", 0.02)
    assert settings_report.parse_autotune(" Kd: 114.0") == ("M301", "D", 114.0)
    old = settings_report.parse_endstop_limits("echo:Soft endstops: ON  Min:  X0.00 Y0.00 Z0.00  Max:  X235 Y235 Z250")
    assert old is not None
    assert old[1] == {"X": 235.0, "Y": 235.0, "Z": 250.0}
    duet = settings_report.parse_endstop_limits("Axis limits (mm) X-5.0:200.0, Y0.0:210.0, Z0.0:220.0")
    assert duet == ({"X": -5.0, "Y": 0.0, "Z": 0.0}, {"X": 200.0, "Y": 210.0, "Z": 220.0})


def test_the_small_ones() -> None:
    assert replies.parse_endstop("x_min: open") == Endstop("x_min", False)
    assert replies.parse_endstop("filament: TRIGGERED") == Endstop("filament", True)
    assert replies.parse_endstop("Reporting endstop status") is None
    assert settings_report.parse_feedrate("FR:150%") == 150.0
    assert settings_report.parse_flow("echo:E0 Flow: 95%") == FlowRate(0, 95.0)
    assert settings_report.parse_fan("M106 P0 S128") == FanSpeed(0, 128)
    assert settings_report.parse_fan("M106 P0 S999") == FanSpeed(0, 255)
    assert settings_report.parse_fan("M107") is None
    assert settings_report.parse_advance("echo:Advance K=0.22") == 0.22
    assert settings_report.parse_advance("echo:Advance K=nan") is None
    assert replies.parse_error("Error:Probing Failed") == "Probing Failed"
    assert replies.parse_error("!! halted") == "halted"
    assert replies.parse_error("echo:Error") is None
    limits = settings_report.parse_endstop_limits("  Min:  X0.00 Y-2.00 Z0.00   Max:  X200.00 Y210.00 Z200.00")
    assert limits == ({"X": 0.0, "Y": -2.0, "Z": 0.0}, {"X": 200.0, "Y": 210.0, "Z": 200.0})
    assert settings_report.parse_endstop_limits("Min: Max:") is None


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("ok", ReplyKind.OK),
        ("ok T:21.0 /0.0", ReplyKind.OK),
        ("T:x", ReplyKind.OTHER),
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


@RELAXED
@given(st.text(max_size=120))
def test_no_text_is_too_odd(line: str) -> None:
    classify(line)
    for parser in PARSERS:
        parser(line)


@RELAXED
@given(
    st.text(alphabet="TBCPXYZEW0123456789:/.@-+ okechM", max_size=60),
)
def test_nothing_almost_right_is_too_odd(line: str) -> None:
    classify(line)
    for parser in PARSERS:
        parser(line)


@RELAXED
@given(st.floats(-99, 999), st.floats(-5, 300), st.floats(0, 120))
def test_temperatures_come_back(hotend: float, target: float, bed: float) -> None:
    parsed = temperature_report.parse_temperatures(f"ok T:{hotend:.2f} /{target:.2f} B:{bed:.2f} /0.00 @:12 B@:0")
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
        temperature = temperature_report.parse_temperatures(line)
        assert (" T:" in line and "/" in line and kind in (ReplyKind.OK, ReplyKind.TEMPERATURE)) == bool(temperature)
        assert (kind is ReplyKind.POSITION) == bool(replies.parse_position(line))
        assert (kind is ReplyKind.ERROR) == (replies.parse_error(line) is not None)
        assert line.startswith("Cap:") == (identity.parse_capability(line) is not None)
        understood = [parser.__name__ for parser in PARSERS if parser(line) is not None]
        assert len(understood) <= 1 or understood == ["parse_fan", "parse_setting"], line
