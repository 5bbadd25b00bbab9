"""How long nothing was heard, how long that is normal, and how often one has asked already."""

from __future__ import annotations

from moonraker_lite.marlin.protocol.lines import Sent
from moonraker_lite.marlin.protocol.timing import KEEPALIVE_PATIENCE

ASK_WAITS = (1.0, 4.0, 16.0, 16.0)
"""Factors on the ordinary timeout for the first questions of one silence, up to `ASK_LONGEST` seconds each."""
ASK_LONGEST = 1.0
ASK_LATER = 10.0
"""Seconds between further questions: each takes a slot in the firmware's queue."""
BLOCKED_LONGEST = 60.0

LONG_AGO = 1e6
TROUBLE = 60.0
TROUBLE_BLOCKING = 900.0
"""Seconds without an answer before somebody is told."""


class Silence:
    """The clock of one session. `line` is always the oldest line that is not acknowledged, if there is one."""

    __slots__ = ("_answered_at", "_hears_busy", "_told", "asked", "is_busy", "since")

    def __init__(self, now: float) -> None:
        self.since = now
        self.asked = 0
        """Questions since the last answer."""
        self.is_busy = False
        """The firmware said so, and has acknowledged nothing since."""
        self._hears_busy = False
        self._answered_at = now
        self._told = False

    def begin(self, now: float) -> None:
        """Nothing was to be expected until now."""
        self.since = self._answered_at = now

    def restart(self, now: float) -> None:
        """The link was away: how long the firmware has been silent, and what it was busy with, is not known."""
        self.since = self._answered_at = now
        self.asked = 1
        self.is_busy = self._told = False

    def heard(self, now: float) -> None:
        """The firmware lives, though it has acknowledged nothing."""
        self.since = self._answered_at = now
        self.asked = 0

    def expire(self, now: float) -> None:
        """There is reason to ask at once, whatever the firmware may be executing."""
        self.since = now - LONG_AGO
        self.is_busy = False

    def answered(self, now: float) -> None:
        """Something was acknowledged."""
        self.since = self._answered_at = now
        self.asked = 0
        self.is_busy = self._told = False

    def busy(self, now: float, *, keepalive: bool) -> None:
        """The firmware says that it is busy; `keepalive`: in words that it repeats every 2 s."""
        self.since = self._answered_at = now
        self.asked = 0
        self.is_busy = True
        self._hears_busy = self._hears_busy or keepalive

    def may_block(self, line: Sent | None) -> bool:
        """The firmware says that it is busy, or executes what may take long."""
        return self.is_busy or (line is not None and line.patience > 0.0)

    def deadline(self, line: Sent | None, timeout: float) -> float:
        """When it has been silent for too long."""
        blocking = line.patience if line is not None else 0.0
        if self._hears_busy:
            blocking = min(blocking, KEEPALIVE_PATIENCE)
        if self.is_busy:
            blocking = max(blocking, KEEPALIVE_PATIENCE)
        asked = self.asked
        if blocking > timeout:
            patience = min(blocking * (1 << min(asked, 16)), max(blocking, BLOCKED_LONGEST))
        elif not asked:
            patience = timeout
        elif asked < len(ASK_WAITS):
            patience = min(timeout * ASK_WAITS[asked], ASK_LONGEST)
        else:
            patience = ASK_LONGEST if asked == len(ASK_WAITS) else ASK_LATER
        return self.since + patience

    def complaint(self, line: Sent | None, now: float) -> str | None:
        """A sentence, once per silence, when it lasts too long."""
        silent = now - self._answered_at
        if self._told or silent <= (TROUBLE_BLOCKING if self.may_block(line) else TROUBLE):
            return None
        self._told = True
        return f"The printer has not answered for {silent:.0f} s: is it still connected and on?"


SYNC_LINES = 256
SYNC_LINES_NOISY = 32
SYNC_LEAST = 8


class Certainty:
    """How long ago it was certain what the firmware has executed, where a plain `ok` says too little."""

    __slots__ = ("_interval", "_since", "doubted", "lines")

    def __init__(self, interval: float, now: float) -> None:
        self._interval = interval
        self._since = now
        self.lines = 0
        """Lines sent since."""
        self.doubted = False
        """An answer did not fit: it is to be made sure soon."""

    def wanted(self, now: float, *, noisy: bool) -> bool:
        """It is time for an M105 among the lines."""
        lines = self.lines
        if lines >= (SYNC_LINES_NOISY if noisy else SYNC_LINES):
            return True
        return (lines > 0 and self.doubted) or (lines >= SYNC_LEAST and now - self._since > self._interval)

    def asked(self, now: float) -> None:
        """An M105 is among the lines."""
        self.lines = 0
        self.doubted = False
        self._since = now
