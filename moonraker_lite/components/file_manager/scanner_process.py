"""One run of the scanner's process: what is written to it, what it answers, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

_BEGIN = """
import sys
tables, package, *more = sys.argv[1:]
sys.path[:] = [package, *sys.path, *more]
sys.argv[1:] = ["--tables", tables] if tables else []
sys.modules["typing_extensions"] = None
from moonraker_lite.gcode_metadata.worker import main
sys.exit(main())
"""
# Without `site` and the user's environment it starts in half the time. msgspec takes typing_extensions where there is
# one, which costs more than all the rest, and does as well without.

STOP_SECONDS = 2.0
NICENESS = 10
MAX_ANSWER = 4 * 1024 * 1024
_DRAIN = 64 * 1024


def command(tables: str = "") -> tuple[str, ...]:
    """What starts the scanner: this interpreter, with the modules that this process would find, and the slicer tables
    of a folder."""
    import moonraker_lite

    package = str(Path(moonraker_lite.__file__).resolve().parent.parent)
    return (sys.executable, "-I", "-S", "-c", _BEGIN, tables, package, *(os.path.abspath(path) for path in sys.path))


class BrokenDown(Exception):
    """The process is of no use any more; the text is for the file at the head of the line. `guilty`: it is this file's
    fault for certain, another process would fare no better."""

    def __init__(self, reason: str, *, guilty: bool = False) -> None:
        super().__init__(reason)
        self.guilty = guilty


class SilentError(BrokenDown):
    """It has not said anything for too long."""


class Answer(msgspec.Struct, frozen=True):
    """What the process says of one request: what was asked for, or why it cannot be had, or (`done`) how far it is."""

    id: int | None = None
    metadata: dict[str, Any] | None = None
    moves: dict[str, Any] | None = None
    changed: bool | None = None
    problems: list[str] | None = None
    done: float | None = None
    error: str | None = None


class ScannerProcess:
    """Make it with `start`. Whoever has it calls `end` in the end, whatever happened to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._input = process.stdin
        self._output = process.stdout
        self.fresh = True  # it has not answered yet, and may still be starting

    @classmethod
    async def start(cls, command: Sequence[str]) -> ScannerProcess:
        """Start it, nice to everything else.

        Raises:
            OSError: the command cannot be run.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=MAX_ANSWER,
        )
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, line: bytes) -> None:
        """Write one request. That the process is gone is no error here: `answer` finds out, at the latest by its time
        limit."""
        if self._input.is_closing():
            return
        # uvloop's pipes refuse when they were closed since they were asked, asyncio's say nothing.
        with contextlib.suppress(RuntimeError, OSError):
            self._input.write(line)

    async def answer(self, limit: float) -> Answer:
        """The next answer; `limit` in s. After a SilentError it may be waited for again.

        Raises:
            BrokenDown: there will be none.
        """
        try:
            async with asyncio.timeout(limit):
                line = await self._output.readline()
        except TimeoutError:
            raise SilentError(f"Reading the file took longer than {limit:g} s", guilty=True) from None
        except ValueError:
            raise BrokenDown("The file has more metadata than can be kept", guilty=True) from None
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            raise BrokenDown("Reading the file ended the scanner")
        self.fresh = False
        try:
            return msgspec.json.decode(line, type=Answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BrokenDown("The scanner gave no proper answer") from None

    async def end(self, *, gently: bool = False) -> None:
        """Return when the process is gone. `gently`: it may finish by itself, for a while. May be called again, also
        after a call that was cancelled."""
        self._input.close()
        try:
            if gently:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(STOP_SECONDS):
                        await self._gone()
        finally:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._gone()

    async def _gone(self) -> None:
        # What it has said is taken from the pipe: the loop does not see the end of a process behind a full one.
        with contextlib.suppress(OSError):
            while await self._output.read(_DRAIN):
                pass
        await self._process.wait()
