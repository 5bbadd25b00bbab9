"""What must not happen to a hot printer: heating that nobody stops, waiting without an end, commands torn apart."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from moonraker_lite.marlin import cooling as cooling_module
from moonraker_lite.marlin import emergency, farewell
from moonraker_lite.marlin import job as job_module
from moonraker_lite.marlin import printer as printer_module
from moonraker_lite.marlin.gcode.reader import GcodeFile
from moonraker_lite.marlin.settings import PrinterSettings
from moonraker_lite.marlin.state import IdleState
from tests.marlin_host.conftest import MakeRig, Rig
from tests.marlin_host.raw_client import RawClient

HOT = " T:200.00 /200.00 B:60.00 /60.00 @:50 B@:20"
HEATING = " T:50.00 /200.00 B:25.00 /60.00 @:127 B@:127 W:?"
OFF = ["M104 T0 S0", "M140 S0"]


async def begin(rig: Rig, client: RawClient, *lines: str) -> int:
    """Start a print of `lines` with nothing acknowledged; return where its lines begin in `sent`."""
    rig.write("a.gcode", *lines)
    mark = len(rig.line.sent)
    rig.line.hold = True
    assert "result" in await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: bool(rig.line.waiting()))
    return mark


def flow(rig: Rig) -> None:
    """Let the firmware execute all that comes."""
    rig.line.hold = False
    rig.line._run()


async def held(rig: Rig, condition: Callable[[], bool] | None = None) -> None:
    """Give everything that may happen by itself the time for it."""
    await asyncio.sleep(0.05)
    if condition is not None:
        await rig.wait_until(condition)


async def test_nothing_is_queued_behind_a_command_that_waits(rig: Rig) -> None:
    """Whoever cancels while the bed heats up does not want the nozzle heated and the axes homed first."""
    client = await rig.ready_client()
    mark = await begin(rig, client, "M140 S60", "M104 S150", "M190 S60", "M109 S200", "G28", "G1 X1", "G1 X2")
    await held(rig)
    assert rig.line.waiting() == ["M140 S60", "M104 S150"]
    rig.line.acknowledge(2)
    await held(rig)
    assert rig.line.waiting() == ["M190 S60"]
    rig.line.say(HEATING)
    cancelling = asyncio.create_task(client.script("CANCEL_PRINT"))
    await held(rig, lambda: rig.line.emergencies == ["M108"])
    flow(rig)
    assert "result" in await cancelling
    assert rig.line.sent[mark:] == ["M140 S60", "M104 S150", "M190 S60", *OFF]


async def test_a_print_waits_alone_for_each_slow_command(rig: Rig) -> None:
    client = await rig.ready_client()
    lines = ["G28", "M190 S60", "G29", "M109 S200", "G1 X1", "M600", "G1 X2", "M0 pause", "G1 X3", "M400", "G1 X4"]
    mark = await begin(rig, client, *lines)
    flow(rig)
    assert await rig.job_ends() == "complete"
    assert rig.line.sent[mark:] == lines


async def test_where_homing_has_left_the_head_is_known_in_the_print(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.line.answers["G28"] = ("X:90.00 Y:80.00 Z:5.00 E:0.00 Count X:1800 Y:1600 Z:500",)
    await begin(rig, client, "G28", "G91", "G1 Z10", "M0", "G1 Z1")
    rig.line.acknowledge(1)
    await held(rig)
    rig.line.acknowledge(2)
    assert rig.printer.machine.motion.position == [90.0, 80.0, 15.0, 0.0]
    flow(rig)
    await rig.job_ends()


async def test_a_wait_that_begins_after_the_cancel_is_broken_off_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooling_module, "NAG", 0.05)
    client = await rig.ready_client()
    await begin(rig, client, "M109 S200", "G1 X1")
    cancelling = asyncio.create_task(client.script("CANCEL_PRINT"))
    await held(rig)
    assert rig.line.emergencies == []  # no report of the wait has come yet
    rig.line.say(HEATING)
    await rig.wait_until(lambda: "M108" in rig.line.emergencies)
    flow(rig)
    await cancelling


async def test_resuming_while_the_pause_of_the_file_is_still_to_come(rig: Rig) -> None:
    client = await rig.ready_client()
    lines = [f"G1 X{index}" for index in range(20)]
    mark = await begin(rig, client, *lines)
    script = asyncio.create_task(client.script("M117 hello"))  # waits behind the print's lines, with the turn
    await held(rig)
    rig.line.say("//action:pause")
    await held(rig)
    resuming = asyncio.create_task(client.script("RESUME"))
    await held(rig)
    flow(rig)
    await script
    await resuming
    assert await rig.job_ends(5) == "complete"
    assert not (await client.status("pause_resume"))["is_paused"]
    assert [line for line in rig.line.sent[mark:] if line in lines] == lines


async def test_a_script_waits_until_a_pause_of_the_file_has_saved_everything(make_rig: MakeRig) -> None:
    """The pause would save the modes that the script has just set, and the resumed print would go on in them."""
    rig = await make_rig(settings=PrinterSettings(pause_gcode="G1 X0 Y0", check_moves=False))
    client = await rig.ready_client()
    mark = await begin(rig, client, "G1 X10 Y10 F6000", "PAUSE", "G1 X11")
    script = asyncio.create_task(client.script("G91\nG1 Z1\nG90"))
    await held(rig)
    while not script.done():
        if rig.line.waiting():
            rig.line.acknowledge(1)
        await asyncio.sleep(0.005)
    assert rig.line.sent[mark:] == ["G1 X10 Y10 F6000", "M400", "G1 X0 Y0", "G91", "G1 Z1", "G90"]
    rig.line.hold = False
    await client.script("RESUME")
    assert await rig.job_ends() == "complete"
    assert rig.line.sent[mark + 6 :] == ["G0 X10.000 Y10.000 F6000", "G0 Z0.000 F6000", "G1 X11"]


async def test_a_pause_waits_for_the_script_that_runs(make_rig: MakeRig) -> None:
    rig = await make_rig(settings=PrinterSettings(check_moves=False))
    client = await rig.ready_client()
    mark = await begin(rig, client, *(f"G1 X{index} F6000" for index in range(20)))
    script = asyncio.create_task(client.script("G91\nG1 Z1\nG90"))
    await held(rig)
    rig.line.say("//action:pause")
    while rig.printer.job.stats.state.value != "paused":
        if rig.line.waiting():
            rig.line.acknowledge(1)
        await asyncio.sleep(0.005)
    await script
    assert rig.line.sent[mark + 8 :] == ["G91", "G1 Z1", "G90", "M400"]
    rig.line.hold = False
    await client.script("RESUME")
    assert await rig.job_ends() == "complete"
    assert rig.line.sent[mark + 12] == "G1 X8 F6000"


async def test_cancelling_while_a_pause_waits_for_its_turn(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client, *(f"G1 X{index}" for index in range(20)))
    rig.line.say("//action:pause")
    cancelling = asyncio.create_task(client.script("CANCEL_PRINT"))
    await held(rig)
    flow(rig)
    async with asyncio.timeout(5):
        await cancelling
    assert await rig.job_ends() == "cancelled"
    assert not (await client.status("pause_resume"))["is_paused"]


async def test_a_disk_that_hangs_does_not_hold_the_cancel(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await rig.ready_client()
    reading, answer = os.pipe()
    monkeypatch.setattr(os, "pread", lambda *_: os.read(reading, 1))
    rig.write("a.gcode", "G1 X1")
    try:
        await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
        await held(rig)
        assert "result" in await client.script("CANCEL_PRINT", 5.0)
        assert await rig.job_ends() == "cancelled"
        assert rig.line.sent[-2:] == OFF
    finally:
        os.close(answer)
        await asyncio.sleep(0.05)
        os.close(reading)


@pytest.mark.parametrize("change", ["cut short", "changed"])
async def test_a_file_that_is_changed_ends_the_print(rig: Rig, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    monkeypatch.setattr(GcodeFile.__init__, "__defaults__", (0, 1000))
    client = await rig.ready_client()
    await begin(rig, client, *(f"G1 X{index}" for index in range(2000)))
    path = rig.gcodes / "a.gcode"
    if change == "changed":
        data = path.read_bytes().replace(b"G1 X", b"G0 Y")
        with path.open("r+b") as other:
            other.write(data)
        os.utime(path, ns=(1, 1))  # the clock of a file system may tick only every few milliseconds
    else:
        os.truncate(path, 1500)
    flow(rig)
    assert await rig.job_ends() == "error"
    assert change in (await client.status("print_stats"))["message"]
    await rig.wait_until(lambda: rig.line.sent[-2:] == OFF)


async def test_a_wait_for_a_temperature_ends_with_the_printer(rig: Rig) -> None:
    client = await rig.ready_client()
    waiting = asyncio.create_task(client.script("TEMPERATURE_WAIT SENSOR=extruder MINIMUM=100"))
    await asyncio.sleep(0.05)
    rig.line.halt("Heating failed, system stopped! Heater_ID: E0")
    answer = await asyncio.wait_for(waiting, 5)
    assert "Heating failed" in answer["error"]["message"]


async def test_the_idle_timeout_does_not_strike_a_print_that_has_just_begun(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = await make_rig(settings=PrinterSettings(idle_timeout=1000.0))
    client = await rig.ready_client()
    rig.line.hold = True
    rig.write("a.gcode", *(f"G1 X{index}" for index in range(50)))
    script = asyncio.create_task(client.script("M117 x\nSDCARD_PRINT_FILE FILENAME=a.gcode"))
    await held(rig)
    rig.printer.activity.state = IdleState.IDLE
    rig.printer._on_idle()  # waits for the turn of the script that starts the print
    await held(rig)
    mark = len(rig.line.sent)
    flow(rig)
    await script
    assert await rig.job_ends() == "complete"
    assert not {*OFF, "M84"} & set(rig.line.sent[mark:])


async def test_heaters_are_switched_off_when_a_lost_printer_comes_back(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client, *(f"G1 X{index}" for index in range(50)))
    rig.line.say(HOT)
    rig.line.answers["M105"] = ("ok T:200.00 /200.00 B:60.00 /60.00 @:50 B@:20",)
    rig.line.hold = False
    mark = len(rig.line.sent)
    rig.line.lose("cable pulled")
    assert await rig.job_ends() == "error"
    await rig.wait_until(lambda: rig.printer.status.ready)
    assert set(OFF) <= set(rig.line.sent[mark:])
    assert await client.closed.wait()


@pytest.mark.parametrize(("state", "expected"), [("printing", OFF), ("paused", OFF), ("error", [])])
async def test_heaters_of_a_print_that_died_with_its_process_are_switched_off(
    tmp_path: Path, state: str, expected: list[str]
) -> None:
    path = tmp_path / "state" / "print_checkpoint.json"
    path.parent.mkdir()
    left = {"file": "a.gcode", "size": 9, "position": 5, "line": 1, "state": state, "z": 0.2, "written": 0.0}
    path.write_text(json.dumps(left))
    rig = Rig(tmp_path, None, PrinterSettings())
    rig.line.answers["M105"] = ("ok T:200.00 /200.00 B:60.00 /60.00 @:50 B@:20",)
    try:
        await rig.start()
        await rig.ready_client()
        assert [line for line in rig.line.sent if line in OFF] == expected
        await rig.wait_until(lambda: json.loads(path.read_text())["state"] == "error")
    finally:
        await rig.stop()


async def test_hot_heaters_that_were_found_go_off_when_left_alone(make_rig: MakeRig) -> None:
    rig = await make_rig(settings=PrinterSettings(idle_timeout=0.3), start=False)
    rig.line.answers["M105"] = ("ok T:200.00 /200.00 B:60.00 /60.00 @:50 B@:20",)
    await rig.start()
    await rig.ready_client()
    rig.line.answers["M105"] = ("ok T:200.00 /0.00 B:60.00 /0.00 @:0 B@:0",)
    await rig.wait_until(lambda: set(OFF) <= set(rig.line.sent))


async def test_the_end_of_the_process_stops_moves_that_heaters_would_wait_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await rig.ready_client()
    await begin(rig, client, *(f"G1 X{index}" for index in range(50)))
    rig.line.on_emergency = lambda command: flow(rig) if command == "M410" else None
    async with asyncio.timeout(5):
        await rig.printer.stop()
    assert rig.line.emergencies == ["M410"]
    assert rig.line.sent[-2:] == OFF


async def test_the_end_of_the_process_halts_a_printer_that_does_not_switch_off(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farewell, "FAREWELL", 0.2)
    monkeypatch.setattr(job_module, "ENDING", 0.2)
    client = await rig.ready_client()
    await begin(rig, client, *(f"G1 X{index}" for index in range(50)))
    rig.line.say(HOT)
    async with asyncio.timeout(5):
        await rig.printer.stop()
    assert rig.line.emergencies[0] == "M410"
    assert rig.line.emergencies[-1] == "M112"


async def test_the_end_of_the_process_spares_a_cold_printer(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farewell, "FAREWELL", 0.1)
    await rig.ready_client()
    rig.line.hold = True
    async with asyncio.timeout(5):
        await rig.printer.stop()
    assert rig.line.emergencies == []


@pytest.mark.parametrize(
    "damaged",
    [
        "Error:checksum mismatch, Last LinE: 2",
        "Error:checksum mismatch, Lasu Line: 2",
        "Error:checkswm mismatch, Last Line: x",
        "Error:No Checksum with line numbeq, Lazt Line: 7",
        "Error:Line Number is not Last Line\x7fNumber+1, Last\x00Line: 7",
    ],
)
async def test_a_damaged_request_for_a_line_does_not_end_the_print(rig: Rig, damaged: str) -> None:
    client = await rig.ready_client()
    await begin(rig, client, "G1 X1", "G1 X2")
    rig.line.say(damaged)
    flow(rig)
    assert await rig.job_ends() == "complete"


@pytest.mark.parametrize("method", ["gcode/restart", "gcode/firmware_restart"])
async def test_a_restart_does_not_wait_for_a_printer_that_does_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(printer_module, "PATIENCE", 0.2)
    client = await rig.ready_client()
    await begin(rig, client, "M0 wait for the user", "G1 X1")
    connects = rig.line.connects
    await client.result(method)
    await rig.wait_until(lambda: rig.line.connects > connects, 5)
    flow(rig)
    await rig.ready_client()
    assert rig.printer.job.stats.state.value == "standby"


async def test_an_emergency_stop_is_repeated_until_the_firmware_has_halted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes without a checksum: one damaged byte and the firmware would know nothing of it."""
    monkeypatch.setattr(emergency, "INSIST", 0.05)
    client = await rig.ready_client()
    await client.result("emergency_stop")
    await rig.wait_until(lambda: len(rig.line.emergencies) > 1)
    rig.line.halt("Printer halted. kill() called!")
    number = len(rig.line.emergencies)
    await asyncio.sleep(0.2)
    assert len(rig.line.emergencies) == number
    assert set(rig.line.emergencies) == {"M112"}


