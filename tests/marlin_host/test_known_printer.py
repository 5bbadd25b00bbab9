"""What becomes of the answers of each kind of firmware: objects and configfile, from recorded and documented ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonraker_lite.marlin import configfile
from moonraker_lite.marlin.device_objects import DeviceObjects
from moonraker_lite.marlin.eeprom import STORED
from moonraker_lite.marlin.printer_config import Sections
from moonraker_lite.marlin.settings import PrinterSettings
from moonraker_lite.marlin.state import Machine
from moonraker_lite.marlin.temperature_report import parse_temperatures
from tests.marlin_line.transcripts import names, needs_transcripts
from tests.marlin_line.transcripts import replies as recorded

# However slow the machine is.
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

FOLDER = Path(__file__).resolve().parents[1] / "data" / "marlin" / "firmwares"


def tell(machine: Machine, *lines: str) -> None:
    for line in lines:
        if (report := parse_temperatures(line)) is not None:
            machine.temperatures(report)
        elif line.startswith("ok"):
            machine.mesh.answer_ends()
        else:
            machine.read_line(line)


def known(name: str, settings: PrinterSettings | None = None) -> Machine:
    """A machine that has been told all that a firmware answers."""
    machine = Machine(settings or PrinterSettings(), lambda: 0.0)
    machine.begin_session()
    answers, _, mesh = (FOLDER / f"{name}.txt").read_text().partition("> G81\n")
    tell(machine, *answers.splitlines())
    machine.identified()
    tell(machine, *mesh.splitlines())
    machine.all_stored()
    return machine


def built(machine: Machine, own: Sections | None = None) -> dict[str, Any]:
    return configfile.build(machine, own or {}, Path("/gcodes"), "/dev/ttyUSB0", 115200)


def settings_of(machine: Machine) -> dict[str, Any]:
    settings: dict[str, Any] = built(machine)["settings"]
    return settings


def test_marlin_2_1() -> None:
    machine = known("marlin_2_1")
    settings = settings_of(machine)
    assert settings["printer"] == {
        "kinematics": "cartesian",
        "max_velocity": 500.0,
        "max_accel": 3000.0,
        "minimum_cruise_ratio": 0.5,
        "square_corner_velocity": 8.51,
        "max_z_velocity": 20.0,
        "max_z_accel": 500.0,
    }
    assert settings["stepper_x"]["rotation_distance"] == 40.0
    assert settings["stepper_z"]["endstop_pin"] == "probe:z_virtual_endstop"
    assert settings["stepper_z"]["position_max"] == 200.0
    extruder = settings["extruder"]
    assert (extruder["control"], extruder["pid_ki"], extruder["filament_diameter"]) == ("pid", 1.08, 1.75)
    assert (extruder["max_extrude_only_velocity"], extruder["rotation_distance"]) == (100.0, 34.4086)
    assert settings["heater_bed"]["pid_kd"] == 305.4
    assert settings["firmware_retraction"]["retract_speed"] == 45.0
    assert settings["probe"]["z_offset"] == 0.0
    assert settings["bed_mesh"]["fade_end"] == 10.0
    assert settings["filament_switch_sensor runout"]["pause_on_runout"]
    assert "input_shaper" not in settings
    objects = DeviceObjects(machine)
    names = ["extruder", "heater_bed", "bed_mesh", "probe", "firmware_retraction", "filament_switch_sensor runout"]
    assert objects.names() == names
    assert objects.snapshot("filament_switch_sensor runout") == {"filament_detected": True, "enabled": True}
    assert not machine.save_pending


def test_marlin_1_1_with_two_extruders() -> None:
    machine = known("marlin_1_1")
    settings = settings_of(machine)
    assert (machine.hotends, machine.tools, machine.active_extruder) == (2, 2, "extruder")
    assert settings["extruder"]["pid_kp"] == 22.2
    assert (settings["extruder1"]["pid_kp"], settings["extruder1"]["pid_kd"]) == (20.0, 100.0)
    assert (settings["extruder"]["filament_diameter"], settings["extruder1"]["filament_diameter"]) == (3.0, 1.75)
    assert settings["printer"]["square_corner_velocity"] == 10.0
    assert [settings[f"stepper_{axis}"]["position_max"] for axis in "xyz"] == [220.0, 210.0, 205.0]
    y = settings["stepper_y"]
    assert (y["endstop_pin"], y["position_endstop"], y["homing_positive_dir"]) == ("marlin:y_max", 210.0, True)
    assert settings["stepper_z"]["endstop_pin"] == "marlin:z_min"
    assert machine.mesh.points == [[0.1, -0.02], [0.04, 0.05]]
    assert machine.mesh.active
    assert (machine.motion.speed_factor, machine.motion.extrude_factor) == (0.9, 0.95)
    assert not machine.motion.g90_sets_extruder
    assert not machine.save_pending


def test_prusa_mk3() -> None:
    machine = known("prusa_mk3", PrinterSettings(position_max=(250.0, 210.0, 210.0), probing_margin=24.0))
    settings = settings_of(machine)
    assert [settings[f"stepper_{axis}"]["position_max"] for axis in "xyz"] == [250.0, 210.0, 210.0]
    assert settings["heater_bed"]["pid_kp"] == 126.13
    assert settings["extruder"]["pressure_advance"] == 0.05
    assert settings["temperature_sensor probe"]["sensor_type"] == "marlin"
    assert settings["heater_fan hotend"]["heater"] == ["extruder"]
    assert machine.mesh.points[0] == [0.1, -0.02, 0.03], "it prints the back first"
    assert machine.heaters["temperature_sensor ambient"].temperature == 33.4
    assert machine.fan_speeds.part == 0.0
    tell(machine, "E0:3240 RPM PRN1:4560 RPM E0@:255 PRN1@:51")
    assert DeviceObjects(machine).snapshot("heater_fan hotend") == {"speed": 1.0, "rpm": 3240.0}
    assert machine.fan_speeds.part == 4560.0


def test_buddy() -> None:
    machine = known("buddy")
    names = set(machine.heaters)
    assert names == {
        *("extruder", "heater_bed", "temperature_sensor heatbreak", "temperature_sensor ambient"),
        "temperature_sensor chamber",
    }
    assert machine.heaters["temperature_sensor chamber"].temperature == 27.65
    assert DeviceObjects(machine).snapshot("temperature_sensor heatbreak") == {
        "temperature": 32.0,
        "measured_min_temp": 32.0,
        "measured_max_temp": 32.0,
    }
    assert machine.firmware.has_levelling
    tell(machine, "X")
    machine.observe_line("M851 Z-1")
    assert not machine.save_pending, "there is no EEPROM to store it in"


def test_reprapfirmware_counts_in_minutes() -> None:
    machine = known("reprapfirmware")
    settings = settings_of(machine)
    assert (settings["printer"]["max_velocity"], settings["printer"]["max_z_velocity"]) == (300.0, 10.0)
    assert settings["extruder"]["max_extrude_only_velocity"] == 60.0
    assert [settings[f"stepper_{axis}"]["position_max"] for axis in "xyz"] == [230.0, 210.0, 200.0]
    assert (machine.hotends, machine.motion.speed_factor) == (2, 0.75)
    assert machine.switches == {"x_min", "y_min", "z_min", "z_probe"}


def test_repetier_and_creality() -> None:
    repetier = known("repetier")
    assert repetier.motion.speed_factor == 1.1
    assert repetier.heaters["heater_bed"].temperature == 22.1
    creality = settings_of(known("creality"))
    assert creality["printer"]["square_corner_velocity"] == 8.0
    assert creality["extruder"]["pid_kp"] == 28.72
    assert creality["stepper_x"]["position_max"] == 235.0
    assert "bed_mesh" not in creality
    assert "probe" not in creality


@pytest.mark.parametrize(
    ("commands", "items"),
    [
        (["M851 Z-1.25"], {"probe": {"z_offset": "1.250"}}),
        (["M851 X-40 Y-10"], {"probe": {"x_offset": "-40", "y_offset": "-10"}}),
        (["M301 P25 I1.5 D100"], {"extruder": {"pid_kp": "25", "pid_ki": "1.5", "pid_kd": "100"}}),
        (["M304 P11"], {"heater_bed": {"pid_kp": "11"}}),
        (["M203 X400 Z15"], {"printer": {"max_velocity": "400", "max_z_velocity": "15"}}),
        (["M204 S1000"], {"printer": {"max_accel": "1000"}, "eeprom": {"m204_t": "1000"}}),
        (["M92 E95.5"], {"eeprom": {"m92_e": "95.5"}}),
        (["M301 E1 P9"], {"eeprom": {"m301_t1_p": "9"}}),
        (["M145 S1 H240 B100"], {"eeprom": {"m145_t1_h": "240", "m145_t1_b": "100"}}),
        (["M900 K0.1", "M900 K0.22"], {}),
        (["M92 X80"], {}),
        (["M420 S1", "M106 S9", "M104 S200", "G1 X5", "M205"], {}),
        (["M851 Z-1", "M500"], {}),
    ],
)
def test_what_m500_would_store(commands: list[str], items: dict[str, dict[str, str]]) -> None:
    machine = known("marlin_2_1")
    for command in commands:
        machine.observe_line(command)
    found = built(machine)
    assert found["save_config_pending_items"] == items
    assert found["save_config_pending"] is machine.save_pending is bool(items)


def test_a_new_mesh_is_to_be_stored() -> None:
    machine = known("marlin_2_1")
    table = ("Bilinear Leveling Grid:", "      0      1", " 0 +0.100 -0.020", " 1 +0.040 +0.050", "")
    tell(machine, *table)
    assert machine.save_pending
    points = built(machine)["save_config_pending_items"]["bed_mesh default"]["points"]
    assert points == "\n0.100000, -0.020000\n0.040000, 0.050000"
    tell(machine, "echo:Settings Stored (678 bytes; crc 2619)")
    assert not machine.save_pending
    tell(machine, *table)
    assert not machine.save_pending, "the same as before"


def test_babysteps_that_move_the_probe_offset_are_to_be_stored() -> None:
    machine = known("marlin_2_1")
    machine.observe_line("M290 Z0.05")
    tell(machine, "echo:Probe Offset Z0.05")
    assert machine.probe_offset_follows
    assert built(machine)["save_config_pending_items"] == {"probe": {"z_offset": "-0.050"}}
    assert settings_of(machine)["probe"]["z_offset"] == 0.0, "as in Klipper, until it is stored"
    machine.observe_line("M500")
    assert settings_of(machine)["probe"]["z_offset"] == -0.05


def test_what_a_print_changes_is_in_use_but_not_to_be_stored() -> None:
    machine = known("marlin_2_1")
    before = configfile.basis(machine)
    for line in ("M204 P800 T1500", "M205 J0.02", "M900 K0.08", "M203 X200"):
        machine.observe_line(line, lasting=False)
    assert (machine.limits.max_accel, machine.limits.max_velocity) == (800.0, 200.0)
    assert machine.pressure_advance() == 0.08
    assert not machine.save_pending
    assert configfile.basis(machine) == before, "nothing is built anew for each line of a print"
    assert settings_of(machine)["printer"]["max_accel"] == 3000.0
    machine.observe_line("M900 K0.1")
    assert built(machine)["save_config_pending_items"] == {"extruder": {"pressure_advance": "0.1"}}


def test_without_an_eeprom_nothing_is_to_be_stored() -> None:
    machine = known("marlin_2_1")
    tell(machine, "Error:EEPROM disabled")
    machine.observe_line("M851 Z-1")
    assert not machine.save_pending


def test_what_becomes_uncertain_is_asked_for() -> None:
    machine = known("marlin_2_1")
    for line in ("M501", "M303 E0 S200 C5 U1", "G28", "M502"):
        machine.observe_line(line)
    assert machine.take_questions() == {"M503": False, "M420": False}
    assert machine.take_questions() == {}
    machine.observe_line("M501")
    assert machine.take_questions() == {"M503": True}
    tell(machine, "echo:  M203 X100.00 Y100.00 Z9.00 E25.00")
    machine.answered(stored=True)
    assert (machine.limits.max_velocity, machine.save_pending) == (100.0, False)


def test_runout() -> None:
    machine = known("marlin_2_1")
    sensor = DeviceObjects(machine)
    tell(machine, "//action:filament_runout T0")
    assert sensor.snapshot("filament_switch_sensor runout") == {"filament_detected": False, "enabled": True}
    tell(machine, "filament: TRIGGERED", "filament 2: open", "echo:Filament runout OFF ; Host handling OFF")
    assert sensor.snapshot("filament_switch_sensor runout") == {"filament_detected": True, "enabled": False}
    assert sensor.snapshot("filament_switch_sensor runout2") == {"filament_detected": False, "enabled": False}
    tell(machine, "//action:paused filament_runout 1")
    assert machine.filament.detected == {"runout": True, "runout2": False}
    tell(machine, "//action:notification filament_runout", "//action:paused", "//action:out_of_filament")
    assert machine.filament.detected == {"runout": False, "runout2": False}


def test_probe_fans_drivers_and_shaper() -> None:
    machine = known("marlin_2_1")
    objects = DeviceObjects(machine)
    tell(machine, "Bed X: 100.00 Y: 100.00 Z: 0.05", "z_probe: TRIGGERED")
    assert objects.snapshot("probe") == {"name": "probe", "last_query": True, "last_z_result": 0.05}
    tell(
        machine, "M106 P1 S128", "echo:  M906 X800 Y800 Z650", "echo:  M593 X F40.00 D0.15", "echo:  M593 Y F36.5 D0.1"
    )
    assert objects.snapshot("fan_generic fan1") == {"speed": 128 / 255, "rpm": None}
    driver = objects.snapshot("tmc2209 stepper_z")
    assert driver is not None
    assert driver["run_current"] == 0.65
    assert objects.snapshot("tmc2209 extruder") is None
    shaper = objects.snapshot("input_shaper")
    assert shaper is not None
    assert (shaper["shaper_freq_x"], shaper["damping_ratio_y"]) == (40.0, 0.1)
    machine.all_stored()
    settings = settings_of(machine)
    assert settings["input_shaper"] == shaper
    assert settings["fan_generic fan1"]["pin"] == "marlin:fan1"
    assert settings["tmc2209 stepper_x"]["run_current"] == 0.8
    assert set(objects.names()) >= {"fan_generic fan1", "tmc2209 stepper_x", "input_shaper", "probe"}
    assert objects.snapshot("nosuch") is objects.snapshot("fan_generic fan9") is objects.snapshot("tmc2209 x") is None


def test_currents_of_the_drivers() -> None:
    machine = known("creality")
    tell(machine, "X driver current: 580", "Y driver current: 600")
    assert machine.firmware.report("M906", "X") == 580.0
    table = (
        "\t\tX\tY\tZ\tZ2\tE",
        "Enabled\t\tfalse\tfalse\tfalse\tfalse\tfalse",
        "Set current\t580\t600\t800\t810\t650",
    )
    tell(machine, *table, "Set current\t1\t2", "RMS current\t571\t581\t795\t795\t643")
    assert machine.firmware.reports["M906"] == {"X": 580.0, "Y": 600.0, "Z": 800.0, "E": 650.0}
    driver = DeviceObjects(machine).snapshot("tmc2209 stepper_z")
    assert driver is not None
    assert driver["run_current"] == 0.8
    assert not machine.save_pending, "it was not known before, but not changed either"


def test_another_printer_on_the_same_port() -> None:
    machine = known("prusa_mk3")
    machine.begin_session()
    tell(machine, "T:20.0 /0.0")
    machine.identified()
    assert list(machine.heaters) == ["extruder"]
    assert settings_of(machine).keys() & {"heater_bed", "temperature_sensor probe", "bed_mesh"} == set()


def test_one_nozzle_for_several_tools() -> None:
    machine = known("creality", PrinterSettings(extruders=5))
    machine.observe_line("T3")
    assert (machine.tools, machine.hotends, machine.active_extruder) == (5, 1, "extruder")


def test_marlin_cfg_is_shown_as_it_stands() -> None:
    machine = known("marlin_2_1")
    own = {
        "printer": {"kinematics": "corexy"},
        "extruder": {"nozzle_diameter": "0.6", "sensor_type": "ATC Semitec 104NT-4-R025H42G"},
        "neopixel Case": {"pin": "none", "chain_count": "8", "color_order": "GRB", "initial_red": "0.5"},
        "bed_mesh": {"mesh_min": "10, 20"},
        "gcode_macro X": {"gcode": "G28"},
    }
    found = built(machine, own)
    assert found["config"]["neopixel Case"] == own["neopixel Case"]
    assert found["settings"]["neopixel case"] == {
        "pin": "none",
        "chain_count": 8,
        "color_order": "GRB",
        "initial_red": 0.5,
    }
    assert found["settings"]["extruder"]["nozzle_diameter"] == 0.6
    assert found["config"]["extruder"]["nozzle_diameter"] == "0.6"
    assert found["settings"]["extruder"]["pid_kp"] == 22.2
    assert found["settings"]["bed_mesh"]["mesh_min"] == [10.0, 20.0]
    assert found["settings"]["printer"]["kinematics"] == "corexy"
    assert "gcode_macro X" not in found["config"], "that is for those who run it"


def test_kinematics_are_told_or_seen() -> None:
    machine = known("marlin_2_1")
    tell(machine, "echo:  M665 L250.00 R125.00 H300.00 S80.00 X0.00 Y0.00 Z0.00")
    assert settings_of(machine)["printer"]["kinematics"] == "delta"
    tell(machine, "FIRMWARE_NAME:Marlin 2.1.3 KINEMATICS:CoreXY EXTRUDER_COUNT:1")
    assert settings_of(machine)["printer"]["kinematics"] == "corexy"


@needs_transcripts
@pytest.mark.parametrize("name", names())
def test_a_whole_recording_tells_nothing_that_is_not_there(name: str) -> None:
    """Also between texts, errors, prompts, pin lists and settings that look like reports."""
    machine = Machine(PrinterSettings(), lambda: 0.0)
    machine.begin_session()
    tell(machine, *(line.decode("latin-1").rstrip("\r") for line in recorded(name)))
    machine.identified()
    assert set(machine.heaters) <= {"extruder", "heater_bed"}
    assert set(machine.motion.fans) <= {0}
    assert machine.switches <= {"x_min", "y_min", "z_min", "filament"}
    assert machine.firmware.settings.values.keys() <= STORED.keys() | {"M149", "M211"}
    assert machine.limits.position_max in ((200.0, 200.0, 200.0), (235.0, 235.0, 250.0))
    assert {len(machine.mesh.points), *map(len, machine.mesh.points)} <= {0, 5, 10}
    assert machine.mesh.profile == ("slot 1" if name == "15_ubl.txt" else "default")
    assert machine.probe.last_z == pytest.approx(0.0, abs=0.3)


LINES = st.sampled_from(
    [line for path in sorted(FOLDER.glob("*.txt")) for line in path.read_text().splitlines() if line[:2] != "> "]
)


DAMAGED = st.tuples(LINES, st.integers(0, 100), st.text(max_size=3), st.integers(0, 3)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + parts[3] :]
)


@RELAXED
@given(st.lists(LINES | DAMAGED, max_size=12))
def test_no_answers_are_too_odd(lines: list[str]) -> None:
    machine = Machine(PrinterSettings(), lambda: 0.0)
    machine.begin_session()
    tell(machine, *lines)
    machine.identified()
    tell(machine, *lines)
    objects = DeviceObjects(machine)
    assert all(objects.snapshot(name) is not None for name in objects.names())
    built(machine)
