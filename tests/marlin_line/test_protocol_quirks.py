"""What other firmwares and odd builds say: `wait`, broken errors, `!!`, repeated numbers, oks of nothing."""

from __future__ import annotations

import os

import pytest

from moonraker_lite.marlin.protocol import Fatal, Line, State
from moonraker_lite.marlin.protocol.incoming import Kind, interpret
from moonraker_lite.marlin.virtual.receiver import Receiver
from tests.marlin_line.dialogue import TEMPERATURES, Dialogue


def test_wait_between_a_command_and_its_ok() -> None:
    """NO_TIMEOUTS builds say it once a second while they are idle."""
    talk = Dialogue.running()
    talk.says("wait", "wait")
    (token,) = talk.send("G1 X1")
    talk.says("wait", "ok")
    assert talk.acknowledged == [token]
    assert talk.commands() == ["G1 X1"]


def test_wait_with_something_unanswered_is_asked_about_at_once() -> None:
    """The `ok` of a command with an hour's patience was lost: an idle firmware says so."""
    talk = Dialogue.running()
    (token,) = talk.send("M600")
    talk.wire()
    talk.wait(1.0)
    assert talk.wire() == []
    talk.says("wait")
    talk.wait(0.1)
    assert talk.commands() == ["M105"]
    talk.says(TEMPERATURES)
    assert talk.acknowledged == [token]


def test_a_storm_of_waits_is_asked_about_once() -> None:
    talk = Dialogue.running()
    talk.send("G28")
    talk.wire()
    talk.wait(1.0)
    for _ in range(20):
        talk.says("wait")
    talk.wait(0.05)
    assert talk.commands() == ["M105"]


def test_an_error_that_is_broken_behind_its_number() -> None:
    talk = Dialogue.running()
    talk.send("G1 X1")
    talk.says("Error:1", ": Extruder switched off. MAXTEMP triggered !")
    texts = [event.text for event in talk.events if isinstance(event, Line)]
    assert texts == ["Error:1: Extruder switched off. MAXTEMP triggered !"]
    talk.says("Error:Printer halted. kill() called!")
    assert talk.protocol.state is State.HALTED


@pytest.mark.parametrize("behind", ["ok", "Error:2", "echo:busy: processing", TEMPERATURES])
def test_an_error_that_is_but_a_number(behind: str) -> None:
    """Nothing behind it is swallowed."""
    talk = Dialogue.running()
    tokens = talk.send("G1 X1")
    talk.says("Error:7", behind, "ok")
    assert next(event.text for event in talk.events if isinstance(event, Line)) == "Error:7"
    assert talk.acknowledged == tokens


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"!! Move out of range", Kind.ERROR),
        (b"!! Printer halted. kill() called!", Kind.HALT),
        (b"fatal:Extruder jam detected", Kind.HALT),
        (b"Error:No Line Number with checksum, Last Line: 109", Kind.LINE_ERROR),
        (b"Error:volume.init failed", Kind.ERROR),
        (b"Error:Printer stopped due to errors. Fix the error and use M999 to restart.", Kind.ERROR),
        (b"T0:21.0 /0.0 T1:22.0 /0.0", Kind.TEMPERATURE),
        (b"T:21.30/ 0.00 B:21.30/ 0.00 @:64", Kind.TEMPERATURE),
        (b"echo:start of something", Kind.TEXT),
        (b"Grbl 1.1h ['$' for help]", Kind.TEXT),
    ],
)
def test_words_of_other_firmwares(line: bytes, kind: Kind) -> None:
    assert interpret(line).kind is kind


def test_a_swallowed_line_is_asked_for_by_the_next() -> None:
    """`No Line Number with checksum` comes without a request: the line behind it, or our own question, brings one."""
    talk = Dialogue.running()
    tokens = talk.send("G1 X1", "G1 X2")
    talk.wire()
    talk.says("Error:No Line Number with checksum")
    talk.wait(1.5)
    assert "M105" in talk.commands()
    talk.says("Error:Line Number is not Last Line Number+1, Last Line: 1", "Resend: 2", "ok")
    talk.wait(0.3)
    assert talk.commands()[0] == "G1 X1"
    talk.says("ok")
    talk.says(TEMPERATURES, TEMPERATURES)
    talk.wait(0.1)
    talk.says("ok")
    assert talk.acknowledged == tokens


def test_marlin_drops_a_repeated_number_without_a_word() -> None:
    """So no question may use a number twice, or it would wait for ever."""
    receiver = Receiver()
    answers: list[bytes] = []
    for line in (b"N1 M105*38\n", b"N1 M105*38\n"):
        receiver.feed(line)
    assert receiver.read(answers) is not None
    assert receiver.read(answers) is None
    assert answers == []
    talk = Dialogue.running()
    talk.send("G28")
    talk.wire()
    talk.wait(200.0)
    numbers = [line.split(" ")[0] for line in talk.wire()]
    assert len(numbers) >= 3
    assert len(set(numbers)) == len(numbers)


def test_a_reset_without_a_word_of_a_firmware_that_proves_nothing() -> None:
    """It answers M105 by a bare `ok`, so nothing is certain; even so it does not get the print from line 1 again."""
    talk = Dialogue()
    talk.open()
    talk.says("ok", "ok")
    talk.wait(1.0)
    assert talk.protocol.ready
    for index in range(100):
        talk.send(f"G1 X{index}")
        talk.says("ok")
    talk.wire()
    talk.send("G1 X100")
    for _ in range(3):
        talk.wire()
        talk.says("Error:Line Number is not Last Line Number+1, Last Line: 0", "Resend: 1", "ok")
        talk.wait(2.0)
    assert len(talk.resets) == 1
    assert not [command for command in talk.commands() if command.startswith("G1")]


def test_room_for_an_emergency_is_left() -> None:
    """Without emergency parser M112 is only seen when it is taken into the queue: one slot stays free."""
    talk = Dialogue.running(advanced=True)
    talk.send("M115", "G4 P1")
    talk.says("FIRMWARE_NAME:Marlin 2.1 (x) SOURCE_CODE_URL:y", "Cap:EMERGENCY_PARSER:0", "ok N2 P15 B3")
    talk.says("ok N3 P15 B3")
    assert talk.protocol._limit() == 3


def test_an_ok_that_is_glued_to_what_was_before_it() -> None:
    """`File deleted:x` and `ok` in one line, of old Marlin: the silence is asked about, and nothing is lost."""
    talk = Dialogue.running()
    (token,) = talk.send("M30 /x")
    talk.says("File deleted:xok")
    assert talk.acknowledged == []
    talk.wait(2.0)
    assert "M105" in talk.commands()
    talk.says(TEMPERATURES)
    assert talk.acknowledged == [token]


def test_a_halt_is_told_once() -> None:
    talk = Dialogue.running()
    talk.send("G1 X1")
    talk.says("Error:MINTEMP triggered, system stopped! Heater_ID: E0", "Error:Printer halted. kill() called!", "ok")
    assert len([event for event in talk.events if isinstance(event, Fatal)]) == 1


async def test_children_do_not_inherit_the_port() -> None:
    from moonraker_lite.marlin.link import open_link

    master, slave = os.openpty()
    link = await open_link(os.ttyname(slave), 115200, on_data=lambda _: None, on_lost=lambda _: None)
    assert not os.get_inheritable(link.port.fd)  # type: ignore[attr-defined]
    link.close()
    os.close(master)
    os.close(slave)
