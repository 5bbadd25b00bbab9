"""A process that scans files for somebody else: `python -m moonraker_lite.gcode_metadata.worker [--tables FOLDER]`.

The folder may hold slicers that the user described (`user_tables`).

One JSON object per line on standard input, one answer per line on standard output:

    {"id": 7, "path": "/data/gcodes/a.gcode", "thumbs_dir": "/data/gcodes/.thumbs"}
    {"id": 7, "metadata": {...}}   or   {"id": 7, "error": "a sentence"}

Scans are answered at once and in order. What takes long is done when nothing else is asked, and put aside for a moment
when a scan comes in; while it goes on it says how far it is, every second or so (`done`, from 0 to 1). Moves are put
aside for objects as well:

    {"id": 8, "path": "/data/gcodes/a.gcode", "work": "moves"}
    {"id": 8, "done": 0.4}   ...   {"id": 8, "moves": {"layer_count": 250, ...}}
    {"id": 9, "path": "/data/gcodes/a.gcode", "work": "objects"}
    {"id": 9, "changed": true}

The slicer tables of a folder (at the start those of `--tables FOLDER`) are read again by

    {"id": 10, "path": "/data/config/slicers.d", "work": "tables"}
    {"id": 10, "problems": ["a sentence", ...]}

Two requests have no answer. `{"id": 8, "path": "", "work": "cancel"}` ends request 8, or forgets it. With `{"id": 0,
"path": "", "work": "pace", "pace": 0.1}` following moves takes that part of the time; with 0 it rests.

`thumbs_dir` may be null or missing. A line that is no request is answered with id null. The process ends with its
standard input. Time limit, priority and restarting are the host's business.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from moonraker_lite.gcode_metadata.model import Metadata
from moonraker_lite.gcode_metadata.scanner import scan
from moonraker_lite.gcode_metadata.slicers import Tables

MAX_LINE = 64 * 1024
"""Two paths of 4096 bytes each, however they are escaped."""
MAX_MEMORY = 768 * 1024 * 1024
"""Address space; what would need more fails."""
TELL_SECONDS = 1.0
_READ = 64 * 1024


class Request(msgspec.Struct, frozen=True):
    id: int
    path: str
    thumbs_dir: str | None = None
    work: Literal["scan", "tables", "moves", "objects", "cancel", "pace"] = "scan"
    pace: float = 1.0


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    id: int | None
    metadata: Metadata | None = None
    moves: dict[str, Any] | None = None
    changed: bool | None = None
    problems: list[str] | None = None
    done: float | None = None
    error: str | None = None


class _InputEndedError(Exception):
    """The host closed standard input."""


class _CancelledError(Exception):
    """The request is of no interest any more."""


class Worker:
    """Serves one host on two file descriptors."""

    def __init__(self, source: int, target: int, tables: Tables | None = None) -> None:
        self._tables = tables
        self._source = source
        self._target = target
        self._poll = select.poll()
        self._poll.register(source, select.POLLIN)
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Request)
        self._rest = b""
        self._skipping = False
        self._soon: deque[Request] = deque()  # objects to define
        self._later: deque[Request] = deque()  # moves to follow
        self._active: list[int] = []  # at most one of each, the one that goes on last
        self._cancelled: set[int] = set()
        self._pace = 1.0
        self._told = 0.0

    def serve(self) -> None:
        """Answer until the input ends."""
        try:
            while True:
                due = bool(self._soon or (self._later and self._pace > 0))
                self._receive(0.0 if due else None)
                if self._soon:
                    self._work(self._soon.popleft(), self._objects)
                elif self._later and self._pace > 0:
                    self._work(self._later.popleft(), self._moves)
        except _InputEndedError:
            return

    # -- requests --------------------------------------------------------------------------------------------------

    def _receive(self, seconds: float | None) -> None:
        """Take the requests that are there, after waiting for the first one at most so long. Scans are done at once."""
        while self._poll.poll(None if seconds is None else max(0.0, seconds * 1000)):
            block = os.read(self._source, _READ)
            if not block:
                raise _InputEndedError
            *lines, rest = (self._rest + block).split(b"\n")
            self._rest = rest
            for line in lines:
                if self._skipping:
                    self._skipping = False  # the end of a line that was too long
                elif len(line) >= MAX_LINE:
                    self._refuse_length()
                else:
                    self._take(line)
            if len(self._rest) >= MAX_LINE:
                if not self._skipping:
                    self._refuse_length()
                self._skipping, self._rest = True, b""
            seconds = 0.0

    def _refuse_length(self) -> None:
        self._say(Answer(None, error=f"A request may have {MAX_LINE} bytes at most."))

    def _take(self, line: bytes) -> None:
        try:
            request = self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._say(Answer(None, error=f"The request is not understood: {error}"))
            return
        if request.work == "scan":
            self._say(_guarded(request, self._scan))
        elif request.work == "tables":
            self._say(_guarded(request, self._read_tables))
        elif request.work == "pace":
            self._pace = min(max(request.pace, 0.0), 1.0)
        elif request.work == "cancel":
            if request.id in self._active:
                self._cancelled.add(request.id)
            for waiting in (self._soon, self._later):
                for other in [other for other in waiting if other.id == request.id]:
                    waiting.remove(other)
        else:
            (self._soon if request.work == "objects" else self._later).append(request)

    def _say(self, answer: Answer) -> None:
        line = self._encoder.encode(answer) + b"\n"
        while line:
            line = line[os.write(self._target, line) :]

    def _scan(self, request: Request) -> Answer:
        folder = None if request.thumbs_dir is None else Path(request.thumbs_dir)
        return Answer(request.id, scan(request.path, thumbs_dir=folder, tables=self._tables))

    def _read_tables(self, request: Request) -> Answer:
        from moonraker_lite.gcode_metadata.user_tables import check_tables, load_tables

        self._tables = load_tables(request.path)
        return Answer(request.id, problems=check_tables(request.path))

    # -- what takes long -------------------------------------------------------------------------------------------

    def _work(self, request: Request, work: Callable[[Request], Answer]) -> None:
        self._active.append(request.id)
        self._told = time.monotonic()
        try:
            self._say(_guarded(request, work))
        except _CancelledError:
            return
        finally:
            self._active.remove(request.id)
            self._cancelled.discard(request.id)

    def _moves(self, request: Request) -> Answer:
        from moonraker_lite.gcode_metadata.computed import fields_of
        from moonraker_lite.gcode_metadata.moves_pass import scan_moves

        size = max(1, os.stat(request.path).st_size)
        begun = time.monotonic()

        def between(done: int) -> None:
            nonlocal begun
            self._tell(request, min(1.0, done / size))
            self._pause(request, time.monotonic() - begun)
            begun = time.monotonic()

        return Answer(request.id, moves=fields_of(scan_moves(request.path, between)))

    def _objects(self, request: Request) -> Answer:
        from moonraker_lite.gcode_metadata.object_processing import process

        def between(part: float) -> None:
            self._tell(request, part)
            self._receive(0.0)
            if request.id in self._cancelled:
                raise _CancelledError

        return Answer(request.id, changed=process(request.path, progress=between).changed)

    def _tell(self, request: Request, done: float) -> None:
        now = time.monotonic()
        if now - self._told >= TELL_SECONDS:
            self._told = now
            self._say(Answer(request.id, done=round(done, 3)))

    def _pause(self, request: Request, worked: float) -> None:
        """Do what is more urgent than following moves, and keep to the pace. `worked`: s since the last rest."""
        since = time.monotonic()
        self._receive(0.0)
        while True:
            while self._soon:
                self._work(self._soon.popleft(), self._objects)
            if request.id in self._cancelled:
                raise _CancelledError
            left = since + worked * (1 / self._pace - 1) - time.monotonic() if self._pace > 0 else None
            if left is not None and left <= 0:
                return
            self._receive(left)


def _guarded(request: Request, work: Callable[[Request], Answer]) -> Answer:
    """The answer to a request, whatever is wrong with its file."""
    try:
        return work(request)
    except (_InputEndedError, _CancelledError):
        raise
    except BrokenPipeError:
        raise  # the host is gone
    except OSError as error:
        return Answer(request.id, error=f"The file cannot be read: {error.strerror or error}")
    except MemoryError:
        return Answer(request.id, error="The file needs more memory than there is for it")
    except Exception as error:  # noqa: BLE001 - the worker's boundary: one file's trouble must not end the others' scans
        return Answer(request.id, error=f"The file could not be scanned: {type(error).__name__}: {error}")


def main() -> int:
    # The host decides when the worker ends: Ctrl-C in its terminal reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _bound_memory()
    try:
        Worker(sys.stdin.fileno(), sys.stdout.fileno(), _own_tables(sys.argv[1:])).serve()
    except BrokenPipeError:
        # The host is gone. Standard output must not complain once more when the interpreter closes it.
        sys.stdout = None
    return 0


def _own_tables(arguments: list[str]) -> Tables | None:
    """Of `--tables FOLDER`; nothing is read without it."""
    if len(arguments) != 2 or arguments[0] != "--tables":
        return None
    try:
        if not any(name.endswith(".toml") for name in os.listdir(arguments[1])):
            return None  # the reader of tables takes time to import
    except OSError:
        return None
    from moonraker_lite.gcode_metadata.user_tables import load_tables

    return load_tables(arguments[1])


def _bound_memory() -> None:
    import resource

    try:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        bound = MAX_MEMORY if hard == resource.RLIM_INFINITY else min(MAX_MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    except (OSError, ValueError):
        return  # not every system has it


if __name__ == "__main__":
    sys.exit(main())
