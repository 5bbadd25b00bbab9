"""Cura: the engine's header of every age, Ultimaker's Griffin header, and the forks that kept Cura's header.

Facts stand in a short header. What a user adds by a post-processing comment (`;Filament type = PLA`) is read as well,
and so are the settings that the user changed, which Cura appends to the file (`;SETTING_3 {...}`).
"""

from __future__ import annotations

import re

import msgspec

from moonraker_lite.gcode_metadata import labels, layers
from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.fields import (
    each_millimetres,
    integer,
    millimetres,
    number,
    percent,
    positive,
    some_text,
    some_total,
    switch,
)
from moonraker_lite.gcode_metadata.model import Box
from moonraker_lite.gcode_metadata.rules import BoxOf, Comment, Numbered, Reader, Slicer, Table

_SETTINGS = re.compile(rb"\n;SETTING_3 ([^\r\n]*+)")
_FIRST_ELAPSED = re.compile(rb"\n;TIME_ELAPSED:(\d++(?:\.\d*+)?+)\r?\n;LAYER:1\b")
MAX_SETTINGS = 64 * 1024


def lengths(evidence: Evidence) -> list[float] | None:
    """`;Filament used: 0.1m, 1.9m`, one per tool, in mm."""
    found = [round(length, 3) for length in each_millimetres(evidence.first("filament used") or b"")]
    return found if any(found) else None


def several_tools(evidence: Evidence) -> list[int] | None:
    """Tools with a length, or a volume, of their own, when they are several."""
    amounts = lengths(evidence) or _volumes(evidence) or []
    used = [tool for tool, amount in enumerate(amounts) if amount > 0]
    return used if len(amounts) > 1 and used != [0] else None


def _volumes(evidence: Evidence) -> list[float] | None:
    found: list[float] | None = Numbered("extruder_train.{}.material.volume_used", number, start=0)(evidence)
    return found


def first_layer_time(evidence: Evidence) -> float | None:
    """`;TIME_ELAPSED:` at the end of the first layer. A raft counts as a part of that."""
    head = evidence.windows.head
    begin = evidence.first_layer_at
    found = _FIRST_ELAPSED.search(head, begin) if begin else None
    return positive(found[1]) if found else None


def griffin_box(evidence: Evidence) -> Box | None:
    """Some versions state 0 for the smallest x and y whatever the print is; that is no box."""
    box: Box | None = BoxOf("print.size.min.x", "print.size.min.y", "print.size.max.x", "print.size.max.y")(evidence)
    return None if box is None or (box.min_x == 0 and box.min_y == 0) else box


class Setting(msgspec.Struct, frozen=True):
    """A setting that the user changed. Its name with blanks around stands in a JSON text in ini form, with the line
    breaks escaped twice: `\\\\n`, and all of that is cut into lines of 80 bytes."""

    key: str
    read: Reader

    def __call__(self, evidence: Evidence) -> object:
        text = evidence.once(_settings)
        begin = text.find(b"\\\\n" + self.key.encode() + b" = ")
        if begin < 0:
            return None
        begin += len(self.key) + 6
        return self.read(text[begin : text.find(b"\\\\n", begin)])


def _settings(evidence: Evidence) -> bytes:
    tail = evidence.windows.tail
    begin = tail.find(b"\n;SETTING_3 ")
    return b"".join(_SETTINGS.findall(tail, begin, begin + MAX_SETTINGS)) if begin >= 0 else b""


TABLE: Table = {
    "object_height": (Comment("maxz", positive), Comment("print.size.max.z", positive)),
    "estimated_time": (Comment("time", positive), Comment("print.time", positive)),
    "nozzle_diameter": (Comment("extruder_train.0.nozzle.diameter", positive), Comment("nozzle_diameter", positive)),
    "layer_height": (Comment("layer height", positive),),
    "first_layer_height": (Comment("minz", positive),),
    "first_layer_extr_temp": (Comment("extruder_train.0.initial_temperature", positive),),
    "first_layer_bed_temp": (Comment("build_plate.initial_temperature", positive),),
    "chamber_temp": (Comment("build_volume.temperature", positive),),
    "filament_name": (Comment("filament name", some_text), Comment("filament_name", some_text)),
    "filament_type": (
        Comment("filament type", some_text),
        Comment("filament_type", some_text),
        Comment("filamenttype", some_text),
    ),
    "filament_total": (Comment("filament used", millimetres), Comment("filamentused", positive)),
    "filament_weight_total": (Comment("filament weight", some_total), Comment("filament_weight", some_total)),
    "layer_count": (Comment("layer_count", integer), layers.numbered),
    "referenced_tools": (several_tools,),
    # The second one is Weedo's, whose edition of Cura states more in front of the usual header.
    "printer_model": (Comment("target_machine.name", some_text), Comment("machinetype", some_text)),
    "filament_lengths": (lengths,),
    "filament_cost": (Comment("filament cost", positive),),
    "nozzle_diameters": (Numbered("extruder_train.{}.nozzle.diameter", positive, start=0),),
    "first_layer_time": (first_layer_time,),
    "infill_density": (Setting("infill_sparse_density", percent), Comment("infilldensity", percent)),
    "infill_pattern": (Setting("infill_pattern", some_text),),
    "support": (Setting("support_enable", switch),),
    "objects": (labels.defined, labels.Labelled(("MESH", "M486"))),
    "bounding_box": (BoxOf("minx", "miny", "maxx", "maxy"), griffin_box),
}

SLICERS = (
    Slicer(
        "Cura",
        (
            rb"Generated with Cura_SteamEngine ([^\r\n]*)",
            rb"GENERATOR\.NAME:Cura_SteamEngine[ \t]*\r?\n;GENERATOR\.VERSION:([^\r\n]*)",
            rb"GENERATOR\.VERSION:([^\r\n]*)",
            rb"Generated by Cura LulzBot Edition GCodeWriter Version: ([^\r\n]*)",
        ),
        TABLE,
    ),
)
