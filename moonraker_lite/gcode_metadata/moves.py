"""Facts that have to be taken from the G-code itself: heights, tools and the temperatures of the start code.

Used only where the comments do not state them, and only within the windows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from moonraker_lite.gcode_metadata import fields
from moonraker_lite.gcode_metadata.evidence import LAYER_MARK, Evidence
from moonraker_lite.gcode_metadata.rules import Table
from moonraker_lite.gcode_metadata.window import EXTRUDING_MOVE

_HEIGHT_EVENT = re.compile(rb"\n(?:[Gg]9([01])\b|[Gg]0?[0-3][ \t][^\n;(Z]*+Z([+-]?+(?:\d++(?:\.\d*+)?+|\.\d++)))")
"""Absolute or relative mode, or a move with a Z word."""
_PLANE_MOVE = re.compile(rb"\n[Gg]0?[0-3][ \t][^\n;(XY]*+[XY]-?[\d.]")
_LAYER_Z = re.compile(rb"\n;Z:(\d++(?:\.\d*+)?+|\.\d++)")
_TOOL = re.compile(rb"\nT(\d{1,2}+)(?=[\s;])")
_TEMPERATURE = re.compile(rb"\n(M104|M109|M140|M190|M141|M191|G10)(?=[ \t])([^\n;]*+)")
_WORD = re.compile(rb"\b([STRP])[ ]?(\d++(?:\.\d*+)?+)")
_START_MACRO = re.compile(rb"\n(?:print_start|start_print|printstart|startprint)\b([^\n;]*+)", re.IGNORECASE)
_MACRO_WORD = re.compile(rb"([A-Za-z_]+)=(\d++(?:\.\d*+)?+)")
_LAYER_INDEX = re.compile(rb"\n;++[ \t-]*+layer[ :]++(\d{1,6})\b", re.IGNORECASE)
_PROGRESS = re.compile(rb"\nM73 P0 R(\d{1,6})\b")

_NOZZLE_WORDS = (
    b"extruder",
    b"extruder_temp",
    b"hotend",
    b"hotend_temp",
    b"nozzle",
    b"nozzle_temp",
    b"tool_temp",
    b"temp",
)
_BED_WORDS = (b"bed", b"bed_temp")
_CHAMBER_WORDS = (b"chamber", b"chamber_temp")
MAX_MACRO = 4096
MAX_PLAUSIBLE_Z = 10_000.0


def layer_change_height(evidence: Evidence) -> float | None:
    """The highest `;Z:` that PrusaSlicer and its kin write at a layer change."""
    marks = _LAYER_Z.findall(evidence.windows.tail)
    return max((height for height in map(fields.number, marks) if height is not None), default=None)


def printed_height(evidence: Evidence) -> float | None:
    """The highest Z at which filament is fed; lifts of the start and end code and between travels do not count.

    Reads more of the tail when the last layer is longer than the window.
    """
    windows = evidence.windows
    while True:
        data = windows.tail
        first = LAYER_MARK.search(data)
        height = _highest(data, first.start() if first else 0, EXTRUDING_MOVE)
        if height is not None or not windows.grow_tail():
            return height


def drawn_height(evidence: Evidence) -> float | None:
    """The highest Z of a file that feeds no filament at all (a drawing, a motion test)."""
    return _highest(evidence.windows.tail, 0, _PLANE_MOVE)


def drawn_first_height(evidence: Evidence) -> float | None:
    return _lowest(evidence.windows.head, _PLANE_MOVE)


def first_layer_height(evidence: Evidence) -> float | None:
    """Z of the first layer: the first printing height after its mark, without a mark the lowest of all."""
    data = evidence.windows.head
    mark = LAYER_MARK.search(data)
    if mark is None:
        return _lowest(data, EXTRUDING_MOVE)
    for height, begin, limit in _heights(data, mark.start()):
        if height > 0 and EXTRUDING_MOVE.search(data, begin, limit):
            return height
    return None


def tools(evidence: Evidence) -> list[int] | None:
    """Tools that are selected and then print something within the windows; None when it is one or none."""
    windows = evidence.windows
    found: set[int] = set()
    for data in (windows.head,) if windows.whole else (windows.head, windows.tail):
        selections = list(_TOOL.finditer(data))
        for index, selection in enumerate(selections):
            tool = int(selection[1])
            limit = selections[index + 1].start() if index + 1 < len(selections) else len(data)
            if tool not in found and EXTRUDING_MOVE.search(data, selection.end(), limit):
                found.add(tool)
    return sorted(found) if len(found) > 1 else None


def nozzle_temperature(evidence: Evidence) -> float | None:
    """What the start code heats the first printing tool to, last of all.

    Zero does not count: it is a placeholder, or switches off.
    """
    stated = _macro(evidence, _NOZZLE_WORDS)
    if stated is not None:
        return stated
    result = other = None
    for command, words in _temperatures(evidence):
        if command not in (b"M104", b"M109", b"G10"):
            continue
        heat = words.get(b"S") or words.get(b"R")
        tool = words.get(b"P" if command == b"G10" else b"T")
        if heat and tool in (None, evidence.first_tool):
            result = heat
        elif heat:
            other = heat
    return result or other


def bed_temperature(evidence: Evidence) -> float | None:
    return _heat(evidence, (b"M140", b"M190"), _BED_WORDS)


def chamber_temperature(evidence: Evidence) -> float | None:
    return _heat(evidence, (b"M141", b"M191"), _CHAMBER_WORDS)


def last_layer_number(evidence: Evidence) -> int | None:
    """The highest number of the `; layer N` marks near the end."""
    return max(map(int, _LAYER_INDEX.findall(evidence.windows.tail)), default=None)


def layers_from_zero(evidence: Evidence) -> int | None:
    last = last_layer_number(evidence)
    return None if last is None else last + 1


def progress_time(evidence: Evidence) -> int | None:
    """Seconds remaining at the start, from the slicer's own `M73 P0 R<minutes>`."""
    found = _PROGRESS.search(evidence.windows.head)
    return int(found[1]) * 60 if found and int(found[1]) else None


