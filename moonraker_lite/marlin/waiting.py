"""Two ways of waiting, or not, for the firmware."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


def forget(future: asyncio.Future[tuple[str, ...]]) -> None:
    """A done-callback for commands whose answer nobody waits for; that one failed shows elsewhere."""
    if not future.cancelled():
        future.exception()


async def unless_set(work: Awaitable[object], event: asyncio.Event) -> bool:
    """Wait for `work`, but no longer than until `event` is set; return whether `work` is done. Raise what it raises."""
    waiting = asyncio.ensure_future(work)
    other = asyncio.create_task(event.wait())
    try:
        await asyncio.wait([waiting, other], return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            waiting.result()
            return True
        return False
    finally:
        waiting.cancel()
        other.cancel()
