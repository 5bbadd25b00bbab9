"""The figures of a print: state, durations, filament, layers. Klipper's `print_stats`."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from typing import Any

from moonraker_lite.marlin.gcode.layers import Layers

_LOGGER = logging.getLogger(__name__)


class JobState(enum.Enum):
    """`print_stats.state`."""

    STANDBY = "standby"
    PRINTING = "printing"
    PAUSED = "paused"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    ERROR = "error"


_NEXT: dict[JobState, frozenset[JobState]] = {
    JobState.STANDBY: frozenset({JobState.PRINTING}),
    JobState.PRINTING: frozenset({JobState.PAUSED, JobState.COMPLETE, JobState.CANCELLED, JobState.ERROR}),
    JobState.PAUSED: frozenset({JobState.PRINTING, JobState.CANCELLED, JobState.ERROR}),
    JobState.COMPLETE: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.ERROR: frozenset(),
}

RUNNING = frozenset({JobState.PRINTING, JobState.PAUSED})


class PrintStats:
    """One print after the other: `reset` begins the next one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.state = JobState.STANDBY
        # Told of each new state but standby.
        self.changed: Callable[[JobState], None] = lambda state: None
        self.reset()

    def reset(self, filename: str = "") -> None:
        """Begin anew in standby, with a file (relative to the gcodes directory) or none. Only when nothing runs."""
        assert self.state not in RUNNING
        self.state = JobState.STANDBY
        self.filename = filename
        self.message = ""
        self.filament = 0.0
        self.layers = Layers()
        self._begin: float | None = None
        self._end: float | None = None
        self._paused_at: float | None = None
        self._paused = 0.0
        self._before_extrusion = 0.0

    def transition(self, state: JobState, message: str = "") -> None:
        """Go to another state; the only place where it changes."""
        assert state in _NEXT[self.state], f"{self.state} -> {state}"
        _LOGGER.info("Print of %s: %s -> %s %s", self.filename, self.state.value, state.value, message)
        now = self._clock()
        if self.state is JobState.STANDBY:
            self._begin = now
        if self._paused_at is not None:
            self._paused += now - self._paused_at
            self._paused_at = None
        if state is JobState.PAUSED:
            self._paused_at = now
        elif state is not JobState.PRINTING:
            self._end = now
        self._note_before_extrusion(now)
        self.state = state
        self.message = message
        self.changed(state)

    def extrude(self, length: float) -> None:
        """Count filament in mm, retractions negative. Printing time begins with the first that stays out."""
        if self.filament <= 0.0:
            self._before_extrusion = self._active(self._clock())
        self.filament += length

    def status(self, now: float) -> dict[str, Any]:
        self._note_before_extrusion(now)
        return {
            "filename": self.filename,
            "total_duration": self._total(now),
            "print_duration": max(0.0, self._active(now) - self._before_extrusion),
            "filament_used": round(self.filament, 5),
            "state": self.state.value,
            "message": self.message,
            "info": self.layers.status(),
        }

    def _note_before_extrusion(self, now: float) -> None:
        if self.filament <= 0.0:
            self._before_extrusion = self._active(now)

    def _total(self, now: float) -> float:
        return 0.0 if self._begin is None else (self._end or now) - self._begin

    def _active(self, now: float) -> float:
        """Return the time without pauses."""
        pausing = 0.0 if self._paused_at is None else now - self._paused_at
        return self._total(now) - self._paused - pausing
