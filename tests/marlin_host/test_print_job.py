"""The print job on a line in memory: what is sent when, what is told meanwhile, and each way a print can end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from moonraker_lite.marlin.protocol import LinkTrouble
from moonraker_lite.marlin.settings import PrinterSettings
from moonraker_lite.marlin.wishes import Wish
from tests.marlin_host.conftest import MakeRig, Rig
from tests.marlin_host.raw_client import RawClient

SQUARE = ["G21", "G1 X10 Y10 F3000", "G1 X20 E1", "G1 Y20 E2", "G1 X10 E3", "G1 Y10 E4"]


def sent_after(rig: Rig, mark: int) -> list[str]:
    return rig.line.sent[mark:]


async def begin(rig: Rig, client: RawClient, name: str = "a.gcode", *lines: str) -> int:
    """Start a print of `lines` with nothing acknowledged; return where its lines begin in `sent`."""
    rig.write(name, *(lines or SQUARE))
    mark = len(rig.line.sent)
    rig.line.hold = True
    assert await client.script(f'SDCARD_PRINT_FILE FILENAME="{name}"') == {"id": client._last_id, "result": {}}
    await rig.wait_until(lambda: bool(rig.line.waiting()))
    return mark


def flow(rig: Rig) -> None:
    """Let the firmware execute all that comes."""
    rig.line.hold = False
    rig.line._run()


async def test_a_print_from_start_to_end(rig: Rig) -> None:
    client = await rig.ready_client()
    mark = await begin(rig, client)
    assert client.output == ["File opened:a.gcode Size:61", "File selected"]
    assert (await client.status("print_stats"))["state"] == "printing"
    sdcard = await client.status("virtual_sdcard")
    assert sdcard["is_active"]
    assert sdcard["file_path"].endswith("/gcodes/a.gcode")
    flow(rig)
    assert await rig.job_ends() == "complete"
    assert sent_after(rig, mark) == SQUARE
    assert client.output[2:] == ["Done printing file"]
    stats = await client.status("print_stats")
    assert (stats["filename"], stats["filament_used"], stats["message"]) == ("a.gcode", 4.0, "")
    sdcard = await client.status("virtual_sdcard")
    assert sdcard == {"file_path": None, "progress": 1.0, "is_active": False, "file_position": 61, "file_size": 61}


async def test_position_is_what_is_acknowledged(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client, "a.gcode", "G21", "; comment", "", "G1 X1 ; aside", "G1 X2")
    job = rig.printer.job
    assert job.position == 0
    rig.line.acknowledge()
    assert job.position == 4
    rig.line.acknowledge()
    assert job.position == len("G28\n; comment\n\nG1 X1 ; aside\n")
    flow(rig)
    await rig.job_ends()
    assert job.position == job.size


async def test_only_a_little_is_queued_ahead(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client, "a.gcode", *(f"G1 X{index}" for index in range(200)))
    await rig.wait_until(lambda: len(rig.line.waiting()) >= 8)
    await asyncio.sleep(0.02)
    assert len(rig.line.waiting()) == 8
    flow(rig)
    await rig.job_ends()


async def test_printing_time_begins_with_the_first_extrusion(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client, "a.gcode", *(["M104 S200"] * 30), "G1 X1 E1", *(["G4 P1"] * 30))
    await asyncio.sleep(0.1)
    stats = rig.printer.job.stats
    now = rig.printer.machine.clock()
    assert stats.status(now)["print_duration"] == 0.0
    assert stats.status(now)["total_duration"] > 0.05
    flow(rig)
    await rig.job_ends()
    final = stats.status(now)
    assert 0.0 <= final["print_duration"] < final["total_duration"]
    assert stats.status(now + 100) == final


async def test_pause_resume_and_what_happens_in_between(make_rig: MakeRig) -> None:
    rig = await make_rig(settings=PrinterSettings(pause_gcode=""))
    client = await rig.ready_client()
    lines = ["G28", *(f"G1 X{index} E{index}" for index in range(1, 41))]
    mark = await begin(rig, client, "a.gcode", *lines)
    rig.line.acknowledge(1)
    await rig.wait_until(lambda: len(rig.line.waiting()) > 2)
    rig.line.acknowledge(2)
    pausing = asyncio.create_task(client.call("pause_resume/pause"))
    await rig.wait_until(lambda: rig.printer.job._wishes.current is Wish.PAUSE)
    assert not pausing.done()
    flow(rig)
    assert (await pausing)["result"] == {}
    sent = sent_after(rig, mark)
    assert sent[-1] == "M400"
    assert len(sent) <= 3 + 8 + 2
    assert (await client.status("print_stats"))["state"] == "paused"
    assert (await client.status("pause_resume"))["is_paused"]
    assert not (await client.status("virtual_sdcard"))["is_active"]
    await client.script("PAUSE")
    assert client.output[-1] == "// Print already paused"
    await client.script("G91\nG1 Z10 F600\nG90\nM83\nG1 E-1")
    await client.script("RESUME")
    assert await rig.job_ends() == "complete"
    printed = [line for line in sent_after(rig, mark) if line in lines]
    assert printed == lines
    resumed = sent_after(rig, mark)[len(sent) :]
    # The 5 lines of the user, then back to where head and filament were, then the next line of the print.
    position = float(sent[-2].split("E")[1])
    assert resumed[5:7] == ["G0 Z0.000 F3000", "G1 E1.00000 F1800"]
    assert resumed[7:9] == ["M82", "G1 F1500"]
    assert resumed[9] == f"G1 X{int(position) + 1} E{int(position) + 1}"


async def test_an_undisturbed_pause_adds_nothing_to_the_print(rig: Rig) -> None:
    client = await rig.ready_client()
    lines = [f"G1 X{index} E{index}" for index in range(1, 60)]
    mark = await begin(rig, client, "a.gcode", *lines)
    rig.line.acknowledge(2)
    pausing = asyncio.create_task(client.script("PAUSE"))
    await rig.wait_until(lambda: rig.printer.job._wishes.current is Wish.PAUSE)
    flow(rig)
    await pausing
    await client.script("RESUME")
    await rig.job_ends()
    assert [line for line in sent_after(rig, mark) if line != "M400"] == lines


async def test_resume_heats_again_what_went_cold(rig: Rig) -> None:
    client = await rig.ready_client()
    lines = ["M104 S200", "M140 S60", "M106 S255", *(f"G1 X{index}" for index in range(60))]
    await begin(rig, client, "a.gcode", *lines)
    rig.line.acknowledge(4)
    pausing = asyncio.create_task(client.script("PAUSE"))
    await rig.wait_until(lambda: rig.printer.job._wishes.current is Wish.PAUSE)
    flow(rig)
    await pausing
    await client.script("TURN_OFF_HEATERS\nM107")
    mark = len(rig.line.sent)
    await client.script("RESUME")
    assert sent_after(rig, mark)[:5] == ["M140 S60", "M104 T0 S200", "M190 S60", "M109 T0 S200", "M106 P0 S255"]
    await rig.job_ends()


async def test_parking_scripts_of_the_owner(make_rig: MakeRig) -> None:
    rig = await make_rig(
        settings=PrinterSettings(pause_gcode="G91\nG1 Z5\nG90", resume_gcode="M300", cancel_gcode="G28 X\nM84")
    )
    client = await rig.ready_client()
    mark = await begin(rig, client, "a.gcode", *(f"G1 X{index}" for index in range(60)))
    pausing = asyncio.create_task(client.script("PAUSE"))
    await rig.wait_until(lambda: rig.printer.job._wishes.current is Wish.PAUSE)
    flow(rig)
    await pausing
    assert sent_after(rig, mark)[-4:] == ["M400", "G91", "G1 Z5", "G90"]
    rig.line.hold = True
    resuming = asyncio.create_task(client.script("RESUME"))
    await asyncio.sleep(0.02)
    flow(rig)
    await resuming
    assert "M300" in sent_after(rig, mark)
    await rig.job_ends()
    await begin(rig, client, "a.gcode", *(f"G1 X{index}" for index in range(60)))
    cancelling = asyncio.create_task(client.script("CANCEL_PRINT"))
    await rig.wait_until(lambda: rig.printer.job._wishes.current is Wish.CANCEL)
    flow(rig)
    await cancelling
    assert rig.line.sent[-2:] == ["G28 X", "M84"]


@pytest.mark.parametrize("paused", [False, True])
async def test_cancel(rig: Rig, paused: bool) -> None:
    client = await rig.ready_client()
    mark = await begin(rig, client, "a.gcode", *(f"G1 X{index}" for index in range(100)))
    if paused:
        pausing = asyncio.create_task(client.script("PAUSE"))
        await rig.wait_until(lambda: rig.printer.job._wishes.current is Wish.PAUSE)
        flow(rig)
        await pausing
    cancelling = asyncio.create_task(client.call("pause_resume/cancel"))
    await rig.wait_until(lambda: rig.printer.job._wishes.current is Wish.CANCEL)
    flow(rig)
    assert (await cancelling)["result"] == {}
    assert sent_after(rig, mark)[-2:] == ["M104 T0 S0", "M140 S0"]
    assert len(sent_after(rig, mark)) < 20
    stats = await client.status("print_stats")
    assert (stats["state"], stats["filename"]) == ("cancelled", "a.gcode")
    sdcard = await client.status("virtual_sdcard")
    assert sdcard == {"file_path": None, "progress": 0.0, "is_active": False, "file_position": 0, "file_size": 0}
    assert not (await client.status("pause_resume"))["is_paused"]


async def test_cancel_breaks_off_the_wait_for_a_temperature(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client, "a.gcode", "M109 S200", "G1 X1")
    rig.line.say(" T:50.00 /200.00 B:25.00 /0.00 @:127 B@:0 W:?")
    cancelling = asyncio.create_task(client.script("CANCEL_PRINT"))
    await rig.wait_until(lambda: rig.printer.job._wishes.current is Wish.CANCEL)
    assert rig.line.emergencies == ["M108"]
    flow(rig)
    await cancelling


async def test_idle_pause_resume_cancel_tell_so(rig: Rig) -> None:
    client = await rig.ready_client()
    for script in ("RESUME", "PAUSE", "PAUSE", "RESUME", "CANCEL_PRINT"):
        await client.script(script)
    assert client.output == [
        "// Print is not paused, resume aborted",
        "// action:paused",
        "// Print already paused",
        "// action:resumed",
        "// action:cancel",
    ]


async def test_starting_while_printing_and_while_paused(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client, "a.gcode", *(f"G1 X{index}" for index in range(100)))
    rig.write("b.gcode", "G1 Y1")
    for script in ("SDCARD_PRINT_FILE FILENAME=b.gcode", "M24", "M23 b.gcode", "M26 S0"):
        answer = await client.script(script)
        assert answer["error"]["message"] == "SD busy"
    assert client.output[-1] == "!! SD busy"
    pausing = asyncio.create_task(client.script("PAUSE"))
    await rig.wait_until(lambda: rig.printer.job._wishes.current is Wish.PAUSE)
    flow(rig)
    await pausing
    assert "result" in await client.script("SDCARD_PRINT_FILE FILENAME=b.gcode")
    assert await rig.job_ends() == "complete"
    assert rig.line.sent[-1] == "G1 Y1"
    assert (await client.status("print_stats"))["filename"] == "b.gcode"


@pytest.mark.parametrize(
    "name",
    [
        "nosuch.gcode",
        "../secret.gcode",
        "/../secret.gcode",
        "sub/../../secret.gcode",
        ".",
        "",
        "sub",
        "a\x00b",
        "x" * 300,
    ],
)
async def test_files_that_cannot_be_opened(rig: Rig, name: str) -> None:
    client = await rig.ready_client()
    (rig.folder / "secret.gcode").write_text("G28\n")
    (rig.gcodes / "sub").mkdir()
    answer = await client.script(f'SDCARD_PRINT_FILE FILENAME="{name}"')
    assert answer["error"]["message"] == "Unable to open file"
    assert client.output == ["!! Unable to open file"]
    assert (await client.status("print_stats"))["state"] == "standby"


async def test_names_with_blanks_folders_and_a_leading_slash(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.write("my parts/ä b.gcode", "G1 X1")
    await client.script('SDCARD_PRINT_FILE FILENAME="/my parts/ä b.gcode"')
    assert await rig.job_ends() == "complete"
    assert (await client.status("print_stats"))["filename"] == "my parts/ä b.gcode"


async def test_selecting_seeking_and_starting_as_on_an_sd_card(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.write("a.gcode", "G1 X1", "G1 X2", "G1 X3")
    rig.write("b/c.g", "G28")
    rig.write("note.txt", "G28")
    await client.script("M20\nM21\nM27\nM23 a.gcode\nM26 S6\nM27")
    assert client.output == [
        "Begin file list\na.gcode 18\nb/c.g 4\nEnd file list",
        "SD card ok",
        "Not SD printing.",
        "File opened:a.gcode Size:18",
        "File selected",
        "SD printing byte 6/18",
    ]
    await client.script("M24")
    assert await rig.job_ends() == "complete"
    assert rig.line.sent[-2:] == ["G1 X2", "G1 X3"]
    answer = await client.script("M28 x.gcode")
    assert answer["error"]["message"] == "SD write not supported"


async def test_reset_file_clears_the_finished_print(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.write("a.gcode", "G1 X1 E1")
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.job_ends()
    await client.script("SDCARD_RESET_FILE")
    stats = await client.status("print_stats")
    assert (stats["state"], stats["filename"], stats["filament_used"]) == ("standby", "", 0.0)


async def test_host_commands_in_a_file(rig: Rig) -> None:
    client = await rig.ready_client()
    lines = [
        "SET_PRINT_STATS_INFO TOTAL_LAYER=3",
        "EXCLUDE_OBJECT_DEFINE NAME=a CENTER=100,100 POLYGON=[[0,0],[1,1]]",
        "EXCLUDE_OBJECT_DEFINE NAME=b",
        "EXCLUDE_OBJECT_START NAME=a",
        "G1 X1 E1",
        "EXCLUDE_OBJECT_END NAME=a",
        "SET_PRINT_STATS_INFO CURRENT_LAYER=2",
        "ECHO hello",
        "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=210",
        'RESPOND MSG="it\'s done"',
        "NO_SUCH_MACRO A=1",
        "M117 Layer 2",
        "M73 P50 R10",
        "M110 N0",
        "G1 X2 E2",
    ]
    mark = len(rig.line.sent)
    rig.write("a.gcode", *lines)
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert await rig.job_ends() == "complete"
    assert sent_after(rig, mark) == ["G1 X1 E1", "M104 T0 S210", "M117 Layer 2", "M73 P50 R10", "G1 X2 E2"]
    expected = ["// ECHO hello", "echo: it's done", '// Unknown command:"NO_SUCH_MACRO"', "Done printing file"]
    assert client.output[2:] == expected
    assert (await client.status("print_stats"))["info"] == {"total_layer": 3, "current_layer": 2}
    known = (await client.status("exclude_object"))["objects"]
    assert known == [{"name": "A", "center": [100.0, 100.0], "polygon": [[0.0, 0.0], [1.0, 1.0]]}, {"name": "B"}]
    assert (await client.status("display_status"))["message"] == "Layer 2"


async def test_an_excluded_object_is_left_out(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.write(
        "a.gcode",
        *("M83", "EXCLUDE_OBJECT_DEFINE NAME=a", "EXCLUDE_OBJECT NAME=a", "G1 X1 Y1 E1"),
        *("EXCLUDE_OBJECT_START NAME=a", "G1 X5 Y5", "G1 X6 E5", "M106 S10", "EXCLUDE_OBJECT_END NAME=a", "G1 X9 Y9"),
    )
    mark = len(rig.line.sent)
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert await rig.job_ends() == "complete"
    assert sent_after(rig, mark) == ["M83", "G1 X1 Y1 E1", "M106 S10", "G1 X9 Y9"]
    assert (await client.status("print_stats"))["filament_used"] == 1.0


@pytest.mark.parametrize(("command", "state"), [("PAUSE", "paused"), ("M25", "paused"), ("CANCEL_PRINT", "cancelled")])
async def test_a_file_may_pause_or_cancel_itself(rig: Rig, command: str, state: str) -> None:
    client = await rig.ready_client()
    rig.write("a.gcode", "G1 X1", command, "G1 X2")
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: rig.printer.job.stats.state.value == state)
    assert "G1 X2" not in rig.line.sent
    if state == "paused":
        await client.script("RESUME")
        assert await rig.job_ends() == "complete"
        assert rig.line.sent[-1] == "G1 X2"


async def test_an_error_in_the_file_ends_the_print_with_heaters_off(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.write("bad.gcode", "G1 X1", "SET_HEATER_TEMPERATURE HEATER=nosuch TARGET=1", "G1 X2")
    assert "result" in await client.script("SDCARD_PRINT_FILE FILENAME=bad.gcode")
    assert await rig.job_ends() == "error"
    message = "The value 'nosuch' is not valid for HEATER. Options: 'extruder', 'heater_bed'"
    assert client.output[-1] == f"!! {message}"
    stats = await client.status("print_stats")
    assert (stats["state"], stats["message"]) == ("error", message)
    sdcard = await client.status("virtual_sdcard")
    assert (sdcard["is_active"], sdcard["file_position"]) == (False, 6)
    await rig.wait_until(lambda: {"M104 T0 S0", "M140 S0"} <= set(rig.line.sent))
    assert "G1 X2" not in rig.line.sent


async def test_an_error_of_the_firmware_ends_the_print(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client, "a.gcode", "G28", "G29", *(f"G1 X{index}" for index in range(50)))
    rig.line.say("Error:Probing Failed")
    flow(rig)
    assert await rig.job_ends() == "error"
    assert (await client.status("print_stats"))["message"] == "Probing Failed"
    assert "!! Probing Failed" in client.output
    assert (await client.result("info"))["state"] == "ready"


async def test_resend_errors_are_the_protocols_business(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client)
    rig.line.say("Error:checksum mismatch, Last Line: 2")
    flow(rig)
    assert await rig.job_ends() == "complete"
    assert not [line for line in client.output if line.startswith("!!")]


async def test_a_halt_mid_print(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client)
    rig.line.acknowledge(2)
    rig.line.halt("Heating failed, system stopped! Heater_ID: E0")
    assert await rig.job_ends() == "error"
    assert "Heating failed" in (await client.status("print_stats"))["message"]
    info = await client.result("info")
    assert info["state"] == "shutdown"
    assert "Heating failed" in info["state_message"]
    answer = await client.script("G28")
    assert answer["error"]["message"] == info["state_message"]
    assert "// Klipper state: Shutdown" in client.output


async def test_a_reset_of_the_board_mid_print(rig: Rig) -> None:
    client = await rig.ready_client()
    await client.script("G28")
    await begin(rig, client)
    rig.line.acknowledge(2)
    rig.line.hold = False
    rig.line.reset()
    assert await rig.job_ends() == "error"
    message = (await client.status("print_stats"))["message"]
    assert "reset" in message
    assert "heaters are off" in message
    await rig.wait_until(lambda: rig.line.sent[-1] == "M155 S1")
    assert (await client.result("info"))["state"] == "ready"
    assert (await client.status("toolhead"))["homed_axes"] == ""


async def test_the_link_is_lost_mid_print_and_comes_back(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client)
    rig.line.refuse = "nobody there"
    rig.line.lose("cable pulled")
    assert await rig.job_ends() == "error"
    assert (await client.status("print_stats"))["message"] == "Lost the connection to the printer: cable pulled"
    await rig.wait_until(lambda: rig.printer.status.state.value == "error")
    assert "nobody there" in (await client.result("info"))["state_message"]
    rig.line.refuse = ""
    rig.line.hold = False
    async with asyncio.timeout(5):
        await client.closed.wait()
    again = await rig.ready_client()
    assert "result" in await again.script("G28")


async def test_m112_mid_print(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client)
    assert await client.result("emergency_stop") == {}
    assert rig.line.emergencies == ["M112"]
    assert await rig.job_ends() == "error"
    info = await client.result("info")
    assert info["state"] == "shutdown"
    assert info["state_message"].startswith("Shutdown due to webhooks request\n")
    flow(rig)


async def test_the_checkpoint_says_how_far_a_failed_print_came(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client)
    rig.line.acknowledge(2)
    rig.line.halt("boom")
    await rig.job_ends()
    path = rig.folder / "state" / "print_checkpoint.json"
    await rig.wait_until(path.exists)

    def content() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    await rig.wait_until(lambda: content()["state"] == "error")
    found = content()
    assert (found["file"], found["position"], found["line"], found["size"]) == ("a.gcode", 21, 2, 61)


async def test_a_finished_print_leaves_no_checkpoint(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client)
    rig.printer.job._recorder.save()
    flow(rig)
    await rig.job_ends()
    path = rig.folder / "state" / "print_checkpoint.json"
    await rig.wait_until(lambda: not path.exists())


async def test_stopping_the_process_mid_print(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client)
    rig.line.hold = False
    await rig.printer.stop()
    assert rig.printer.job.stats.state.value == "error"
    assert {"M104 T0 S0", "M140 S0"} <= set(rig.line.sent)
    assert (rig.folder / "state" / "print_checkpoint.json").exists()


async def test_scripts_are_interleaved_between_lines_and_as_a_whole(rig: Rig) -> None:
    client = await rig.ready_client()
    lines = [f"G1 X{index}" for index in range(100)]
    mark = await begin(rig, client, "a.gcode", *lines)
    asking = asyncio.create_task(client.script("G91\nM220 S150\nG90"))
    await rig.wait_until(lambda: rig.printer.turn.busy)
    flow(rig)
    assert "result" in await asking
    await rig.job_ends()
    sent = sent_after(rig, mark)
    at = sent.index("G91")
    assert sent[at : at + 3] == ["G91", "M220 S150", "G90"]
    assert [line for line in sent if line in lines] == lines


async def test_long_lines_are_squeezed_and_impossible_ones_end_the_print(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.write("a.gcode", "M117 " + "x" * 100, "G1 " + "X1 " * 40, "M4010 " + "f" * 100, "G1 " + "X1.23456 " * 40)
    mark = len(rig.line.sent)
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert await rig.job_ends() == "error"
    assert sent_after(rig, mark)[0].startswith("M117 xxx")
    assert sent_after(rig, mark)[1] == "G1" + "X1" * 40
    assert client.output[2].startswith("// Line 3 of the file cannot be sent")
    assert "Line 4 of the file cannot be sent" in (await client.status("print_stats"))["message"]


async def test_the_firmware_may_ask_for_pause_resume_and_cancel(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client, "a.gcode", *(f"G1 X{index}" for index in range(100)))
    rig.line.say("//action:pause filament_runout 0")
    flow(rig)
    await rig.wait_until(lambda: rig.printer.job.stats.state.value == "paused")
    assert (await client.status("pause_resume"))["is_paused"]
    rig.line.hold = True
    rig.line.say("//action:resume")
    await rig.wait_until(lambda: rig.printer.job.printing)
    rig.line.say("//action:paused")
    assert (await client.status("print_stats"))["state"] == "paused"
    rig.line.say("//action:cancel")
    await asyncio.sleep(0.02)
    flow(rig)
    assert await rig.job_ends() == "cancelled"


async def test_the_next_print_waits_until_the_heaters_of_the_failed_one_are_off(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client, "a.gcode", "M104 S200", *(["G4 P1"] * 20))
    rig.line.say("Error:Probing Failed")
    await rig.job_ends()
    rig.write("b.gcode", "M104 S210", "G1 X1")
    starting = asyncio.create_task(client.script("SDCARD_PRINT_FILE FILENAME=b.gcode"))
    await asyncio.sleep(0.05)
    assert not starting.done()
    flow(rig)
    await starting
    assert await rig.job_ends() == "complete"
    assert rig.line.sent[-3:] == ["M140 S0", "M104 S210", "G1 X1"]
    assert rig.printer.machine.heaters["extruder"].target == 210.0


async def test_line_numbers_that_contradict_end_the_print_and_are_agreed_on_anew(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client)
    connects = rig.line.connects
    rig.line.hold = False
    rig.line._on_event(LinkTrouble("the line is bad", recoverable=False))
    assert await rig.job_ends() == "error"
    assert (await client.status("print_stats"))["message"] == "the line is bad"
    await rig.wait_until(lambda: rig.line.connects == connects + 1 and rig.line.sent[-1] == "M155 S1")
    assert not client.closed.is_set()
    assert "result" in await client.script("G28")


async def test_a_pause_behind_the_last_line_lets_the_print_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await rig.ready_client()
    at_the_end = asyncio.Event()
    plain = rig.line.drained

    async def drained() -> None:
        at_the_end.set()
        await plain()

    monkeypatch.setattr(rig.line, "drained", drained)
    await begin(rig, client, "a.gcode", "G1 X1", "G1 X2")
    await rig.wait_until(at_the_end.is_set)
    pausing = asyncio.create_task(client.script("PAUSE"))
    await rig.wait_until(lambda: rig.printer.job._wishes.current is Wish.PAUSE)
    flow(rig)
    await pausing
    assert await rig.job_ends() == "complete"
    assert not (await client.status("pause_resume"))["is_paused"]
