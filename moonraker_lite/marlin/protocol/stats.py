"""Link health as figures."""

from __future__ import annotations

import msgspec


class LinkStats(msgspec.Struct, frozen=True):
    """A snapshot since the protocol was made. Times in seconds, None = not known yet."""

    lines_sent: int = 0
    bytes_sent: int = 0
    acknowledged: int = 0
    resend_requests: int = 0
    lines_resent: int = 0
    timeouts: int = 0
    spurious_oks: int = 0
    noise_bytes: int = 0
    resets: int = 0
    rtt_p50: float | None = None
    rtt_p99: float | None = None
    timeout: float = 0.0
    window_lines: int = 1
    window_bytes: int = 0
    advanced_ok: bool = False
    planner_free: int | None = None
    planner_size: int | None = None
    buffer_free: int | None = None
    buffer_size: int | None = None
    planner_starved: int = 0
