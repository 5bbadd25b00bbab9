"""What the display shows, and whether the machine is busy: Klipper's `display_status` and `idle_timeout`."""

from __future__ import annotations

import enum
from collections.abc import Callable

# After its last M73 a file's own progress is no longer believed.
M73_VALID = 5.0
# How long nothing has to happen until the machine counts as ready again.
SETTLE = 1.0


class Display:
    """M117's text and M73's progress."""

    def __init__(self) -> None:
        self.message: str | None = None
        self._progress = 0.0
        self._told_at: float | None = None

    def tell_progress(self, fraction: float, now: float) -> None:
        self._progress = min(max(fraction, 0.0), 1.0)
        self._told_at = now

    def forget_progress(self) -> None:
        self._told_at = None

    def progress(self, by_bytes: float, now: float, *, printing: bool) -> float:
        """Return M73's progress as long as it counts (throughout a print, else 5 s), then that by bytes."""
        if self._told_at is not None and not printing and now - self._told_at > M73_VALID:
            self._told_at = None
        return by_bytes if self._told_at is None else self._progress


class IdleState(enum.Enum):
    """`idle_timeout.state`: whether the machine does something, has just done so, or has been left alone for long."""

    IDLE = "Idle"
    READY = "Ready"
    PRINTING = "Printing"


class Activity:
    """Follows whether the machine is busy. `on_idle` is called once each time the timeout has passed."""

    def __init__(self, timeout: float, on_idle: Callable[[], None]) -> None:
        self.timeout = timeout
        self.state = IdleState.IDLE
        self._since = 0.0
        self._busy_at = 0.0
        self._on_idle = on_idle

    def update(self, now: float, *, busy: bool, hot: bool = False) -> None:
        """`busy`: the machine does something. `hot`: a heater is on; left alone, it must not stay so for ever."""
        if busy:
            self._busy_at = now
            if self.state is not IdleState.PRINTING:
                self._enter(IdleState.PRINTING, now)
        elif self.state is IdleState.PRINTING:
            if now - self._busy_at > SETTLE:
                self._enter(IdleState.READY, now)
        elif self.state is IdleState.IDLE and hot:
            self._enter(IdleState.READY, now)
        elif self.state is IdleState.READY and 0 < self.timeout < now - self._since:
            self._enter(IdleState.IDLE, now)
            self._on_idle()

    def printing_time(self, now: float) -> float:
        return now - self._since if self.state is IdleState.PRINTING else 0.0

    def _enter(self, state: IdleState, now: float) -> None:
        self.state = state
        self._since = now
