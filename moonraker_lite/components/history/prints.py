"""What is known of a print: values, no behaviour but comparing them."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec

FIELDS = ("state", "filename", "total_duration", "print_duration", "filament_used")
"""The fields of Klipper's print_stats that history is made from."""

CLOCK_SLACK = 2.0  # s: status is up to a quarter of a second old, and later when the machine is busy
PLAUSIBLE_SLACK = 10.0  # s that the time of day may have been put right while we were away


class Status(Enum):
    """How a job stands or ended; the words of Moonraker."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    ERROR = "error"
    KLIPPY_SHUTDOWN = "klippy_shutdown"  # emergency stop, or a fault of the printer
    KLIPPY_DISCONNECT = "klippy_disconnect"  # the connection to the printer's software was lost
    SERVER_EXIT = "server_exit"  # the host was stopped, and the print was gone when it came back
    INTERRUPTED = "interrupted"  # the host died, and the print was gone when it came back


RUNNING = ("printing", "paused")
ENDED = {"complete": Status.COMPLETED, "cancelled": Status.CANCELLED, "error": Status.ERROR}
"""States of print_stats in which a print runs, and in which one has ended."""


class PrintStats(msgspec.Struct, frozen=True):
    """print_stats as last reported. Seconds and millimetres; `total_duration` goes on during a pause."""

    state: str = "standby"
    filename: str = ""
    total_duration: float = 0.0
    print_duration: float = 0.0
    filament_used: float = 0.0

    def merged(self, fields: dict[str, Any]) -> PrintStats:
        """With the fields of an update. What is of a wrong type (no firmware sends that) is left out."""
        changes: dict[str, Any] = {}
        for name in FIELDS:
            value = fields.get(name)
            if name in ("state", "filename"):
                if isinstance(value, str):
                    changes[name] = value
            elif isinstance(value, int | float) and not isinstance(value, bool):
                changes[name] = float(value)
        return msgspec.structs.replace(self, **changes)


class Print(msgspec.Struct, frozen=True):
    """A print that runs (or did, when we last looked).

    `started` is on the back end's clock, which starts anew with every boot: `boot_id` names the boot. `start_time` and
    `seen` are times of day: of the start, and of `stats`.
    """

    filename: str
    started: float
    boot_id: str
    start_time: float
    seen: float
    stats: PrintStats

    def goes_on_as(self, stats: PrintStats, started: float, boot_id: str, now: float) -> bool:
        """Whether running `stats`, seen at `now`, are of this same print.

        The back end's clock tells prints apart within one boot. The time of day helps where the clock cannot: it may
        have been put right meanwhile, and the clock of a back end that restarts may begin anew.
        """
        if stats.filename != self.filename or stats.total_duration < self.stats.total_duration - CLOCK_SLACK:
            return False
        by_clock = boot_id == self.boot_id and abs(started - self.started) < CLOCK_SLACK
        return by_clock or abs(now - stats.total_duration - self.start_time) < CLOCK_SLACK

    def ended_as(self, stats: PrintStats, now: float) -> bool:
        """Whether ended `stats`, seen at `now`, can be of this print: as long as when we last saw it, or longer by no
        more than the time since (which is unknown when the time of day was put back)."""
        longer, since = stats.total_duration - self.stats.total_duration, now - self.seen
        plausible = since < 0 or longer < since + PLAUSIBLE_SLACK
        return stats.filename == self.filename and longer > -CLOCK_SLACK and plausible


class OpenJob(msgspec.Struct, frozen=True):
    """What a host that was here before has left: the row of a print that ran when it last looked.

    `closed` when the row has an end already (the connection was lost) but the print may still go on; `left_open` when
    that host was stopped in good order.
    """

    print: Print
    closed: bool
    left_open: bool


class LastPrint(msgspec.Struct, frozen=True):
    """What print_stats said when no print ran: tells an ended print that is in the history from one that is not."""

    state: str
    filename: str
    total_duration: float

    @classmethod
    def of(cls, stats: PrintStats) -> LastPrint:
        """What `stats` say."""
        return cls(stats.state, stats.filename, stats.total_duration)

    def covers(self, stats: PrintStats) -> bool:
        """Whether ended `stats` are those of the same print. A cancelled one may still settle by a moment."""
        if (stats.state, stats.filename) != (self.state, self.filename):
            return False
        later = stats.total_duration - self.total_duration
        return later == 0 or (stats.state != "complete" and 0 <= later < 1)
