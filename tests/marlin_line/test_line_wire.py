"""One line on the wire, and one line back."""

from __future__ import annotations

import functools
import itertools
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.marlin.protocol.incoming import MAX_REPLY, Kind, LineSplitter, interpret
from moonraker_lite.marlin.protocol.timing import RoundTrips, patience_with
from moonraker_lite.marlin.protocol.wire import MAX_LINE, checksum, clean, command_word, encode, first_number, fit
from moonraker_lite.marlin.virtual.receiver import Receiver


@given(st.binary(max_size=200))
def test_checksum_is_the_xor_of_all_bytes(data: bytes) -> None:
    expected = functools.reduce(operator.xor, data, 0) if len(data) <= 128 else None
    if expected is not None:
        assert checksum(data) == expected


@pytest.mark.parametrize(
    ("number", "command", "line"),
    [(1, "M105", b"N1 M105*38\n"), (2, "M114", b"N2 M114*37\n"), (10, "G4 P1", b"N10 G4 P1*93\n")],
)
def test_lines_as_real_marlin_accepted_them(number: int, command: str, line: bytes) -> None:
    assert encode(number, clean(command)) == line


@given(st.text(max_size=120), st.integers(0, 10**7))
def test_whatever_can_be_sent_is_accepted_by_the_firmware(command: str, number: int) -> None:
    try:
        body = fit(clean(command), number)
    except (ValueError, UnicodeEncodeError):
        return
    if b"M110" in body:
        return
    line = encode(number, body)
    assert len(line) - 1 <= MAX_LINE
    assert line.count(b"\n") == 1
    receiver = Receiver(size=200)
    receiver.last_line = number - 1
    answers: list[bytes] = []
    receiver.feed(line)
    accepted = receiver.read(answers)
    assert accepted is not None
    assert answers == []
    assert accepted.text == body.partition(b"*")[0].rstrip()


@pytest.mark.parametrize(
    "command", ["", "   ", ";", " ; hello", "\\", "M117 a\nM112", "M105\r", "M10\x085", "\x00M105"]
)
def test_what_cannot_be_sent(command: str) -> None:
    if command == "M105\r":
        # White space at the end is no control character of the command.
        assert clean(command) == b"M105"
        return
    with pytest.raises(ValueError):
        clean(command)


def test_what_the_firmware_would_change_is_changed_before() -> None:
    assert clean("M118 back\\slash") == b"M118 backslash"
    assert clean("G1 X1 ; comment") == b"G1 X1"
    assert clean("M117 Gr\u00fc\u00dfe") == "M117 Gr\u00fc\u00dfe".encode()
    assert clean("M118 tab\there") == b"M118 tab\there"


def test_too_long_lines() -> None:
    text = b"M117 " + b"x" * 90
    with pytest.raises(ValueError, match="bytes too long"):
        fit(text, 1)
    move = b"G1 " + b" ".join(b"X%09.6f" % 12.5 for _ in range(8))
    assert fit(move, 1) == move.replace(b" ", b"")


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"G1 X1", b"G1"),
        (b"G01X1", b"G1"),
        (b"g28", b"G28"),
        (b"M109S200", b"M109"),
        (b"T1", b"T"),
        (b"G0", b"G0"),
        (b"FOO", b""),
        (b"M", b""),
    ],
)
def test_command_word(body: bytes, word: bytes) -> None:
    assert command_word(body) == word


