"""ideaMaker: a header with numbered `key #n: value` lines, marks at each layer, results at the end."""

from __future__ import annotations

import math
import re

from moonraker_lite.gcode_metadata import labels, layers, moves
from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.fields import MAX_ITEMS, names, number, numbers, positive, some_text
from moonraker_lite.gcode_metadata.model import Box
from moonraker_lite.gcode_metadata.rules import Comment, Derived, Numbered, Slicer, Table
from moonraker_lite.gcode_metadata.window import last_match

_LAYER_THICKNESS = re.compile(rb"\n;LAYER:([01])\r?\n;Z:[^\n]*\n;HEIGHT:(\d+\.?\d*)")
_LAST_THICKNESS = re.compile(rb"\n;LAYER:[1-9]\d*\r?\n;Z:[^\n]*\n;HEIGHT:(\d+\.?\d*)")
_FIRST_TIME = re.compile(rb"\n;PRINTING_TIME: ?([1-9]\d*)")
_LENGTHS = Numbered("material#{} used", number)


def _weight(evidence: Evidence) -> float | None:
    """From length, diameter (mm) and density (kg/m³) of each material."""
    weight = 0.0
    lengths = _LENGTHS(evidence) or []
    for tool, length in enumerate(lengths, 1):
        diameter = number(evidence.first(f"filament diameter #{tool}") or b"")
        density = number(evidence.first(f"filament density #{tool}") or b"")
        if diameter is None or density is None:
            return None
        weight += math.pi * (diameter / 2) ** 2 * length * density / 1e6
    return weight if lengths else None


def _thickness(evidence: Evidence, layer: bytes) -> float | None:
    """Thickness of a layer above the raft (whose layers have negative numbers)."""
    for found in _LAYER_THICKNESS.finditer(evidence.windows.head):
        if found[1] == layer:
            return positive(found[2])
    return None


def _layer_height(evidence: Evidence) -> float | None:
    """Of the second layer; where that is far away, of the last one."""
    found = _thickness(evidence, b"1")
    if found is None and (last := last_match(_LAST_THICKNESS, evidence.windows.tail, (b"\n;LAYER:",))):
        found = positive(last[1])
    return found


def _first_layer_time(evidence: Evidence) -> float | None:
    """What has passed at the second layer's mark. A raft's first layer counts as the first."""
    found = _FIRST_TIME.search(evidence.windows.head)
    return positive(found[1]) if found else None


def _box(value: bytes) -> Box | None:
    box = numbers(value)
    if box is None or len(box) < 4 or box[1] <= box[0] or box[3] <= box[2]:
        return None
    return Box(box[0], box[2], box[1], box[3])


def _several_names(found: list[str]) -> str | None:
    return names(b";".join(b'"' + name.replace('"', "").encode() + b'"' for name in found))


def _densities(found: list[float]) -> list[float]:
    """kg/m³ in the file."""
    return [density / 1000 for density in found]


def _first_layer_height(evidence: Evidence) -> float | None:
    return _thickness(evidence, b"0")


def _box_height(value: bytes) -> float | None:
    """`min x, max x, min y, max y, min z, max z` with blanks between."""
    box = numbers(value)
    return box[5] if box is not None and 6 <= len(box) <= MAX_ITEMS else None


def _nozzles(value: bytes) -> list[float] | None:
    """The numbers behind the three of the build volume."""
    return (numbers(value) or [])[3:] or None


def _nozzle(value: bytes) -> float | None:
    sizes = _nozzles(value)
    return sizes[0] if sizes else None


TABLE: Table = {
    "object_height": (Comment("bounding box", _box_height),),
    "estimated_time": (Comment("print time", positive, last=True),),
    "nozzle_diameter": (Comment("dimension", _nozzle),),
    "layer_height": (_layer_height,),
    "first_layer_height": (_first_layer_height,),
    "filament_name": (Derived(Numbered("filament name #{}", some_text), _several_names),),
    "filament_type": (Derived(Numbered("filament type #{}", some_text), _several_names),),
    "filament_total": (Derived(_LENGTHS, sum),),
    "filament_weight_total": (_weight,),
    "layer_count": (layers.numbered,),
    "referenced_tools": (moves.tools,),
    "printer_model": (Comment("printer type", some_text),),
    "filament_lengths": (_LENGTHS,),
    "filament_cost": (Derived(Numbered("material#{} cost", number), sum),),
    "filament_diameters": (Numbered("filament diameter #{}", positive),),
    "filament_densities": (Derived(Numbered("filament density #{}", positive), _densities),),
    "nozzle_diameters": (Comment("dimension", _nozzles),),
    "first_layer_time": (_first_layer_time,),
    "objects": (labels.defined, labels.Labelled(("PRINTING",))),
    "bounding_box": (Comment("bounding box", _box),),
}

SLICERS = (Slicer("IdeaMaker", (rb"Sliced by ideaMaker ([^\r\n,]*)",), TABLE),)
