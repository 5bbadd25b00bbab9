"""ideaMaker: a header with numbered `key #n: value` lines, marks at each layer, results at the end."""

from __future__ import annotations

import math
import re

from moonraker_lite.gcode_metadata import moves
from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.fields import MAX_ITEMS, number, numbers, positive
from moonraker_lite.gcode_metadata.rules import Comment, Slicer, Table

_LAYER_THICKNESS = re.compile(rb"\n;LAYER:([01])\r?\n;Z:[^\n]*\n;HEIGHT:(\d+\.?\d*)")
_MAX_TOOLS = 8


def _lengths(evidence: Evidence) -> list[float]:
    found = []
    for tool in range(1, _MAX_TOOLS + 1):
        value = evidence.last(f"material#{tool} used")
        length = number(value) if value is not None else None
        if length is None:
            break
        found.append(length)
    return found


def _total(evidence: Evidence) -> float | None:
    lengths = _lengths(evidence)
    return sum(lengths) if lengths else None


def _weight(evidence: Evidence) -> float | None:
    """From length, diameter (mm) and density (kg/m³) of each material."""
    weight = 0.0
    lengths = _lengths(evidence)
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
    return _thickness(evidence, b"1")


def _first_layer_height(evidence: Evidence) -> float | None:
    return _thickness(evidence, b"0")


def _box_height(value: bytes) -> float | None:
    """`min x, max x, min y, max y, min z, max z` with blanks between."""
    box = numbers(value)
    return box[5] if box is not None and 6 <= len(box) <= MAX_ITEMS else None


def _nozzle(value: bytes) -> float | None:
    """The fourth number beside the build volume."""
    sizes = numbers(value)
    return sizes[3] if sizes is not None and len(sizes) >= 4 else None


TABLE: Table = {
    "object_height": (Comment("bounding box", _box_height),),
    "estimated_time": (Comment("print time", positive, last=True),),
    "nozzle_diameter": (Comment("dimension", _nozzle),),
    "layer_height": (_layer_height,),
    "first_layer_height": (_first_layer_height,),
    "filament_total": (_total,),
    "filament_weight_total": (_weight,),
    "layer_count": (moves.layers_from_zero,),
    "referenced_tools": (moves.tools,),
}

SLICERS = (Slicer("IdeaMaker", (rb"Sliced by ideaMaker ([^\r\n,]*)",), TABLE),)
