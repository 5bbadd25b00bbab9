"""The scanner's process: started when there is something to scan, nice to everything else, gone when there is nothing.

Requests are sent ahead of their answers, which come in order, so the process never waits for us between two files.
The file at the head of the line has a time limit; what exceeds it, or kills the process twice, is given up, and the
files behind it are sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from moonraker_lite.components.file_manager.scanner_process import Answer, BrokenDown, ScannerProcess
from moonraker_lite.tasks import TaskOwner

_LOGGER = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "moonraker_lite.gcode_metadata.worker")
IDLE_SECONDS = 60.0
TRIES = 2  # processes that a file may end: the first may have been ended by somebody else
FRUITLESS = 6  # processes in a row that ended without an answer, after which nothing is tried for REST_SECONDS
REST_SECONDS = 30.0
_ENCODER = msgspec.json.Encoder()


class ScanFailed(Exception):
    """A file has no metadata; the text says why."""


class _Job:
    """`answer` gets a failure as a value: an exception would be complained of when nobody is left to take it."""

    __slots__ = ("answer", "id", "path", "thumbs", "tries")

    def __init__(self, number: int, path: str, thumbs: str) -> None:
        self.id = number
        self.path = path
        self.thumbs = thumbs
        self.tries = 0
        self.answer: asyncio.Future[dict[str, Any] | ScanFailed] = asyncio.get_running_loop().create_future()

    @property
    def line(self) -> bytes:
        return _ENCODER.encode({"id": self.id, "path": self.path, "thumbs_dir": self.thumbs}) + b"\n"

    def settle(self, result: dict[str, Any] | ScanFailed) -> None:
        if not self.answer.done():  # it is when whoever asked was cancelled
            self.answer.set_result(result)


class ScanWorker:
    """One process at most. `limit` is the time for one file (s)."""

    def __init__(self, limit: float, command: Sequence[str] = COMMAND) -> None:
        self._limit = limit
        self._command = command
        self._process: ScannerProcess | None = None
        self._starting: asyncio.Future[ScannerProcess] | None = None
        self._alive: set[ScannerProcess] = set()  # also what is being ended
        self._jobs: deque[_Job] = deque()  # as sent, or to be sent when there is a process
        self._serving: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ids = 0
        self._wanted = False
        self._closed = False
        self._fruitless = 0
        self._rest_until = 0.0
        self._tasks = TaskOwner("scanner")

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process is not None else None

    async def scan(self, path: str, thumbs: str) -> dict[str, Any]:
        """Scan a file and write its pictures to the folder `thumbs`.

        Raises:
            ScanFailed: it cannot be read, took too long, or nothing can be scanned at all.
        """
        if self._closed:
            raise ScanFailed("The host stops")
        if asyncio.get_running_loop().time() < self._rest_until:
            raise ScanFailed("The scanner cannot be started")
        self._ids += 1
        job = _Job(self._ids, path, thumbs)
        self._jobs.append(job)
        if self._process is not None:
            self._process.send(job.line)
        self._serve()
        result = await job.answer
        if isinstance(result, ScanFailed):
            raise result
        return result

    def warm(self) -> None:
        """Start the process ahead of the first file."""
        if self._process is None and not self._closed and asyncio.get_running_loop().time() >= self._rest_until:
            self._wanted = True
            self._serve()

    async def close(self) -> None:
        """End the process; scans that are under way fail."""
        self._closed = True
        self._stop_idling()
        await self._tasks.close()
        self._process = None
        if self._starting is not None:
            starting, self._starting = self._starting, None
            with contextlib.suppress(OSError):
                self._alive.add(await starting)
        self._fail_all("The host stops")
        for process in tuple(self._alive):
            await self._end(process)

    # -- the one task ----------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        self._stop_idling()
        if self._serving is None or self._serving.done():
            self._serving = self._tasks.spawn(self._answer_all(), "answers")

    async def _answer_all(self) -> None:
        """Read answers until nothing is asked any more, and over again when the process breaks down."""
        try:
            while self._jobs or self._wanted:
                try:
                    await self._answer_some()
                except OSError as error:
                    self._give_up(str(error))
                    return
                except BrokenDown as error:
                    await self._recover(error)
            self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._retire)
        except BaseException:
            self._fail_all("The scanner cannot be used")  # nobody must wait for an answer that nobody reads
            raise

    async def _answer_some(self) -> None:
        process = self._process or await self._start()
        self._wanted = False
        while self._jobs:
            self._take(await process.answer(self._limit))

    def _take(self, answer: Answer) -> None:
        if answer.id != self._jobs[0].id:
            raise BrokenDown("The scanner gave no proper answer")
        self._fruitless = 0
        self._jobs.popleft().settle(
            answer.metadata
            if answer.metadata is not None
            else ScanFailed(answer.error or "The file could not be scanned")
        )

    async def _recover(self, error: BrokenDown) -> None:
        """The process is of no use any more: the next one gets what is left to do."""
        process, self._process = self._process, None
        if process is not None:
            await self._end(process)
        if self._jobs:
            self._jobs[0].tries += 1
            if error.guilty or self._jobs[0].tries >= TRIES:
                job = self._jobs.popleft()
                _LOGGER.warning("no metadata of %s: %s", os.path.basename(job.path), error)
                job.settle(ScanFailed(str(error)))
        self._fruitless += 1
        if self._fruitless >= FRUITLESS:
            self._give_up(str(error))

    def _give_up(self, reason: str) -> None:
        _LOGGER.error("the scanner cannot be used, the next try is in %.0f s: %s", REST_SECONDS, reason)
        self._rest_until = asyncio.get_running_loop().time() + REST_SECONDS
        self._fruitless = 0
        self._wanted = False
        self._fail_all("The scanner cannot be started")

    async def _start(self) -> ScannerProcess:
        # If we are cancelled now, the process must still be known to somebody: `close` waits for it.
        starting = self._starting = asyncio.ensure_future(ScannerProcess.start(self._command))
        try:
            process = await asyncio.shield(starting)
        except OSError:
            self._starting = None
            raise
        self._starting = None
        self._process = process
        self._alive.add(process)
        for job in tuple(self._jobs):
            if job.answer.done():
                self._jobs.remove(job)  # whoever asked went away meanwhile
            else:
                process.send(job.line)
        return process

    def _fail_all(self, reason: str) -> None:
        while self._jobs:
            self._jobs.popleft().settle(ScanFailed(reason))

    # -- the end of the process ------------------------------------------------------------------------------------

    def _stop_idling(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _retire(self) -> None:
        self._idle = None
        process, self._process = self._process, None
        if process is not None:
            self._tasks.spawn(self._end(process, gently=True), "retire")

    async def _end(self, process: ScannerProcess, *, gently: bool = False) -> None:
        await process.end(gently=gently)
        self._alive.discard(process)