def _highest(data: bytes, start: int, printing: re.Pattern[bytes]) -> float | None:
    highest: float | None = None
    if printing.search(data, start) is None:
        return None
    for height, begin, limit in _heights(data, start):
        if (highest is None or height > highest) and printing.search(data, begin, limit):
            highest = height
    return highest


def _lowest(data: bytes, printing: re.Pattern[bytes]) -> float | None:
    lowest: float | None = None
    if printing.search(data) is None:
        return None
    for height, begin, limit in _heights(data, 0):
        if height > 0 and (lowest is None or height < lowest) and printing.search(data, begin, limit):
            lowest = height
    return lowest


def _heights(data: bytes, start: int) -> Iterator[tuple[float, int, int]]:
    """Absolute Z values with the range of bytes for which each holds."""
    relative = False
    current: tuple[float, int] | None = None
    for event in _HEIGHT_EVENT.finditer(data, start):
        if event[1]:
            relative = event[1] == b"1"
            continue
        if current is not None:
            yield *current, event.start()
        height = None if relative else fields.number(event[2])
        current = (height, event.start()) if height is not None and height <= MAX_PLAUSIBLE_Z else None
    if current is not None:
        yield *current, len(data)


def _macro(evidence: Evidence, wanted: tuple[bytes, ...]) -> float | None:
    """A parameter of a Klipper start macro such as `PRINT_START BED=60 EXTRUDER=210`, when it is above zero."""
    found = _START_MACRO.search(evidence.start)
    if found is None:
        return None
    words = {name.lower(): fields.positive(value) for name, value in _MACRO_WORD.findall(found[1][:MAX_MACRO])}
    return next((words[name] for name in wanted if words.get(name)), None)


def _heat(evidence: Evidence, commands: tuple[bytes, ...], macro_words: tuple[bytes, ...]) -> float | None:
    stated = _macro(evidence, macro_words)
    if stated is not None:
        return stated
    result = None
    for command, words in _temperatures(evidence):
        if command in commands:
            result = words.get(b"S") or words.get(b"R") or result
    return result


def _temperatures(evidence: Evidence) -> Iterator[tuple[bytes, dict[bytes, float]]]:
    for command, rest in _TEMPERATURE.findall(evidence.start):
        yield command, {letter: fields.number(value) or 0.0 for letter, value in _WORD.findall(rest)}


TABLE: Table = {
    "object_height": (layer_change_height, printed_height),
    "estimated_time": (progress_time,),
    "first_layer_height": (first_layer_height,),
    "first_layer_extr_temp": (nozzle_temperature,),
    "first_layer_bed_temp": (bed_temperature,),
    "chamber_temp": (chamber_temperature,),
}
"""For every slicer: what to try when its comments do not state a fact."""