async def test_an_emergency_stop_is_sent_while_hands_are_shaken(rig: Rig) -> None:
    client = await rig.ready_client()
    sent: list[str] = []
    rig.line.connected = False
    original = rig.line.send

    def send(command: str, *, emergency: bool = False) -> asyncio.Future[tuple[str, ...]]:
        if emergency:
            sent.append(command)
        return original(command, emergency=emergency)

    rig.line.send = send  # type: ignore[method-assign]
    await client.result("emergency_stop")
    assert sent[0] == "M112"


async def test_a_checkpoint_that_cannot_be_removed_spoils_no_print(rig: Rig) -> None:
    client = await rig.ready_client()
    path = rig.folder / "state" / "print_checkpoint.json"
    (path / "in the way").mkdir(parents=True)
    for _ in range(2):
        rig.write("a.gcode", "G1 X1")
        assert "result" in await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
        assert await rig.job_ends() == "complete"
        await rig.printer.job.ended()
    await begin(rig, client, "G1 X1")
    cancelling = asyncio.create_task(client.script("CANCEL_PRINT"))
    await held(rig)
    flow(rig)
    assert "result" in await cancelling
    assert await rig.job_ends() == "cancelled"


async def test_a_paused_printer_writes_its_checkpoint_once(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client, "G1 X1", "PAUSE", "G1 X2")
    flow(rig)
    await rig.wait_until(lambda: rig.printer.job.stats.state.value == "paused")
    await rig.printer.job._checkpoints.flush()
    path = rig.folder / "state" / "print_checkpoint.json"
    before = path.stat().st_mtime_ns
    rig.printer.job._recorder.save()
    await rig.printer.job._checkpoints.flush()
    assert path.stat().st_mtime_ns == before
    await client.script("CANCEL_PRINT")


