"""How many layers a file has, where its comments do not say so.

Numbered marks tell it from the last of them. Plain marks are counted when the whole file is small; in a larger one the
heights at both ends give the number, but only when they leave no doubt.
"""

from __future__ import annotations

import re

import msgspec

from moonraker_lite.gcode_metadata import fields
from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.moves import first_layer_height, printed_height
from moonraker_lite.gcode_metadata.rules import Rule

_NUMBERED = re.compile(rb"\n[;(]++[ \t-]*+(?:layer|slice)[ :#=]*+(\d{1,6})\b(?!\.)", re.IGNORECASE)
"""`;LAYER:12`, `; layer 12, Z = 3.1`, `;; --- layer 12 (0.2 @ 2.4)`, `(Slice 12, 1 Extruder)`."""
_LAYER_AND_HEIGHT = re.compile(rb";Z:(?<=\n;Z:)(\d++(?:\.\d*+)?+|\.\d++)\r?\n;HEIGHT:(\d++(?:\.\d*+)?+|\.\d++)")
_TOLERANCE = 1e-3
_BLOCKERS = ("complete_objects", "spiral_vase", "raft_layers")
_REACH = 16 * 1024
"""The last mark is looked for in so much of the tail first."""


def last_number(evidence: Evidence) -> int | None:
    """The highest number of the layer marks near the end."""
    tail = evidence.windows.tail
    found = _NUMBERED.findall(tail, max(0, len(tail) - _REACH)) or _NUMBERED.findall(tail)
    return max(map(int, found), default=None)


def numbered(evidence: Evidence) -> int | None:
    """The number of layers by the last number and the first, which is 0 or 1. Those of a raft may be negative and do
    not count."""
    first = _NUMBERED.search(evidence.first_layer)
    last = None if first is None or int(first[1]) > 1 else last_number(evidence)
    return None if last is None or first is None else last + 1 - int(first[1])


class Marks(msgspec.Struct, frozen=True):
    """The number of lines that begin with a mark, in a file small enough to be read for it."""

    mark: bytes

    def __call__(self, evidence: Evidence) -> int | None:
        # The first layer lies in the head: without a mark there, the file has none.
        if self.mark not in evidence.first_layer:
            return None
        whole = evidence.windows.small
        return (whole.count(b"\n" + self.mark) or None) if whole is not None else None


def evenly_spaced(evidence: Evidence) -> int | None:
    """The number of layers between the lowest and the highest `;Z:` when all that are seen have the stated thickness
    and a whole number of them fits in between. Objects printed one after the other, and supports with layers of their
    own, do not keep to that."""
    spacing = fields.positive(evidence.first("layer_height") or b"")
    if spacing is None or _has_other_layers(evidence):
        return None
    windows = evidence.windows
    if b"\n;Z:" not in evidence.first_layer:
        return None
    low = _marks(evidence.text)
    high = _marks(windows.tail)
    if not low or not high or any(abs(height - spacing) > _TOLERANCE for _, height in low[1:] + high):
        return None
    return _fitting(low[0][0], high[-1][0], spacing)


class Fitting(msgspec.Struct, frozen=True):
    """The number of layers of the stated thickness that fit exactly between the first one and the height of the print,
    where nothing marks them."""

    first: Rule
    thickness: Rule
    blockers: tuple[str, ...] = _BLOCKERS
    """Options that put other layers in between when they are switched on."""

    def __call__(self, evidence: Evidence) -> int | None:
        thickness = self.thickness(evidence)
        if not thickness or _has_other_layers(evidence, self.blockers):
            return None
        first = self.first(evidence) or first_layer_height(evidence)
        height = fields.positive(evidence.last("max_layer_z") or b"") or printed_height(evidence)
        return None if height is None or first is None else _fitting(first, height, thickness)


def _fitting(lowest: float, highest: float, spacing: float) -> int | None:
    steps = (highest - lowest) / spacing
    return round(steps) + 1 if steps > -_TOLERANCE and abs(steps - round(steps)) < 0.01 else None


def _has_other_layers(evidence: Evidence, blockers: tuple[str, ...] = _BLOCKERS) -> bool:
    """Whether the configuration says that not all layers go up evenly."""
    if _is_on(evidence, "support_material") and not _is_on(evidence, "support_material_synchronize_layers"):
        return True
    return any(_is_on(evidence, key) for key in blockers)


def _marks(data: bytes) -> list[tuple[float, float]]:
    return [(float(z), float(height)) for z, height in _LAYER_AND_HEIGHT.findall(data) if len(z) < 16 > len(height)]


def _is_on(evidence: Evidence, key: str) -> bool:
    return (evidence.first(key) or b"0").strip() not in (b"0", b"", b"False")
