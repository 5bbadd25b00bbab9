"""The firmware asks, somebody answers: dialogs, M0, M600, M125 and runout in a print."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.marlin import activity as state_module
from moonraker_lite.marlin.prompts import Prompts
from moonraker_lite.marlin.replies import HostAction, parse_host_action
from moonraker_lite.marlin.virtual import VirtualPrinter
from tests.marlin_host.conftest import MakeRig, Rig
from tests.marlin_host.raw_client import RawClient
from tests.marlin_host.test_macros import CLIENT_MACROS

PURGE = ("prompt_end", "prompt_begin Paused", "prompt_button PurgeMore", "prompt_button Continue", "prompt_show")


def told(prompts: Prompts, *actions: str) -> Prompts:
    for text in actions:
        action = parse_host_action(f"//action:{text}")
        assert action is not None
        prompts.action(action)
    return prompts


@pytest.mark.parametrize(
    ("actions", "waiting", "answer"),
    [
        ((), False, "M108"),
        (("prompt_begin Hi", "prompt_button Continue"), False, "M108"),
        (("prompt_begin Hi", "prompt_button Continue", "prompt_show"), True, "M876 S0"),
        (("prompt_begin Pause", "prompt_button Dismiss", "prompt_show"), False, "M876 S0"),
        (PURGE, True, "M876 S1"),
        ((*PURGE, "prompt_end"), True, "M108"),
        (("paused", "prompt_begin Heater Timeout", "prompt_choice Reheat", "prompt_show"), True, "M876 S0"),
        (("paused filament_runout 0",), True, "M108"),
        ((*PURGE, "resumed", "prompt_begin Resuming", "prompt_button Dismiss", "prompt_show"), False, "M876 S0"),
        (("prompt_begin Which", "prompt_button A", "prompt_button B", "prompt_show"), True, "M876 S1"),
    ],
)
def test_what_is_waited_for(actions: tuple[str, ...], waiting: bool, answer: str) -> None:
    prompts = told(Prompts(), *actions)
    assert (prompts.waiting, prompts.answer()) == (waiting, answer)


def test_an_answer_that_was_not_heard_is_given_again() -> None:
    prompts = told(Prompts(), "prompt_begin Hi", "prompt_button Continue", "prompt_show")
    busy = "echo:busy: paused for user"
    assert prompts.busy(busy) is None
    assert prompts.answered("M876 S0")
    assert not prompts.answered("M876 S0")
    assert [prompts.busy(busy) for _ in range(10)].count("M876 S0") == 3
    told(prompts, *PURGE)
    assert [prompts.busy(busy) for _ in range(4)] == [None] * 4
    prompts.acknowledged()
    assert not prompts.waiting
    assert prompts.busy("echo:busy: processing") is None
    assert not prompts.waiting


@given(
    st.lists(st.tuples(st.sampled_from(["prompt_begin", "prompt_button", "prompt_show", "prompt_end", "x"]), st.text()))
)
def test_any_actions_leave_an_answer(actions: list[tuple[str, str]]) -> None:
    prompts = Prompts()
    for name, tail in actions:
        prompts.action(HostAction(name, tail))
        assert prompts.answer().startswith(("M108", "M876 S"))


async def test_prompts_of_a_print_held_up(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.line.hold = True
    rig.write("a.gcode", "G1 X1", "M0 Look", "G1 X2")
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: rig.line.waiting() == ["G1 X1"])
    rig.line.acknowledge()
    await rig.wait_until(lambda: rig.line.waiting() == ["M0 Look"])
    for line in ("prompt_begin Look", "prompt_button Continue", "prompt_show"):
        rig.line.say(f"//action:{line}")
    stats = await client.status("print_stats")
    assert (stats["state"], stats["message"][:16]) == ("paused", "The printer wait")
    assert (await client.status("pause_resume"))["is_paused"]
    await client.script("PAUSE")
    assert client.output[-1] == "// Print already paused"
    await client.script("RESUME")
    assert rig.line.emergencies == ["M876 S0"]
    assert client.output[-1] == "// action:prompt_end"
    rig.line.hold = False
    rig.line._run()
    assert await rig.job_ends() == "complete"
    assert rig.line.sent[-3:] == ["G1 X1", "M0 Look", "G1 X2"]


async def test_nobody_is_left_alone_while_the_firmware_waits(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The idle timeout must not send what the firmware would do after the answer."""
    monkeypatch.setattr(state_module, "SETTLE", 0.0)
    rig = await make_rig(config="[idle_timeout]\ntimeout: 0.1\n")
    client = await rig.ready_client()
    rig.line.hold = True
    rig.write("a.gcode", "M104 S200", "M600")
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: rig.line.waiting() == ["M104 S200"])
    rig.line.acknowledge()
    await rig.wait_until(lambda: rig.line.waiting() == ["M600"])
    rig.line.say("//action:paused")
    for _ in range(5):
        await asyncio.sleep(0.05)
        assert (await client.status("idle_timeout"))["state"] == "Printing"
    assert rig.line.waiting() == ["M600"]
    rig.line.hold = False
    rig.line._run()
    assert await rig.job_ends() == "complete"


