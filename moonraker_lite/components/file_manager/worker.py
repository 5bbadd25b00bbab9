"""The scanner's process: started when there is something to scan, nice to everything else, gone when there is nothing.

Requests are sent ahead of their answers, which come in order, so the process never waits for us between two files.
The file at the head of the line has a time limit; what exceeds it, or kills the process, is given up, and the files
behind it are sent again.
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

from moonraker_lite.tasks import TaskOwner

_LOGGER = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "moonraker_lite.gcode_metadata.worker")
IDLE_SECONDS = 60.0
STOP_SECONDS = 2.0
FRUITLESS = 3  # processes in a row that ended without an answer, after which nothing is tried for REST_SECONDS
REST_SECONDS = 30.0
NICENESS = 10
MAX_ANSWER = 4 * 1024 * 1024
_ENCODER = msgspec.json.Encoder()


class ScanFailed(Exception):
    """A file has no metadata; the text says why."""


class _Answer(msgspec.Struct, frozen=True):
    id: int | None = None
    metadata: dict[str, Any] | None = None
    error: str | None = None


class _Job:
    __slots__ = ("answer", "path", "thumbs")

    def __init__(self, path: str, thumbs: str, answer: asyncio.Future[dict[str, Any]]) -> None:
        self.path = path
        self.thumbs = thumbs
        self.answer = answer


class ScanWorker:
    """One process at most. `limit` is the time for one file (s)."""

    def __init__(self, limit: float, command: Sequence[str] = COMMAND) -> None:
        self._limit = limit
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Future[asyncio.subprocess.Process] | None = None
        self._jobs: deque[_Job] = deque()
        self._serving: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ids = 0
        self._wanted = False
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
        loop = asyncio.get_running_loop()
        if loop.time() < self._rest_until:
            raise ScanFailed("The scanner cannot be started")
        answer: asyncio.Future[dict[str, Any]] = loop.create_future()
        self._jobs.append(_Job(path, thumbs, answer))
        self._serve()
        if self._process is not None:
            self._send(self._jobs[-1])
        return await answer

    def warm(self) -> None:
        """Start the process ahead of the first file."""
        if self._process is None and asyncio.get_running_loop().time() >= self._rest_until:
            self._wanted = True
            self._serve()

    async def close(self) -> None:
        """End the process; scans that are under way fail."""
        self._stop_idling()
        await self._tasks.close()
        if self._starting is not None:
            starting, self._starting = self._starting, None
            with contextlib.suppress(OSError):
                self._process = await starting
        await self._end()
        self._fail_all("The host stops")

    # -- the one task ----------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        self._stop_idling()
        if self._serving is None or self._serving.done():
            self._serving = self._tasks.spawn(self._answer_all(), "answers")

    async def _answer_all(self) -> None:
        """Read answers until nothing is asked any more, and over again when the process breaks down."""
        while self._jobs or self._wanted:
            try:
                process = await self._started()
                self._wanted = False
                while self._jobs:
                    await self._next_answer(process)
            except OSError as error:
                await self._give_up(str(error))
                return
            except _BrokenDownError as error:
                await self._end()
                self._fail_first(str(error))
                self._fruitless += 1
                if self._fruitless >= FRUITLESS:
                    await self._give_up(str(error))
                    return
        self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._retire)

    async def _give_up(self, reason: str) -> None:
        _LOGGER.error("the scanner cannot be used, the next try is in %.0f s: %s", REST_SECONDS, reason)
        self._rest_until = asyncio.get_running_loop().time() + REST_SECONDS
        self._fruitless = 0
        self._wanted = False
        await self._end()
        self._fail_all("The scanner cannot be started")

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            starting = asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=MAX_ANSWER,
            )
            # If we are cancelled now, the process must still be known to somebody: `close` waits for it.
            self._starting = asyncio.ensure_future(starting)
            self._process = await asyncio.shield(self._starting)
            self._starting = None
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self._process.pid, NICENESS)
            for job in self._jobs:
                self._send(job)
        return self._process

    def _send(self, job: _Job) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._ids += 1
        line = _ENCODER.encode({"id": self._ids, "path": job.path, "thumbs_dir": job.thumbs})
        self._process.stdin.write(line + b"\n")

    async def _next_answer(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self._limit):
                line = await process.stdout.readline()
        except TimeoutError:
            raise _BrokenDownError(f"Reading the file took longer than {self._limit:g} s") from None
        except ValueError:
            raise _BrokenDownError("The file has more metadata than can be kept") from None
        if not line.endswith(b"\n"):
            raise _BrokenDownError("Reading the file ended the scanner")
        try:
            answer = msgspec.json.decode(line, type=_Answer)
        except msgspec.DecodeError:
            raise _BrokenDownError("The scanner gave no proper answer") from None
        self._fruitless = 0
        job = self._jobs.popleft()
        if job.answer.done():
            return
        if answer.metadata is not None:
            job.answer.set_result(answer.metadata)
        else:
            job.answer.set_exception(ScanFailed(answer.error or "The file could not be scanned"))

    def _fail_first(self, reason: str) -> None:
        if self._jobs:
            job = self._jobs.popleft()
            _LOGGER.warning("no metadata of %s: %s", os.path.basename(job.path), reason)
            if not job.answer.done():
                job.answer.set_exception(ScanFailed(reason))

    def _fail_all(self, reason: str) -> None:
        while self._jobs:
            job = self._jobs.popleft()
            if not job.answer.done():
                job.answer.set_exception(ScanFailed(reason))

    # -- the end of the process ------------------------------------------------------------------------------------

    def _stop_idling(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _retire(self) -> None:
        self._idle = None
        self._tasks.spawn(self._end(gently=True), "retire")

    async def _end(self, *, gently: bool = False) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        if gently:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class _BrokenDownError(Exception):
    """The process is of no use any more; the text is for the file at the head of the line."""
