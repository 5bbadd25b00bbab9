"""The one timer of the machine component: it measures how late the event loop is, and every second it has a look."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from moonraker_lite.components.machine.samples import ProcessUsage, Sample, Sampler

HISTORY = 30  # looks that are kept, as in Moonraker
TICK = 0.25  # seconds
TICKS_PER_LOOK = 4


class LoopLag(msgspec.Struct, frozen=True):
    """How late the event loop ran what was due, in seconds: the worst of the last second, and of the last 30."""

    last: float
    worst: float


class Monitor:
    """Looks every second while it runs; `report` gets each sample. The history is bounded."""

    def __init__(self, sampler: Sampler, report: Callable[[Sample], None]) -> None:
        self.history: deque[ProcessUsage] = deque(maxlen=HISTORY)
        self.latest: Sample | None = None
        self._lags: deque[float] = deque(maxlen=HISTORY)
        self._sampler = sampler
        self._report = report
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._ticks = 0
        self._lag = 0.0

    @property
    def lag(self) -> LoopLag:
        """The lag as measured until the last look."""
        return LoopLag(round(self._lags[-1], 4), round(max(self._lags), 4)) if self._lags else LoopLag(0.0, 0.0)

    def start(self) -> None:
        """Begin, with a first look at once."""
        self._look()
        self._schedule(asyncio.get_running_loop())

    def stop(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        # On the beat, so that the second stays a second; but beats that were missed are not made up for.
        self._due = self._due + TICK if 0 <= now - self._due < TICK else now + TICK
        self._timer = loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._lag = max(self._lag, loop.time() - self._due)
        self._ticks += 1
        if self._ticks >= TICKS_PER_LOOK:
            self._ticks = 0
            self._lags.append(max(self._lag, 0.0))
            self._lag = 0.0
            self._look()
        self._schedule(loop)

    def _look(self) -> None:
        self.latest = self._sampler.look()
        self.history.append(self.latest.moonraker_stats)
        self._report(self.latest)
