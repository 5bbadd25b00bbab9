"""Layers, as the slicers' comments tell them: `;LAYER_CHANGE`, `;LAYER:12`, `; layer num/total_layer_count: 12/80`."""

from __future__ import annotations

import re

_CHANGE = re.compile(r";\s*(?:LAYER_CHANGE|CHANGE_LAYER)\s*$")
# `;LAYER:0` (Cura and its kin) counts from 0, `; layer 1, Z = 0.3` (Simplify3D) from 1.
_FROM_ZERO = re.compile(r";\s*LAYER\s*:\s*(-?[0-9]+)\s*$", re.IGNORECASE)
_FROM_ONE = re.compile(r";\s*layer\s*#?\s*([0-9]+)(?:,\s*Z\b.*)?$", re.IGNORECASE)
_BOTH = re.compile(r";\s*layer num/total_layer_count:\s*([0-9]+)/([0-9]+)")
_TOTAL = re.compile(
    r";\s*(?:LAYER_COUNT|TOTAL_LAYER_COUNT|total layer number|total layers count|total_layer_count)\s*[:=]\s*([0-9]+)",
    re.IGNORECASE,
)
# The cheap question that is asked of every comment.
_LAYER_WORD = re.compile(r"layer", re.IGNORECASE).search


class Layers:
    """`print_stats.info`: the layer being printed and how many there are, None as long as it is not known."""

    def __init__(self) -> None:
        self.current: int | None = None
        self.total: int | None = None
        self._told = False

    def tell(self, current: int | None, total: int | None) -> None:
        """SET_PRINT_STATS_INFO: from now on the file tells by itself, comments no longer count."""
        self._told = True
        if total is not None:
            self.total = total or None
            if not total:
                self.current = None
            elif self.current is None:
                self.current = 0
        if current is not None and self.total is not None:
            self.current = min(current, self.total)

    def read_comment(self, comment: str) -> None:
        """Take a comment, from its `;` on."""
        if self._told or _LAYER_WORD(comment) is None:
            return
        if match := _BOTH.match(comment):
            self.current, self.total = int(match[1]), int(match[2])
        elif match := _FROM_ZERO.match(comment):
            self.current = max(0, int(match[1]) + 1)  # a raft has negative numbers
        elif match := _FROM_ONE.match(comment):
            self.current = int(match[1])
        elif _CHANGE.match(comment):
            self.current = (self.current or 0) + 1
        elif match := _TOTAL.match(comment):
            self.total = int(match[1]) or None

    def status(self) -> dict[str, int | None]:
        return {"total_layer": self.total, "current_layer": self.current}
