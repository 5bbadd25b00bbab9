"""KISSlicer, and Canvas, which runs the core of KISSlicer or, in other versions, of PrusaSlicer."""

from __future__ import annotations

from moonraker_lite.gcode_metadata import moves
from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.fields import minutes, number, positive, some_text
from moonraker_lite.gcode_metadata.rules import Comment, Slicer, Table, extend
from moonraker_lite.gcode_metadata.slicers import slic3r


def _filament(evidence: Evidence) -> float | None:
    """Sum over `;    Ext 1 = 298.83 mm  (0.719 cm^3)`, the last line of each tool."""
    lengths = [positive(value) for tool in range(1, 17) if (value := evidence.first(f"ext {tool}")) is not None]
    return sum(length for length in lengths if length) if lengths else None


TABLE: Table = {
    "object_height": (Comment("end_layer_object z", positive, last=True),),
    "estimated_time": (Comment("estimated build time", minutes),),
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
        "layer_count": (moves.last_layer_number,),
    },
)

SLICERS = (
    Slicer("KISSlicer", (rb"KISSlicer[^\n]*\n(?:;[^\n]*\n){0,3}?;[ \t]*version ([^\r\n]*)",), TABLE, blank="-"),
    Slicer("Canvas", (rb"Sliced by Canvas\b()",), CANVAS_TABLE),
)
