"""Link health as figures."""

from __future__ import annotations

import msgspec

from moonraker_lite.marlin.protocol.timing import RoundTrips


class LinkStats(msgspec.Struct, frozen=True):
    """A snapshot since the protocol was made. Times in seconds, None = not known yet."""

    lines_sent: int = 0
    """Numbered lines put on the wire, repeats included."""
    bytes_sent: int = 0
    acknowledged: int = 0
    resend_requests: int = 0
    """Requests of the firmware, duplicates included."""
    lines_resent: int = 0
    timeouts: int = 0
    """Silences after which the firmware was asked for a sign of life."""
    spurious_oks: int = 0
    """`ok`s that belong to no line: doubled, stray or stale."""
    noise_bytes: int = 0
    resets: int = 0
    rtt_p50: float | None = None
    rtt_p99: float | None = None
    timeout: float = 0.0
    """The ordinary timeout, as adapted to the round trips."""
    window_lines: int = 1
    window_bytes: int = 0
    advanced_ok: bool = False
    planner_free: int | None = None
    planner_size: int | None = None
    buffer_free: int | None = None
    buffer_size: int | None = None
    planner_starved: int = 0
    """How often a filled planner ran empty although more lines were waiting here (told by ADVANCED_OK)."""


class Health:
    """The running figures behind `LinkStats`; they outlive sessions."""

    __slots__ = (
        "_sizes",
        "acknowledged",
        "buffer_free",
        "buffer_size",
        "bytes",
        "lines",
        "planner_free",
        "planner_size",
        "requests",
        "resent",
        "resets",
        "spurious",
        "starved",
        "timeouts",
        "trips",
    )

    def __init__(self) -> None:
        self.trips = RoundTrips()
        self.acknowledged = 0
        self.bytes = 0
        self.lines = 0
        self.requests = 0
        self.resent = 0
        self.resets = 0
        self.spurious = 0
        self.starved = 0
        self.timeouts = 0
        self._sizes = (0, 0)
        self.planner_free: int | None = None
        self.planner_size: int | None = None
        self.buffer_free: int | None = None
        self.buffer_size: int | None = None

    def note_buffers(self, planner: int, slots: int) -> bool:
        """`P` and `B` of a numbered `ok`, both counted before the own slot is freed. True when a size was learnt."""
        self.planner_free = planner
        self.buffer_free = slots
        sizes = (max(planner, self.planner_size or 0), max(slots + 1, self.buffer_size or 0))
        if sizes == (self.planner_size, self.buffer_size):
            return False
        if sizes != self._sizes:
            # Believed when it comes twice: one damaged digit must not open the window.
            self._sizes = sizes
            return False
        self.planner_size, self.buffer_size = sizes
        return True

    def snapshot(self, *, window_lines: int, window_bytes: int, advanced_ok: bool, noise_bytes: int) -> LinkStats:
        """The figures of now."""
        return LinkStats(
            lines_sent=self.lines,
            bytes_sent=self.bytes,
            acknowledged=self.acknowledged,
            resend_requests=self.requests,
            lines_resent=self.resent,
            timeouts=self.timeouts,
            spurious_oks=self.spurious,
            noise_bytes=noise_bytes,
            resets=self.resets,
            rtt_p50=self.trips.percentile(0.5),
            rtt_p99=self.trips.percentile(0.99),
            timeout=self.trips.timeout,
            window_lines=window_lines,
            window_bytes=window_bytes,
            advanced_ok=advanced_ok,
            planner_free=self.planner_free,
            planner_size=self.planner_size,
            buffer_free=self.buffer_free,
            buffer_size=self.buffer_size,
            planner_starved=self.starved,
        )
