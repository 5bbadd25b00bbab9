"""Klipper's commands that need an answer of the firmware: probing, tuning, questions, outputs."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.marlin.gcode.help import HELP
from moonraker_lite.marlin.gcode.probing import ManualProbe
from moonraker_lite.marlin.gcode.tuning import parse_gains, parse_screws
from moonraker_lite.marlin.virtual import VirtualPrinter
from tests.marlin_host.conftest import MakeRig, Rig
from tests.marlin_host.raw_client import RawClient


async def sent_by(rig: Rig, client: RawClient, script: str) -> list[str]:
    mark = len(rig.line.sent)
    answer = await client.script(script)
    assert answer.get("result") == {}, answer
    return rig.line.sent[mark:]


def error(answer: dict[str, dict[str, str]]) -> str:
    return answer["error"]["message"]


# Probing


async def test_probing(rig: Rig) -> None:
    client = await rig.ready_client()
    assert error(await client.script("PROBE")) == "Must home before probe"
    await client.script("G28")
    assert "has probed nothing" in error(await client.script("PROBE"))
    rig.line.answers["G30"] = ("Bed X: 100.00 Y: 90.00 Z: 0.12",)
    assert await sent_by(rig, client, "PROBE") == ["G30"]
    assert client.output[-1] == "// Result: at 100.000,90.000 estimate contact at z=0.120000"
    assert await sent_by(rig, client, "PROBE_ACCURACY SAMPLES=3") == ["G30"] * 3
    assert client.output[-1].startswith("// probe accuracy results: maximum 0.120000, minimum 0.120000, range 0.000000")
    assert "SAMPLES must have minimum" in error(await client.script("PROBE_ACCURACY SAMPLES=0"))


async def test_the_probes_offset_is_found_with_paper(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.line.answers["G30"] = ("Bed X: 100.00 Y: 90.00 Z: 0.10",)
    await client.script("G28")
    lines = await sent_by(rig, client, "PROBE_CALIBRATE")
    assert lines == ["M420 S0", "G30", "G1 Z5.100 F300", "G1 F1500", "G1 X100.000 Y90.000 F3000", "G1 F1500", "M211 S0"]
    status = await client.status("manual_probe")
    assert status == {"is_active": True, "z_position": 5.1, "z_position_lower": None, "z_position_upper": None}
    assert "Already in a manual Z probe" in error(await client.script("MANUAL_PROBE"))
    assert (await sent_by(rig, client, "TESTZ Z=-5"))[0] == "G1 Z0.100 F300"
    assert (await client.status("manual_probe"))["z_position_upper"] == 5.1
    await client.script("TESTZ Z=-.2\nTESTZ Z=+")
    assert (await client.status("manual_probe"))["z_position"] == 0.0
    assert client.output[-1] == "// Z position: -0.100 --> 0.000 <-- 0.100"
    assert await sent_by(rig, client, "ACCEPT") == ["M211 S1", "M420 S1", "M851 Z-1.300"]
    assert "z_offset: 1.300" in client.output[-1]
    assert not (await client.status("manual_probe"))["is_active"]
    assert (await client.status("configfile"))["save_config_pending"]
    await client.script("ACCEPT")
    assert client.output[-1] == '// Unknown command:"ACCEPT"'


async def test_the_endstops_offset_is_found_with_paper(rig: Rig) -> None:
    client = await rig.ready_client()
    assert error(await client.script("Z_ENDSTOP_CALIBRATE")) == "Must home before manual probe"
    await client.script("G28\nZ_ENDSTOP_CALIBRATE\nTESTZ Z=-0.15")
    assert await sent_by(rig, client, "ACCEPT") == ["M211 S1", "M206 Z0.150"]
    await client.script("MANUAL_PROBE\nABORT")
    assert client.output[-1] == "// Manual Z probe given up"
    await client.script("SET_GCODE_OFFSET Z=-0.1")
    assert await sent_by(rig, client, "Z_OFFSET_APPLY_ENDSTOP") == ["M206 Z0.250"]


async def test_a_print_ends_a_manual_probe(rig: Rig) -> None:
    client = await rig.ready_client()
    await client.script("G28\nMANUAL_PROBE")
    rig.write("a.gcode", "G1 X1")
    mark = len(rig.line.sent)
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert await rig.job_ends() == "complete"
    assert [line for line in rig.line.sent[mark:] if line != "M420"] == ["M211 S1", "G1 X1"]
    assert not (await client.status("manual_probe"))["is_active"]


STEPS = st.sampled_from(["+", "++", "-", "--"]) | st.floats(-1, 1).map(str)


@given(st.lists(STEPS, max_size=30))
def test_a_manual_probe_narrows_down(steps: list[str]) -> None:
    probe, z = ManualProbe(), 5.0
    for step in steps:
        target = probe.target(step, z)
        below, above = probe.neighbours(z)
        if step in ("+", "++"):
            assert z < target <= z + 0.2
            assert above is None or target <= above + 1e-9
        elif step in ("-", "--"):
            assert z - 0.2 <= target < z
            assert below is None or target >= below - 1e-9
        probe.leave(z)
        z = target
        assert probe.tried == sorted(probe.tried)


# Tuning

AUTOTUNE = (
    "PID Autotune start",
    " bias: 92 d: 92 min: 196.56 max: 203.75 Ku: 32.59 Tu: 22.81",
    " No overshoot",
    " Kp: 19.56 Ki: 1.71 Kd: 55.26",
    "PID Autotune finished! Put the last Kp, Ki and Kd constants from below into Configuration.h",
    "#define DEFAULT_Kp 19.56",
    "#define DEFAULT_Ki 1.71",
    "#define DEFAULT_Kd 55.26",
)


async def test_a_heater_is_tuned(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.line.answers["M303"] = AUTOTUNE
    lines = await sent_by(rig, client, "PID_CALIBRATE HEATER=extruder TARGET=200")
    assert lines[:2] == ["M303 E0 S200 C8 U1", "M301 P19.56 I1.71 D55.26"]
    assert "pid_Kp=19.560 pid_Ki=1.710 pid_Kd=55.260" in client.output[-1]
    rig.line.answers["M303"] = ("PID Autotune failed! Temperature too high",)
    assert error(await client.script("PID_CALIBRATE HEATER=heater_bed TARGET=60")) == (
        "PID Autotune failed: Temperature too high"
    )
    rig.line.answers["M303"] = ()
    assert "no result of M303" in error(await client.script("PID_CALIBRATE HEATER=heater_bed TARGET=60"))
    assert "missing TARGET" in error(await client.script("PID_CALIBRATE HEATER=extruder"))


def test_gains_of_the_bed_and_of_old_firmwares() -> None:
    bed = ["#define DEFAULT_bedKp 97.1", "#define DEFAULT_bedKi 1.41", "#define DEFAULT_bedKd 1675.16"]
    assert parse_gains(bed) == {"P": 97.1, "I": 1.41, "D": 1675.16}
    assert parse_gains(["Kp: 1.0 Ki: 2.0 Kd: 3.0", "Kp: 1.5 Ki: 2.5 Kd: 3.5"]) == {"P": 1.5, "I": 2.5, "D": 3.5}
    assert parse_gains([]) == {}


async def test_the_beds_screws(rig: Rig) -> None:
    client = await rig.ready_client()
    assert "no tramming assistant" in error(await client.script("SCREWS_TILT_CALCULATE"))
    assert "screws_tilt_adjust" not in (await client.result("objects/list"))["objects"]
    rig.line.answers["G35"] = (
        "Turn Front-Right CW by 0 turns and 12 minutes (-0.100mm)",
        "Turn Back-Right CCW by 1 turns",
    )
    await client.script("SCREWS_TILT_CALCULATE")
    results = (await client.status("screws_tilt_adjust"))["results"]
    assert results["screw2"] == {"z": -0.1, "sign": "CW", "adjust": "00:12", "is_base": False}
    assert results["screw3"]["adjust"] == "01:00"
    assert results["screw1"]["is_base"]


@given(
    st.lists(
        st.text() | st.from_regex(r"Turn [A-z -]{1,9} CC?W by \d{1,9} turns( and \d{1,9} minutes)?", fullmatch=True)
    )
)
def test_any_answer_is_read(lines: list[str]) -> None:
    assert all(len(screw["adjust"]) == 5 for screw in parse_screws(lines).values())
    parse_gains(lines)


# Questions and positions


async def test_questions(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.line.answers["M114"] = ("X:1.00 Y:2.00 Z:3.00 E:0.00 Count X:80 Y:160 Z:1200",)
    await client.script("GET_POSITION\nQUERY_PROBE\nQUERY_FILAMENT_SENSOR SENSOR=runout\nGET_RETRACTION")
    position, probe, filament, retraction = client.output[-4:]
    assert "mcu: stepper_x:80 stepper_y:160 stepper_z:1200" in position
    assert "toolhead: X:1.000000 Y:2.000000 Z:3.000000 E:0.000000" in position
    assert probe == "// probe: TRIGGERED"
    assert filament == "// Filament Sensor runout: filament detected"
    assert retraction.startswith("// RETRACT_LENGTH=0.00000")
    assert "not valid for SENSOR" in error(await client.script("QUERY_FILAMENT_SENSOR SENSOR=x"))


async def test_positions_that_the_user_knows_better(rig: Rig) -> None:
    client = await rig.ready_client()
    assert await sent_by(rig, client, "SET_KINEMATIC_POSITION X=10 Z=5") == ["G92 X10.000 Z5.000"]
    assert (await client.status("toolhead"))["homed_axes"] == "xz"
    await client.script("SET_KINEMATIC_POSITION CLEAR=x")
    assert (await client.status("toolhead"))["homed_axes"] == "z"
    assert await sent_by(rig, client, "FORCE_MOVE STEPPER=stepper_y DISTANCE=1 VELOCITY=10") == [
        "G91", "G1 Y1 F600", "G90", "M82", "G1 F1500",
    ]  # fmt: skip


# Outputs

OUTPUTS = """
[output_pin light]
pin: 12
pwm: True
[output_pin valve]
pin: P7
[neopixel case]
strip: 1
[led wrong]
strip: x
[output_pin worse]
"""


async def test_pins_and_lights(make_rig: MakeRig) -> None:
    rig = await make_rig(config=OUTPUTS)
    client = await rig.ready_client()
    assert len(rig.printer.config.warnings) == 2
    script = "SET_PIN PIN=light VALUE=0.5\nSET_PIN PIN=valve VALUE=0.5\nSET_PIN PIN=33 VALUE=1"
    assert await sent_by(rig, client, script) == ["M42 P12 S128", "M42 P7 S255", "M42 P33 S255"]
    assert await sent_by(rig, client, "SET_LED LED=case RED=1 WHITE=0.5 INDEX=3 SYNC=0 TRANSMIT=1") == [
        "M150 R255 U0 B0 W128 I2 S1"
    ]
    assert (await client.status("output_pin light")) == {"value": 0.5}
    assert (await client.status("neopixel case")) == {"color_data": [[1.0, 0.0, 0.0, 0.5]]}
    names = (await client.result("objects/list"))["objects"]
    assert {"output_pin light", "output_pin valve", "neopixel case"} <= set(names)
    settings = (await client.status("configfile"))["settings"]
    assert settings["output_pin light"]["pwm"]
    assert settings["neopixel case"]["color_order"] == ["RGBW"]
    assert "not valid for PIN" in error(await client.script("SET_PIN PIN=x VALUE=1"))
    assert "not valid for LED" in error(await client.script("SET_LED LED=x"))
    assert "VALUE must have maximum" in error(await client.script("SET_PIN PIN=light VALUE=2"))


# All of them


async def test_every_command_has_a_help_text_and_its_place_in_the_manual(rig: Rig) -> None:
    names = {name for name in rig.printer.interpreter.names() if re.fullmatch(r"[A-Z_]{2,}", name)}
    assert names - {"ECHO"} == set(HELP)
    manual = (Path(__file__).resolve().parents[2] / "docs" / "marlin.md").read_text()
    section = manual[manual.index("\n## Commands\n") :]
    table = section[: section.index("\n## ", 5)]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`([A-Z][A-Z0-9_]+)", row)}
    traditional = {name for name in rig.printer.interpreter.names() if re.fullmatch(r"[A-Z][0-9]+", name)}
    assert told == names | traditional


async def test_every_command_without_parameters_works_or_is_refused(make_rig: MakeRig) -> None:
    rig = await make_rig()
    client = await rig.ready_client()
    for name in sorted(rig.printer.interpreter.names() - {"RESTART", "FIRMWARE_RESTART", "M112"}):
        answer = await client.script(name)
        assert "Internal error" not in answer.get("error", {}).get("message", "")
    assert (await client.result("info"))["state"] == "ready"


@pytest.mark.parametrize("speed", [200.0])
async def test_calibrations_on_the_virtual_printer(make_rig: MakeRig, speed: float) -> None:
    board = VirtualPrinter(speed=speed)
    await board.start()
    rig = await make_rig(board)
    client = await rig.ready_client()
    script = "G28\nPID_CALIBRATE HEATER=extruder TARGET=200\nPROBE_CALIBRATE\nTESTZ Z=-5.1\nACCEPT\nSAVE_CONFIG"
    assert "result" in await client.script(script, 60.0)
    assert board.board.values["M851"]["Z"] != 0.0
    assert any("PID parameters" in line for line in client.output)
    await asyncio.sleep(0)
