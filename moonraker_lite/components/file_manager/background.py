"""Work on files that nobody waits for: one after the other, a moment after they were named, and ended with them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from moonraker_lite.tasks import TaskOwner

SETTLE = 0.5  # s after a file was named before the work begins; others may need the scanner first
MAX_WAITING = 20_000  # files; what is beyond is found again when the queue is empty

Work = Callable[[str], Awaitable[None]]


class Background:
    """Each path at most once. `work` must not raise; `more` is called when all is done after something had to be turned
    away."""

    def __init__(self, work: Work, more: Callable[[], None]) -> None:
        self._work = work
        self._more = more
        self._waiting: dict[str, None] = {}
        self._first: dict[str, None] = {}  # what somebody is looking at
        self._current: str | None = None
        self._running: asyncio.Task[None] | None = None
        self._turned_away = False
        self._tasks = TaskOwner("background")

    def __contains__(self, path: str) -> bool:
        return path == self._current or path in self._waiting or path in self._first

    def add(self, path: str, *, urgent: bool = False) -> None:
        """Have the work done for a file. `urgent`: before the others."""
        if path == self._current or path in self._first:
            return
        if urgent:
            self._waiting.pop(path, None)
            self._first[path] = None
        elif len(self._waiting) >= MAX_WAITING:
            self._turned_away = True
            return
        else:
            self._waiting[path] = None
        if self._running is None or self._running.done():
            self._running = self._tasks.spawn(self._run(), "work")

    def drop(self, path: str) -> None:
        """A file is gone, or another one: what is being done for it is of no use."""
        self._waiting.pop(path, None)
        self._first.pop(path, None)
        if path == self._current and self._running is not None:
            self._running.cancel()
            self._current = None
            self._running = self._tasks.spawn(self._run(), "work")

    async def close(self) -> None:
        """Stop; what waits is forgotten."""
        self._waiting.clear()
        self._first.clear()
        await self._tasks.close()

    async def _run(self) -> None:
        await asyncio.sleep(SETTLE)
        while self._first or self._waiting:
            waiting = self._first or self._waiting
            path = next(iter(waiting))
            del waiting[path]
            self._current = path
            await self._work(path)
            self._current = None
        if self._turned_away:
            self._turned_away = False
            self._more()
