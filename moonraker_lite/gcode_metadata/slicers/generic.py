"""Files of unknown origin: every spelling that is common among slicers, and moves without filament."""

from __future__ import annotations

from .. import moves
from ..rules import Slicer, extend
from . import bambu, cura

_MOVES = {
    "object_height": (moves.layer_change_height, moves.printed_height, moves.drawn_height),
    "first_layer_height": (moves.first_layer_height, moves.drawn_first_height),
}

UNKNOWN = Slicer("Unknown", (), extend(_MOVES, extend(cura.OLD_TABLE, bambu.COMMENTS)))
