"""How slicers say in a G-code file which object is being printed: their comments, and M486.

A file is read with one `Style`, the best one that is found in it, because some slicers write two kinds of labels side
by side. Everything here is pure and takes any bytes.

Sources: the files of PrusaSlicer, SuperSlicer, Slic3r, OrcaSlicer, BambuStudio, Cura and ideaMaker themselves, and
Marlin's and RepRapFirmware's documentation of M486.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

MAX_NAME = 100
"""Characters of an object's name."""


class Mark(Enum):
    START = "start"
    """Moves of the object `key` follow."""
    END = "end"
    """Moves that belong to no object follow."""
    NAME = "name"
    """The object `key` is called `name`; nothing starts or ends."""


class Label(NamedTuple):
    """What one line says. `key` tells objects apart, `name` is what people call it (empty: the same as `key`)."""

    mark: Mark
    key: str = ""
    name: str = ""


class Style(NamedTuple):
    """One slicer's way of labelling.

    `needles` are bytes one of which a labelled file has, for a quick look. `opening` matches a line that begins an
    object, `lines` every line that `read` understands; both are sources of regular expressions that match at the
    beginning of a line and not beyond its end.
    """

    name: str
    needles: tuple[bytes, ...]
    opening: bytes
    lines: bytes
    read: Callable[[bytes], Label | None]


_SWITCH = re.compile(rb"[Mm]486[ \t]+(?:S[ \t]*(-?\d{1,9})\b)?[ \t]*(?:A[ \t]*([^\n]*))?")
_UNIQUE = re.compile(rb";[ \t]*(start|stop) printing object, unique label id:[ \t]*(\w+)")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')


def _read_switch(line: bytes) -> Label | None:
    """`M486 S3`, `M486 S3 A"name"`, `M486 Aname` (of the object of the last S), `M486 S-1`."""
    found = _SWITCH.match(line)
    if found is None:
        return None
    number, name = found.groups()
    text = _text(name or b"")
    if quoted := _QUOTED.match(text):
        text = quoted[1].replace('""', '"')
    if number is None:
        return Label(Mark.NAME, "", text) if text else None
    return Label(Mark.END) if number.startswith(b"-") else Label(Mark.START, str(int(number)), text)


def _read_sentence(line: bytes) -> Label:
    """`; printing object Cube.stl id:0 copy 1`, `; stop printing object Cube.stl id:0 copy 1`."""
    before, _, name = line.partition(b"printing object")
    return Label(Mark.END) if b"stop" in before else Label(Mark.START, _text(name))


def _read_unique(line: bytes) -> Label | None:
    """`; start printing object, unique label id: 187`, `; stop printing object, unique label id: 187`."""
    found = _UNIQUE.match(line)
    if found is None:
        return None
    return Label(Mark.END) if found[1] == b"stop" else Label(Mark.START, f"object {_text(found[2])}")


def _read_object_id(line: bytes) -> Label:
    """`; OBJECT_ID: 91`; a new layer, a tool change and what is printed for all objects end it."""
    _, colon, number = line.partition(b"OBJECT_ID:")
    return Label(Mark.START, f"object {_text(number)}") if colon else Label(Mark.END)


def _read_mesh(line: bytes) -> Label:
    """`;MESH:Cube.stl(1)`, `;MESH:NONMESH`."""
    name = _text(line.partition(b":")[2])
    return Label(Mark.END) if name == "NONMESH" else Label(Mark.START, name)


def _read_printing(line: bytes) -> Label:
    """`;PRINTING: Cube.stl`, `;PRINTING: NON-OBJECT`."""
    name = _text(line.partition(b":")[2])
    return Label(Mark.END) if name == "NON-OBJECT" else Label(Mark.START, name)


STYLES = (
    Style(
        "M486",
        (b"M486", b"m486"),
        rb"[Mm]486[ \t]+S[ \t]*\d",
        rb"[Mm]486[ \t][^\n]*",
        _read_switch,
    ),
    Style(
        "printing object",
        (b"printing object ",),
        rb";[ \t]*printing object [^\n]*",
        rb";[ \t]*(?:stop )?printing object [^\n]*",
        _read_sentence,
    ),
    Style(
        "unique label id",
        (b"printing object, unique label id:",),
        rb";[ \t]*start printing object, unique label id:",
        rb";[ \t]*(?:start|stop) printing object, unique label id:[^\n]*",
        _read_unique,
    ),
    Style(
        "OBJECT_ID",
        (b"OBJECT_ID:",),
        rb";[ \t]*OBJECT_ID:",
        rb";[ \t]*(?:OBJECT_ID:|CHANGE_LAYER|LAYER_CHANGE|WIPE_TOWER_START|CP TOOLCHANGE START|MACHINE_END_GCODE_START"
        rb"|filament end gcode|FEATURE: (?:Prime tower|Skirt|Brim|Custom))[^\n]*",
        _read_object_id,
    ),
    Style("MESH", (b";MESH:",), rb";MESH:(?!NONMESH)", rb";MESH:[^\n]*", _read_mesh),
    Style("PRINTING", (b";PRINTING:",), rb";PRINTING:(?![ \t]*NON-OBJECT)", rb";PRINTING:[^\n]*", _read_printing),
)
"""Best first: where firmware can be told itself, slicers say the same in comments, too, and less exactly."""


class Names:
    """Gives every object a name that Klipper can take: letters, digits and `_`, different in upper case, too."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, text: str) -> str:
        """A name for an object that its slicer calls `text`."""
        plain = clean_name(text)
        name, number = plain, 1
        while name.upper() in self._taken:
            number += 1
            name = f"{plain}_{number}"
        self._taken.add(name.upper())
        return name


def clean_name(text: str) -> str:
    """`C:/stl/Cube (1).stl id:0 copy 0` -> `C_stl_Cube_1_stl_id_0_copy_0`; `object` when nothing is left."""
    return re.sub(r"\W+", "_", text).strip("_")[:MAX_NAME] or "object"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()