async def test_runout_pauses_once(make_rig: MakeRig) -> None:
    rig = await make_rig(config=CLIENT_MACROS)
    client = await rig.ready_client()
    await client.script("G28")
    rig.line.hold = True
    rig.write("a.gcode", *["G4 P1"] * 50)
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: bool(rig.line.waiting()))
    rig.line.say("//action:filament_runout T0")
    rig.line.say("//action:pause filament_runout 0")
    rig.line.hold = False
    rig.line._run()
    await rig.wait_until(lambda: rig.printer.job.stats.state.value == "paused" and not rig.printer.turn.busy)
    assert rig.line.sent.count("G1 X5.0 Y190.0 F6000") == 1
    assert "// Filament has run out T0" in client.output
    await client.script("CANCEL_PRINT")


async def test_the_firmware_may_ask_to_be_left(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.line.say("//action:disconnect")
    assert (await client.result("info"))["state"] == "shutdown"


async def virtual(make_rig: MakeRig, speed: float = 50.0) -> tuple[Rig, VirtualPrinter, RawClient]:
    board = VirtualPrinter(speed=speed)
    await board.start()
    rig = await make_rig(board, config="[marlin]\ncheck_moves: False\n")
    return rig, board, await rig.ready_client()


async def buttons(rig: Rig, client: RawClient, *labels: str) -> list[str]:
    """Wait for a dialog with these buttons; return what a click on each sends."""

    def clicks() -> list[str]:
        begins = [index for index, line in enumerate(client.output) if "action:prompt_begin" in line]
        shown = client.output[begins[-1] :] if begins else []
        if not shown or "// action:prompt_show" not in shown or "// action:prompt_end" in shown:
            return []
        found = [line.removeprefix("// action:prompt_button ") for line in shown if "prompt_button" in line]
        return [click.partition("|")[2] for click in found] if [c.partition("|")[0] for c in found] == [*labels] else []

    await rig.wait_until(lambda: bool(clicks()), 30.0)
    return clicks()


async def test_a_filament_change_in_a_print(make_rig: MakeRig) -> None:
    rig, board, client = await virtual(make_rig)
    rig.write("a.gcode", "G1 X10 Y5 Z1 F6000", "M600", "G1 X20")
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    (parked,) = await buttons(rig, client, "Continue")
    assert rig.printer.job.stats.state.value == "paused"
    await client.script(parked)
    purge, _ = await buttons(rig, client, "PurgeMore", "Continue")
    await client.script(purge)
    _, go_on = await buttons(rig, client, "PurgeMore", "Continue")
    await client.script(go_on)
    assert await rig.job_ends() == "complete"
    assert rig.printer.machine.motion.position == [20.0, 5.0, 1.0, 0.0]
    wanted = ["G1 X10 Y5 Z1 F6000", "M600", "G1 X20"]
    assert [line for line in board.executed if line in wanted] == wanted
    assert rig.printer.job.stats.filename == "a.gcode"


async def test_resume_is_the_answer_to_everything(make_rig: MakeRig) -> None:
    rig, board, client = await virtual(make_rig)
    rig.write("a.gcode", "M125", "M0 look", "G1 X20 F6000")
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    for labels in (("Continue",), ("PurgeMore", "Continue"), ("Continue",)):
        await buttons(rig, client, *labels)
        await client.script("RESUME")
    assert await rig.job_ends() == "complete"
    assert board.executed[-1] == "G1 X20 F6000"


async def test_cancel_in_a_filament_change(make_rig: MakeRig) -> None:
    rig, board, client = await virtual(make_rig)
    rig.write("a.gcode", "M600", "G1 X20 F6000")
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await buttons(rig, client, "Continue")
    await client.script("CANCEL_PRINT", 30.0)
    assert rig.printer.job.stats.state.value == "cancelled"
    assert "G1 X20 F6000" not in board.executed


async def test_a_message_typed_by_a_user_is_answered_in_the_dialog(make_rig: MakeRig) -> None:
    rig, _board, client = await virtual(make_rig)
    script = asyncio.create_task(client.script("M0 Swap the plate"))
    (click,) = await buttons(rig, client, "Continue")
    await client.script(click)
    assert "result" in await script
    assert "echo:Swap the plate" in client.output
    script = asyncio.create_task(client.script("G1 X7 F6000\nM125"))
    for labels in (("Continue",), ("PurgeMore", "Continue")):
        clicks = await buttons(rig, client, *labels)
        await client.script(clicks[-1])
    assert "result" in await script
    assert rig.printer.machine.motion.position[0] == 7.0
