"""How many lines may be on the wire at once, and how fast a line is repeated.

Lines behind a damaged one are lost in the firmware's flush. When that cuts a line in two, its rest arrives without
number and checksum, and may be executed although the line will be sent again: the one hole in Marlin's protocol. So
several lines are on their way only while the line is clean; a line that errs is driven one line at a time, where
nothing is ever behind.
"""

from __future__ import annotations

CLEAN_RUN = 256
"""Lines without any error before more than one may be on the wire."""
LONGEST_CLEAN_RUN = 4096

PATIENT_TRIES = 4
"""So often a line is repeated at once; then with pauses that double up to a second."""
TROUBLE_TRIES = 12
"""So often one line is repeated before somebody is told."""
LONGEST_HOLD = 1.0

_BLOCK = 200
_TROUBLE_RESENDS = 60


class Pace:
    """Window in lines, pauses between repeats, and when to call it trouble."""

    __slots__ = ("_acked", "_clean", "_needed", "_resends", "limit", "noisy", "number", "tries", "window")

    def __init__(self) -> None:
        self.limit = 1
        """What the firmware can take, as far as known."""
        self.window = 1
        self.noisy = False
        self.number: int | None = None
        """The line that is being repeated; None when all is well."""
        self.tries = 0
        self._clean = 0
        self._needed = CLEAN_RUN
        self._acked = 0
        self._resends = 0

    def set_limit(self, limit: int) -> None:
        """More is known of the firmware's buffers."""
        self.limit = max(limit, 1)
        self.window = self.limit if self._clean >= self._needed else 1

    def clean(self, lines: int) -> None:
        """That many lines more were acknowledged without a request to repeat."""
        self._acked += lines
        self._clean += lines
        if self._clean >= self._needed and self.window < self.limit:
            self.window = self.limit
            self.noisy = False
        elif self._clean >= LONGEST_CLEAN_RUN:
            self._needed = CLEAN_RUN

    def arrived(self) -> None:
        """The repeated line was accepted."""
        self.number = None
        self.tries = 0

    def slow_down(self) -> None:
        """One line at a time, until the line has shown that it is clean."""
        if self.window > 1:
            self._needed = min(self._needed * 2, LONGEST_CLEAN_RUN)
        self.window = 1
        self._clean = 0
        self.noisy = True

    def repeat(self, number: int) -> float:
        """The firmware asks for `number`. Seconds to wait before it goes out again."""
        self._resends += 1
        self.slow_down()
        if number != self.number:
            self.number = number
            self.tries = 0
        self.tries += 1
        if self.tries <= PATIENT_TRIES:
            return 0.0
        doublings = min(self.tries - PATIENT_TRIES, 16)
        return min(0.02 * (1 << doublings), LONGEST_HOLD)

    def trouble(self) -> str | None:
        """A sentence, once, when the line is too bad; None otherwise."""
        if self.tries == TROUBLE_TRIES:
            return f"The printer asked for line {self.number} {self.tries} times in a row: {_ADVICE}"
        if self._acked + self._resends < _BLOCK:
            return None
        resends, self._resends, self._acked = self._resends, 0, 0
        if resends < _TROUBLE_RESENDS:
            return None
        return f"{resends} of the last {_BLOCK} lines had to be sent again: {_ADVICE}"


_ADVICE = "check the cable, its shielding, and the printer's and the host's power supply (undervoltage)"
