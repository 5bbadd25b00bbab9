"""The line protocol as a sans-IO machine: bytes and time in, bytes and events out."""

from __future__ import annotations

from moonraker_lite.marlin.protocol.events import Event, Token
from moonraker_lite.marlin.protocol.stats import LinkStats


class LineProtocol:
    """Numbers, checksums, paces and repeats lines until the firmware has executed each exactly once, in order.

    `now` is any monotonic clock in seconds. After each call of `send`, `receive`, `tick`, `connected` the owner takes
    `data_to_send` to the wire and calls `tick` no later than `next_deadline`.
    """

    def __init__(
        self,
        *,
        window_bytes: int = 127,
        window_lines: int | None = None,
        queue_size: int = 32,
        history: int = 128,
        sync_interval: float = 5.0,
    ) -> None:
        """`window_bytes`: most bytes unacknowledged on the wire, newlines included. `window_lines`: most lines
        unacknowledged; None = one at a time until the firmware is known to buffer, then what its buffers hold.
        `queue_size`: what `can_accept` counts down from."""
        raise NotImplementedError

    def connected(self, now: float) -> None:
        """The link is open: start a fresh session with the M110 N0 handshake. Drops everything queued."""
        raise NotImplementedError

    def reset(self, now: float) -> tuple[Token, ...]:
        """Start a fresh session on the same link; returns the tokens that were dropped, oldest first."""
        raise NotImplementedError

    def send(self, command: str, now: float, *, emergency: bool = False) -> Token:
        """Queue one command, stripped of comments. Emergency ones (M112, M108, M410, M876) overtake and go unnumbered.

        ValueError: the line cannot be sent (empty, longer than 95 bytes with number and checksum, control characters).
        BufferError: more than 1024 commands are queued.
        """
        raise NotImplementedError

    def can_accept(self) -> int:
        """How many more commands may be queued without exceeding the bounded queue."""
        raise NotImplementedError

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Bytes from the firmware, cut anywhere."""
        raise NotImplementedError

    def tick(self, now: float) -> list[Event]:
        """Time has passed: timeouts, probes, repeats."""
        raise NotImplementedError

    def next_deadline(self) -> float | None:
        """When `tick` must be called at the latest; None = only after the next bytes or command."""
        raise NotImplementedError

    def data_to_send(self, now: float) -> bytes:
        """What goes on the wire now; empty when nothing may go."""
        raise NotImplementedError

    def set_window(self, *, window_bytes: int | None = None, window_lines: int | None = None) -> None:
        """What is known of the firmware's buffers (from M115 or the config). None leaves a value as it is."""
        raise NotImplementedError

    @property
    def ready(self) -> bool:
        """The handshake is done and the firmware is not halted."""
        raise NotImplementedError

    @property
    def outstanding_lines(self) -> int:
        """Lines on the wire that are not acknowledged."""
        raise NotImplementedError

    @property
    def outstanding_bytes(self) -> int:
        """Bytes on the wire that are not acknowledged, newlines included."""
        raise NotImplementedError

    @property
    def stats(self) -> LinkStats:
        """Link health as figures."""
        raise NotImplementedError
