"""What real klippy answered to odd and ordinary requests, asked of our server: the same answers in the same order."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.marlin import subscriptions
from tests.marlin_host.conftest import MakeRig, Rig
from tests.marlin_host.raw_client import RawClient

RECORDED = Path(__file__).resolve().parents[1] / "data" / "klippy" / "edge_cases.jsonl"
CASES = [json.loads(line) for line in RECORDED.read_text().splitlines()]

# Words of Klipper that a firmware for Marlin has its own for.
REPORTS = {"B:25.0 /0.0 T0:25.0 /0.0": "T:25.00 /0.00 B:25.00 /0.00 @:0 B@:0"}


@pytest.fixture
async def shared_rig(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A ready printer whose status comes on Klipper's grid."""
    rig = await make_rig()
    monkeypatch.setattr(subscriptions, "INTERVAL", 0.25)
    await rig.ready_client()
    return rig


async def answers(rig: Rig, sent: list[dict[str, Any]], expected: int, *, by_byte: bool) -> list[dict[str, Any]]:
    client = await RawClient.connect(rig.socket)
    for message in sent:
        if "raw" in message:
            client.send_raw(message["raw"].encode())
        elif by_byte:
            for byte in json.dumps(message).encode() + b"\x03":
                client.send_raw(bytes([byte]))
                await asyncio.sleep(0)
        else:
            client.send(message)
        await asyncio.sleep(0.02)
    if expected:
        await client.wait_for(expected)
    await asyncio.sleep(0.03)
    await client.close()
    return client.received


def shape(name: str, message: dict[str, Any]) -> dict[str, Any]:
    """Reduce a message to what has to be equal."""
    message = json.loads(json.dumps(message))
    result = message.get("result")
    if isinstance(result, dict):
        if name in ("list_endpoints", "gcode/help") or "objects" in result:
            message["result"] = sorted(result) if "objects" in result or name == "list_endpoints" else "help"
        elif "klipper_path" in result:
            message["result"] = {key: result[key] if key.startswith("state") else "" for key in sorted(result)}
        elif "current_mesh" in result:
            message["result"] = "mesh"
        else:
            scrub(result)
    params = message.get("params")
    if isinstance(params, dict):
        scrub(params)
        if "response" in params:
            params["response"] = REPORTS.get(params["response"], params["response"])
    return message


def scrub(body: dict[str, Any]) -> None:
    """Take the times out of a status."""
    if "eventtime" in body:
        body["eventtime"] = 0.0
    for fields in body.get("status", {}).values():
        if "estimated_print_time" in fields:
            fields["estimated_print_time"] = 0.0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_recorded_case(shared_rig: Rig, case: dict[str, Any]) -> None:
    name = case["name"]
    expected = [shape(name, message) for message in case["received"]]
    if "template" in name:
        expected = expected[:3]  # as many updates as one wants to wait for
    if "long script" in name:
        shared_rig.line.hold = True
        asyncio.get_running_loop().call_later(0.5, release, shared_rig)
    received = await answers(shared_rig, case["sent"], len(expected), by_byte=name == "byte by byte")
    assert [shape(name, message) for message in received][: len(expected)] == expected
    if "template" not in name:
        assert len(received) == len(expected)


def release(rig: Rig) -> None:
    rig.line.hold = False
    rig.line._run()


