"""All known slicers, and which of them made a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from moonraker_lite.gcode_metadata.rules import Slicer
from moonraker_lite.gcode_metadata.slicers import (
    bambu,
    cura,
    cura_forks,
    generic,
    ideamaker,
    kisslicer,
    others,
    simplify3d,
    slic3r,
)
from moonraker_lite.gcode_metadata.slicers.generic import UNKNOWN

# The catch-alls of generic.SLICERS come last.
SLICERS: tuple[Slicer, ...] = (
    *slic3r.SLICERS,
    *cura.SLICERS,
    *cura_forks.SLICERS,
    *simplify3d.SLICERS,
    *kisslicer.SLICERS,
    *ideamaker.SLICERS,
    *others.SLICERS,
    *bambu.SLICERS,
    *generic.SLICERS,
)

_VERSION_START = re.compile(r" [vV]?(?=\d)")
UNKNOWN_VERSION = "?"
MARK_REACH = 64 * 1024
"""Every slicer names itself early (pictures, the only long thing before that, are cut out)."""


class Tables:
    """The slicers that a scan knows: the user's own ones first, then the built-in ones."""

    def __init__(self, own: Sequence[Slicer] = ()) -> None:
        self.own = tuple(own)

    @cached_property
    def _marked(self) -> list[tuple[bytes, Slicer]]:
        return [(mark, slicer) for slicer in (*self.own, *SLICERS) for mark in slicer.marks]

    @cached_property
    def _marks(self) -> re.Pattern[bytes]:
        marks = b"|".join(b"(" + mark + b")" for mark, _ in self._marked)
        return re.compile(rb"\n[;(][ \t]*+(?:" + marks + b")", re.IGNORECASE)

    def recognise(self, text: bytes) -> tuple[Slicer, str, str]:
        """The slicer whose mark comes first in the text (which begins with a line break), with its name and version."""
        found = self._marks.search(text, 0, MARK_REACH)
        if found is None or found.lastindex is None:
            return UNKNOWN, UNKNOWN.name, UNKNOWN_VERSION
        # Each mark is an outer group with the version's group inside, so the outer one is the last that closed.
        slicer = self._marked[(found.lastindex - 1) // 2][1]
        stated = slicer.blank.join(found[found.lastindex + 1].decode("utf-8", "replace").split())[:200]
        if slicer.name:
            return slicer, slicer.name, stated or UNKNOWN_VERSION
        return slicer, *_split_version(stated.replace(";GENERATOR.VERSION:", ""))


BUILT_IN = Tables()


def _split_version(stated: str) -> tuple[str, str]:
    gap = _VERSION_START.search(stated)
    return (stated, UNKNOWN_VERSION) if gap is None else (stated[: gap.start()], stated[gap.end() :])
