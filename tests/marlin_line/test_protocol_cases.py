"""How Marlin talks, paragraph by paragraph, and what `LineProtocol` makes of it."""

from __future__ import annotations

import pytest

from moonraker_lite.marlin.protocol import (
    Acknowledged,
    Busy,
    Connected,
    Fatal,
    FirmwareReset,
    Line,
    LineProtocol,
    Resent,
    State,
)
from tests.marlin_line.dialogue import TEMPERATURES, Dialogue

BANNER = ("start", "PowerUp", "Marlin bugfix-2.1.x", "echo: Last Updated: 2023-01-07", "//action:prompt_end")


def refuse(number: int, reason: str = "checksum mismatch") -> tuple[str, str, str]:
    """The three lines of an error."""
    return f"Error:{reason}, Last Line: {number - 1}", f"Resend: {number}", "ok"


# -- handshake -----------------------------------------------------------------------------------------------------


def test_the_handshake_sets_and_proves_the_line_number() -> None:
    talk = Dialogue()
    talk.open()
    assert talk.wire() == ["", "N0 M110 N0*125"]
    assert not talk.protocol.ready
    talk.says("ok")
    assert talk.wire() == ["N1 M105*38"]
    assert talk.says(TEMPERATURES) == [Line(TEMPERATURES), Connected()]
    assert talk.protocol.ready


def test_a_silent_board_is_greeted_again_and_reported() -> None:
    talk = Dialogue()
    talk.open()
    talk.wait(20.0)
    assert talk.wire().count("N0 M110 N0*125") >= 6
    assert len(talk.troubles) == 1
    talk.says("ok")
    talk.says(TEMPERATURES)
    assert talk.protocol.ready


def test_a_board_that_resets_on_opening_is_greeted_after_its_banner() -> None:
    talk = Dialogue()
    talk.open()
    talk.wire()
    talk.wait(0.5)
    talk.says(*BANNER)
    talk.wait(0.08)
    assert talk.wire() == []
    talk.says("echo:SD card ok")
    talk.wait(0.3)
    assert talk.wire() == ["", "N0 M110 N0*125"]
    talk.says("ok P15 B3")
    talk.says(TEMPERATURES)
    assert talk.protocol.ready
    assert not talk.resets


def test_a_hello_that_was_not_heard() -> None:
    """A late `ok` of another session came instead; line 1 shows it."""
    talk = Dialogue()
    talk.open()
    talk.says("ok")
    assert talk.wire()[-1] == "N1 M105*38"
    talk.says(*refuse(58, "Line Number is not Last Line Number+1"))
    talk.wait(0.08)
    assert talk.wire() == ["", "N0 M110 N0*125"]
    talk.says("ok")
    talk.says(TEMPERATURES)
    assert talk.protocol.ready


def test_a_damaged_first_line_is_repeated() -> None:
    talk = Dialogue()
    talk.open()
    talk.says("ok")
    talk.wire()
    talk.says(*refuse(1))
    assert talk.wire() == ["N1 M105*38"]
    talk.says(TEMPERATURES)
    assert talk.protocol.ready


def test_a_firmware_that_answers_m105_otherwise() -> None:
    talk = Dialogue()
    talk.open()
    talk.says("ok")
    talk.says("ok", "T:21.0 /0.0 B:21.0 /0.0 @:0 B@:0")
    talk.wait(1.0)
    assert talk.protocol.ready
    (token,) = talk.send("G1 X1")
    talk.says("ok")
    assert talk.acknowledged == [token]


def test_commands_wait_for_the_handshake() -> None:
    talk = Dialogue()
    talk.open()
    (token,) = talk.send("G28")
    talk.wire()
    talk.says("ok")
    assert talk.commands() == ["M105"]
    talk.says(TEMPERATURES)
    assert talk.commands() == ["G28"]
    talk.says("ok")
    assert talk.acknowledged == [token]


# -- lines ---------------------------------------------------------------------------------------------------------