async def test_each_object_that_frontends_need_is_there(shared_rig: Rig) -> None:
    client = await shared_rig.client()
    names = (await client.result("objects/list"))["objects"]
    needed = "webhooks configfile toolhead gcode_move motion_report heaters extruder heater_bed fan print_stats"
    needed += " virtual_sdcard display_status idle_timeout pause_resume exclude_object system_stats mcu gcode bed_mesh"
    assert set(needed.split()) <= set(names)
    assert {"gcode_macro PAUSE", "gcode_macro RESUME", "gcode_macro CANCEL_PRINT"} <= set(names)
    status = (await client.result("objects/query", objects=dict.fromkeys(names)))["status"]
    fields: dict[str, set[str]] = {
        "toolhead": {"homed_axes", "axis_minimum", "axis_maximum", "position", "extruder", "max_velocity", "max_accel"},
        "gcode_move": {
            "speed_factor",
            "extrude_factor",
            "speed",
            "absolute_coordinates",
            "homing_origin",
            "gcode_position",
        },
        "motion_report": {"live_position", "live_velocity", "live_extruder_velocity", "steppers"},
        "heaters": {"available_heaters", "available_sensors", "available_monitors"},
        "extruder": {"temperature", "target", "power", "can_extrude", "pressure_advance", "smooth_time"},
        "heater_bed": {"temperature", "target", "power"},
        "print_stats": {"state", "filename", "total_duration", "print_duration", "filament_used", "message", "info"},
        "virtual_sdcard": {"progress", "file_position", "file_size", "is_active", "file_path"},
        "configfile": {"config", "settings", "warnings", "save_config_pending", "save_config_pending_items"},
        "idle_timeout": {"state", "printing_time", "idle_timeout"},
        "system_stats": {"sysload", "cputime", "memavail"},
        "mcu": {"mcu_version", "mcu_build_versions", "mcu_constants", "last_stats"},
        "bed_mesh": {"profile_name", "mesh_min", "mesh_max", "probed_matrix", "mesh_matrix", "profiles"},
        "exclude_object": {"objects", "current_object", "excluded_objects"},
    }
    for name, wanted in fields.items():
        assert wanted <= set(status[name]), name


async def test_configfile_tells_what_the_firmware_reported(shared_rig: Rig) -> None:
    client = await shared_rig.client()
    found = await client.status("configfile")
    sections = "printer extruder heater_bed fan stepper_x stepper_y stepper_z virtual_sdcard pause_resume mcu"
    sections += " display_status exclude_object idle_timeout bed_mesh"
    assert set(sections.split()) <= set(found["settings"])
    assert set(sections.split()) <= set(found["config"])
    assert {"gcode_macro PAUSE", "gcode_macro RESUME", "gcode_macro CANCEL_PRINT"} <= set(found["config"])
    assert "gcode_macro pause" in found["settings"]
    settings = found["settings"]
    assert settings["stepper_y"]["position_max"] == 210.0
    assert settings["printer"]["max_velocity"] == 500.0
    assert settings["printer"]["max_accel"] == 2500.0
    assert settings["printer"]["square_corner_velocity"] == 8.0
    assert settings["extruder"]["pid_kp"] == 22.2
    assert settings["extruder"]["pressure_advance"] == 0.22
    assert settings["bed_mesh"]["mesh_max"] == [190.0, 200.0]
    assert settings["probe"]["z_offset"] == 1.2
    assert all(isinstance(value, str) for section in found["config"].values() for value in section.values())


async def test_the_stored_mesh_is_shown(shared_rig: Rig) -> None:
    client = await shared_rig.client()
    mesh = await client.status("bed_mesh")
    assert mesh["probed_matrix"] == [[0.08, 0.142], [-0.01, 0.02]]
    assert mesh["mesh_min"] == [10.0, 10.0]
    dump = await client.result("bed_mesh/dump_mesh")
    assert dump["current_mesh"]["name"] == "default"


async def test_endstops(shared_rig: Rig) -> None:
    client = await shared_rig.ready_client()
    expected = {"stepper_x": "open", "stepper_y": "open", "stepper_z": "TRIGGERED", "filament": "TRIGGERED"}
    assert await client.result("query_endstops/status") == expected
    assert (await client.status("query_endstops"))["last_query"] == expected
    await client.script("QUERY_ENDSTOPS")
    assert client.output == ["stepper_x:open stepper_y:open stepper_z:TRIGGERED filament:TRIGGERED"]
