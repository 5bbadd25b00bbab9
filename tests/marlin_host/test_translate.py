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
        ("BED_MESH_CALIBRATE PROFILE=default", ["G29"]),
        ("SET_RETRACTION RETRACT_LENGTH=1.5 RETRACT_SPEED=40", ["M207 S1.5 F2400"]),
        ("SET_RETRACTION UNRETRACT_EXTRA_LENGTH=0.1 UNRETRACT_SPEED=20", ["M208 S0.1 F1200"]),
        ("SET_RETRACTION", []),
        (
            "SET_INPUT_SHAPER SHAPER_FREQ_X=40.5 DAMPING_RATIO_X=0.1 SHAPER_FREQ_Y=30",
            ["M593 X F40.5 D0.1", "M593 Y F30"],
        ),
        ("SET_FILAMENT_SENSOR SENSOR=runout ENABLE=0", ["M412 S0"]),
        ("SET_STEPPER_ENABLE STEPPER=stepper_x ENABLE=0", ["M18 X"]),
        ("SET_STEPPER_ENABLE STEPPER=extruder", ["M17 E"]),
        ("SET_TMC_CURRENT STEPPER=stepper_y CURRENT=0.75", ["M906 Y750"]),
        (
            "FORCE_MOVE STEPPER=stepper_z DISTANCE=-2.5 VELOCITY=5",
            ["G91", "G1 Z-2.5 F300", "G90", "M82", "G1 F1500"],
        ),
        (
            "FORCE_MOVE STEPPER=extruder DISTANCE=5 VELOCITY=2",
            ["G91", "M83", "G1 E5 F120", "G90", "M82", "G1 F1500"],
        ),
        ("Z_TILT_ADJUST", ["G34"]),
        ("DELTA_CALIBRATE", ["G33"]),
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
    slots = machine()
    slots.mesh.slot = -1
    assert translate("BED_MESH_CALIBRATE", slots) == ["G29 P1", "G29 P3", "G29 S0", "G29 A", "M420 V"]
    slots.mesh.slot = 1
    assert translate('BED_MESH_PROFILE LOAD="slot 3"', slots) == ["G29 L3", "G29 A", "M420 V"]
    assert translate("BED_MESH_PROFILE SAVE=other", slots) == ["G29 S1", "M500"]
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
        ("FORCE_MOVE STEPPER=stepper_q DISTANCE=1 VELOCITY=1", "not valid for STEPPER"),
        ("FORCE_MOVE STEPPER=stepper_x DISTANCE=1 VELOCITY=0", "VELOCITY must be above 0"),
        ("SET_TMC_CURRENT STEPPER=stepper_x CURRENT=50", "CURRENT must have maximum of 5"),
        ("SET_STEPPER_ENABLE STEPPER=stepper_x ENABLE=0.5", "unable to parse 0.5"),
        ("SET_GCODE_OFFSET Z=1e9", "at most 20 mm at once"),
        ("SET_GCODE_OFFSET Z_ADJUST=-1e300", "larger than anything a printer knows"),
        ("FORCE_MOVE STEPPER=stepper_x DISTANCE=1e300 VELOCITY=5", "larger than anything a printer knows"),
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
            [
                *("HEATER", "TARGET", "Z", "Z_ADJUST", "VELOCITY", "ACCEL", "FAN", "SPEED", "LOAD", "ADVANCE"),
                *("EXTRUDER", "SAVE", "PROFILE", "RETRACT_LENGTH", "STEPPER", "ENABLE", "CURRENT", "DISTANCE"),
            ]
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