def write_bytes(rig: Rig, data: bytes) -> Path:
    path = rig.gcodes / "a.gcode"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xef\xbb\xbfG28\nG1 X1\n", ["G28", "G1 X1"]),
        (b"\xef\xbb\xbf; made on Windows\r\nG28\r\nG1 X1\r\n", ["G28", "G1 X1"]),
        (b"G28\nG1 X1", ["G28", "G1 X1"]),
        (b"G28\rG1 X1\r", ["G28", "G1 X1"]),
        (b"G28 ; \xff\xfe\x00 bytes \xc3\x28\nG1 X1 ;\x00\n", ["G28", "G1 X1"]),
        (b"; \xe5\xb1\x82 \xf0\x9f\x96\xa8\nG28\n\x00\x00\x00\nG1 X1\n\x00\x00\x00\x00", ["G28", "G1 X1"]),
        (b"G28\nM30\nM29\nM28 x.g\nG1 X1\nM30\n", ["G28", "G1 X1"]),
        (b"G28\n;" + b"M104 S300 " * 30_000 + b"\nG1 X1\n", ["G28", "G1 X1"]),
        (b"", []),
        (b"\n\n\r\n", []),
    ],
)
async def test_odd_files(rig: Rig, data: bytes, expected: list[str]) -> None:
    client = await rig.ready_client()
    path = write_bytes(rig, data)
    mark = len(rig.line.sent)
    assert "result" in await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert await rig.job_ends() == "complete"
    assert rig.line.sent[mark:] == expected
    assert (await client.status("virtual_sdcard"))["file_position"] == path.stat().st_size


