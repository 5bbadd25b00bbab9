"""Scripts of users and frontends: what goes to the firmware, what is written to the console, what is answered."""

from __future__ import annotations

import asyncio

import pytest

from moonraker_lite.marlin import activity as state_module
from moonraker_lite.marlin.settings import PrinterSettings
from tests.marlin_host.conftest import MakeRig, Rig
from tests.marlin_host.raw_client import RawClient


async def sent_by(rig: Rig, client: RawClient, script: str) -> list[str]:
    mark = len(rig.line.sent)
    answer = await client.script(script)
    assert answer.get("result") == {}, answer
    return rig.line.sent[mark:]


def error(answer: dict[str, dict[str, str]]) -> str:
    return answer["error"]["message"]


async def test_the_jog_script_of_the_frontends(rig: Rig) -> None:
    client = await rig.ready_client()
    await client.script("G28\nG1 X10 F1800")
    jog = "SAVE_GCODE_STATE NAME=_ui_movement\nG91\nG1 X+10 F6000\nRESTORE_GCODE_STATE NAME=_ui_movement"
    assert await sent_by(rig, client, jog) == ["G91", "G1 X+10 F6000", "G90", "G1 F1800"]
    move = await client.status("gcode_move")
    assert move["gcode_position"] == [20.0, 0.0, 0.0, 0.0]
    assert move["absolute_coordinates"]
    assert (await client.status("toolhead"))["homed_axes"] == "xyz"


async def test_restoring_with_a_move(rig: Rig) -> None:
    client = await rig.ready_client()
    await client.script("G28\nG1 X10 Y10 F1800\nSAVE_GCODE_STATE NAME=a\nG1 X50")
    back = await sent_by(rig, client, "RESTORE_GCODE_STATE NAME=a MOVE=1 MOVE_SPEED=100")
    assert back == ["G0 X10.000 F6000", "G1 F1800"]
    assert error(await client.script("RESTORE_GCODE_STATE NAME=b")) == "Unknown g-code state: b"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("G1 X5", "Must home axis first: 5.000 0.000 0.000 [0.000]"),
        ("G28\nG1 X201", "Move out of range: 201.000 0.000 0.000 [0.000]"),
        ("G28\nG91\nG1 Z-1", "Move out of range: 0.000 0.000 -1.000 [0.000]"),
        ("G28 X\nG1 X10\nG1 Y1", "Must home axis first: 10.000 1.000 0.000 [0.000]"),
        ("G28\nM84\nG1 X1", "Must home axis first: 1.000 0.000 0.000 [0.000]"),
    ],
)
async def test_moves_that_klipper_would_refuse(rig: Rig, script: str, message: str) -> None:
    client = await rig.ready_client()
    assert error(await client.script(script)) == message
    assert client.output[-1] == f"!! {message}"
    assert not [line for line in rig.line.sent if line == script.splitlines()[-1]]


async def test_the_check_can_be_switched_off(make_rig: MakeRig) -> None:
    rig = await make_rig(settings=PrinterSettings(check_moves=False))
    client = await rig.ready_client()
    assert await sent_by(rig, client, "G1 Z5") == ["G1 Z5"]


async def test_an_extrusion_needs_no_homing(rig: Rig) -> None:
    client = await rig.ready_client()
    assert await sent_by(rig, client, "M83\nG1 E50 F300") == ["M83", "G1 E50 F300"]


