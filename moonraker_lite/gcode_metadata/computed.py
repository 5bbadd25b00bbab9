"""What the moves of a file say, under the names of its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from moonraker_lite.gcode_metadata.motion import MoveFacts

REASONS = ("object_height", "layer_count", "filament_total", "bounding_box")
"""Fields that are worth a pass over all moves when the file does not state them."""


def is_wanting(stated: Mapping[str, Any]) -> bool:
    """Whether a pass over the moves may add something to what a scan found."""
    return any(stated.get(name) is None for name in REASONS)


def fields_of(facts: MoveFacts) -> dict[str, Any]:
    """The fields of `Metadata` that a pass over the moves yields, as they stand in JSON."""
    lengths = [facts.filament.get(tool, 0.0) for tool in range(max(facts.filament, default=-1) + 1)]
    fields = {
        "object_height": facts.height,
        "layer_count": facts.layers,
        "layer_height": facts.layer_height,
        "first_layer_height": facts.first_layer_height,
        "filament_total": round(sum(facts.filament.values()), 5) or None,
        "filament_lengths": lengths or None,
        "referenced_tools": sorted(facts.filament) if len(facts.filament) > 1 else None,
        "bounding_box": None if facts.box is None else msgspec.structs.asdict(facts.box),
    }
    return {name: value for name, value in fields.items() if value is not None}


def merged(stated: Mapping[str, Any], computed: Mapping[str, Any]) -> dict[str, Any]:
    """What the file states, and for the rest what was computed; the field `computed` names the latter."""
    added = {name: value for name, value in computed.items() if stated.get(name) is None}
    if not added:
        return dict(stated)
    return {**stated, **added, "computed": sorted(added)}
