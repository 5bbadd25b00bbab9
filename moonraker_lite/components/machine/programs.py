"""Running a program of the system."""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple


class Ended(NamedTuple):
    """What a program has left. `status` is 0 when all was well."""

    status: int
    output: str
    complaint: str


async def run_program(*command: str, seconds: float) -> Ended:
    """Run a program without input to its end; it is killed when that takes too long or the caller is cancelled.

    Raises:
        TimeoutError: it took longer than `seconds`.
        OSError: it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            output, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return Ended(process.returncode or 0, output.decode("utf-8", "replace"), complaint.decode("utf-8", "replace"))
