"""From text to typed value."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct
from msgspec.inspect import StructType, type_info

from moonraker_lite.config.values import NOT_GIVEN, InvalidValue, convert, expected


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Everything(Struct):
    """One field for each kind of value."""

    whole: int
    port: Annotated[int, Meta(ge=1, le=65535)]
    number: float
    speed: Annotated[float, Meta(ge=0)]
    above: Annotated[float, Meta(gt=0, lt=10)]
    flag: bool
    text: str
    short: Annotated[str, Meta(min_length=2, max_length=4)]
    word: Annotated[str, Meta(pattern="^[a-z]+$")]
    path: Path
    choice: Literal["klipper", "marlin"]
    steps: Literal[1, 2]
    colour: Colour
    names: list[str]
    numbers: list[int]
    fixed: tuple[str, ...]
    unique: frozenset[str]
    lines: Annotated[list[str], Meta(extra={"separator": "\n"})]
    pairs: dict[str, int]
    maybe: int | None
    maybe_text: str | None
    maybe_choice: Literal["a", "b"] | None
    mixed: Literal["fast"] | int
    either: str | int
    some: Annotated[list[str], Meta(min_length=1)]


SHAPE = type_info(Everything)
assert isinstance(SHAPE, StructType)
KINDS = {field.name: field.type for field in SHAPE.fields}


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("whole", "42", 42),
        ("whole", " -7 ", -7),
        ("port", "65535", 65535),
        ("number", "1.5", 1.5),
        ("number", "2", 2.0),
        ("number", "1.", 1.0),
        ("number", ".5", 0.5),
        ("number", "1e3", 1000.0),
        ("speed", "0", 0.0),
        ("flag", "yes", True),
        ("flag", "True", True),
        ("flag", "ON", True),
        ("flag", "1", True),
        ("flag", "no", False),
        ("flag", "FALSE", False),
        ("flag", "off", False),
        ("flag", "0", False),
        ("text", " a b ", "a b"),
        ("text", "", ""),
        ("choice", "Marlin", "marlin"),
        ("steps", "2", 2),
        ("colour", "BLUE", Colour.BLUE),
        ("names", "\na\nb, c\n", ["a", "b", "c"]),
        ("names", "", []),
        ("numbers", "1, 2\n3", [1, 2, 3]),
        ("fixed", "a,b", ("a", "b")),
        ("unique", "a,b,a", frozenset({"a", "b"})),
        ("lines", "\none, two\nthree", ["one, two", "three"]),
        ("pairs", "\na: 1\nb = 2", {"a": 1, "b": 2}),
        ("maybe", "3", 3),
        ("maybe", "", None),
        ("maybe", "None", None),
        ("maybe", "auto", None),
        ("maybe_text", "none", "none"),
        ("maybe_text", "", None),
        ("maybe_choice", "auto", None),
        ("maybe_choice", "B", "b"),
        ("mixed", "fast", "fast"),
        ("mixed", "12", 12),
        ("either", "12", 12),
        ("either", "twelve", "twelve"),
        ("whole", "", NOT_GIVEN),
        ("flag", "  ", NOT_GIVEN),
        ("choice", "", NOT_GIVEN),
        ("path", "", NOT_GIVEN),
        ("path", "/a b/c", Path("/a b/c")),
    ],
)
def test_converts(field: str, text: str, value: Any) -> None:
    result = convert(text, KINDS[field])
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("whole", "abc", '"abc" is not a whole number'),
        ("whole", "1.5", '"1.5" is not a whole number'),
        ("whole", "1_000", '"1_000" is not a whole number'),
        ("whole", "٣", '"٣" is not a whole number'),
        ("whole", "9" * 5000, "is not a whole number"),
        ("port", "0", '"0" is not a whole number between 1 and 65535'),
        ("port", "65536", '"65536" is not a whole number between 1 and 65535'),
        ("number", "nan", '"nan" is not a number'),
        ("number", "inf", '"inf" is not a number'),
        ("number", "1e999", '"1e999" is not a number'),
        ("speed", "-0.1", '"-0.1" is not a number of at least 0'),
        ("above", "0", '"0" is not a number above 0 and below 10'),
        ("above", "10", '"10" is not a number above 0 and below 10'),
        ("flag", "maybe", '"maybe" is not yes or no (true, false, on, off, 1, 0)'),
        ("short", "a", '"a" is not a text of 2 to 4 characters'),
        ("word", "A1", '"A1" is not a text that fits ^[a-z]+$'),
        ("choice", "repetier", '"repetier" is not one of klipper, marlin'),
        ("colour", "green", '"green" is not one of red, blue'),
        ("numbers", "1, two, 3", '"two" is not a whole number'),
        ("pairs", "a", '"a" is not a pair "name: value"'),
        ("maybe", "few", '"few" is not a whole number'),
        ("mixed", "slow", '"slow" is not "fast" or a whole number'),
        ("some", "", '"" is not a list of at least 1'),
    ],
)
def test_says_what_would_be_valid(field: str, text: str, says: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        convert(text, KINDS[field])
    assert says in str(caught.value)
    assert len(str(caught.value)) < 200


def test_the_home_folder_is_known_in_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/pi")
    assert convert("~/printer_data", KINDS["path"]) == Path("/home/pi/printer_data")


def test_a_field_of_a_strange_type_is_an_error_of_the_program() -> None:
    with pytest.raises(TypeError):
        convert("1", type_info(complex))


@given(st.sampled_from(sorted(KINDS)), st.text())
def test_any_text_converts_or_is_refused_with_a_sentence(field: str, text: str) -> None:
    try:
        convert(text, KINDS[field])
    except InvalidValue as error:
        assert " is not " in str(error)


def roundtrip(values: st.SearchStrategy[Any], field: str) -> Callable[[], None]:
    @given(values)
    def check(value: Any) -> None:
        assert convert(str(value), KINDS[field]) == value

    return check


test_every_whole_number_comes_back = roundtrip(st.integers(-(10**17), 10**17), "whole")
test_every_port_comes_back = roundtrip(st.integers(1, 65535), "port")
test_every_number_comes_back = roundtrip(st.floats(allow_nan=False, allow_infinity=False), "number")
test_every_truth_comes_back = roundtrip(st.booleans(), "flag")


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_number_outside_its_bounds_passes(value: float) -> None:
    if 0 < value < 10 and math.isfinite(value):
        assert convert(str(value), KINDS["above"]) == value
    else:
        with pytest.raises(InvalidValue):
            convert(str(value), KINDS["above"])


def test_expected_reads_as_the_end_of_a_sentence() -> None:
    assert expected(KINDS["maybe_choice"]) == "one of a, b"
    assert expected(KINDS["path"]) == "a path"