def test_every_line_is_numbered_and_summed() -> None:
    talk = Dialogue.running()
    talk.send("M114", "G4 P1")
    assert talk.wire() == ["N2 M114*37"]
    talk.says("ok")
    assert talk.wire() == ["N3 G4 P1*111"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_line_ends_and_empty_lines(end: bytes) -> None:
    talk = Dialogue.running()
    (token,) = talk.send("M114 D")
    talk.says("X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0", "", "  Leveled: X: 0.000", "ok", end=end)
    assert talk.acknowledged == [token]
    assert talk.replies_to(token) == ("X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0", "  Leveled: X: 0.000")


def test_reports_are_no_replies() -> None:
    talk = Dialogue.running()
    (token,) = talk.send("M503")
    talk.says(
        " T:21.09 /0.00 B:21.09 /0.00 @:0 B@:0",
        "echo:  M92 X80.00 Y80.00",
        "//action:notification Hello",
        "wait",
        "echo:  M203 X500.00",
        "ok",
    )
    assert talk.replies_to(token) == ("echo:  M92 X80.00 Y80.00", "echo:  M203 X500.00")
    texts = [event.text for event in talk.events if isinstance(event, Line)]
    assert len(texts) == 5


def test_each_command_gets_its_own_replies() -> None:
    talk = Dialogue.running(window=4)
    tokens = talk.send("M220", "G1 X1", "M221")
    talk.says("FR:100%", "ok", "ok", "echo:E0 Flow: 100%", "ok")
    assert [talk.replies_to(token) for token in tokens] == [("FR:100%",), (), ("echo:E0 Flow: 100%",)]


def test_text_that_is_not_utf8() -> None:
    talk = Dialogue.running()
    talk.says("Gr\u00fc\u00dfe \u2603", b"\xff\xfe\x80")
    assert [event.text for event in talk.events if isinstance(event, Line)] == [
        "Gr\u00fc\u00dfe \u2603",
        "\xff\xfe\x80",
    ]


def test_lines_that_cannot_be_sent_are_refused_at_once() -> None:
    talk = Dialogue.running()
    for command in ("", "M117 " + "x" * 100, "G1 X1\nM112", "M105\x00"):
        with pytest.raises(ValueError):
            talk.send(command)
    assert talk.wire() == []


def test_m110_belongs_to_the_protocol() -> None:
    """Sent, it would renumber; inside a text the firmware would take it for one."""
    talk = Dialogue.running()
    (number, text) = talk.send("M110 N500", "M117 M110 N7")
    talk.wait(0.0)
    assert talk.wire() == ["N2 M117 M 110 N7*2"]
    talk.says("ok")
    assert talk.acknowledged == [number, text]


# -- ok ------------------------------------------------------------------------------------------------------------


def test_one_ok_one_line() -> None:
    talk = Dialogue.running()
    tokens = talk.send("G1 X1", "G1 X2", "G1 X3")
    for sent in (1, 2, 3):
        assert len(talk.wire()) == 1
        talk.says("ok")
        assert talk.acknowledged == tokens[:sent]
    assert talk.protocol.outstanding_lines == 0


def test_advanced_ok_names_its_line() -> None:
    talk = Dialogue.running(advanced=True, window=4)
    tokens = talk.send("G1 X1", "G1 X2", "G1 X3")
    talk.says("ok N3 P13 B2")
    assert talk.acknowledged == tokens[:2]
    talk.says("ok N3 P13 B2", "ok N2 P14 B2", "ok N99 P1 B1")
    assert talk.acknowledged == tokens[:2]
    assert talk.protocol.stats.spurious_oks == 3
    talk.says("ok N4 P12 B3")
    assert talk.acknowledged == tokens


def test_advanced_ok_without_number_is_no_lines_ok() -> None:
    talk = Dialogue.running(advanced=True)
    (token,) = talk.send("G1 X1")
    talk.says("ok P15 B3", "ok")
    assert talk.acknowledged == []
    talk.says("ok N2 P15 B3")
    assert talk.acknowledged == [token]


def test_buffers_are_learnt_from_advanced_ok() -> None:
    talk = Dialogue.running(advanced=True)
    talk.send("G1 X1", "G1 X2", "G1 X3")
    for number in (2, 3, 4):
        talk.says(f"ok N{number} P15 B3")
    stats = talk.protocol.stats
    assert (stats.advanced_ok, stats.planner_size, stats.buffer_size) == (True, 15, 4)


def test_one_damaged_digit_does_not_open_the_window() -> None:
    talk = Dialogue.running(advanced=True)
    talk.send("G1 X1", "G1 X2", "G1 X3")
    talk.says("ok N2 P15 B3")
    talk.says("ok N3 P95 B9")
    talk.says("ok N4 P15 B3")
    assert talk.protocol.stats.buffer_size in (None, 4)


def test_the_answer_to_m105_acknowledges_everything_before_it() -> None:
    talk = Dialogue.running(window=4)
    tokens = talk.send("G1 X1", "G1 X2", "M105", "G1 X3")
    talk.says("ok", TEMPERATURES)
    assert talk.acknowledged == tokens[:3]
    assert talk.replies_to(tokens[2]) == (TEMPERATURES[3:],)


def test_a_bare_ok_never_acknowledges_m105() -> None:
    """A doubled one before it would otherwise acknowledge what the firmware has not seen."""
    talk = Dialogue.running(window=4)
    tokens = talk.send("G1 X1", "M105", "G1 X2")
    talk.says("ok", "ok", "ok")
    assert talk.acknowledged == tokens[:1]
    talk.says(TEMPERATURES)
    assert talk.acknowledged == tokens[:2]


def test_an_ok_of_nothing() -> None:
    talk = Dialogue.running()
    talk.says("ok", "ok")
    assert talk.protocol.stats.spurious_oks == 2
    (token,) = talk.send("G1 X1")
    assert talk.acknowledged == []
    talk.says("ok")
    assert talk.acknowledged == [token]


def test_m999_says_one_ok_too_many() -> None:
    talk = Dialogue.running()
    tokens = talk.send("M999", "G1 X1")
    talk.says("Resend: 3", "ok", "ok")
    assert talk.acknowledged == tokens[:1]
    assert talk.commands() == ["M999", "G1 X1"]
    talk.says("ok")
    assert talk.acknowledged == tokens
    assert talk.resent == []


def test_a_lost_ok_costs_less_than_two_seconds() -> None:
    talk = Dialogue.running()
    tokens = talk.send("G1 X1", "G1 X2")
    talk.wire()
    talk.wait(1.9)
    probe = talk.wire()
    assert probe
    assert probe[0] == "N3 M105*36"
    talk.says(TEMPERATURES)
    assert talk.acknowledged == tokens[:1]
    assert talk.commands() == ["G1 X2"]


def test_fewer_oks_than_lines() -> None:
    """M524 clears the queue: its own ok and those behind it never come."""
    talk = Dialogue.running(window=4)
    tokens = talk.send("G1 X1", "M524", "G1 X2")
    talk.wire()
    talk.says("ok")
    talk.wait(12.0)
    assert talk.commands()[0] == "M105"
    talk.says(TEMPERATURES)
    assert talk.acknowledged == tokens


# -- emergencies ---------------------------------------------------------------------------------------------------


def test_emergencies_overtake_and_go_without_number() -> None:
    talk = Dialogue.running()
    tokens = talk.send("M109 S200", "G1 X1", "G1 X2")
    assert talk.commands() == ["M109 S200"]
    (emergency,) = talk.send("M108", emergency=True)
    # The empty line ends whatever half line a fault has left; Marlin does not answer it.
    assert talk.wire() == ["", "M108"]
    talk.says("ok")
    assert talk.acknowledged == tokens[:1]
    talk.says("ok")
    assert talk.acknowledged == [tokens[0], emergency]
    talk.says("ok")
    talk.says("ok")
    assert talk.acknowledged == [tokens[0], emergency, *tokens[1:]]


def test_the_emergencys_own_ok_with_advanced_ok() -> None:
    talk = Dialogue.running(advanced=True)
    (wait,) = talk.send("M0 Hello")
    (answer,) = talk.send("M876 S0", emergency=True)
    talk.says("ok N2 P15 B2", "ok P15 B3")
    assert talk.acknowledged == [wait, answer]


def test_m112_goes_out_whatever_the_state() -> None:
    talk = Dialogue.running(window=4)
    tokens = talk.send("G28", "G1 X1", "G1 X2", "G1 X3", "G1 X4")
    talk.wire()
    (stop,) = talk.send("M112", emergency=True)
    assert talk.wire() == ["", "M112"]
    talk.says("echo:M112 Shutdown", "Error:Printer halted. kill() called!", "//action:poweroff")
    assert talk.acknowledged == [stop]
    assert Fatal("M112 Shutdown: Printer halted. kill() called!", tuple(tokens), 4) in talk.events
    assert talk.protocol.state is State.HALTED
    assert talk.protocol.can_accept() == 0
    assert talk.wait(100.0) == []
    assert talk.wire() == []


# -- resend --------------------------------------------------------------------------------------------------------


def test_the_ok_after_a_resend_acknowledges_nothing() -> None:
    talk = Dialogue.running()
    tokens = talk.send("G1 X1", "G1 X2")
    talk.wire()
    talk.says(*refuse(2))
    assert talk.acknowledged == []
    assert talk.commands() == ["G1 X1"]
    assert talk.resent == [2]
    assert Resent(2, "checksum mismatch") in talk.events
    talk.says("ok")
    assert talk.acknowledged == tokens[:1]
    talk.says("ok")
    assert talk.acknowledged == tokens


@pytest.mark.parametrize(
    "request_line", ["Resend: 2", "Resend:2", "resend 2", "Resend: N2", "Resend:N:2", "rs 2", "rs N2"]
)
def test_every_form_of_request(request_line: str) -> None:
    talk = Dialogue.running()
    tokens = talk.send("G1 X1", "G1 X2")
    talk.wire()
    talk.says(request_line, "ok")
    assert talk.commands() == ["G1 X1"]
    talk.says("ok")
    talk.says("ok")
    assert talk.acknowledged == tokens


def test_a_resend_without_ok() -> None:
    """The first ok is taken for the resend's: it costs a timeout, no line."""
    talk = Dialogue.running()
    tokens = talk.send("G1 X1", "G1 X2")
    talk.wire()
    talk.says("Resend: 2")
    assert talk.commands() == ["G1 X1"]
    talk.says("ok")
    talk.wait(1.9)
    assert talk.commands()[0] == "M105"
    talk.says(TEMPERATURES)
    talk.says("ok")
    assert talk.acknowledged == tokens


def test_a_burst_whose_third_line_is_damaged() -> None:
    """As recorded: the error empties the buffer; the oks of lines that were queued before it come after."""
    talk = Dialogue.running(window=8, window_bytes=200)
    tokens = talk.send(*(f"G1 X{index}" for index in range(8)))
    assert len(talk.wire()) == 8
    talk.says(*refuse(4))
    assert talk.wire() == []
    talk.says("ok", "ok")
    assert talk.acknowledged == tokens[:2]
    talk.wait(0.08)
    # One line at a time now: nothing is behind it that a further error could cut in two.
    assert talk.commands() == ["G1 X2"]
    for sent in range(3, 9):
        talk.says("ok")
        assert talk.acknowledged == tokens[:sent]
    assert talk.resent == [4]


def test_lines_still_under_way_ask_for_the_same_line_again() -> None:
    talk = Dialogue.running(window=4)
    tokens = talk.send("G1 X1", "G1 X2", "G1 X3", "G1 X4")
    talk.wire()
    late = refuse(2, "Line Number is not Last Line Number+1")
    talk.says(*refuse(2))
    talk.says(*late)
    talk.says(*late)
    talk.says(*late)
    talk.wait(0.08)
    assert talk.commands() == ["G1 X1"]
    for _ in tokens:
        talk.says("ok")
    assert talk.acknowledged == tokens
    assert talk.resent == [2]
    assert talk.protocol.stats.resend_requests == 4


def test_the_repeated_line_is_damaged_too() -> None:
    talk = Dialogue.running()
    (token,) = talk.send("G1 X1")
    talk.wire()
    for _ in range(3):
        talk.says(*refuse(2))
        assert talk.commands() == ["G1 X1"]
    talk.says("ok")
    assert talk.acknowledged == [token]


def test_a_request_for_the_line_to_come() -> None:
    """Something else than a line of ours was damaged (noise at the firmware): nothing is to be repeated."""
    talk = Dialogue.running()
    tokens = talk.send("G1 X1", "G1 X2")
    talk.wire()
    talk.says(*refuse(3, "No Checksum with line number"), "ok")
    assert talk.acknowledged == tokens[:1]
    assert talk.commands() == ["G1 X2"]
    assert talk.resent == []


def test_a_request_for_a_line_that_was_acknowledged_falsely() -> None:
    """Its ok was the double of the one before; the firmware lost the line and is the authority."""
    talk = Dialogue.running()
    tokens = talk.send("G1 X1", "G1 X2", "G1 X3")
    talk.says("ok")
    talk.says("ok")
    assert talk.acknowledged == tokens[:2]
    talk.wire()
    talk.says(*refuse(3))
    talk.wait(0.08)
    assert talk.commands() == ["G1 X2"]
    talk.says("ok")
    talk.wait(0.0)
    talk.says("ok")
    talk.says("ok")
    # Each acknowledgement is told once.
    assert talk.acknowledged == tokens


def test_a_request_for_a_line_no_longer_kept_is_noise() -> None:
    talk = Dialogue.running(advanced=True)
    talk.send(*(f"G1 X{index}" for index in range(30)))
    for number in range(2, 32):
        talk.says(f"ok N{number} P15 B3")
    talk.wire()
    talk.says("Resend: 5", "ok")
    assert talk.wire() == []
    talk.wait(0.2)
    assert talk.commands() == ["M105"]
    talk.says(TEMPERATURES)
    (token,) = talk.send("G1 X99")
    talk.says("ok N33 P15 B3")
    assert talk.acknowledged[-1] == token


def test_a_request_for_a_line_in_the_future_is_noise_once() -> None:
    talk = Dialogue.running()
    (token,) = talk.send("G1 X1")
    talk.wire()
    talk.says("Resend: 500", "ok")
    assert talk.resent == []
    talk.wait(1.0)
    assert talk.commands()[0] == "M105"
    talk.says(TEMPERATURES)
    assert talk.acknowledged == [token]


def test_a_firmware_that_counts_other_lines() -> None:
    talk = Dialogue.running()
    tokens = talk.send("G1 X1", "G1 X2")
    for _ in range(3):
        talk.says(*refuse(500, "Line Number is not Last Line Number+1"))
        talk.wait(0.3)
    (trouble,) = talk.troubles
    assert not trouble.recoverable
    assert trouble.unacknowledged == tuple(tokens)
    assert talk.protocol.state is State.LOST
    assert talk.protocol.reset(talk.now) == ()
    talk.wire()
    talk._pump()
    assert talk.wire() == ["", "N0 M110 N0*125"]


def test_the_resend_line_is_lost() -> None:
    """`Error:` and `ok` tell enough."""
    talk = Dialogue.running()
    (token,) = talk.send("G1 X1")
    talk.wire()
    talk.says("Error:checksum mismatch, Last Line: 1", "ok")
    assert talk.commands() == ["G1 X1"]
    assert talk.acknowledged == []
    talk.says("ok")
    assert talk.acknowledged == [token]


def test_a_damaged_request_cannot_lose_a_line() -> None:
    """The error says 2, the damaged request 3: line 2 is kept until two signs agree."""
    talk = Dialogue.running(window=4)
    tokens = talk.send("G1 X1", "G1 X2")
    talk.wire()
    talk.says("Error:checksum mismatch, Last Line: 1", "Resend: 3", "ok")
    talk.wait(0.08)
    assert talk.commands() == ["G1 X2"]
    talk.says(*refuse(2, "Line Number is not Last Line Number+1"))
    talk.wait(0.08)
    assert talk.commands() == ["G1 X1"]
    talk.says("ok")
    talk.says("ok")
    assert talk.acknowledged == tokens


def test_a_storm_slows_down_and_is_told_once() -> None:
    talk = Dialogue.running()
    (token,) = talk.send("G1 X1")
    repeats = []
    for _ in range(30):
        talk.says(*refuse(2))
        before = talk.now
        while not talk.wire():
            talk.wait(0.01)
        repeats.append(talk.now - before)
    assert repeats[0] < 0.05
    assert 0.9 <= repeats[-1] <= 1.1
    (trouble,) = talk.troubles
    assert trouble.recoverable
    assert "cable" in trouble.message
    talk.says("ok")
    assert talk.acknowledged == [token]


def test_a_storm_of_hours_changes_nothing() -> None:
    talk = Dialogue.running()
    (token,) = talk.send("G1 X1")
    for _ in range(3000):
        talk.says(*refuse(2))
        while not talk.wire():
            talk.wait(0.1)
    assert 1 <= len(talk.troubles) <= 3000 // 150
    talk.says("ok")
    assert talk.acknowledged == [token]


@pytest.mark.parametrize(("every", "told"), [(10, False), (2, True)])
def test_many_repeats_in_few_lines_are_told(every: int, told: bool) -> None:
    """Every so many lines are damaged once."""
    talk = Dialogue.running()
    tokens = []
    refused = {1}
    for index in range(400):
        tokens += talk.send(f"G1 X{index}")
        while lines := talk.wire():
            (line,) = lines
            number = int(line[1:].partition(" ")[0])
            if number % every == 0 and number not in refused:
                refused.add(number)
                talk.says(*refuse(number))
            else:
                talk.says(TEMPERATURES if "M105" in line else "ok")
    assert talk.acknowledged == tokens
    assert bool(talk.troubles) is told
    assert all("had to be sent again" in trouble.message for trouble in talk.troubles)


# -- buffers -------------------------------------------------------------------------------------------------------


def test_one_line_at_a_time_where_nothing_is_known() -> None:
    talk = Dialogue.running()
    talk.send(*(f"G1 X{index}" for index in range(20)))
    for _ in range(20):
        assert talk.protocol.outstanding_lines == 1
        talk.says("ok")


def test_a_marlin_gets_more_after_a_clean_run() -> None:
    talk = Dialogue.running()
    talk.send("M115")
    talk.says("FIRMWARE_NAME:Marlin 2.1 (x) SOURCE_CODE_URL:y", "Cap:EMERGENCY_PARSER:0", "ok")
    talk.wire()
    for index in range(300):
        talk.send(f"G1 X{index}")
        for command in talk.commands():
            talk.says(TEMPERATURES if command == "M105" else "ok")
    assert talk.protocol.stats.window_lines == 3


def test_never_more_than_the_receive_buffer() -> None:
    talk = Dialogue.running(window=100)
    talk.send(*(f"G1 X{index}.5 Y{index}.25 E1.{index}" for index in range(32)))
    sent = talk.wire()
    assert len(sent) == 4 or len(sent) == 5
    assert sum(len(line) + 1 for line in sent) <= 127
    assert talk.protocol.outstanding_bytes <= 127
    talk.says("ok")
    assert talk.protocol.outstanding_bytes <= 127


def test_the_queue_is_bounded() -> None:
    talk = Dialogue(LineProtocol(queue_size=8))
    assert talk.protocol.can_accept() == 8
    talk.open()
    talk.send(*("G1 X1" for _ in range(8)))
    assert talk.protocol.can_accept() == 0
    with pytest.raises(BufferError):
        talk.send(*("G1 X1" for _ in range(1100)))


def test_an_overrun_is_found_by_asking() -> None:
    """As recorded at 115200 baud: what did not fit vanished without any message."""
    talk = Dialogue.running(window=8, window_bytes=500)
    tokens = talk.send(*(f"G1 X{index}" for index in range(6)))
    talk.wire()
    talk.says("ok", "ok", "ok")
    talk.wait(2.0)
    assert talk.commands()[0] == "M105"
    talk.says(*refuse(5, "No Checksum with line number"))
    talk.wait(0.08)
    assert talk.commands()[-1] == "G1 X3"
    for _ in range(3):
        talk.says("ok")
    assert talk.acknowledged == tokens


def test_a_plain_marlin_is_asked_now_and_then_what_it_has_executed() -> None:
    talk = Dialogue.running(window=4)
    asked = 0
    for index in range(600):
        talk.send(f"G1 X{index}")
        for command in talk.commands():
            asked += command == "M105"
            talk.says(TEMPERATURES if command == "M105" else "ok")
    assert asked == 2


def test_a_firmware_with_advanced_ok_is_never_asked() -> None:
    talk = Dialogue.running(advanced=True, window=4)
    number = 2
    for index in range(600):
        talk.send(f"G1 X{index}")
        assert talk.commands() == [f"G1 X{index}"]
        talk.says(f"ok N{number} P15 B3")
        number += 1


def test_a_starved_planner_is_counted() -> None:
    talk = Dialogue.running(advanced=True, window=4)
    tokens = talk.send("M114", "M220", *(f"G1 X{index}" for index in range(30)))
    for index, free in enumerate((15, 15, 14, 13, 12, 5, 4, 14, 14, 13)):
        talk.says(f"ok N{index + 2} P{free} B3")
    assert talk.protocol.stats.planner_starved == 1
    assert talk.acknowledged == tokens[:10]


# -- silence -------------------------------------------------------------------------------------------------------


def test_busy_means_patience() -> None:
    talk = Dialogue.running()
    (token,) = talk.send("G1 X1 F1")
    talk.wire()
    for _ in range(10):
        talk.wait(1.99)
        assert talk.says("echo:busy: processing") == [Busy("processing")]
    questions = talk.commands()
    assert len(questions) <= 3
    talk.says("ok")
    assert talk.acknowledged == [token]


@pytest.mark.parametrize("line", ["echo:busy: paused for user", " T:20.9 /200.0 B:21.0 /0.0 @:127 B@:0 W:?"])
def test_waiting_for_the_user_or_for_heat(line: str) -> None:
    talk = Dialogue.running()
    talk.send("M109 S200")
    talk.wire()
    for _ in range(60):
        talk.wait(1.5)
        talk.says(line)
    assert talk.wire() == []
    assert talk.troubles == []


def test_automatic_reports_are_no_sign_of_execution() -> None:
    talk = Dialogue.running()
    talk.send("G1 X1")
    talk.wire()
    for _ in range(4):
        talk.wait(0.5)
        talk.says(" T:20.9 /0.0 B:21.0 /0.0 @:0 B@:0", "wait")
    assert "M105" in talk.commands()


def test_blocking_commands_are_given_time() -> None:
    talk = Dialogue.running()
    (token,) = talk.send("G4 S20")
    talk.wire()
    talk.wait(20.5)
    assert talk.wire() == []
    talk.says("ok")
    assert talk.acknowledged == [token]
    talk.send("G28")
    talk.wire()
    talk.wait(9.0)
    assert talk.wire() == []


def test_questions_become_rare_and_silence_is_told() -> None:
    talk = Dialogue.running()
    talk.send("G1 X1")
    talk.wait(60.0)
    asked = len(talk.wire()) - 1
    assert 4 <= asked <= 12
    talk.wait(30.0)
    assert len(talk.troubles) == 1
    assert "not answered" in talk.troubles[0].message


def test_an_idle_line_needs_no_timer() -> None:
    talk = Dialogue.running()
    (token,) = talk.send("G1 X1")
    talk.says("ok")
    assert talk.acknowledged == [token]
    assert talk.protocol.next_deadline() is None
    assert talk.wait(1000.0) == []
    talk.send("G1 X2")
    talk.wait(1.0)
    assert talk.troubles == []


# -- reset and halt ------------------------------------------------------------------------------------------------


def test_a_reset_lists_what_was_not_acknowledged() -> None:
    talk = Dialogue.running()
    tokens = talk.send(*(f"G1 X{index}" for index in range(5)))
    talk.says("ok")
    talk.wire()
    talk.says(*BANNER)
    assert talk.resets == [FirmwareReset(tuple(tokens[1:]), 1)]
    talk.wait(0.5)
    assert talk.wire() == ["", "N0 M110 N0*125"]
    talk.says("ok")
    talk.says(TEMPERATURES)
    assert talk.events[-1] == Connected()
    (token,) = talk.send("G28")
    assert talk.wire()[-1].startswith("N2 G28*")
    talk.says("ok")
    assert talk.acknowledged == [tokens[0], token]
    assert talk.protocol.stats.resets == 1


def test_a_reset_whose_banner_was_lost() -> None:
    """The firmware asks for line 1 again and again, although it had it."""
    talk = Dialogue.running(advanced=True)
    tokens = talk.send("G1 X1", "G1 X2", "G1 X3")
    talk.says("ok N2 P15 B3")
    talk.says("ok N3 P15 B3")
    for _ in range(3):
        talk.says(*refuse(1, "Line Number is not Last Line Number+1"))
        talk.wait(0.5)
    assert talk.resets == [FirmwareReset((tokens[2],), 1)]


def test_start_in_the_echo_of_a_command_is_no_reset() -> None:
    talk = Dialogue.running()
    (token,) = talk.send("M118 start")
    talk.says("start", "ok")
    assert talk.acknowledged == [token]
    assert talk.resets == []
    talk.send("M303")
    talk.says("PID Autotune start")
    assert talk.resets == []


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ("Error:MAXTEMP triggered, system stopped! Heater_ID: E0", "", "echo:Err: MAXTEMP"),
            "MAXTEMP triggered, system stopped! Heater_ID: E0",
        ),
        (("Error:Thermal Runaway, system stopped! Heater_ID: bed",), "Thermal Runaway, system stopped! Heater_ID: bed"),
        (("echo:Homing Failed",), "Homing Failed: Printer halted. kill() called!"),
    ],
)
def test_a_halt_in_the_firmwares_own_words(lines: tuple[str, ...], message: str) -> None:
    talk = Dialogue.running()
    tokens = talk.send("G28", "G1 X1")
    talk.says(*lines, "Error:Printer halted. kill() called!", "//action:poweroff")
    assert [event for event in talk.events if isinstance(event, Fatal)] == [Fatal(message, tuple(tokens), 1)]
    talk.says(*BANNER)
    assert talk.resets == [FirmwareReset()]
    talk.wait(0.5)
    assert "N0 M110 N0*125" in talk.wire()


