"""Programs that kept Cura's header, and Cura's own of 2012 to 2015."""

from __future__ import annotations

import base64
import binascii
import re
import zlib

import msgspec

from moonraker_lite.gcode_metadata import layers, moves
from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.fields import (
    duration,
    grams,
    integer,
    metres,
    millimetres,
    names,
    number,
    percent,
    positive,
    seconds_or_duration,
    some_numbers,
    some_text,
    some_total,
    switch,
)
from moonraker_lite.gcode_metadata.rules import (
    BoxOf,
    Comment,
    Numbered,
    OfTool,
    Pattern,
    Reader,
    Slicer,
    Table,
    extend,
)
from moonraker_lite.gcode_metadata.slicers import cura

_PROFILE = b"\n;CURA_PROFILE_STRING:"
MAX_PACKED = 64 * 1024
MAX_PROFILE = 256 * 1024


class OldSetting(msgspec.Struct, frozen=True):
    """A setting of the profile that legacy Cura appends: base64 of a zlib stream of `key=value`, separated by BS."""

    key: str
    read: Reader

    def __call__(self, evidence: Evidence) -> object:
        profile = evidence.once(_profile)
        begin = profile.find(b"\b" + self.key.encode() + b"=")
        if begin < 0:
            return None
        begin += len(self.key) + 2
        end = profile.find(b"\b", begin)
        return self.read(profile[begin : end if end >= 0 else len(profile)].split(b"\n", 1)[0])


def _profile(evidence: Evidence) -> bytes:
    tail = evidence.windows.tail
    begin = tail.rfind(_PROFILE)
    if begin < 0:
        return b""
    packed = tail[begin + len(_PROFILE) : begin + len(_PROFILE) + MAX_PACKED].split(b"\n", 1)[0]
    try:
        text = zlib.decompressobj().decompress(base64.b64decode(packed.strip()), MAX_PROFILE)
    except (zlib.error, binascii.Error):
        return b""
    # The settings end where the start and end code begin.
    return b"\b" + text.split(b"\f", 1)[0]


def some_length(value: bytes) -> float | None:
    """`0m` stands where Luban could not tell."""
    return millimetres(value) or None


def some_metres(value: bytes) -> float | None:
    return metres(value) or None


def _supports(value: bytes) -> bool:
    return value.strip() != b"None"


OLD_TABLE: Table = extend(
    cura.TABLE,
    {
        "estimated_time": (Comment("print time", duration),),
        "nozzle_diameter": (OldSetting("nozzle_size", positive),),
        "layer_height": (Pattern(re.compile(rb"\n;Basic settings: Layer height: ([\d.]+)"), positive),),
        "filament_weight_total": (Comment("filament used", grams),),
        "layer_count": (Comment("layer count", integer),),
        "filament_diameters": (OldSetting("filament_diameter", some_numbers),),
        "infill_density": (
            Pattern(re.compile(rb"\n;Basic settings: [^\r\n]{0,200}?Fill: ([\d.]+)"), percent),
            OldSetting("fill_density", percent),
        ),
        "support": (OldSetting("support", _supports),),
    },
)

CREALITY_TABLE: Table = extend(
    cura.TABLE,
    {
        "filament_type": (Comment("material type", some_text),),
        "filament_name": (Comment("material name", some_text),),
        "printer_model": (Comment("machine name", some_text),),
        "filament_diameters": (Comment("material diameter", some_numbers),),
        "filament_densities": (Comment("material density", some_numbers),),
        "infill_density": (Comment("infill sparse density", percent),),
        "infill_pattern": (Comment("infill pattern", some_text),),
        "support": (Comment("support enable", switch),),
        # Cost and weight of one metre, and 0 for "unknown": nothing to take for the print's.
        "filament_cost": (),
    },
)

LUBAN_TABLE: Table = {
    **cura.TABLE,
    "object_height": (Comment("max_z(mm)", positive), Comment("work range - max z", positive)),
    "estimated_time": (
        Comment("time", positive),
        Comment("estimated_time(s)", positive),
        Comment("estimated print time", seconds_or_duration),
    ),
    "nozzle_diameter": (Comment("nozzle_0_diameter(mm)", positive), Comment("extruder 0 nozzle size", positive)),
    "first_layer_extr_temp": (
        Comment("nozzle_0_temperature(°c)", positive),
        Comment("nozzle_temperature(°c)", positive),
        Comment("extruder 0 print temperature", positive),
    ),
    "first_layer_bed_temp": (
        Comment("build_plate_temperature(°c)", positive),
        Comment("bed temperature", positive),
    ),
    "filament_type": (Comment("nozzle_0_material", some_text), Comment("extruder 0 material", some_text)),
    "filament_total": (
        Comment("filament used", some_length),
        Comment("matierial_length", some_metres),
    ),
    "filament_weight_total": (Comment("matierial_weight", some_total),),
    "printer_model": (Comment("machine", some_text), Comment("printer", some_text)),
    "layer_count": (Comment("layer_count", integer), Comment("layer_number", integer), layers.numbered),
    "nozzle_diameters": (Numbered("nozzle_{}_diameter(mm)", positive, start=0),),
    "bounding_box": (
        BoxOf("min_x(mm)", "min_y(mm)", "max_x(mm)", "max_y(mm)"),
        BoxOf("work range - min x", "work range - min y", "work range - max x", "work range - max y"),
    ),
}

MATTERSLICE_TABLE: Table = extend(
    cura.TABLE,
    {
        "estimated_time": (Comment("total print time (s)", positive),),
        "layer_height": (Comment("layerthickness", positive),),
        "first_layer_height": (Comment("firstlayerthickness", positive),),
        "layer_count": (Comment("layer count", integer),),
        "filament_type": (Comment("filament_type", names),),
        "nozzle_diameter": (OfTool("nozzle_diameter", positive),),
        "referenced_tools": (moves.tools,),
        "filament_lengths": (Numbered("filament used extruder {} (mm)", number),),
        "filament_diameters": (Comment("filamentdiameter", some_numbers),),
        "infill_density": (Comment("infillpercent", percent),),
        "infill_pattern": (Comment("infilltype", some_text),),
        "support": (Comment("generatesupport", switch),),
    },
)

SLICERS = (
    Slicer("Cura", (rb"Sliced [^\r\n]{0,1000}?at:()",), OLD_TABLE),
    Slicer("Creality Slicer", (rb"Generated with Creality Slicer ([^\r\n]*)",), CREALITY_TABLE),
    Slicer("Creality Print", (rb"Creality Print Version[ \t]*:[ \t]*V?([^\r\n]*)",), CREALITY_TABLE),
    Slicer("Snapmaker Luban", (rb"Generated by Snapmaker Luban ([^\r\n]*)",), LUBAN_TABLE),
    Slicer("MatterSlice", (rb"Generated with MatterSlice ([^\r\n]*)",), MATTERSLICE_TABLE),
)
