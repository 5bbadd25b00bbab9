"""The printer object `marlin_link`: the line's figures, and what they mean in plain language."""

from __future__ import annotations

from typing import Any

import msgspec

from moonraker_lite.marlin.protocol import LinkStats

ENOUGH = 200
"""So many lines say something about a cable."""
MANY = 20.0
SOME = 2.0
"""Lines of a thousand that had to be sent again."""
SILENCES = 2.0
SLOW = 0.25
"""Seconds; a move is taken in a few milliseconds unless the planner is full."""

_CABLE = "check the USB cable, keep it away from motor and heater wires"
_POWER = "and check the power supply of the host and of the printer (undervoltage)"


def link_status(stats: LinkStats, **more: object) -> dict[str, Any]:
    """All figures, per 1,000 lines where that says more, and `hint`. `more` is added as it stands."""
    status: dict[str, Any] = msgspec.structs.asdict(stats)
    status["resends_per_1000"] = round(per_thousand(stats.lines_resent, stats), 2)
    status["hint"] = hint(stats)
    return {**status, **more}


def per_thousand(count: int, stats: LinkStats) -> float:
    """How often in a thousand lines."""
    return 1000.0 * count / stats.lines_sent if stats.lines_sent else 0.0


def hint(stats: LinkStats) -> str:
    """One or more sentences for the owner of the printer; the worst trouble first."""
    hints = list(_hints(stats))
    if hints:
        return " ".join(hints)
    return "The line is clean." if stats.lines_sent >= ENOUGH else ""


def _hints(stats: LinkStats) -> list[str]:
    found: list[str] = []
    if stats.lines_sent >= ENOUGH:
        found += _damage(stats)
    if stats.resets:
        found.append(
            f"The printer's board was reset {_times(stats.resets)} without being asked to: look at its power supply, "
            f"and at loose wires of heaters and fans."
        )
    if stats.planner_starved:
        found.append(
            f"The printer ran out of moves {_times(stats.planner_starved)}, and may have stuttered: the line is too "
            "slow for so many short moves. A higher baud rate helps, or a slicer that makes fewer of them (arcs)."
        )
    elif stats.rtt_p50 is not None and stats.rtt_p50 > SLOW and stats.window_lines == 1 and not stats.advanced_ok:
        found.append("The printer takes long to answer; that is normal while its planner is full.")
    return found


def _damage(stats: LinkStats) -> list[str]:
    resends = per_thousand(stats.lines_resent, stats)
    if resends >= MANY:
        return [f"The line is bad, {resends:.0f} of 1,000 lines had to be sent again: {_CABLE}, {_POWER}."]
    if resends >= SOME:
        return [f"The line errs now and then ({resends:.0f} of 1,000 lines), which does no harm yet: {_CABLE}."]
    if per_thousand(stats.timeouts, stats) >= SILENCES:
        return [f"Answers of the printer get lost ({_times(stats.timeouts)}): {_CABLE}."]
    return []


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
