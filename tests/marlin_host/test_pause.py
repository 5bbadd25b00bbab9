"""Pausing: the head goes aside by itself, and comes back to the very place with the filament where it was."""

from __future__ import annotations

import pytest

from moonraker_lite.marlin import endpoints
from moonraker_lite.marlin.settings import PrinterSettings
from tests.marlin_host.conftest import MakeRig, Rig
from tests.marlin_host.plain_printer import PlainPrinter

HOT = " T:200.00 /200.00 B:60.00 /60.00 @:50 B@:20"
START = ["G28", "M106 S200", "G1 X10 Y20 Z0.3 F6000"]
MODES = {
    "absolute": ["G90", "M82", "G1 X11 E1", "G92 E5", "G1 X12 E6 F1800"],
    "relative E": ["G90", "M83", "G1 X11 E1", "G1 X12 E1 F1800"],
    "relative": ["G91", "G1 X1 E1", "G1 X1 E1 F1800"],
    "inches": ["M83", "G20", "G1 X0.4 E0.01", "G1 X0.5 E0.02 F70"],
    "retracted": ["M83", "G1 X12 E1", "G1 E-2 F2400"],
    "by firmware": ["M83", "G1 X12 E1", "G10"],
}


async def paused_at(rig: Rig, lines: list[str], rest: list[str]) -> int:
    """Print lines up to a pause; return where what is sent for it begins."""
    client = await rig.ready_client()
    rig.write("a.gcode", *lines, "M25", *rest)
    mark = len(rig.line.sent)
    rig.line.say(HOT)
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: rig.printer.job.stats.state.value == "paused")
    return mark


