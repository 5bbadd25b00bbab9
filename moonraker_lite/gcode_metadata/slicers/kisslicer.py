"""KISSlicer, and Canvas, which runs the core of KISSlicer or, in other versions, of PrusaSlicer."""

from __future__ import annotations

import math
import re

from moonraker_lite.gcode_metadata import layers
from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.fields import integer, minutes, number, positive, some_numbers, some_text
from moonraker_lite.gcode_metadata.rules import Comment, Numbered, Slicer, Table, extend
from moonraker_lite.gcode_metadata.slicers import slic3r

_MONEY = re.compile(rb"\s*+[^\d\s-]?(\d++(?:\.\d*+)?+)")


def _lengths(evidence: Evidence) -> list[float] | None:
    """`;    Ext 1 = 298.83 mm  (0.719 cm^3)`, up to the last tool that was used."""
    found: dict[int, float] = {}
    for tool in range(1, 17):
        value = evidence.first(f"ext {tool}") or evidence.first(f"ext #{tool}")
        length = None if value is None else positive(value)
        if length is not None:
            found[tool] = length
    return [found.get(tool, 0.0) for tool in range(1, max(found) + 1)] if found else None


def _filament(evidence: Evidence) -> float | None:
    """The sum over the tools; older versions state the volume only, beside the diameter."""
    lengths = _lengths(evidence)
    if lengths:
        return sum(lengths)
    volume = positive(evidence.first("estimated build volume") or b"")
    diameter = positive(evidence.first("fiber_dia_mm") or b"")
    return None if volume is None or diameter is None else round(volume * 4000 / (math.pi * diameter**2), 2)


def _nozzles(evidence: Evidence) -> list[float] | None:
    """`nozzle_dia_1`, `nozzle_dia_2`, ...: of as many as the printer has, though twelve are listed."""
    count = integer(evidence.first("num_extruders") or b"") or 1
    sizes: list[float] = Numbered("nozzle_dia_{}", positive)(evidence) or []
    return sizes[: max(1, count)] or None


def _money(value: bytes) -> float | None:
    """An amount behind the sign of a currency."""
    found = _MONEY.match(value)
    return number(found[1]) if found else None


def _density(value: bytes) -> float | None:
    """Percent from the denominator of a fraction; 0 stands for none."""
    denominator = positive(value)
    return None if denominator is None else round(100 / denominator, 1)


TABLE: Table = {
    "object_height": (Comment("end_layer_object z", positive, last=True),),
    "estimated_time": (
        Comment("estimated build time", minutes),
        Comment("calculated-during-export build time", minutes),
        Comment("estimated-in-gui build time", minutes),
    ),
    "nozzle_diameter": (Comment("nozzle_dia_1", positive),),
    "layer_height": (
        Comment("max_layer_thickness_mm", positive, last=True),
        Comment("layer_thickness_mm", positive, last=True),
    ),
    "first_layer_height": (
        Comment("first_layer_thickness_mm", positive, last=True),
        Comment("begin_layer_object z", positive),
    ),
    "first_layer_extr_temp": (Comment("first_layer_c", number),),
    "first_layer_bed_temp": (Comment("bed_c", number),),
    "chamber_temp": (Comment("chamber_c", number),),
    "filament_name": (Comment("material_name", some_text),),
    "filament_total": (_filament,),
    "layer_count": (layers.Marks(b"; BEGIN_LAYER_OBJECT"), layers.numbered),
    "filament_lengths": (_lengths,),
    "filament_cost": (Comment("estimated build cost", _money), Comment("estimated-in-gui build cost", _money)),
    "filament_diameters": (Comment("fiber_dia_mm", some_numbers),),
    "nozzle_diameters": (_nozzles,),
    "print_settings_id": (Comment("style_name", some_text),),
    "printer_settings_id": (Comment("printer_name", some_text),),
    "infill_density": (Comment("infill_density_denominator", _density),),
}

CANVAS_TABLE: Table = extend(
    extend(slic3r.COMMENTS, TABLE),
    {
        "nozzle_diameter": (Comment("nozzlediameter", positive),),
        "layer_height": (Comment("layerthickness", positive),),
        "first_layer_height": (Comment("begin_layer_object z", positive), Comment("firstlayerthickness", positive)),
        "first_layer_extr_temp": (Comment("firstlayertemperature", positive),),
        "first_layer_bed_temp": (Comment("bedtemperature", number),),
        "filament_name": (Comment("materialname", some_text),),
        "layer_count": (layers.numbered,),
        "filament_diameters": (Comment("filamentdiameter", some_numbers),),
        "nozzle_diameters": (Comment("nozzlediameter", some_numbers),),
        "infill_density": (Comment("infilldensitydenominator", _density),),
        "infill_pattern": (Comment("infillstyle", some_text),),
    },
)

SLICERS = (
    Slicer("KISSlicer", (rb"KISSlicer[^\n]*\n(?:;[^\n]*\n){0,3}?;[ \t]*version ([^\r\n]*)",), TABLE, blank="-"),
    Slicer("Canvas", (rb"Sliced by Canvas\b()",), CANVAS_TABLE),
)