async def test_z_offset_by_babysteps(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.line.answers["M290"] = ("echo:Probe Offset Z-1.15",)
    assert await sent_by(rig, client, "SET_GCODE_OFFSET Z_ADJUST=0.05 MOVE=1") == ["M290 Z0.050"]
    assert (await client.status("gcode_move"))["homing_origin"] == [0.0, 0.0, 0.05, 0.0]
    assert await sent_by(rig, client, "Z_OFFSET_APPLY_PROBE") == []
    assert (await client.status("configfile"))["save_config_pending"]
    assert await sent_by(rig, client, "SAVE_CONFIG") == ["M500"]
    assert not (await client.status("configfile"))["save_config_pending"]
    assert (await client.status("gcode_move"))["homing_origin"] == [0.0, 0.0, 0.0, 0.0]


async def test_z_offset_where_babysteps_do_not_change_the_probe(rig: Rig) -> None:
    client = await rig.ready_client()
    await client.script("SET_GCODE_OFFSET Z=0.1")
    assert await sent_by(rig, client, "Z_OFFSET_APPLY_PROBE") == ["M851 Z-1.100"]


async def test_limits_and_advance_show_what_was_set(rig: Rig) -> None:
    client = await rig.ready_client()
    await client.script(
        "SET_VELOCITY_LIMIT VELOCITY=120 ACCEL=900 SQUARE_CORNER_VELOCITY=4\nSET_PRESSURE_ADVANCE ADVANCE=0.1"
    )
    toolhead = await client.status("toolhead")
    assert (toolhead["max_velocity"], toolhead["max_accel"], toolhead["square_corner_velocity"]) == (120.0, 900.0, 4.0)
    assert (await client.status("extruder"))["pressure_advance"] == 0.1


async def test_what_the_firmware_was_built_without_is_no_success(rig: Rig) -> None:
    client = await rig.ready_client()
    before = (await client.status("extruder"))["pressure_advance"]
    rig.line.answers["M900"] = ('echo:Unknown command: "M900 K0.1"',)
    answer = await client.call("gcode/script", script="SET_PRESSURE_ADVANCE ADVANCE=0.1")
    assert answer["error"]["message"] == "SET_PRESSURE_ADVANCE needs M900, which this firmware does not know"
    assert (await client.status("extruder"))["pressure_advance"] == before
    assert (await client.call("gcode/script", script="M900 K0.1"))["result"] == {}, "typed, it is told on the console"


async def test_heaters_fans_and_factors(rig: Rig) -> None:
    client = await rig.ready_client()
    await client.script("M104 S200\nM140 S60\nM106 S128\nM220 S150\nM221 S90\nM117 Hi there\nM73 P42")
    assert (await client.status("extruder"))["target"] == 200.0
    assert (await client.status("heater_bed"))["target"] == 60.0
    assert (await client.status("fan"))["speed"] == pytest.approx(128 / 255)
    move = await client.status("gcode_move")
    assert (move["speed_factor"], move["extrude_factor"]) == (1.5, 0.9)
    assert await client.status("display_status") == {"progress": 0.42, "message": "Hi there"}
    rig.line.say(" T:180.50 /200.00 B:40.00 /60.00 @:127 B@:64")
    extruder = await client.status("extruder")
    assert (extruder["temperature"], extruder["power"], extruder["can_extrude"]) == (180.5, 1.0, True)
    assert (await client.status("heater_bed"))["power"] == pytest.approx(0.5039)


async def test_several_hotends_and_a_chamber(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.line.say(" T:20.00 /0.00 B:21.00 /0.00 T0:20.00 /0.00 T1:22.00 /180.00 C:30.00 @:0 B@:0 @0:0 @1:20")
    heaters = await client.status("heaters")
    assert set(heaters["available_heaters"]) == {"extruder", "extruder1", "heater_bed"}
    assert "temperature_sensor chamber" in heaters["available_sensors"]
    assert (await client.status("extruder1"))["target"] == 180.0
    assert (await client.status("temperature_sensor chamber"))["temperature"] == 30.0
    assert await sent_by(rig, client, "SET_HEATER_TEMPERATURE HEATER=extruder1 TARGET=0") == ["M104 T1 S0"]


async def test_output_and_answers_of_questions(rig: Rig) -> None:
    client = await rig.ready_client()
    await client.script("M105\nM114\nM115\nM119")
    assert client.output[0].startswith("T:25.00 /0.00")
    assert client.output[1] == "X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0"
    assert client.output[2].startswith("FIRMWARE_NAME:Marlin")
    assert "x_min: open" in client.output


async def test_messages(rig: Rig) -> None:
    client = await rig.ready_client()
    script = [
        *(
            "M118 plain",
            "M118 E1 echoed",
            "M118 A1 action:prompt_end",
            "RESPOND MSG=hi",
            'RESPOND TYPE=error MSG="oh no"',
        ),
        *('RESPOND type="command" msg="action:prompt_end"', "RESPOND PREFIX=x MSG=y", "ECHO a b", "STATUS"),
    ]
    await client.script("\n".join(script))
    assert client.output == [
        *("echo: plain", "echo: echoed", "// action:prompt_end", "echo: hi", "!! oh no"),
        *("// action:prompt_end", "x y", "// ECHO a b", "// Klipper state: Ready"),
    ]
    assert "RESPOND TYPE" in error(await client.script("RESPOND TYPE=shout MSG=x"))
    await client.script("HELP")
    assert client.output[-1].startswith("// Available extended commands:\n// ACTIVATE_EXTRUDER: ")


async def test_a_script_ends_at_its_first_error(rig: Rig) -> None:
    client = await rig.ready_client()
    assert "missing HEATER" in error(await client.script("M118 a\nSET_HEATER_TEMPERATURE\nM118 b"))
    assert client.output[0] == "echo: a"
    assert len(client.output) == 2


async def test_a_complaint_of_the_firmware_is_an_error_told_once(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.line.answers["G29"] = ("Error:Probing Failed",)
    assert error(await client.script("BED_MESH_CALIBRATE")) == "Probing Failed"
    assert client.output == ["!! Probing Failed"]


async def test_scripts_wait_their_turn_and_emergencies_do_not(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.line.hold = True
    first = asyncio.create_task(client.script("M109 S200"))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(client.script("M105"))
    await asyncio.sleep(0.01)
    assert rig.line.waiting() == ["M109 S200"]
    assert "result" in await client.script("M108")
    assert "result" in await client.script("m876 s1")
    assert rig.line.emergencies == ["M108", "M876 S1"]
    rig.line.hold = False
    rig.line._run()
    await first
    await second


async def test_a_script_goes_on_when_its_sender_is_gone(rig: Rig) -> None:
    watcher = await rig.ready_client()
    sender = await RawClient.connect(rig.socket)
    rig.line.hold = True
    sender.send({"id": 1, "method": "gcode/script", "params": {"script": "G28\nG1 X5"}})
    await rig.wait_until(lambda: bool(rig.line.waiting()))
    await sender.close()
    rig.line.hold = False
    rig.line._run()
    await rig.wait_until(lambda: rig.line.sent[-1] == "G1 X5")
    assert (await watcher.status("toolhead"))["position"][0] == 5.0


async def test_host_prompts_become_klippers(rig: Rig) -> None:
    client = await rig.ready_client()
    for line in ("prompt_begin Nozzle Parked", "prompt_button Continue", "prompt_button Stop|it", "prompt_show"):
        rig.line.say(f"//action:{line}")
    rig.line.say("//action:prompt_end")
    rig.line.say("//action:notification Heating")
    await client.result("info")
    assert client.output == [
        "// action:prompt_begin Nozzle Parked",
        "// action:prompt_button Continue|M876 S0",
        "// action:prompt_button Stop/it|M876 S1",
        "// action:prompt_show",
        "// action:prompt_end",
        "// action:notification Heating",
    ]


async def test_reports_are_no_output(rig: Rig) -> None:
    client = await rig.ready_client()
    for line in (" T:25.00 /0.00 B:25.00 /0.00 @:0 B@:0", "echo:busy: processing", "wait", "", "ok"):
        rig.line.say(line)
    rig.line.say("echo:Hello")
    await client.result("info")
    assert client.output == ["echo:Hello"]


async def test_temperature_wait(rig: Rig) -> None:
    client = await rig.ready_client()
    waiting = asyncio.create_task(client.script("TEMPERATURE_WAIT SENSOR=extruder MINIMUM=100"))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    rig.line.say(" T:101.00 /0.00 B:25.00 /0.00 @:0 B@:0")
    assert "result" in await waiting
    assert "missing MINIMUM" in error(await client.script("TEMPERATURE_WAIT SENSOR=extruder"))
    assert "Options: 'extruder'" in error(await client.script("TEMPERATURE_WAIT SENSOR=x MINIMUM=1"))


async def test_mesh_calibration_fills_the_mesh(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.line.answers["M420 V"] = (
        *("Bilinear Leveling Grid:", "      0      1", " 0 +1.000 +2.000"),
        "",
        "echo:Bed Leveling ON",
    )
    assert await sent_by(rig, client, 'BED_MESH_CALIBRATE PROFILE="default"') == ["G29 V4", "M420 V"]
    assert (await client.status("bed_mesh"))["probed_matrix"] == [[1.0, 2.0]]
    rig.line.answers["M420 S0"] = ("echo:Bed Leveling OFF",)
    await client.script("BED_MESH_CLEAR")
    assert (await client.status("bed_mesh"))["profile_name"] == ""


async def test_printing_and_ready_follow_what_is_done(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "SETTLE", 0.2)
    client = await rig.ready_client()
    assert (await client.status("idle_timeout"))["state"] == "Idle"
    rig.line.hold = True
    homing = asyncio.create_task(client.script("G28"))
    await asyncio.sleep(0.3)
    assert (await client.status("idle_timeout"))["state"] == "Printing"
    rig.line.hold = False
    rig.line._run()
    await homing
    await asyncio.sleep(0.3)
    status = await client.status("idle_timeout")
    assert (status["state"], status["printing_time"]) == ("Ready", 0.0)


async def test_heaters_go_off_when_left_alone(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "SETTLE", 0.0)
    rig = await make_rig(settings=PrinterSettings(idle_timeout=0.5))
    client = await rig.ready_client()
    rig.line.hold = True
    heating = asyncio.create_task(client.script("M104 S200"))
    await rig.wait_until(lambda: rig.printer.activity.state is state_module.IdleState.PRINTING)
    rig.line.hold = False
    rig.line._run()
    await heating
    await rig.wait_until(lambda: rig.line.sent[-3:] == ["M104 T0 S0", "M140 S0", "M84"])
    assert (await client.status("idle_timeout"))["state"] == "Idle"


async def test_temperatures_are_asked_for_where_they_do_not_come(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonraker_lite.marlin.polling.TEMPERATURE_SILENCE", 0.1)
    await rig.ready_client()
    mark = len(rig.line.sent)
    await rig.wait_until(lambda: "M105" in rig.line.sent[mark:])


async def test_nothing_is_asked_while_the_firmware_homes(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.line.hold = True
    homing = asyncio.create_task(client.script("G28"))
    await rig.wait_until(lambda: rig.printer.interpreter.blocked)
    rig.printer.machine.temperatures_at = -1e9
    assert rig.line.waiting()[-1] == "G28", "a question may have been under way before"
    rig.line.hold = False
    rig.line._run()
    await homing
    assert not rig.printer.interpreter.blocked


@pytest.mark.parametrize("method", ["gcode/restart", "gcode/firmware_restart"])
async def test_restart_makes_all_clients_come_back(rig: Rig, method: str) -> None:
    client = await rig.ready_client()
    connects = rig.line.connects
    assert await client.result(method) == {}
    async with asyncio.timeout(5):
        await client.closed.wait()
    assert client.output[-1] == "// Klipper state: Disconnect"
    again = await rig.ready_client()
    assert rig.line.connects == connects + 1
    assert "result" in await again.script("G28")


async def test_a_restart_ends_a_print(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.write("a.gcode", *(["G4 P1"] * 50))
    rig.line.hold = True
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: bool(rig.line.waiting()))
    rig.line.hold = False
    rig.line._run()
    await client.result("gcode/restart")
    await client.closed.wait()
    again = await rig.ready_client()
    stats = await again.status("print_stats")
    assert (stats["state"], stats["filename"]) == ("standby", "")


async def test_before_the_printer_is_there(make_rig: MakeRig) -> None:
    rig = await make_rig(start=False)
    await rig.server.start()
    client = await rig.client()
    info = await client.result("info")
    assert info["state"] == "startup"
    assert error(await client.script("G28")) == info["state_message"]
    assert (await client.status("webhooks"))["state"] == "startup"
    assert (await client.status("toolhead"))["homed_axes"] == ""
    rig.printer.start()
    await rig.wait_until(lambda: rig.printer.status.ready)


async def test_a_printer_that_cannot_be_reached_is_tried_again(make_rig: MakeRig) -> None:
    rig = await make_rig(start=False)
    rig.line.refuse = "no such port"
    await rig.start()
    client = await rig.client()
    await rig.wait_until(lambda: rig.printer.status.state.value == "error")
    assert "no such port" in (await client.result("info"))["state_message"]
    rig.line.refuse = ""
    await rig.wait_until(lambda: rig.printer.status.ready)


async def test_a_board_reset_while_idle_is_asked_again_and_stays_ready(rig: Rig) -> None:
    client = await rig.ready_client()
    await client.script("G28\nM220 S50")
    rig.line.reset()
    await rig.wait_until(lambda: rig.line.sent[-1] == "M155 S1" and rig.line.sent.count("M115") == 2)
    assert not client.closed.is_set()
    assert (await client.status("toolhead"))["homed_axes"] == ""
    assert (await client.status("gcode_move"))["speed_factor"] == 1.0


async def test_a_board_reset_after_a_halt_makes_it_ready_again(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.line.halt("M112 Shutdown")
    assert (await client.result("info"))["state"] == "shutdown"
    rig.line.connected = True
    rig.line.reset()
    async with asyncio.timeout(5):
        await client.closed.wait()
    await rig.ready_client()


async def test_unasked_reports_of_position_and_fan_are_no_output(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.line.say("X:10.00 Y:0.00 Z:5.00 E:0.00 Count X:0 Y:0 Z:2000")
    rig.line.say("M106 P0 S51")
    assert (await client.status("fan"))["speed"] == pytest.approx(0.2)
    assert client.output == []


async def test_a_link_that_comes_and_goes_is_tried_with_back_off(rig: Rig) -> None:
    await rig.ready_client()
    rig.line.hold = True
    rig.line.lose("flapping")
    for _ in range(3):
        await rig.wait_until(lambda: rig.line.connected and bool(rig.line.waiting()))
        rig.line.lose("flapping")
    connects = rig.line.connects
    await asyncio.sleep(0.2)
    assert rig.line.connects - connects <= 1
    rig.line.hold = False
    await rig.wait_until(lambda: rig.printer.status.ready)
