"""Klipper's commands as Marlin's: the table, and Klipper's messages for wrong parameters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.translate import TRANSLATIONS
from moonraker_lite.marlin.gcode.words import parse
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.settings import PrinterSettings
from moonraker_lite.marlin.state import Heater, Machine


def machine(extruders: int = 1, **reports: dict[str, float]) -> Machine:
    made = Machine(PrinterSettings(), lambda: 0.0)
    made.firmware.extruders = extruders
    made.firmware.reports.update(reports)
    made.firmware.capabilities["BABYSTEPPING"] = True
    made.heaters["heater_bed"] = Heater(0.0)
    for index in range(1, extruders):
        made.heaters[f"extruder{index}"] = Heater(0.0)
    made.identified()
    return made


def translate(line: str, known: Machine | None = None) -> list[str]:
    command = parse(line)
    assert command is not None
    return TRANSLATIONS[command.name](Options(command), known or machine())


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("SET_HEATER_TEMPERATURE HEATER=extruder TARGET=200", ["M104 T0 S200"]),
        ("SET_HEATER_TEMPERATURE HEATER=heater_bed TARGET=60.5", ["M140 S60.5"]),
        ("SET_HEATER_TEMPERATURE HEATER=EXTRUDER", ["M104 T0 S0"]),
        ("TURN_OFF_HEATERS", ["M104 T0 S0", "M140 S0"]),
        ("SET_GCODE_OFFSET Z_ADJUST=0.05 MOVE=1", ["M290 Z0.050"]),
        ("SET_GCODE_OFFSET Z=-3", ["M290 Z-2.000", "M290 Z-1.000"]),
        ("SET_GCODE_OFFSET Z=0", []),
        ("SET_VELOCITY_LIMIT VELOCITY=150 ACCEL=1000", ["M203 X150 Y150", "M204 P1000 T1000"]),
        ("SET_VELOCITY_LIMIT ACCEL=2500000", ["M204 P2500000 T2500000"]),
        ("SET_VELOCITY_LIMIT SQUARE_CORNER_VELOCITY=5", ["M205 X5 Y5"]),
        ("SET_VELOCITY_LIMIT MINIMUM_CRUISE_RATIO=0.3", []),
        ("SET_PRESSURE_ADVANCE ADVANCE=0.05", ["M900 K0.05"]),
        ("SET_PRESSURE_ADVANCE SMOOTH_TIME=0.02", []),
        ("SET_FAN_SPEED FAN=fan SPEED=0.5", ["M106 P0 S128"]),
        ("SET_FAN_SPEED FAN=fan1 SPEED=2", ["M106 P1 S255"]),
        ("BED_MESH_PROFILE LOAD=default", ["M420 S1"]),
        ("BED_MESH_PROFILE SAVE=default", ["M500"]),
        ("BED_MESH_CLEAR", ["M420 S0"]),
        ("PID_CALIBRATE HEATER=extruder TARGET=200", ["M303 E0 S200 C8 U1"]),
        ("PID_CALIBRATE HEATER=heater_bed TARGET=60", ["M303 E-1 S60 C8 U1"]),
    ],
)
def test_translations(line: str, sent: list[str]) -> None:
    assert translate(line) == sent


def test_what_depends_on_the_machine() -> None:
    deviation = machine(M205={"J": 0.013}, M204={"P": 3000.0})
    assert translate("SET_VELOCITY_LIMIT SQUARE_CORNER_VELOCITY=10", deviation) == ["M205 J0.0138"]
    two = machine(extruders=2)
    assert translate("SET_PRESSURE_ADVANCE EXTRUDER=extruder1 ADVANCE=0.1", two) == ["M900 T1 K0.1"]
    assert translate("ACTIVATE_EXTRUDER EXTRUDER=extruder1", two) == ["T1"]
    assert translate("SET_HEATER_TEMPERATURE HEATER=extruder1 TARGET=190", two) == ["M104 T1 S190"]
    moved = machine()
    moved.motion.babystep = 0.1
    assert translate("SET_GCODE_OFFSET Z=0", moved) == ["M290 Z-0.100"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "SET_HEATER_TEMPERATURE HEATER=nosuch TARGET=10",
            "The value 'nosuch' is not valid for HEATER. Options: 'extruder', 'heater_bed'",
        ),
        ("SET_HEATER_TEMPERATURE HEATER=extruder TARGET=999", "Requested temperature (999.0) out of range (0.0:275.0)"),
        ("SET_HEATER_TEMPERATURE TARGET=10", "Error on 'SET_HEATER_TEMPERATURE TARGET=10': missing HEATER"),
        ("SET_HEATER_TEMPERATURE HEATER=extruder TARGET=x", "unable to parse x"),
        ("SET_HEATER_TEMPERATURE HEATER=extruder TARGET=nan", "unable to parse nan"),
        ("SET_FAN_SPEED FAN=aux SPEED=1", "The value 'aux' is not valid for FAN"),
        ("SET_FAN_SPEED FAN=fan SPEED=-1", "SPEED must have minimum of 0"),
        ("SET_GCODE_OFFSET X=1", "no offset for X"),
        ("BED_MESH_PROFILE REMOVE=default", "cannot remove"),
        ("SET_VELOCITY_LIMIT ACCEL=0", "ACCEL must have minimum of 1"),
    ],
)
def test_wrong_parameters(line: str, message: str) -> None:
    with pytest.raises(CommandError) as error:
        translate(line)
    assert message in error.value.message


@given(
    st.sampled_from(sorted(TRANSLATIONS)),
    st.dictionaries(
        st.sampled_from(
            ["HEATER", "TARGET", "Z", "Z_ADJUST", "VELOCITY", "ACCEL", "FAN", "SPEED", "LOAD", "ADVANCE", "EXTRUDER"]
        ),
        st.text(alphabet="0123456789.-+einfax ", max_size=8),
    ),
)
def test_any_parameters_give_clean_lines_or_a_command_error(name: str, params: dict[str, str]) -> None:
    line = " ".join([name, *(f'{key}="{value}"' for key, value in params.items())])
    try:
        sent = translate(line)
    except CommandError:
        return
    for text in sent:
        command = parse(text)
        assert command is not None
        assert command.traditional
        assert len(text) < 85
