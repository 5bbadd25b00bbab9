"""marlin.cfg and `--set`: what they mean, and that nothing in them can stop a printer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonraker_lite.marlin.firmware_facts import Firmware
from moonraker_lite.marlin.printer_config import PrinterConfig, given_sections, read_printer_config, settings_of
from moonraker_lite.marlin.settings import PrinterSettings, limits_of

# However slow the machine is.
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

CFG = """
[printer]
kinematics: corexy
max_velocity: 250   ; of the owner
[stepper_z]
position_max: 300
[extruder]
nozzle_diameter: 0.6
max_temp: 300
[extruder1]
nozzle_diameter: 0.8
[heater_bed]
max_temp: 110
[fan_generic fan2]
pin: P2
[bed_mesh]
mesh_min: 10, 20
[marlin]
check_moves: no
[gcode_macro PURGE]
gcode:
    G92 E0
    G1 E10 F300  # out
"""


def test_the_file_overrides_what_is_given_and_told(tmp_path: Path) -> None:
    path = tmp_path / "marlin.cfg"
    path.write_text(CFG)
    given_ = given_sections(["extruder:max_temp=280", "extruder:filament_diameter=2.85", "stepper_x:position_max=310"])
    config = read_printer_config(path, given_)
    assert config.warnings == ()
    assert config.sections["gcode_macro PURGE"]["gcode"].split("\n")[1:] == ["G92 E0", "G1 E10 F300"]
    settings, problems = settings_of(config)
    assert problems == ()
    assert (settings.kinematics, settings.max_velocity, settings.extruder_max_temp) == ("corexy", 250.0, 300.0)
    assert (settings.filament_diameter, settings.nozzle_diameter, settings.bed_max_temp) == (2.85, 0.6, 110.0)
    assert settings.fans == (2,)
    assert (settings.extruders, settings.mesh_min, settings.check_moves) == (2, (10.0, 20.0), False)
    firmware = Firmware()
    firmware.read_line("area:{full:{min:{x:-5,y:-5,z:0},max:{x:220,y:220,z:250}}}")
    limits = limits_of(settings, firmware)
    assert limits.position_max == (310.0, 220.0, 300.0)
    assert limits.position_min == (-5.0, -5.0, 0.0)


def test_mistakes_are_warnings(tmp_path: Path) -> None:
    path = tmp_path / "marlin.cfg"
    path.write_text("rubbish\n[extruder]\nmax_temp: hot\n[bed_mesh]\nmesh_max: 10\n[marlin]\ncheck_moves: perhaps\n")
    config = read_printer_config(path)
    assert "marlin.cfg line 1" in config.warnings[0]
    settings, problems = settings_of(config)
    assert settings == PrinterSettings()
    assert problems == (
        "[extruder] max_temp: 'hot' is not a number; the option is left out",
        "[bed_mesh] mesh_max: '10' is not two numbers with a comma between; the option is left out",
        "[marlin] check_moves: 'perhaps' is not True or False; the option is left out",
    )


def test_no_file_is_an_empty_one(tmp_path: Path) -> None:
    assert read_printer_config(tmp_path / "marlin.cfg") == read_printer_config(None) == PrinterConfig()
    assert settings_of(PrinterConfig()) == (PrinterSettings(), ())


@pytest.mark.parametrize("word", ["", "x", "x=1", ":x=1", "a:=1", "a:b"])
def test_a_word_that_sets_nothing_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="SECTION:OPTION=VALUE"):
        given_sections([word])


SECTIONS = st.sampled_from(["printer", "extruder", "stepper_x", "heater_bed", "bed_mesh", "marlin", "idle_timeout"])
OPTIONS = st.sampled_from(
    ["max_temp", "position_max", "mesh_min", "timeout", "extruders", "kinematics", "check_moves", "max_accel"]
)
VALUES = st.text() | st.floats().map(str) | st.integers().map(str)


@RELAXED
@given(st.dictionaries(SECTIONS, st.dictionaries(OPTIONS, VALUES)))
def test_no_value_raises(sections: dict[str, dict[str, str]]) -> None:
    settings, _ = settings_of(PrinterConfig(sections))
    limits_of(settings, Firmware())


def test_of_moonraker_conf_only_macros_count(tmp_path: Path) -> None:
    host, path = tmp_path / "moonraker.conf", tmp_path / "marlin.cfg"
    host.write_text(
        "[extruder]\nmax_temp: 1\nrubbish\n[gcode_macro A]\ngcode: M118 a\n[gcode_macro B]\ngcode: M118 b\n"
    )
    path.write_text("[gcode_macro A]\ndescription: both\n")
    config = read_printer_config(path, None, host)
    assert config.sections == {
        "gcode_macro A": {"gcode": "M118 a", "description": "both"},
        "gcode_macro B": {"gcode": "M118 b"},
    }
    assert config.warnings == ()
    assert config.located("[gcode_macro A] gcode: x") == "moonraker.conf line 5, [gcode_macro A] gcode: x"
    assert config.located("[gcode_macro A] x") == "marlin.cfg line 1, [gcode_macro A] x"
    assert config.located("[nothing] x") == "[nothing] x"
