"""Whose turn it is to send commands: one script at a time, in the order of arrival, and the print job in between.

A script runs as a whole before the job goes on, so that `G91`, a jog and `G90` are never torn apart by lines of a
print.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class ScriptTurn:
    """The lock of the scripts. `on_idle` is called when the last waiting script is done."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._scripts = 0
        self.on_idle: Callable[[], None] = lambda: None

    @property
    def busy(self) -> bool:
        """A script runs or waits: the job has to hold back."""
        return self._scripts > 0

    @asynccontextmanager
    async def script(self) -> AsyncIterator[None]:
        """Wait for the turn and keep it to the end of the block."""
        self._scripts += 1
        try:
            async with self._lock:
                yield
        finally:
            self._scripts -= 1
            if not self._scripts:
                self.on_idle()
