"""Layers from the slicers' comments."""

from __future__ import annotations

import pytest

from moonraker_lite.marlin.gcode.layers import Layers


@pytest.mark.parametrize(
    ("comments", "current", "total"),
    [
        ([";LAYER_CHANGE", ";Z:0.3", ";LAYER_CHANGE"], 2, None),
        ([";LAYER_COUNT:30", ";LAYER:0", ";LAYER:1"], 2, 30),
        ([";LAYER:-2"], 0, None),
        (["; total layer number: 240", "; CHANGE_LAYER", "; layer num/total_layer_count: 7/240"], 7, 240),
        (["; layer 3, Z = 0.600"], 3, None),
        ([";Layer height: 0.2", "; layer_height = 0.2", ";BEFORE_LAYER_CHANGE", ";AFTER_LAYER_CHANGE"], None, None),
        ([";layers are nice", "; layer end"], None, None),
    ],
)
def test_comments(comments: list[str], current: int | None, total: int | None) -> None:
    layers = Layers()
    for comment in comments:
        layers.read_comment(comment)
    assert layers.status() == {"current_layer": current, "total_layer": total}


def test_a_file_that_tells_by_command_is_believed() -> None:
    layers = Layers()
    layers.tell(None, 50)
    assert layers.status() == {"current_layer": 0, "total_layer": 50}
    layers.tell(3, None)
    layers.read_comment(";LAYER:20")
    assert layers.current == 3
    layers.tell(99, None)
    assert layers.current == 50
    layers.tell(None, 0)
    assert layers.status() == {"current_layer": None, "total_layer": None}
