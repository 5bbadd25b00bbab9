"""Slicers with a handful of facts each: IceSL, Kiri:Moto, FlashPrint, Miracle-Grue, Skeinforge, Fusion, Pathio."""

from __future__ import annotations

import re

from moonraker_lite.gcode_metadata import layers
from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.fields import (
    duration,
    integer,
    number,
    percent,
    positive,
    seconds_or_duration,
    some_numbers,
    some_text,
    switch,
)
from moonraker_lite.gcode_metadata.rules import Comment, Derived, Numbered, Pattern, Slicer, Table
from moonraker_lite.gcode_metadata.slicers import cura


def _icesl_first_layer(evidence: Evidence) -> float | None:
    """The option for the first layer counts only when it is switched on."""
    on = (evidence.first("use_different_thickness_first_layer") or b"True").strip() == b"True"
    key = "z_layer_height_first_layer_mm" if on else "z_layer_height_mm"
    height: float | None = Comment(key, positive)(evidence)
    return height


ICESL: Table = {
    "object_height": (Comment("print_height_mm", positive),),
    "estimated_time": (Comment("estimated_print_time_s", positive),),
    "nozzle_diameter": (Comment("nozzle_diameter_mm_0", positive),),
    "layer_height": (Comment("z_layer_height_mm", positive),),
    "first_layer_height": (_icesl_first_layer,),
    "first_layer_extr_temp": (Comment("extruder_temp_degree_c_0", number),),
    "first_layer_bed_temp": (Comment("bed_temp_degree_c", number),),
    "chamber_temp": (Comment("chamber_temp_degree_c", number),),
    "filament_total": (Comment("filament_used_mm", positive),),
    "filament_weight_total": (Comment("filament_used_g", positive),),
    "layer_count": (
        Comment("layer_count", integer),
        layers.numbered,
        layers.Fitting(_icesl_first_layer, Comment("z_layer_height_mm", positive), ("add_raft", "gen_supports")),
    ),
    "filament_diameters": (Numbered("filament_diameter_mm_{}", positive, start=0),),
    "nozzle_diameters": (Numbered("nozzle_diameter_mm_{}", positive, start=0),),
    "infill_density": (Comment("infill_percentage_0", percent),),
    "infill_pattern": (Comment("infill_type_0", some_text),),
    "support": (Comment("gen_supports", switch),),
}

KIRIMOTO: Table = {
    "estimated_time": (Comment("print time", duration, last=True),),
    "layer_height": (Comment("sliceheight", positive),),
    "first_layer_height": (Comment("firstsliceheight", positive),),
    # 0 stands for "as the other layers".
    "first_layer_extr_temp": (
        Comment("firstlayernozzletemp", positive),
        Comment("outputtemp", positive),
    ),
    "first_layer_bed_temp": (
        Comment("firstlayerbedtemp", positive),
        Comment("outputbedtemp", positive),
    ),
    "filament_total": (Comment("filament used", number, last=True),),
    "layer_count": (layers.numbered,),
    "printer_model": (Comment("target", some_text),),
    "filament_lengths": (Comment("filament used", some_numbers, last=True),),
    "print_settings_id": (Comment("processname", some_text),),
    "infill_density": (Comment("slicefillsparse", percent),),
    "infill_pattern": (Comment("slicefilltype", some_text),),
    "support": (Comment("slicesupportenable", switch),),
}

FLASHPRINT: Table = {
    "layer_height": (Comment("layer_height", positive),),
    "first_layer_extr_temp": (
        Comment("right_extruder_temperature", positive),
        Comment("left_extruder_temperature", positive),
    ),
    "first_layer_bed_temp": (Comment("platform_temperature", number),),
    "chamber_temp": (Comment("chamber_temperature", positive),),
    "filament_type": (
        Comment("right_extruder_material", some_text),
        Comment("left_extruder_material", some_text),
    ),
    "layer_count": (Comment("layer_total_count", integer), Comment("layer_count", integer)),
    "printer_model": (Comment("machine_type", some_text),),
    "filament_diameters": (Numbered("filament_diameter{}", positive, start=0),),
    "filament_densities": (
        Comment("right_extruder_material_density", some_numbers),
        Comment("left_extruder_material_density", some_numbers),
    ),
    "infill_density": (Comment("fill_density", percent),),
    "infill_pattern": (Comment("fill_pattern", some_text),),
}

MIRACLEGRUE: Table = {
    # Its layers have a height each; the second one's is that of the rest.
    "layer_height": (
        Pattern(re.compile(rb"\n\(Slice 1,[^\n]*\n\(Layer Height:[ \t]*([\d.]+)"), positive),
        Comment("layer height", positive),
    ),
    "layer_count": (layers.numbered,),
}

SKEINFORGE: Table = {"layer_count": (layers.Marks(b"(<layer> "),)}

FUSION: Table = {
    "estimated_time": (Comment("print time", duration),),
    "layer_count": (Comment("layer count", integer),),
    "filament_total": (Derived(Numbered("extruder {} material used", number), sum),),
    "filament_lengths": (Numbered("extruder {} material used", number),),
    "filament_name": (Comment("extruder 1 material name", some_text),),
    "first_layer_extr_temp": (Comment("extruder 1 temp", positive),),
    "first_layer_bed_temp": (Comment("bed temp", positive),),
    "nozzle_diameter": (Comment("extruder 1 nozzle diameter", positive),),
}

PATHIO: Table = {**cura.TABLE, "estimated_time": (Comment("print.time", seconds_or_duration),)}

SLICERS = (
    Slicer("IceSL", (rb"<IceSL ([^>\r\n]*)>",), ICESL),
    Slicer("SimplyPrint", (rb"Generated by Kiri:Moto \(SimplyPrint\) ([^\r\n]*)",), KIRIMOTO),
    Slicer("Kiri:Moto", (rb"Generated by Kiri:Moto ([^\r\n]*)",), KIRIMOTO),
    Slicer("FlashPrint", (rb"generated by ffslicer (\S+)",), FLASHPRINT),
    Slicer("Miracle-Grue", (rb"\* Generated by Miracle-Grue v ([^)\r\n]*)",), MIRACLEGRUE),
    Slicer("Skeinforge", (rb"<creation> skeinforge\b()", rb"<layer> [\d.]+ \)()"), SKEINFORGE),
    Slicer("Fusion", (rb"Fusion version:[ \t]*([^\r\n]*)",), FUSION),
    Slicer("Pathio", (rb"GENERATOR\.NAME:[ \t]*Pathio[ \t]*\r?\n;GENERATOR\.VERSION:([^\r\n]*)",), PATHIO),
)
