"""Files of unknown origin, and forks that nobody has described yet: every spelling that is common among slicers.

Keys are compared by their letters and digits only, so `; Layer height (mm) = 0.2`, `;LAYER_HEIGHT:0.2` and
`; layerHeight,0.2` are one.
"""

from __future__ import annotations

import msgspec

from moonraker_lite.gcode_metadata import labels, layers, moves
from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.fields import (
    integer,
    metres,
    millimetres,
    minutes,
    names,
    percent,
    positive,
    seconds_or_duration,
    some_numbers,
    some_text,
    some_total,
    switch,
    total,
)
from moonraker_lite.gcode_metadata.rules import Reader, Slicer, Table, extend
from moonraker_lite.gcode_metadata.slicers import bambu, cura_forks


class Spelled(msgspec.Struct, frozen=True):
    """The first of these keys, compared by letters and digits, whose value can be read."""

    keys: tuple[str, ...]
    read: Reader

    def __call__(self, evidence: Evidence) -> object:
        spelled = evidence.spelled
        for key in self.keys:
            value = spelled.get(key.encode())
            found = self.read(value) if value is not None else None
            if found is not None:
                return found
        return None


_MOVES: Table = {
    "object_height": (moves.layer_change_height, moves.printed_height, moves.drawn_height),
    "first_layer_height": (moves.first_layer_height, moves.drawn_first_height),
    "layer_count": (layers.numbered, layers.Marks(b";LAYER_CHANGE"), layers.Marks(b"; CHANGE_LAYER")),
}

_SPELLED: Table = {
    "object_height": (
        Spelled(
            ("objectheight", "objectheightmm", "modelheight", "printheight", "printheightmm", "totalheight"), positive
        ),
        Spelled(("maxzheight", "maxlayerz", "maxz", "maxzmm", "zmax"), positive),
    ),
    "estimated_time": (
        Spelled(
            (
                "estimatedprintingtime",
                "estimatedprinttime",
                "estimatedtime",
                "estimatedbuildtime",
                "printingtime",
                "printtime",
                "buildtime",
                "totalprinttime",
                "totaltime",
                "time",
                "estimatedtimes",
                "estimatedprinttimes",
                "printtimes",
                "totalprinttimes",
            ),
            seconds_or_duration,
        ),
        Spelled(("estimatedtimemin", "printtimemin", "estimatedprinttimemin", "printtimeminutes"), minutes),
    ),
    "nozzle_diameter": (
        Spelled(("nozzlediameter", "nozzlediametermm", "nozzlesize", "nozzlesizemm", "nozzle"), positive),
    ),
    "layer_height": (
        Spelled(("layerheight", "layerheightmm", "layerthickness", "layerthicknessmm", "sliceheight"), positive),
    ),
    "first_layer_height": (
        Spelled(
            (
                "firstlayerheight",
                "firstlayerheightmm",
                "initiallayerheight",
                "initiallayerheightmm",
                "initiallayerprintheight",
                "firstlayerthickness",
                "layerheight0",
            ),
            positive,
        ),
    ),
    "first_layer_extr_temp": (
        Spelled(
            (
                "firstlayertemperature",
                "firstlayernozzletemperature",
                "initiallayertemperature",
                "nozzletemperatureinitiallayer",
                "nozzletemperature",
                "nozzletemp",
                "extrudertemperature",
                "extrudertemp",
                "extruder0temperature",
                "hotendtemperature",
                "printtemperature",
                "printingtemperature",
            ),
            positive,
        ),
    ),
    "first_layer_bed_temp": (
        Spelled(
            (
                "firstlayerbedtemperature",
                "initiallayerbedtemperature",
                "bedtemperatureinitiallayer",
                "bedtemperature",
                "bedtemp",
                "buildplatetemperature",
                "platformtemperature",
                "heatbedtemperature",
            ),
            positive,
        ),
    ),
    "chamber_temp": (Spelled(("chambertemperature", "chambertemp", "buildvolumetemperature"), positive),),
    "filament_name": (Spelled(("filamentname", "materialname", "filamentsettingsid"), names),),
    "filament_type": (
        Spelled(("filamenttype", "materialtype", "material", "filamentmaterial", "printmaterial"), names),
    ),
    "filament_total": (
        Spelled(
            ("filamentusedmm", "totalfilamentlengthmm", "filamentlengthmm", "filamentused", "filamentlength"),
            millimetres,
        ),
        Spelled(("filamentusedm", "filamentlengthm", "filamentlengthmeters"), metres),
        Spelled(("totalfilamentused", "materialused", "materiallength"), millimetres),
    ),
    "filament_weight_total": (
        Spelled(
            (
                "totalfilamentusedg",
                "totalfilamentweightg",
                "filamentusedg",
                "filamentweightg",
                "filamentweight",
                "materialweight",
                "plasticweight",
                "weight",
                "weightg",
            ),
            some_total,
        ),
    ),
    "printer_model": (
        Spelled(("printermodel", "printer", "printername", "machine", "machinename", "machinetype"), some_text),
    ),
    "layer_count": (
        Spelled(
            (
                "layercount",
                "totallayers",
                "totallayercount",
                "totallayerscount",
                "totallayernumber",
                "numlayers",
                "numberoflayers",
                "layernumber",
                "layers",
            ),
            integer,
        ),
    ),
    "filament_cost": (
        Spelled(("totalfilamentcost", "filamentcost", "materialcost", "printcost", "estimatedbuildcost"), total),
    ),
    "filament_diameters": (Spelled(("filamentdiameter", "filamentdiametermm", "materialdiameter"), some_numbers),),
    "filament_densities": (Spelled(("filamentdensity", "materialdensity"), some_numbers),),
    "first_layer_time": (Spelled(("estimatedfirstlayerprintingtime", "firstlayertime"), seconds_or_duration),),
    "print_settings_id": (Spelled(("printsettingsid", "profilename", "processname", "profile"), some_text),),
    "infill_density": (
        Spelled(("infilldensity", "filldensity", "sparseinfilldensity", "infillpercentage", "infill"), percent),
    ),
    "infill_pattern": (Spelled(("infillpattern", "fillpattern", "sparseinfillpattern"), some_text),),
    "support": (Spelled(("enablesupport", "supportenable", "generatesupport", "supportmaterial", "support"), switch),),
}

TABLE: Table = extend(
    _MOVES,
    extend(_SPELLED, extend(cura_forks.OLD_TABLE, bambu.COMMENTS)),
    only={"objects": (labels.defined, labels.Labelled(("printing object", "MESH", "PRINTING", "M486")))},
)
"""What slicers are known to write, then other spellings, then the moves."""

UNKNOWN = Slicer("Unknown", (), TABLE)

SLICERS = (
    # Forks that are not born yet, and headers that name another generator than Cura's engine.
    Slicer("", (rb"generated by ([A-Za-z][^\r\n:]{0,60}? v?\d[^\r\n]*?)(?= on \d|[\r\n]|\Z)",), TABLE),
    Slicer(
        "",
        (rb"GENERATOR\.NAME:[ \t]*(?!Cura_SteamEngine)([A-Za-z][^\r\n]*(?:\r?\n;GENERATOR\.VERSION:[^\r\n]*)?)",),
        TABLE,
    ),
)