@pytest.mark.parametrize(
    ("text", "number"),
    [(b": 12", 12), (b":12", 12), (b" N12", 12), (b":N:12 x 5", 12), (b"", None), (b": 1234567890123", None)],
)
def test_first_number(text: bytes, number: int | None) -> None:
    assert first_number(text) == number


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"ok", Kind.OK),
        (b"ok\r", Kind.OK),
        (b"ok ", Kind.OK),
        (b"\xff\x00\x80ok", Kind.OK),
        (b"ok N12 P15 B3", Kind.OK_NUMBERED),
        (b"ok N-1 P15 B3", Kind.OK_NUMBERED),
        (b"ok 12", Kind.OK_NUMBERED),
        (b"ok N1x P15 B3", Kind.OK_PAYLOAD),
        (b"ok P15 B3", Kind.OK_UNNUMBERED),
        (b"ok T:21.05 /0.00 B:21.17 /0.00 @:0 B@:0", Kind.OK_TEMPERATURE),
        (b"ok B:21.17 /0.00", Kind.OK_TEMPERATURE),
        (b"ok X:0.00 Y:0.00", Kind.OK_PAYLOAD),
        (b"okay then", Kind.TEXT),
        (b"Resend: 12", Kind.RESEND),
        (b"Resend:12", Kind.RESEND),
        (b"resend 12", Kind.RESEND),
        (b"Resend:N:12", Kind.RESEND),
        (b"rs N12 Expected checksum 67", Kind.RESEND),
        (b"Reporting endstop status", Kind.TEXT),
        (b"Error:checksum mismatch, Last Line: 2", Kind.LINE_ERROR),
        (b"Error:No Checksum with line number, Last Line: 4", Kind.LINE_ERROR),
        (b"Error: expected line 110 got 111", Kind.LINE_ERROR),
        (b"Error: Checksum mismatch", Kind.TEXT),
        (b"Error:Missing checksum", Kind.TEXT),
        (b"Error:Format error", Kind.TEXT),
        (b"Error:Printer halted. kill() called!", Kind.HALT),
        (b"Error:MINTEMP triggered, system stopped! Heater_ID: E0", Kind.HALT),
        (b"fatal:bed defect", Kind.HALT),
        (b"Error:Probing Failed", Kind.ERROR),
        (b"echo:busy: processing", Kind.BUSY),
        (b"busy: paused for user", Kind.BUSY),
        (b" T:20.90 /200.00 B:21.02 /0.00 @:127 B@:0", Kind.TEMPERATURE),
        (b"T:20.90 /200.00 B:21.02 /0.00 @:127 B@:0 W:?", Kind.HEATING),
        (b"T0:20.90 /200.00", Kind.TEMPERATURE),
        (b"start", Kind.BOOT),
        (b"\x00\xfestart\r", Kind.BOOT),
        (b"External Reset", Kind.BOOT),
        (b"PID Autotune start", Kind.TEXT),
        (b"//action:prompt_end", Kind.ACTION),
        (b"wait", Kind.WAIT),
        (b'echo:Unknown command: "G999"', Kind.TEXT),
        (b"\xff\xfe\x80", Kind.TEXT),
        (b"\r", Kind.EMPTY),
        (b"\x00", Kind.EMPTY),
    ],
)
def test_what_a_line_means(line: bytes, kind: Kind) -> None:
    assert interpret(line).kind is kind


def test_numbers_of_an_advanced_ok() -> None:
    reply = interpret(b"ok N12 P14 B2")
    assert (reply.number, reply.planner, reply.slots) == (12, 14, 2)
    assert interpret(b"Error:checksum mismatch, Last Line: 2").number == 3
    assert interpret(b"Error:checksum mismatch, Last Line: 2").text == "checksum mismatch"


@given(st.binary(max_size=300))
def test_no_line_is_too_odd(line: bytes) -> None:
    interpret(line.replace(b"\n", b""))


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=20))
def test_cutting_the_stream_changes_nothing(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    splitter = LineSplitter()
    pieces = [line for begin, end in itertools.pairwise(edges) for line in splitter.feed(data[begin:end])]
    assert pieces == data.split(b"\n")[:-1]


def test_a_line_without_end_is_thrown_away() -> None:
    splitter = LineSplitter()
    for _ in range(10):
        assert splitter.feed(b"x" * MAX_REPLY) == []
    assert splitter.feed(b"yyy\nok\n") == [b"ok"]
    assert splitter.dropped >= 9 * MAX_REPLY


@pytest.mark.parametrize(
    ("body", "seconds"),
    [(b"G1 X1", 0.0), (b"G28 X", 10.0), (b"M109 S200", 10.0), (b"G4 S20", 21.0), (b"G4P500", 1.5), (b"G4 Sx", 1.0)],
)
def test_patience(body: bytes, seconds: float) -> None:
    assert patience_with(body) == seconds


def test_the_timeout_adapts_and_stays_in_bounds() -> None:
    trips = RoundTrips()
    assert trips.percentile(0.5) is None
    for _ in range(300):
        trips.add(0.001)
    assert trips.timeout == 0.1
    assert trips.percentile(0.99) == 0.001
    for _ in range(300):
        trips.add(0.4)
    assert 0.4 < trips.timeout < 0.7
    for _ in range(300):
        trips.add(60.0)
    assert trips.timeout == 1.5
