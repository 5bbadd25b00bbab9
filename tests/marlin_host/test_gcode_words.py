"""Reading lines of G-code: comments, both dialects, any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.marlin.gcode.words import SHORT_TEXT, number, parse, squeeze, strip_line
from moonraker_lite.marlin.requests import CommandError


@pytest.mark.parametrize(
    ("line", "name", "words"),
    [
        ("G1 X10 Y+20.5 ; comment", "G1", {"X": "10", "Y": "+20.5"}),
        ("g01x10y-2", "G1", {"X": "10", "Y": "-2"}),
        ("G1X-.5E.04F3000", "G1", {"X": "-.5", "E": ".04", "F": "3000"}),
        ("  G28 X Y\r\n", "G28", {"X": "", "Y": ""}),
        ("N10 G1 X5*33", "G1", {"X": "5"}),
        ("N10G1 X5 *33", "G1", {"X": "5"}),
        ("T0", "T0", {}),
        ("M0104 S200", "M104", {"S": "200"}),
        ("G29.1 X1", "G29.1", {"X": "1"}),
        ("M112x", "M112", {"X": ""}),
        ("G1 Z0.5 (move Z) F60", "G1", {"Z": "0.5", "F": "60"}),
        ("X-10 Y5", "X-10", {"Y": "5"}),
    ],
)
def test_traditional_lines(line: str, name: str, words: dict[str, str]) -> None:
    command = parse(line)
    assert command is not None
    assert command.traditional
    assert (command.name, command.words()) == (name, words)


@pytest.mark.parametrize(
    ("line", "name", "params"),
    [
        (
            "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=200",
            "SET_HEATER_TEMPERATURE",
            {"HEATER": "extruder", "TARGET": "200"},
        ),
        ("set_fan_speed fan=aux speed=1", "SET_FAN_SPEED", {"FAN": "aux", "SPEED": "1"}),
        ('RESPOND MSG="a; b = c" TYPE=echo ; comment', "RESPOND", {"MSG": "a; b = c", "TYPE": "echo"}),
        ("RESPOND MSG='it is \"so\"'", "RESPOND", {"MSG": 'it is "so"'}),
        ('SDCARD_PRINT_FILE FILENAME="dir/a b.gcode"', "SDCARD_PRINT_FILE", {"FILENAME": "dir/a b.gcode"}),
        ("M600_LOAD X=1", "M600_LOAD", {"X": "1"}),
        ("TESTZ Z=-.1", "TESTZ", {"Z": "-.1"}),
        ('X MSG=""', "X", {"MSG": ""}),
    ],
)
def test_extended_lines(line: str, name: str, params: dict[str, str]) -> None:
    command = parse(line)
    assert command is not None
    assert not command.traditional
    assert (command.name, command.params()) == (name, params)


@pytest.mark.parametrize("line", ["RESPOND hello", 'RESPOND MSG="open', "RESPOND =x", "RESPOND A=1 B"])
def test_malformed_parameters_are_refused(line: str) -> None:
    command = parse(line)
    assert command is not None
    with pytest.raises(CommandError, match="Malformed command"):
        command.params()


@pytest.mark.parametrize("line", ["", "   ", "; comment", ";", "\r\n", "(a comment)", "\x00\x07"])
def test_lines_without_a_command(line: str) -> None:
    assert parse(line) is None


def test_texts_keep_their_case() -> None:
    command = parse("M117 Hello World ; aside")
    assert command is not None
    assert (command.name, command.rest) == ("M117", "Hello World")


def test_an_unknown_word_keeps_its_name() -> None:
    command = parse("nosuch*5 x")
    assert command is not None
    assert (command.name, command.traditional) == ("NOSUCH*5", False)


def test_squeezing_a_long_line() -> None:
    assert squeeze("G1 X10 Y20 E0.5") == "G1X10Y20E0.5"
    long = squeeze("M117 " + "ü" * 100)
    assert len(long.encode()) <= SHORT_TEXT
    assert long.startswith("M117 üü")


def test_numbers() -> None:
    assert number("1.5") == 1.5
    assert number("", 7.0) == 7.0
    assert number("+-3", 7.0) == 7.0


@given(st.text(max_size=200))
def test_any_text_is_read_without_failing(line: str) -> None:
    command = parse(line)
    if command is None:
        return
    assert command.name
    assert not any(ord(char) < 32 for char in command.name)
    if command.traditional:
        command.words()
    else:
        try:
            command.params()
        except CommandError:
            pass


@given(st.binary(max_size=200))
def test_what_is_stripped_can_go_on_the_wire(data: bytes) -> None:
    line = strip_line(data.decode("utf-8", "surrogateescape"))
    assert ";" not in line
    assert line == line.strip()
    assert not any(ord(char) < 32 or ord(char) == 127 for char in line)


WORD = st.from_regex(r"[XYZEFS][-+]?[0-9]{1,3}(\.[0-9]{1,3})?", fullmatch=True)


@given(st.lists(WORD, max_size=6), st.sampled_from(["", " "]), st.text(max_size=20))
def test_comments_and_blanks_do_not_matter(words: list[str], blank: str, comment: str) -> None:
    plain = parse(" ".join(["G1", *words]))
    odd = parse(f"  G1{blank}{blank.join(words)}{blank};{comment}")
    assert plain is not None
    assert odd is not None
    assert plain.words() == odd.words()