def test_a_failed_probe_is_no_halt() -> None:
    talk = Dialogue.running()
    (token,) = talk.send("G29")
    talk.says("//action:notification Probing Failed", "Error:Probing Failed", "X:20.00 Y:20.00 Z:-2.00 E:0.00", "ok")
    assert talk.acknowledged == [token]
    assert talk.replies_to(token)[0] == "Error:Probing Failed"
    assert talk.protocol.ready


def test_a_lost_link_lists_what_was_not_acknowledged() -> None:
    talk = Dialogue.running()
    tokens = talk.send("G1 X1", "G1 X2", "G1 X3")
    talk.says("ok")
    assert talk.protocol.unacknowledged() == tuple(tokens[1:])
    assert talk.protocol.disconnected() == tuple(tokens[1:])
    assert talk.protocol.state is State.CLOSED
    assert talk.protocol.next_deadline() is None


def test_noise_hurts_nobody() -> None:
    talk = Dialogue.running()
    (token,) = talk.send("G1 X1")
    talk.says(b"\xff\x00\x80garbage", b"o", b"k", b"ko", b"Resend:", b"Error:", b"ok" * 50, b"N1 ok")
    assert talk.acknowledged == []
    talk.says("ok")
    assert talk.acknowledged == [token]
    assert isinstance(talk.events[-1], Acknowledged)
