"""Line by line: each object and field that Mainsail, Fluidd, KlipperScreen and Home Assistant's client read.

A field is either served, with a value of the kind that they expect, or stands in `IMPOSSIBLE`, and then docs/marlin.md
says why a Marlin printer cannot have it. The list is that of what the frontends' sources read (see docs/marlin.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.marlin.settings import PrinterSettings
from moonraker_lite.marlin.virtual import VirtualPrinter
from tests.marlin_host.conftest import MakeRig, Rig
from tests.marlin_host.raw_client import RawClient

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "marlin.md"

NUMBER = (int, float)
NONE = type(None)

# Object -> field -> what its value is.
FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "webhooks": {"state": str, "state_message": str},
    "toolhead": {
        **{"homed_axes": str, "axis_minimum": list, "axis_maximum": list, "position": list, "extruder": str},
        **{"max_velocity": NUMBER, "max_accel": NUMBER, "minimum_cruise_ratio": NUMBER},
        **{"square_corner_velocity": NUMBER, "print_time": NUMBER, "estimated_print_time": NUMBER, "stalls": int},
    },
    "gcode_move": {
        **{"speed_factor": NUMBER, "extrude_factor": NUMBER, "speed": NUMBER, "absolute_coordinates": bool},
        **{"absolute_extrude": bool, "homing_origin": list, "position": list, "gcode_position": list},
    },
    "motion_report": {
        **{"live_position": list, "live_velocity": NUMBER, "live_extruder_velocity": NUMBER, "steppers": list},
    },
    "heaters": {"available_heaters": list, "available_sensors": list, "available_monitors": list},
    "extruder": {
        **{"temperature": NUMBER, "target": NUMBER, "power": NUMBER, "can_extrude": bool},
        **{"pressure_advance": NUMBER, "smooth_time": NUMBER, "motion_queue": NONE},
    },
    "extruder1": {"temperature": NUMBER, "target": NUMBER, "power": NUMBER, "can_extrude": bool},
    "heater_bed": {"temperature": NUMBER, "target": NUMBER, "power": NUMBER},
    "heater_generic chamber": {"temperature": NUMBER, "target": NUMBER, "power": NUMBER},
    "fan": {"speed": NUMBER, "rpm": (*NUMBER, NONE)},
    "fan_generic fan1": {"speed": NUMBER, "rpm": (*NUMBER, NONE)},
    "print_stats": {
        **{"state": str, "filename": str, "total_duration": NUMBER, "print_duration": NUMBER},
        **{"filament_used": NUMBER, "message": str, "info": dict},
    },
    "virtual_sdcard": {
        **{"progress": NUMBER, "file_position": int, "file_size": int, "is_active": bool, "file_path": (str, NONE)},
    },
    "display_status": {"progress": NUMBER, "message": (str, NONE)},
    "idle_timeout": {"state": str, "printing_time": NUMBER},
    "pause_resume": {"is_paused": bool},
    "configfile": {
        **{"config": dict, "settings": dict, "warnings": list, "save_config_pending": bool},
        **{"save_config_pending_items": dict},
    },
    "gcode": {"commands": dict},
    "system_stats": {"sysload": NUMBER, "cputime": NUMBER, "memavail": int},
    "mcu": {"mcu_version": str, "mcu_build_versions": str, "app": str, "mcu_constants": dict, "last_stats": dict},
    "exclude_object": {"objects": list, "current_object": (str, NONE), "excluded_objects": list},
    "bed_mesh": {
        **{"profile_name": str, "mesh_min": list, "mesh_max": list, "probed_matrix": list, "mesh_matrix": list},
        **{"profiles": dict},
    },
    "query_endstops": {"last_query": dict},
    "stepper_enable": {"steppers": dict},
    "filament_switch_sensor runout": {"enabled": bool, "filament_detected": bool},
    "probe": {"name": str, "last_query": bool, "last_z_result": NUMBER},
    "tmc2209 stepper_x": {"run_current": NUMBER, "drv_status": NONE, "temperature": NONE},
    "gcode_macro PAUSE": {},
    "gcode_macro RESUME": {},
    "gcode_macro CANCEL_PRINT": {},
}
# Sections of configfile.settings (and .config) -> options.
SECTIONS: dict[str, tuple[str, ...]] = {
    "printer": (
        *("kinematics", "max_velocity", "max_accel", "minimum_cruise_ratio", "square_corner_velocity"),
        *("max_z_velocity", "max_z_accel"),
    ),
    "extruder": (
        *("filament_diameter", "nozzle_diameter", "min_extrude_temp", "max_extrude_only_distance", "min_temp"),
        *("max_extrude_only_velocity", "max_temp", "pressure_advance", "rotation_distance", "pid_kp"),
    ),
    "extruder1": ("nozzle_diameter", "max_temp", "pid_kp"),
    "heater_bed": ("min_temp", "max_temp", "pid_ki"),
    "heater_generic chamber": ("min_temp", "max_temp", "pid_kd"),
    **{
        f"stepper_{axis}": (
            *("position_min", "position_max", "endstop_pin", "homing_positive_dir", "rotation_distance"),
            *("position_endstop", "homing_speed"),
        )
        for axis in "xyz"
    },
    "fan": ("max_power", "off_below"),
    "fan_generic fan1": ("max_power", "off_below"),
    "bed_mesh": ("mesh_min", "mesh_max", "probe_count"),
    "probe": ("x_offset", "y_offset", "z_offset"),
    "input_shaper": ("shaper_freq_x", "shaper_freq_y", "shaper_type_x"),
    "filament_switch_sensor runout": ("switch_pin",),
    "idle_timeout": ("timeout",),
    "mcu": ("serial",),
    **dict.fromkeys(
        ("virtual_sdcard", "pause_resume", "display_status", "exclude_object", "respond", "gcode_arcs"), ()
    ),
}
# What stays away, and the word by which docs/marlin.md tells why.
IMPOSSIBLE = (
    *("z_tilt", "quad_gantry_level", "bed_screws", "screws_tilt_adjust", "temperature_fan"),
    *(
        "output_pin",
        "neopixel",
        "hall_filament_width_sensor",
        "filament_motion_sensor",
        "z_thermal_adjust",
        "load_cell",
    ),
    *("controller_fan", "drv_status", "mcu_awake", "max_accel_to_decel"),
)


@pytest.fixture
async def printer(make_rig: MakeRig) -> tuple[Rig, RawClient]:
    board = VirtualPrinter(speed=0.0, firmware="marlin-2.1-dual")
    await board.start()
    rig = await make_rig(board, PrinterSettings())
    return rig, await rig.ready_client()


async def test_each_object_and_field(printer: tuple[Rig, RawClient]) -> None:
    rig, client = printer
    await client.script("M106 P1 S128\nQUERY_ENDSTOPS\nG28\nG29\nG30 X50 Y50")
    await rig.wait_until(lambda: "extruder1" in rig.printer.machine.heaters)
    names = (await client.result("objects/list"))["objects"]
    assert set(FIELDS) <= set(names)
    status: dict[str, Any] = (await client.result("objects/query", objects=dict.fromkeys(names)))["status"]
    for name, fields in FIELDS.items():
        for field, kind in fields.items():
            assert isinstance(status[name].get(field, ...), kind), f"{name}.{field} is {status[name].get(field)!r}"
    assert status["print_stats"]["info"].keys() == {"total_layer", "current_layer"}
    assert status["toolhead"]["axis_maximum"][:3] == [300.0, 300.0, 350.0]
    assert status["heaters"]["available_heaters"] == ["extruder", "heater_bed", "heater_generic chamber", "extruder1"]
    assert status["stepper_enable"]["steppers"].keys() >= {"stepper_x", "stepper_y", "stepper_z", "extruder"}
    assert status["motion_report"]["live_position"][:2] == status["toolhead"]["position"][:2]
    assert {len(row) for row in status["bed_mesh"]["probed_matrix"]} == {5}
    assert status["mcu"]["mcu_version"] == "Marlin bugfix-2.1.x"
    assert "Virtual IDEX" in status["mcu"]["mcu_build_versions"]


async def test_each_section_and_option(printer: tuple[Rig, RawClient]) -> None:
    _, client = printer
    await client.script("M106 P1 S128")
    found = await client.status("configfile")
    for section, options in SECTIONS.items():
        for spelling in ("settings", "config"):
            missing = set(options) - found[spelling][section].keys()
            assert not missing, f"configfile.{spelling}.{section}: {missing}"
    assert found["settings"]["extruder1"]["pid_kp"] == 20.0
    assert found["settings"]["probe"]["z_offset"] == 1.2
    assert all(isinstance(text, str) for section in found["config"].values() for text in section.values())


def test_what_is_impossible_is_told() -> None:
    text = DOCUMENT.read_text()
    assert [word for word in IMPOSSIBLE if f"`{word}`" not in text] == []


@pytest.mark.parametrize(
    ("firmware", "objects", "mesh"),
    [
        ("marlin-2.1-ubl", {"bed_mesh", "probe", "firmware_retraction"}, "G29 P1"),
        ("marlin-2.1-mbl", {"bed_mesh"}, "G29"),
        ("marlin-1.1", {"bed_mesh", "probe"}, "G29"),
        ("creality", set(), ""),
        ("prusa-mk3", {"bed_mesh", "temperature_sensor probe", "temperature_sensor ambient"}, "BED_MESH_CALIBRATE"),
    ],
)
async def test_other_firmwares_are_ready_and_draw_their_mesh(
    make_rig: MakeRig, firmware: str, objects: set[str], mesh: str
) -> None:
    board = VirtualPrinter(speed=0.0, firmware=firmware)
    await board.start()
    rig = await make_rig(board)
    client = await rig.ready_client()
    names = set((await client.result("objects/list"))["objects"])
    assert objects <= names
    if not mesh:
        assert "bed_mesh" not in names
        return
    await client.script(f"G28\n{mesh}")
    if firmware == "prusa-mk3":
        await client.script("M106 S255")
        await rig.wait_until(lambda: rig.printer.machine.fan_speeds.part == 4500.0, 30.0)
        names = set((await client.result("objects/list"))["objects"])
        assert "heater_fan hotend" in names
    elif firmware == "marlin-2.1-ubl":
        await client.script("G29 T")
    status = await client.status("bed_mesh")
    (profile,) = status["profiles"].values()
    assert len(profile["points"]) == 5
    assert profile["mesh_params"]["max_x"] > profile["mesh_params"]["min_x"]


async def test_save_config_appears_and_goes(printer: tuple[Rig, RawClient]) -> None:
    rig, client = printer
    assert rig.board is not None
    await client.script("M851 Z-1.5")
    found = await client.status("configfile")
    assert found["save_config_pending_items"] == {"probe": {"z_offset": "1.500"}}
    await client.script("G28\nBED_MESH_CALIBRATE")
    found = await client.status("configfile")
    assert found["save_config_pending_items"].keys() == {"probe", "bed_mesh default"}
    assert (await client.status("bed_mesh"))["mesh_min"] == [20.0, 20.0], "it told where it probed"
    await client.script("SAVE_CONFIG")
    assert not (await client.status("configfile"))["save_config_pending"]
    assert rig.board.board.eeprom["M851"]["Z"] == -1.5
    await client.script("M502")
    await rig.wait_until(lambda: rig.printer.machine.save_pending)
    items = (await client.status("configfile"))["save_config_pending_items"]
    assert items["probe"] == {"z_offset": "1.200"}
    await client.script("M501")
    await rig.wait_until(lambda: not rig.printer.machine.save_pending)


async def test_an_idle_printer_is_asked_for_its_filament(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonraker_lite.marlin.polling.LOOK_AT_SWITCHES", 0.1)
    board = VirtualPrinter(speed=0.0)
    await board.start()
    rig = await make_rig(board)
    client = await rig.ready_client()
    assert (await client.status("filament_switch_sensor runout"))["filament_detected"] is True
    board.board.filament_present = False
    await rig.wait_until(lambda: rig.printer.machine.filament.detected == {"runout": False}, 30.0)
    assert not [line for line in client.output if "filament" in line], "the answers are no output"