async def test_a_command_with_a_hole_in_it_ends_the_print(rig: Rig) -> None:
    """A power cut leaves blocks of zeros; without them `X12` and `5.3` would become `X125.3`."""
    client = await rig.ready_client()
    write_bytes(rig, b"G28\nG1 X12" + b"\0" * 4000 + b"5.3 Y10\nG1 X1\n")
    mark = len(rig.line.sent)
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert await rig.job_ends() == "error"
    assert "Line 2 of the file is damaged" in rig.printer.job.stats.message
    await rig.wait_until(lambda: rig.line.sent[-2:] == OFF)
    assert rig.line.sent[mark:] == ["G28", *OFF]


@pytest.mark.parametrize(
    "name",
    ["Pi\u00e8ce\u00a01.gcode", "\u200d\u3000.gcode", "it's.gcode", "a;b#c.gcode", 'say "hi".gcode', "a\\b.gcode"],
)
async def test_names_that_files_may_have(rig: Rig, name: str) -> None:
    client = await rig.ready_client()
    rig.write(name, "G1 X1")
    escaped = name.replace('"', '\\"')
    assert "result" in await client.script(f'SDCARD_PRINT_FILE FILENAME="{escaped}"')
    assert await rig.job_ends() == "complete"
    assert (await client.status("print_stats"))["filename"] == name


