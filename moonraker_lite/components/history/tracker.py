"""From status updates to the beginnings and ends of prints. Pure: values and times in, changes out."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec

from moonraker_lite.components.history.prints import ENDED, RUNNING, LastPrint, OpenJob, Print, PrintStats, Status

RESTART_SLACK = 0.5  # s; the back end takes duration and time at the same moment


class Began(msgspec.Struct, frozen=True):
    """A print that has no row yet."""

    print: Print


class Ended(msgspec.Struct, frozen=True):
    """The print of the open row is over. `stats` are its last figures and stand for what LastPrint would say;
    `end_time` is a time of day. `resumable`: only the connection was lost, so that the print may turn up again."""

    status: Status
    stats: PrintStats
    end_time: float
    resumable: bool = False


class Resumed(msgspec.Struct, frozen=True):
    """The print of the row that was closed last goes on after all (or did, until an end that follows)."""

    print: Print


class Idle(msgspec.Struct, frozen=True):
    """No print runs, and this is what print_stats say."""

    last: LastPrint


Change = Began | Ended | Resumed | Idle


class Phase(Enum):
    AWAY = "away"  # the printer's state is not known; only `attach` leads out
    IDLE = "idle"
    PRINTING = "printing"  # or paused


class Tracker:
    """Follows print_stats. `open_job` and `last` are what the storage remembers of the time before."""

    def __init__(self, boot_id: str, open_job: OpenJob | None = None, last: LastPrint | None = None) -> None:
        self._boot_id = boot_id
        self._open = open_job
        self._last = last
        self._phase = Phase.AWAY
        self._stats = PrintStats()
        self._print: Print | None = None

    @property
    def phase(self) -> Phase:
        """Whether the printer is known, idle or printing."""
        return self._phase

    @property
    def print(self) -> Print | None:
        """The running print with its latest figures."""
        return self._print

    def expect(self) -> list[Change]:
        """A print has been asked for. On a host that has never seen the printer, an ended print would count as one of
        the time before; from now on it does not."""
        if self._last is not None or self._phase is not Phase.AWAY:
            return []
        self._last = LastPrint("", "", 0.0)
        return [Idle(self._last)]

    def attach(self, fields: dict[str, Any], eventtime: float, now: float, ready: bool = True) -> list[Change]:
        """All values of print_stats after connecting. `ready` is False when the printer is shut down or in error: its
        status may then still speak of a print that is dead."""
        self._stats = PrintStats().merged(fields)
        self._phase = Phase.IDLE
        changes = self._settle_open(eventtime, now, ready)
        if not ready:
            self._phase = Phase.AWAY
        elif self._phase is Phase.IDLE:
            changes += self._look_idle(eventtime, now)
        return changes

    def update(self, fields: dict[str, Any], eventtime: float, now: float) -> list[Change]:
        """Changed fields of print_stats."""
        if self._phase is Phase.AWAY:
            return []
        self._stats = self._stats.merged(fields)
        if self._print is None:
            return self._look_idle(eventtime, now)
        stats, before = self._stats, self._print.stats
        same = stats.filename == self._print.filename
        if same and stats.state in RUNNING and self._goes_on(self._print, eventtime, "total_duration" in fields):
            self._print = msgspec.structs.replace(self._print, stats=stats, seen=now)
            return []
        if same and stats.state in ENDED and stats.total_duration >= before.total_duration:
            end = self._end(ENDED[stats.state], stats, now)
        else:  # unloaded, or another print has begun already
            end = self._end(Status.CANCELLED, before, now)
        return [end, *self._look_idle(eventtime, now)]

    def lose(self, status: Status, now: float) -> list[Change]:
        """The connection is lost, or the printer is shut down."""
        self._phase = Phase.AWAY
        if self._print is None:
            return []
        resumable = status is Status.KLIPPY_DISCONNECT
        if resumable:
            self._open = OpenJob(self._print, closed=True, left_open=False)
        end = Ended(status, self._print.stats, now, resumable)
        self._print = None
        return [end]

    def _settle_open(self, eventtime: float, now: float, ready: bool) -> list[Change]:
        """Decide what became of the print that ran when we last looked."""
        job, self._open = self._open, None
        if job is None:
            return []
        stats, was = self._stats, job.print
        if stats.state in RUNNING and was.goes_on_as(stats, eventtime - stats.total_duration, self._boot_id, now):
            if not ready:
                return [] if job.closed else [Ended(Status.KLIPPY_SHUTDOWN, stats, now)]
            self._phase = Phase.PRINTING
            self._print = msgspec.structs.replace(was, stats=stats, seen=now)
            return [Resumed(self._print)] if job.closed else []
        if stats.state in ENDED and was.ended_as(stats, now):
            end = self._end(ENDED[stats.state], stats, min(now, was.start_time + stats.total_duration))
            return [Resumed(was), end] if job.closed else [end]
        if job.closed:
            return []
        return [Ended(Status.SERVER_EXIT if job.left_open else Status.INTERRUPTED, was.stats, was.seen)]

    def _look_idle(self, eventtime: float, now: float) -> list[Change]:
        """With no print followed: has one begun, or even come and gone between two looks?"""
        stats = self._stats
        if stats.state in RUNNING:
            return [self._begin(eventtime, now)]
        last, self._last = self._last, LastPrint.of(stats)
        if stats.state in ENDED and stats.filename and last is not None and not last.covers(stats):
            return [self._begin(eventtime, now), self._end(ENDED[stats.state], stats, now)]
        return [] if self._last == last else [Idle(self._last)]

    def _goes_on(self, run: Print, eventtime: float, timed: bool) -> bool:
        """Whether the file that runs has not been begun anew since the last update. `timed` says that the duration is
        of this moment."""
        total = self._stats.total_duration
        moved = timed and abs(eventtime - total - run.started) > RESTART_SLACK
        return total >= run.stats.total_duration and not moved

    def _begin(self, eventtime: float, now: float) -> Change:
        stats = self._stats
        started, start_time = eventtime - stats.total_duration, now - stats.total_duration
        self._print = Print(stats.filename, started, self._boot_id, start_time, now, stats)
        self._phase = Phase.PRINTING
        return Began(self._print)

    def _end(self, status: Status, stats: PrintStats, end_time: float) -> Change:
        self._print = None
        self._phase = Phase.IDLE
        self._last = LastPrint.of(stats)
        return Ended(status, stats, end_time)