def ran(lines: list[str]) -> PlainPrinter:
    printer = PlainPrinter()
    for line in lines:
        printer.run(line.replace("M106 P0", "M106"))
    return printer


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("disturbance", ["", "G91\nG1 X5 Y5 E30 F300\nG90\nM82\nG92 E0\nM106 S10"])
async def test_a_resumed_print_goes_on_from_where_it_was(rig: Rig, mode: str, disturbance: str) -> None:
    lines = [*START, *MODES[mode]]
    mark = await paused_at(rig, lines, ["G1 X20"])
    assert rig.printer.job._saved is not None
    before, parked = ran(lines), ran(rig.line.sent[mark:])
    assert parked.head[2] == before.head[2] + 10.0
    assert parked.head[:2] == [10.0, 200.0]
    assert parked.drawn_back.get(0, 0.0) + 1000 * parked.by_firmware.get(0, False) >= 1.0
    client = rig.clients[0]
    if disturbance:
        assert "result" in await client.script(disturbance)
    await client.script("RESUME")
    assert await rig.job_ends() == "complete"
    after = ran(rig.line.sent[mark:-1])
    assert rig.line.sent[-1] == "G1 X20"
    assert after.head == pytest.approx(before.head, abs=1e-3)
    assert after.shift == pytest.approx(before.shift, abs=1e-3)
    assert after.drawn_back.get(0, 0.0) == pytest.approx(before.drawn_back.get(0, 0.0), abs=1e-4)
    for name in ("relative", "relative_e", "inches", "tool", "fan", "by_firmware"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.speed == pytest.approx(before.speed, abs=1e-2)
    if not after.relative_e:
        assert after.e == pytest.approx(before.e, abs=1e-4)
    if not disturbance:
        # What parking pulled back has been pushed forward again.
        assert sum(after.fed.values()) == pytest.approx(sum(before.fed.values()), abs=1e-4)


async def test_a_head_that_is_nowhere_stays_where_it_is(rig: Rig) -> None:
    mark = await paused_at(rig, ["G1 X5"], ["G1 X6"])
    assert rig.line.sent[mark:] == ["G1 X5", "M400"]


async def test_the_hotend_may_cool_in_a_pause_and_is_waited_for(make_rig: MakeRig) -> None:
    rig = await make_rig(settings=PrinterSettings(pause_gcode="", pause_hotend_temp=150.0))
    lines = ["M140 S60", "M104 S200", "G1 X1"]
    mark = await paused_at(rig, lines, ["G1 X2"])
    assert rig.line.sent[mark:] == [*lines, "M400", "M104 T0 S150"]
    assert rig.printer.job._recorder.checkpoint().targets == {"extruder": 200.0, "heater_bed": 60.0}
    await rig.clients[0].script("RESUME")
    assert await rig.job_ends() == "complete"
    assert rig.line.sent[mark + 5 :] == ["M104 T0 S200", "M109 T0 S200", "G1 X2"]


async def test_the_printers_own_timer_follows_the_print(make_rig: MakeRig) -> None:
    rig = await make_rig(settings=PrinterSettings(pause_gcode="", job_timer=True))
    mark = await paused_at(rig, ["G1 X1"], ["G1 X2"])
    await rig.wait_until(lambda: rig.line.sent[-1] == "M76")
    await rig.clients[0].script("RESUME")
    assert await rig.job_ends() == "complete"
    await rig.wait_until(lambda: rig.line.sent[-1] == "M77")
    assert rig.line.sent[mark:] == ["M75", "G1 X1", "M400", "M76", "M75", "G1 X2", "M77"]
    rig.write("b.gcode", "G1 X1", "CANCEL_PRINT", "G1 X2")
    await rig.clients[0].script("SDCARD_PRINT_FILE FILENAME=b.gcode")
    assert await rig.job_ends() == "cancelled"
    await rig.wait_until(lambda: rig.line.sent[-1] == "M77")


async def test_pausing_within_an_excluded_object(make_rig: MakeRig) -> None:
    rig = await make_rig(settings=PrinterSettings(check_moves=False))
    lines = [*START, "M83", "G1 X30 E1", "EXCLUDE_OBJECT NAME=B", "EXCLUDE_OBJECT_START NAME=B", "G1 X90 Y90 E5"]
    mark = await paused_at(rig, lines, ["G1 X80 Y80 E5", "EXCLUDE_OBJECT_END", "G1 X31 Y21 E1"])
    await rig.clients[0].script("RESUME")
    assert await rig.job_ends() == "complete"
    printer = PlainPrinter()
    deeds = [deed for line in rig.line.sent[mark:] if (deed := printer.run(line.replace("M106 P0", "M106")))]
    assert deeds[-1].start[:2] == (80.0, 80.0)
    assert sum(printer.fed.values()) == pytest.approx(2.0)
    assert not [deed for deed in deeds[:-1] if deed.fed > 0 and deed.end[:2] != deed.start[:2] and deed.end[0] != 30.0]


async def test_the_endpoints_answer_at_once_and_twice(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the printer needs to come to a stand."""
    rig = await make_rig(settings=PrinterSettings(pause_gcode=""))
    monkeypatch.setattr(endpoints, "ANSWER_WITHIN", 0.05)
    client = await rig.ready_client()
    lines = [f"G1 X{index}" for index in range(60)]
    rig.write("a.gcode", *lines)
    mark = len(rig.line.sent)
    rig.line.hold = True
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: bool(rig.line.waiting()))
    for _ in range(2):
        assert await client.result("pause_resume/pause") == {}
        assert (await client.status("pause_resume"))["is_paused"]
    assert (await client.status("print_stats"))["state"] == "printing"
    rig.line.hold = False
    rig.line._run()
    await rig.wait_until(lambda: rig.printer.job.stats.state.value == "paused")
    rig.line.hold = True
    assert await client.result("pause_resume/resume") == {}
    await rig.wait_until(lambda: rig.printer.job.printing)
    for _ in range(2):
        assert await client.result("pause_resume/cancel") == {}
    assert rig.printer.job.stopping
    rig.line.hold = False
    rig.line._run()
    assert await rig.job_ends() == "cancelled"
    assert await client.result("pause_resume/cancel") == {}
    assert rig.line.sent[mark:].count("M104 T0 S0") == 1
