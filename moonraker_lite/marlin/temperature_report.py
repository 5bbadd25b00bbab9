"""Temperature reports of every dialect: M105's answer, M155's reports, the lines of a waiting M109.

The forms are those of Marlin (recordings: `../marlin/transcripts/04_temperature.txt`), of its descendants (Prusa's A:
and P:, Buddy's X: and `C@:`, Creality's blanks), of RepRapFirmware and of Repetier. Nothing here raises on any text.
"""

from __future__ import annotations

import re

import msgspec


class Heater(msgspec.Struct, frozen=True):
    """One sensor: degrees Celsius; `target` None where the firmware names none; `power` 0..127 or None."""

    actual: float
    target: float | None = None
    power: float | None = None


class Temperatures(msgspec.Struct, frozen=True):
    """One temperature report. Keys of `heaters`: `T` (active hotend), `T0`, `T1`, ..., `B`, and one of `SENSORS`.

    `waiting`: the line is of M109/M190/M191 (`W:`); `seconds_left` is None while the target is not reached (`W:?`).
    """

    heaters: dict[str, Heater]
    waiting: bool = False
    seconds_left: int | None = None


SENSORS = {
    "A": "ambient",
    "C": "chamber",
    "L": "cooler",
    "M": "board",
    "P": "probe",
    "R": "redundant",
    "S": "soc",
    "X": "heatbreak",
}
"""What the letters besides T and B mean: Marlin's, and X and A as Prusa has them."""

# Decimal commas occur where a library was built for another locale; a comma between two fields has a blank behind it.
_NUMBER = r"[-+]?(?:\d{1,6}(?:[.,]\d{0,9})?|[.,]\d{1,9})"
_BEGINNING = re.compile(r"(?:ok)?\s*(?:N\d+\s+)?(?:P\d+\s+B\d+\s+)?(?=[TBC]\d*:)", re.ASCII)
_READING = re.compile(
    rf"(?<![A-Za-z_])(T\d+|X\d+|[TBCPRLAMSX]):\s*({_NUMBER})(?:\s*/\s*({_NUMBER}))?(?![\d:])", re.ASCII
)
_POWER = re.compile(rf"(?<![A-Za-z])([BCL]?)@(\d*):\s*({_NUMBER})", re.ASCII)
# Marlin 1 names the extruder that M109 waits for behind its temperature.
_EXTRUDER = re.compile(r"^\s*T:\s*\S+\s+E:(\d{1,2})(?=\s|$)", re.ASCII)
_WAIT = re.compile(r"(?<![A-Za-z])W:\s*(\d+|\?)", re.ASCII)


def parse_temperatures(line: str) -> Temperatures | None:
    """`ok T:21.05 /0.00 B:21.17 /0.00 @:0 B@:0`, ` T:... W:?`; None for anything else.

    The first occurrence of a sensor counts. A position report may hold `P:` and `B:` too and is none.
    """
    if ":" not in line:
        return None
    beginning = _BEGINNING.match(line)
    if beginning is None or "Y:" in line:
        return None
    text = line[beginning.end() :]
    found = _READING.findall(text)
    if not any(name[0] in "TB" or target for name, _, target in found) and not text.startswith("C:"):
        return None
    power = {heater + index: number_of(value) for heater, index, value in _POWER.findall(text)}
    heaters: dict[str, Heater] = {}
    for name, actual, target in found:
        # Toolchangers number the heatbreaks as well; that of the active tool is enough.
        key = "X" if name[0] == "X" else name
        if key not in heaters:
            # `@:` is the active hotend's, `@1:` that of T1, `B@:` the bed's.
            watts = power.get(key[1:] if key[0] == "T" else key)
            heaters[key] = Heater(number_of(actual), number_of(target) if target else None, watts)
    if "C" not in heaters and "C" in power and "HBR@" in text:
        heaters["C"] = Heater(power["C"])  # Buddy writes the chamber's temperature where others have its power
    if (waited := _EXTRUDER.match(text)) and "T" in heaters:
        heaters[f"T{waited[1]}"] = heaters.pop("T")
    wait = _WAIT.search(text)
    left = wait.group(1) if wait is not None else "?"
    # As long as a bad byte does not make a century of it.
    return Temperatures(heaters, wait is not None, int(left) if left != "?" and len(left) < 7 else None)


def number_of(text: str) -> float:
    """Return the number that a firmware wrote with a point or a comma."""
    return float(text.replace(",", "."))
