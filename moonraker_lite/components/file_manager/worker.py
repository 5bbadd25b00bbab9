"""The scanner's process: started when there is something to scan, nice to everything else, gone when there is nothing.

Scans are sent ahead of their answers, which come in order, so the process never waits for us between two files. The
file at the head of the line has a time limit; what exceeds it, or kills the process twice, is given up, and the files
behind it are sent again. What takes long (following all moves, defining objects) is done by the same process when
nothing is to be scanned, at a pace that can be changed; as long as it tells of progress it has no time limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from moonraker_lite.components.file_manager.scanner_process import (
    Answer,
    BrokenDown,
    ScannerProcess,
    SilentError,
    command,
)
from moonraker_lite.tasks import TaskOwner

_LOGGER = logging.getLogger(__name__)

IDLE_SECONDS = 60.0
START_SECONDS = 20.0  # that a process may take in addition until it answers first, on a busy machine
TRIES = 2  # processes that a file may end: the first may have been ended by somebody else
FRUITLESS = 6  # processes in a row that ended without an answer, after which nothing is tried for REST_SECONDS
REST_SECONDS = 30.0
_ENCODER = msgspec.json.Encoder()


class ScanFailed(Exception):
    """A file has no metadata; the text says why."""


class NotScanned(ScanFailed):
    """That is not the file's fault: it should be tried again."""


class _Job:
    """`answer` gets a failure as a value: an exception would be complained of when nobody is left to take it."""

    __slots__ = ("answer", "id", "line", "paced", "path", "progress", "tries")

    def __init__(self, number: int, path: str, **more: Any) -> None:
        self.id = number
        self.path = path
        self.line = _ENCODER.encode({"id": number, "path": path, **more}) + b"\n"
        self.tries = 0
        self.paced = more.get("work") == "moves"
        self.progress: Callable[[float], None] | None = None
        self.answer: asyncio.Future[Answer | ScanFailed] = asyncio.get_running_loop().create_future()

    def settle(self, result: Answer | ScanFailed) -> None:
        if not self.answer.done():  # it is when whoever asked was cancelled
            self.answer.set_result(result)

    async def result(self) -> Answer:
        result = await self.answer
        if isinstance(result, ScanFailed):
            raise result
        if result.error is not None:
            raise ScanFailed(result.error)
        return result


class ScanWorker:
    """One process at most. `limit` is the time for one file (s)."""

    def __init__(self, limit: float, process: Sequence[str] | None = None) -> None:
        self._limit = limit
        self._command = process or command()
        self._process: ScannerProcess | None = None
        self._starting: asyncio.Future[ScannerProcess] | None = None
        self._alive: set[ScannerProcess] = set()  # also what is being ended
        self._jobs: deque[_Job] = deque()  # scans, as sent, or to be sent when there is a process
        self._long: dict[int, _Job] = {}  # likewise
        self._serving: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ids = 0
        self._pace = 1.0
        self._rested = False  # since it said something last
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
        job = self._job(path, thumbs_dir=thumbs)
        self._jobs.append(job)
        self._begin(job)
        result = await job.result()
        if result.metadata is None:
            raise ScanFailed("The file could not be scanned")
        return result.metadata

    async def follow_moves(self, path: str) -> dict[str, Any]:
        """What all moves of a file say, by the names of metadata. It ends when the caller is cancelled.

        Raises:
            ScanFailed: as `scan`.
        """
        return (await self._work_long(path, "moves")).moves or {}

    async def define_objects(self, path: str, progress: Callable[[float], None] | None = None) -> bool:
        """Have a file's objects defined in it; whether it was changed. `progress` is told the part that is done.

        Raises:
            ScanFailed: as `scan`; the file is as it was.
        """
        return bool((await self._work_long(path, "objects", progress)).changed)

    async def read_tables(self, folder: str) -> list[str]:
        """Have the slicer tables of a folder read again; what is wrong with them, a sentence each.

        Raises:
            ScanFailed: the scanner cannot be used.
        """
        job = self._job(folder, work="tables")
        self._jobs.append(job)
        self._begin(job)
        return (await job.result()).problems or []

    def set_pace(self, pace: float) -> None:
        """The part of the time (0 to 1) that following moves may take from now on."""
        if pace != self._pace:
            self._pace = pace
            self._rested = True
            if self._process is not None:
                self._process.send(self._pace_line())

    def _pace_line(self) -> bytes:
        return _ENCODER.encode({"id": 0, "path": "", "work": "pace", "pace": self._pace}) + b"\n"

    async def _work_long(
        self, path: str, work: Literal["moves", "objects"], progress: Callable[[float], None] | None = None
    ) -> Answer:
        job = self._job(path, work=work)
        job.progress = progress
        self._long[job.id] = job
        self._begin(job)
        try:
            return await job.result()
        except asyncio.CancelledError:
            if self._long.pop(job.id, None) is not None and self._process is not None:
                self._process.send(_ENCODER.encode({"id": job.id, "path": "", "work": "cancel"}) + b"\n")
            raise

    def _job(self, path: str, **more: Any) -> _Job:
        if self._closed:
            raise NotScanned("The host stops")
        if asyncio.get_running_loop().time() < self._rest_until:
            raise NotScanned("The scanner cannot be started")
        self._ids += 1
        return _Job(self._ids, path, **more)

    def _begin(self, job: _Job) -> None:
        if self._process is not None:
            self._process.send(job.line)
        self._serve()

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
            while self._jobs or self._long or self._wanted:
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
        while self._jobs or self._long:
            try:
                answer = await process.answer(self._limit + (START_SECONDS if process.fresh else 0.0))
            except SilentError:
                rests = self._pace <= 0 or self._rested
                if self._jobs or any(not (job.paced and rests) for job in self._long.values()):
                    raise
                self._rested = self._pace <= 0
            else:
                self._take(answer)

    def _take(self, answer: Answer) -> None:
        if self._jobs and answer.id == self._jobs[0].id:
            self._jobs.popleft().settle(answer)
        elif (job := self._long.get(answer.id or 0)) is not None:
            if answer.done is None:
                del self._long[job.id]
                job.settle(answer)
            elif job.progress is not None:
                job.progress(answer.done)
        elif answer.id is None or any(job.id == answer.id for job in self._jobs):
            raise BrokenDown("The scanner gave no proper answer")
        # Anything else is about long work that was cancelled meanwhile.
        self._fruitless = 0
        self._rested = self._pace <= 0

    async def _recover(self, error: BrokenDown) -> None:
        """The process is of no use any more: the next one gets what is left to do."""
        process, self._process = self._process, None
        if process is not None:
            await self._end(process)
        blamed = [self._jobs[0]] if self._jobs else []
        if self._long:
            long = self._long.values()  # it may have been one of these, too
            blamed.append(next((job for job in long if not job.paced), next(iter(long))))
        for job in blamed:
            job.tries += 1
            if (error.guilty and job is blamed[0]) or job.tries >= TRIES:
                _LOGGER.warning("no metadata of %s: %s", os.path.basename(job.path), error)
                if self._long.pop(job.id, None) is None:
                    self._jobs.popleft()
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
        if self._pace != 1.0:
            process.send(self._pace_line())
        self._jobs = deque(job for job in self._jobs if not job.answer.done())  # others were cancelled meanwhile
        for job in (*self._jobs, *self._long.values()):
            process.send(job.line)
        return process

    def _fail_all(self, reason: str) -> None:
        jobs = (*self._jobs, *self._long.values())
        self._jobs.clear()
        self._long.clear()
        for job in jobs:
            job.settle(NotScanned(reason))

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
