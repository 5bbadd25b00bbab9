"""What is to be scanned, in which order, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import IntEnum

from moonraker_lite.tasks import TaskOwner

AHEAD = 3  # files that the scanner's process has been told of at a time
MAX_SEEN = 1000  # files of a folder that go before the others when it is listed
MAX_WAITING = 20_000  # files; what is beyond is found again when the queue is empty


class Urgency(IntEnum):
    ASKED = 0  # somebody waits for the answer
    SEEN = 1  # somebody looks at the list it is in
    NEW = 2  # a file that appeared or changed
    OLD = 3  # files that were there when the host started, and what an older version of the scanner found


Scan = Callable[[str], Awaitable[None]]


class ScanQueue:
    """Each path at most once, the most urgent first. `scan` does the work and must not raise; `more` is called when all
    is done after something had to be turned away."""

    def __init__(self, scan: Scan, more: Callable[[], None]) -> None:
        self._scan = scan
        self._more = more
        self._waiting: tuple[dict[str, None], ...] = tuple({} for _ in Urgency)
        self._running: set[str] = set()
        self._again: set[str] = set()
        self._ends: dict[str, list[asyncio.Future[None]]] = {}
        self._turned_away = False
        self._tasks = TaskOwner("scans")

    def __contains__(self, path: str) -> bool:
        return path in self._running or any(path in waiting for waiting in self._waiting)

    def __bool__(self) -> bool:
        """Whether something waits."""
        return any(self._waiting)

    def has_below(self, prefix: str) -> bool:
        """Whether a path that begins so waits or is being scanned."""
        return any(path.startswith(prefix) for paths in (self._running, *self._waiting) for path in paths)

    def look(self, prefix: str) -> None:
        """Somebody lists a folder: scan its own files, whose paths begin so, before others."""
        for level in (Urgency.NEW, Urgency.OLD):
            seen = [path for path in self._waiting[level] if path.startswith(prefix) and "/" not in path[len(prefix) :]]
            for path in seen[:MAX_SEEN]:
                del self._waiting[level][path]
                self._waiting[Urgency.SEEN][path] = None

    def add(self, path: str, urgency: Urgency) -> None:
        """Have a file scanned. One that is being scanned is scanned once more, as it may have changed."""
        if path in self._running:
            self._again.add(path)
            return
        for level in Urgency:
            if path in self._waiting[level]:
                if level <= urgency:
                    return
                del self._waiting[level][path]
        if urgency is not Urgency.ASKED and sum(map(len, self._waiting)) >= MAX_WAITING:
            self._turned_away = True
            return
        self._waiting[urgency][path] = None
        self._fill()

    async def wait(self, path: str, urgency: Urgency = Urgency.ASKED) -> None:
        """Have a file scanned and return when that has ended, one way or the other."""
        self.add(path, urgency)
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ends.setdefault(path, []).append(end)
        await end

    def _fill(self) -> None:
        while len(self._running) < AHEAD:
            path = next((path for waiting in self._waiting for path in waiting), None)
            if path is None:
                if self._turned_away and not self._running:
                    self._turned_away = False
                    self._more()
                return
            for waiting in self._waiting:
                waiting.pop(path, None)
            self._running.add(path)
            self._tasks.spawn(self._run(path), "scan")

    async def _run(self, path: str) -> None:
        try:
            await self._scan(path)
        finally:
            self._running.discard(path)
            if path in self._again:
                self._again.discard(path)
                self.add(path, Urgency.NEW)
            else:
                for end in self._ends.pop(path, ()):
                    if not end.done():
                        end.set_result(None)
            self._fill()

    async def close(self) -> None:
        """Stop; those who wait are told that it is over."""
        for waiting in self._waiting:
            waiting.clear()
        self._again.clear()
        await self._tasks.close()
        for ends in self._ends.values():
            for end in ends:
                if not end.done():
                    end.cancel()
