"""Marlin's print timer, kept in step with the print where the owner wants it.

M109 and M190 start it, cold heaters stop it, and mostly that is enough. Filament sensors work only while it runs, so a
print that heats by M104 alone (in a macro that waits by itself) needs M75; and displays show its time.
"""

from __future__ import annotations

from collections.abc import Callable

from moonraker_lite.marlin.cooling import SendingLine
from moonraker_lite.marlin.print_stats import JobState
from moonraker_lite.marlin.waiting import forget

_COMMANDS = {JobState.PRINTING: "M75", JobState.PAUSED: "M76"}


class JobTimer:
    """`wanted` is asked each time: settings may be read again."""

    def __init__(self, line: SendingLine, wanted: Callable[[], bool]) -> None:
        self._line = line
        self._wanted = wanted

    def follow(self, state: JobState) -> None:
        """The print is in this state now. Nobody waits for the firmware to hear of it."""
        if self._wanted() and self._line.connected:
            self._line.send(_COMMANDS.get(state, "M77")).add_done_callback(forget)
