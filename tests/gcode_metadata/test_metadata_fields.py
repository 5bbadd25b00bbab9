"""The readers of single values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.gcode_metadata import fields

READERS = [
    fields.text,
    fields.unquoted,
    fields.some_text,
    fields.number,
    fields.positive,
    fields.integer,
    fields.numbers,
    fields.integers,
    fields.total,
    fields.some_total,
    fields.items,
    fields.millimetres,
    fields.each_millimetres,
    fields.metres,
    fields.grams,
    fields.duration,
    fields.minutes,
    fields.hours,
    fields.kilograms,
    fields.percent,
    fields.seconds_or_duration,
    fields.some_numbers,
    fields.switch,
    fields.colors,
    fields.names,
]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (b"1d 2h 3m 4s", 93784),
        (b" 12m 34s", 754),
        (b"0.360335s", 0),
        (b"1 hour 31 minutes", 5460),
        (b"0 hours 20 minutes", 1200),
        (b"806s ---", 806),
        (b"     0:29", 1740),
        (b"00:18:29", 1109),
        (b"#P_TIME#", None),
        (b"", None),
    ],
)
def test_duration(written: bytes, seconds: int | None) -> None:
    assert fields.duration(written) == seconds


@pytest.mark.parametrize(
    ("written", "length"),
    [
        (b" 0.104879m, 1.5m", 1604.879),
        (b"617.3mm (4.4cm3)", 617.3),
        (b"1482.1mm, 34.4mm (3.6cm3)", 1516.5),
        (b"878.892mm3", None),
        (b"3.2 cm^3", None),
        (b"0.74m     6.62g", 740),
        (b"#F_AMNT#m #F_WGHT#g", None),
        (b" 3676.6", 3676.6),
        (b"12cm", 120),
    ],
)
def test_millimetres(written: bytes, length: float | None) -> None:
    assert fields.millimetres(written) == pytest.approx(length) if length else fields.millimetres(written) is None


def test_grams_pass_over_lengths() -> None:
    assert fields.grams(b"0.74m     6.62g") == 6.62
    assert fields.grams(b"1.5kg") == 1500
    assert fields.grams(b"0.74m") is None


@pytest.mark.parametrize(
    ("written", "names"),
    [
        (b'"Generic PLA"', "Generic PLA"),
        (b"Everson ABS 250, 100", "Everson ABS 250, 100"),
        (b"PLA;PETG", '["PLA", "PETG"]'),
        (b'"a; b";"c \\"d\\""', '["a; b", "c \\"d\\""]'),
        (b'"Gr\xc3\xbcn";""', '["Grün", ""]'),
        (b'""', None),
        (b'"";""', None),
        (b"", None),
        (b'"unclosed', "unclosed"),
    ],
)
def test_names(written: bytes, names: str | None) -> None:
    assert fields.names(written) == names


def test_numbers_have_signs() -> None:
    assert fields.number(b"-0.05") == -0.05
    assert fields.numbers(b"280,-280;.5") == [280, -280, 0.5]
    assert fields.positive(b"-0.05") is None
    assert fields.number(b"1" * 40) is None
    assert fields.number(b"1" * 13) is None


def test_percent_of() -> None:
    assert fields.percent_of(b"125%", 0.2) == 0.25
    assert fields.percent_of(b"0.3", 0.2) == 0.3
    assert fields.percent_of(b"50%", None) is None


@pytest.mark.parametrize(
    ("written", "share"),
    [(b"15%", 15), (b" 20 ", 20), (b"0.4", 40), (b"0.5%", 0.5), (b"0", 0), (b"100", 100), (b"-5", None), (b"", None)],
)
def test_percent(written: bytes, share: float | None) -> None:
    assert fields.percent(written) == share


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(b"806", 806), (b"12.5 s", 12.5), (b"0.360335s", 0.360335), (b"1h 2m", 3720), (b"0", None), (b"soon", None)],
)
def test_seconds_or_duration(written: bytes, seconds: float | None) -> None:
    assert fields.seconds_or_duration(written) == seconds


def test_switch() -> None:
    assert [fields.switch(value) for value in (b"1", b" True", b"off", b"None", b"")] == [True, True, False, None, None]


def test_lists_of_nothing() -> None:
    assert fields.some_numbers(b"0, 0") is None
    assert fields.some_numbers(b"0, 1.75") == [0, 1.75]


def test_hours_and_kilograms() -> None:
    assert fields.hours(b"1.5") == 5400
    assert fields.kilograms(b"0.25") == 250


def test_colors() -> None:
    assert fields.colors(b'#FF8000;#00ff0080;"";red') == ["#FF8000", "#00ff0080"]


@pytest.mark.parametrize("reader", READERS)
@given(value=st.binary(max_size=200) | st.text('0123456789.,;:+-%"\\ #hmsgk()', max_size=60).map(str.encode))
def test_readers_take_any_bytes(reader: object, value: bytes) -> None:
    assert callable(reader)
    reader(value.replace(b"\n", b""))


@given(
    st.lists(st.text('abc ";\\ü', max_size=8), min_size=2, max_size=5).filter(lambda names: any(map(str.strip, names)))
)
def test_quoted_names_come_back(names: list[str]) -> None:
    import msgspec

    written = ";".join('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in names)
    read = fields.names(written.encode())
    assert read is not None
    assert msgspec.json.decode(read) == [name.strip() for name in names]
