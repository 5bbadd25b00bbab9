"""Slic3r and its line: Slic3r PE, PrusaSlicer, SuperSlicer. Also the base for the Bambu and Orca line.

Facts stand in a footer of `; key = value` lines: first what was computed, then the whole configuration.
"""

from __future__ import annotations

from moonraker_lite.gcode_metadata import labels, layers
from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.fields import (
    MAX_ITEMS,
    colors,
    duration,
    each_millimetres,
    grams,
    integer,
    integers,
    metres,
    millimetres,
    names,
    number,
    numbers,
    percent,
    seconds_or_duration,
    some_numbers,
    some_text,
    switch,
    total,
    unquoted,
)
from moonraker_lite.gcode_metadata.rules import (
    Comment,
    EachLine,
    OfTool,
    PercentOf,
    Slicer,
    Table,
    extend,
    nothing_listed,
)


def several_tools(evidence: Evidence) -> list[int] | None:
    """The tools that are used. One printer's only tool is not worth a list: Moonraker's clients expect it empty."""
    tools = evidence.used_tools
    return list(tools) if tools and tools != (0,) else None


def _lengths(evidence: Evidence) -> list[float] | None:
    """`; filament used = 1482.1mm (10.5cm3)` of Slic3r, one line per tool or all in one line."""
    found = [length for value in evidence.all("filament used") for length in each_millimetres(value)]
    return found[:MAX_ITEMS] or None


def _some_duration(value: bytes) -> int | float | None:
    """Some versions of OrcaSlicer state a fraction of a second, or nothing, for the first layer."""
    return duration(value) or seconds_or_duration(value) or None


def _one_length(value: bytes) -> list[float] | None:
    length = metres(value)
    return None if length is None else [length]


_LAYER_HEIGHT = Comment("layer_height", number)
_FIRST_LAYER_HEIGHT = PercentOf("first_layer_height", _LAYER_HEIGHT)

COMMENTS: Table = {
    "object_height": (Comment("max_layer_z", number, last=True),),
    "estimated_time": (
        Comment("estimated printing time (normal mode)", duration),
        Comment("estimated printing time", duration),
    ),
    "nozzle_diameter": (OfTool("nozzle_diameter", number),),
    "layer_height": (_LAYER_HEIGHT,),
    "first_layer_height": (_FIRST_LAYER_HEIGHT,),
    "first_layer_extr_temp": (OfTool("first_layer_temperature", number),),
    "first_layer_bed_temp": (OfTool("first_layer_bed_temperature", number),),
    "chamber_temp": (OfTool("chamber_temperature", number),),
    "filament_name": (Comment("filament_settings_id", names),),
    "filament_colors": (Comment("filament_colour", colors),),
    "extruder_colors": (Comment("extruder_colour", colors),),
    "filament_temps": (Comment("temperature", integers),),
    "filament_type": (Comment("filament_type", names),),
    "filament_total": (
        Comment("filament used [mm]", total),
        EachLine("filament used", millimetres),
        Comment("filament_length_m", metres),
    ),
    "filament_change_count": (Comment("total toolchanges", integer),),
    "filament_weight_total": (
        Comment("total filament used [g]", number),
        Comment("filament used [g]", total),
        # Slic3r PE states length and weight in two lines with the same key.
        EachLine("filament used", grams),
    ),
    "filament_weights": (Comment("filament used [g]", numbers), Comment("total filament used [g]", numbers)),
    "printer_vendor": (Comment("printer_vendor", unquoted),),
    "printer_model": (Comment("printer_model", unquoted),),
    "printer_variant": (Comment("printer_variant", unquoted),),
    "profile_version": (Comment("profile_version", some_text),),
    "mmu_print": (Comment("single_extruder_multi_material", integer),),
    "referenced_tools": (several_tools,),
    "layer_count": (
        Comment("total layers count", integer),
        Comment("num_layers", integer),
        layers.Marks(b";LAYER_CHANGE"),
        layers.numbered,
        layers.Marks(b";BEFORE_LAYER_CHANGE"),
        layers.evenly_spaced,
        layers.Fitting(_FIRST_LAYER_HEIGHT, _LAYER_HEIGHT),
    ),
    "filament_lengths": (Comment("filament used [mm]", numbers), _lengths, Comment("filament_length_m", _one_length)),
    "filament_cost": (Comment("total filament cost", number), Comment("filament cost", total)),
    "filament_diameters": (Comment("filament_diameter", some_numbers),),
    "filament_densities": (Comment("filament_density", some_numbers),),
    "nozzle_diameters": (Comment("nozzle_diameter", some_numbers),),
    "first_layer_time": (
        Comment("estimated first layer printing time (normal mode)", _some_duration),
        Comment("estimated first layer printing time", _some_duration),
    ),
    "estimated_time_silent": (Comment("estimated printing time (silent mode)", _some_duration),),
    "print_settings_id": (Comment("print_settings_id", some_text),),
    "printer_settings_id": (Comment("printer_settings_id", some_text),),
    "infill_density": (Comment("fill_density", percent),),
    "infill_pattern": (Comment("fill_pattern", some_text),),
    "support": (Comment("support_material", switch),),
    "objects": (labels.defined, labels.listed, labels.described, labels.Labelled(("printing object", "M486"))),
}

EMPTY_LISTS: Table = dict.fromkeys(
    ("filament_colors", "extruder_colors", "filament_temps", "referenced_tools"), (nothing_listed,)
)
"""Lists that are answered even when they are empty."""

TABLE: Table = extend(EMPTY_LISTS, COMMENTS)

_VERSION = rb"([^\r\n]*?)(?= on \d|[\r\n]|\Z)"

SLICERS = (
    Slicer("PrusaSlicer", (rb"generated by PrusaSlicer " + _VERSION,), TABLE),
    Slicer("SuperSlicer", (rb"generated by SuperSlicer " + _VERSION,), TABLE),
    Slicer("Slic3r PE", (rb"generated by Slic3r Prusa Edition " + _VERSION,), TABLE),
    Slicer("Slic3r", (rb"generated by Slic3r " + _VERSION,), TABLE),
)