async def test_the_position_goes_on_while_an_error_is_dealt_with(rig: Rig) -> None:
    client = await rig.ready_client()
    await begin(rig, client, "G1 X1", "SET_HEATER_TEMPERATURE HEATER=nosuch TARGET=1")
    await rig.wait_until(lambda: rig.printer.job.stats.state.value == "error")
    flow(rig)
    await rig.printer.job.ended()
    assert rig.printer.job.position == 6
    await rig.printer.job._checkpoints.flush()
    assert json.loads((rig.folder / "state" / "print_checkpoint.json").read_text())["position"] == 6


async def test_m410_ends_a_print(rig: Rig) -> None:
    """Moves are missing behind it, and perhaps steps: what follows would be printed somewhere."""
    client = await rig.ready_client()
    await begin(rig, client, *(f"G1 X{index}" for index in range(50)))
    assert "result" in await client.script("M410")
    assert rig.line.emergencies == ["M410"]
    flow(rig)
    assert await rig.job_ends() == "error"
    await rig.printer.job.ended()
    assert rig.line.sent[-2:] == OFF
    assert "G1 X20" not in rig.line.sent


async def test_the_session_outlives_what_nobody_has_thought_of(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.ready_client()

    async def connect(timeout: float = 30.0) -> None:
        raise ZeroDivisionError("oh")

    with monkeypatch.context() as patch:
        patch.setattr(rig.line, "connect", connect)
        rig.line.lose("cable pulled")
        await rig.wait_until(lambda: rig.printer.status.state.value == "error")
        assert rig.printer.status.message.startswith("oh\n")
    await rig.wait_until(lambda: rig.printer.status.ready)
