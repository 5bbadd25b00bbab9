"""Files of unknown origin: every spelling that is common among slicers, and moves without filament."""

from __future__ import annotations

from moonraker_lite.gcode_metadata import moves
from moonraker_lite.gcode_metadata.rules import Slicer, extend
from moonraker_lite.gcode_metadata.slicers import bambu, cura

_MOVES = {
    "object_height": (moves.layer_change_height, moves.printed_height, moves.drawn_height),
    "first_layer_height": (moves.first_layer_height, moves.drawn_first_height),
}

UNKNOWN = Slicer("Unknown", (), extend(_MOVES, extend(cura.OLD_TABLE, bambu.COMMENTS)))
