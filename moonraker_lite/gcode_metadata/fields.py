"""From the text of a comment to a typed value: numbers, durations, lists, names.

Every reader takes the bytes after the separator and gives None for what it cannot read. All are linear in the input.
"""

from __future__ import annotations

import re

import msgspec

_NUMBER = re.compile(rb"[+-]?+(?:\d++(?:\.\d*+)?+|\.\d++)")
_LEADING = re.compile(rb"\s*+([+-]?+(?:\d++(?:\.\d*+)?+|\.\d++))\s*+(%?)")
_DURATION = re.compile(rb"(\d++(?:\.\d++)?+)\s*+(d|h|m|s)")
_CLOCK = re.compile(rb"\s*+(\d{1,4}+):(\d{1,2}+)(?::(\d{1,2}+))?+")
_COLOR = re.compile(rb"#[0-9A-Fa-f]{6}(?:[0-9A-Fa-f]{2})?+")
_NAME_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*+)"|(;)|([^;"]++)|"', re.DOTALL)
_LENGTH = re.compile(rb"(\d++(?:\.\d*+)?+|\.\d++)\s*+(mm\^?3|cm\^?3|mm|cm|m|g|kg)?+")

_BARE = re.compile(rb"\s*+([+-]?+(?:\d++(?:\.\d*+)?+|\.\d++))\s*+(?:s|sec|secs|seconds)?+\s*+")
_SWITCHES = {
    **dict.fromkeys((b"1", b"true", b"yes", b"on"), True),
    **dict.fromkeys((b"0", b"false", b"no", b"off"), False),
}
_SECONDS = {b"d": 86400, b"h": 3600, b"m": 60, b"s": 1}
MAX_ITEMS = 256
"""More tools than any printer has: bounds the lists that a file can make us build."""
TOO_LARGE = 1e12
MAX_LIST_BYTES = 64 * 1024


def text(value: bytes) -> str:
    return value.strip().decode("utf-8", "replace")


def unquoted(value: bytes) -> str:
    """Text without the quotes that some slicers write around an empty or odd one."""
    return text(value.strip().strip(b'"'))


def some_text(value: bytes) -> str | None:
    """Text, but None when it is empty."""
    return unquoted(value) or None


def number(value: bytes) -> float | None:
    """The number that the text begins with, whatever unit follows."""
    found = _LEADING.match(value)
    return _finite(found[1]) if found else None


def positive(value: bytes) -> float | None:
    """A number above zero: zero stands for "not set" in this place."""
    result = number(value)
    return result if result is not None and result > 0 else None


def percent_of(value: bytes, whole: float | None) -> float | None:
    """A number, or a percentage of `whole`."""
    found = _LEADING.match(value)
    result = _finite(found[1]) if found else None
    if found is None or result is None or not found[2]:
        return result
    return None if whole is None else round(result * whole / 100, 4)


def integer(value: bytes) -> int | None:
    result = number(value)
    return None if result is None else int(result)


def numbers(value: bytes) -> list[float] | None:
    """All numbers of a list with whatever separators; None when there is none."""
    found = (_finite(item[0]) for item, _ in zip(_NUMBER.finditer(value), range(MAX_ITEMS), strict=False))
    return [item for item in found if item is not None] or None


def integers(value: bytes) -> list[int] | None:
    found = numbers(value)
    return None if found is None else [int(item) for item in found]


def total(value: bytes) -> float | None:
    """The sum of a list."""
    found = numbers(value)
    return None if found is None else sum(found)


def some_total(value: bytes) -> float | None:
    """The sum of a list, but None when it is zero and so says nothing."""
    return total(value) or None


def items(value: bytes) -> list[bytes]:
    """A list of words separated by comma or semicolon, kept in place (an empty word stays)."""
    return re.split(rb"\s*+[,;]\s*+", value.strip(), maxsplit=MAX_ITEMS)


def millimetres(value: bytes) -> float | None:
    """The sum of lengths such as `1.2m, 0.4m` or `617.3mm (4.4cm3)` in mm; a bare number is mm. None for volumes."""
    return _sum_of(value, {b"mm": 1.0, b"cm": 10.0, b"m": 1000.0, b"": 1.0})


