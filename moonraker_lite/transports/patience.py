"""Fairness between clients: nobody may let us wait for ever, and nobody may keep us busy alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from tornado.iostream import IOStream, StreamClosedError

STALL_SECONDS = 60.0  # a client that sends (or takes) nothing for so long while it should is cut off
SLOWEST = 8 * 1024  # bytes per second at which an answer must be taken
BURST = 16  # calls in a row, after which others have their turn of the event loop


class Patience:
    """Waits for a client between `wait` and `stop`; calls `give_up` when it lets us wait for `STALL_SECONDS`."""

    def __init__(self, give_up: Callable[[], None]) -> None:
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def wait(self) -> None:
        """It is the client's turn, from now on."""
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(STALL_SECONDS, self._look)

    def pause(self) -> None:
        """It is our turn."""
        self._since = None

    def stop(self) -> None:
        """Nothing more is expected."""
        self._since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        waited = 0.0 if self._since is None else self._loop.time() - self._since
        if waited >= STALL_SECONDS:
            self._timer = None
            self._give_up()
        else:
            self._timer = self._loop.call_later(STALL_SECONDS - waited, self._look)


async def see_taken(written: asyncio.Future[None], size: int, stream: IOStream) -> None:
    """Wait until an answer of `size` bytes is with its client, and close the connection of one that does not read."""
    try:
        async with asyncio.timeout(STALL_SECONDS + size / SLOWEST):
            with suppress(StreamClosedError):
                await asyncio.shield(written)
    except TimeoutError:
        stream.close()


class Turns:
    """Counts calls: what one client has sent ahead is worked on without a pause otherwise, and everybody else waits.

    It counts everybody's calls together, which costs nothing while nobody sends ahead: calls in a row are one client's.
    """

    def __init__(self) -> None:
        self._calls = 0

    def breathe(self) -> asyncio.Future[None] | None:
        """Count a call. What it returns, if anything, is to be awaited before the client's next call."""
        self._calls += 1
        if self._calls % BURST:
            return None
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        loop.call_soon(_wake, turn)
        return turn


def _wake(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
