"""The line protocol on a real link: asyncio around `LineProtocol`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from moonraker_lite.errors import Unavailable
from moonraker_lite.marlin.protocol import Event, LineProtocol, LinkStats, Token


class LineError(Unavailable):
    """The command was not (provably) executed: the session with the firmware was lost, or it halted."""


class MarlinLine:
    """One printer's line: owns a `Link`, a `LineProtocol` and one timer.

    Every protocol event goes to `on_event`, in order, `Acknowledged` included; a command's future is resolved right
    after its event. `on_lost` is called once with a sentence when the link breaks; `connect` may be called again.
    `on_writable` is called when `can_accept` has grown to at least half of the queue: push job lines there with `stream`.
    """

    def __init__(
        self,
        url: str,
        baud: int = 115200,
        *,
        on_event: Callable[[Event], None],
        on_lost: Callable[[str], None] | None = None,
        on_writable: Callable[[], None] | None = None,
        protocol: LineProtocol | None = None,
    ) -> None:
        raise NotImplementedError

    async def connect(self, timeout: float = 30.0) -> None:
        """Open the link and finish the handshake. LinkError: cannot open; LineError: no firmware answers in time."""
        raise NotImplementedError

    def send(self, command: str, *, emergency: bool = False) -> asyncio.Future[tuple[str, ...]]:
        """Queue a command; the future gives its reply lines when it is acknowledged.

        LineError in the future when the session is lost. ValueError, BufferError at once, as `LineProtocol.send`.
        """
        raise NotImplementedError

    def stream(self, command: str) -> Token:
        """Queue a command without a future: its `Acknowledged(token)` comes to `on_event`. Goes out with `flush`, or
        by itself before the loop's next turn."""
        raise NotImplementedError

    def flush(self) -> None:
        """Put on the wire what the window permits, now."""
        raise NotImplementedError

    def can_accept(self) -> int:
        """How many more commands may be queued (0 when not connected)."""
        raise NotImplementedError

    async def drained(self) -> None:
        """Wait until everything queued so far has been acknowledged. LineError when the session is lost."""
        raise NotImplementedError

    async def writable(self) -> None:
        """Wait until `can_accept` is at least half of the queue. LineError when the session is lost."""
        raise NotImplementedError

    @property
    def connected(self) -> bool:
        """The link is open and the handshake done."""
        raise NotImplementedError

    @property
    def stats(self) -> LinkStats:
        """Link health as figures."""
        raise NotImplementedError

    @property
    def protocol(self) -> LineProtocol:
        """The protocol machine (for `set_window`, `outstanding_lines`)."""
        raise NotImplementedError

    async def restart(self) -> None:
        """Drop everything queued and shake hands again on the same link. LineError as `connect`."""
        raise NotImplementedError

    async def close(self) -> None:
        """End the link and the timer; open futures get LineError. Idempotent."""
        raise NotImplementedError