def each_millimetres(value: bytes) -> list[float]:
    """As `millimetres`, one number per length."""
    return _each_of(value, {b"mm": 1.0, b"cm": 10.0, b"m": 1000.0, b"": 1.0})


def metres(value: bytes) -> float | None:
    """A length in mm from a bare number of metres."""
    result = number(value)
    return None if result is None else round(result * 1000, 3)


def grams(value: bytes) -> float | None:
    """The sum of the weights in the text; lengths beside them are passed over."""
    return _sum_of(value, {b"g": 1.0, b"kg": 1000.0})


def duration(value: bytes) -> int | None:
    """Whole seconds of `1d 2h 3m 4s`, `1 hour 31 minutes`, `806s`, `0:29` (hours first) or `00:18:29`."""
    clock = _CLOCK.match(value)
    if clock:
        return int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3] or 0)
    parts = _DURATION.findall(value.lower()[:256])
    seconds = sum((_finite(amount) or 0.0) * _SECONDS[unit] for amount, unit in parts)
    return int(seconds) if parts else None


def seconds_or_duration(value: bytes) -> int | float | None:
    """A bare number of seconds, or a duration with units."""
    bare = _BARE.fullmatch(value)
    return duration(value) if bare is None else positive(bare[1])


def percent(value: bytes) -> float | None:
    """A percentage: `20%`, `20`, or as a fraction `0.2` (nobody fills one percent or less but zero)."""
    found = _LEADING.match(value)
    result = _finite(found[1]) if found else None
    if found is None or result is None or result < 0:
        return None
    return result if found[2] or result > 1 else round(result * 100, 3)


def switch(value: bytes) -> bool | None:
    """1/0, true/false, yes/no, on/off."""
    return _SWITCHES.get(value.strip().lower())


def some_numbers(value: bytes) -> list[float] | None:
    """A list of numbers, but None when all are zero and so say nothing."""
    found = numbers(value)
    return found if found and any(found) else None


def minutes(value: bytes) -> float | None:
    """Seconds from a number of minutes."""
    result = number(value)
    return None if result is None else round(result * 60, 3)


def hours(value: bytes) -> float | None:
    """Seconds from a number of hours."""
    result = number(value)
    return None if result is None else round(result * 3600, 3)


def kilograms(value: bytes) -> float | None:
    """Grams from a bare number of kilograms."""
    result = number(value)
    return None if result is None else round(result * 1000, 3)


def colors(value: bytes) -> list[str]:
    """`#RRGGBB` words, upper case as they stand."""
    return [item.decode() for item in _COLOR.findall(value[:MAX_LIST_BYTES])[:MAX_ITEMS]]


def names(value: bytes) -> str | None:
    """A list of names as Moonraker gives it: one as it is, several as the text of a JSON array. None when empty."""
    decoded = [text(item) for item in _split_quoted(value.strip()[:MAX_LIST_BYTES])]
    if not any(decoded):
        return None
    if len(decoded) == 1:
        return decoded[0]
    return "[" + ", ".join(msgspec.json.encode(item).decode() for item in decoded) + "]"


def _split_quoted(value: bytes) -> list[bytes]:
    """The words between semicolons; a semicolon in double quotes belongs to the word, `\\` escapes within them."""
    words = [b""]
    for quoted, separator, bare in _NAME_TOKEN.findall(value):
        if separator:
            if len(words) == MAX_ITEMS:
                break
            words.append(b"")
        else:
            words[-1] += quoted.replace(b'\\"', b'"').replace(b"\\\\", b"\\") or bare
    return words


def _each_of(value: bytes, factors: dict[bytes, float]) -> list[float]:
    found = []
    for amount, unit in _LENGTH.findall(value[:MAX_LIST_BYTES])[:MAX_ITEMS]:
        number_of = _finite(amount)
        if unit in factors and number_of is not None:
            found.append(number_of * factors[unit])
    return found


def _sum_of(value: bytes, factors: dict[bytes, float]) -> float | None:
    found = _each_of(value, factors)
    return sum(found) if found else None


def _finite(digits: bytes) -> float | None:
    """None for what is too large to be exact, and to be true."""
    if len(digits) > 32:
        return None
    result = float(digits)
    return result if abs(result) < TOO_LARGE else None
