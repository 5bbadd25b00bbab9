"""Reading a G-code file as lines, with read-ahead and without ever holding the file.

Lines come as bytes with their ends, so that the lengths add up to the exact offset in the file. A line may end in LF,
CRLF or a lone CR. Reading happens in a thread: a slow SD card must not stop the line to the printer.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import TracebackType

CHUNK = 64 * 1024
# Nothing a firmware understands is longer; a longer one is cut into pieces of about this size.
MAX_LINE = 64 * 1024


class GcodeFile:
    """An open file, read from `offset` on. `size` is the size at opening."""

    def __init__(self, path: Path, offset: int = 0, chunk: int = CHUNK) -> None:
        """Raise OSError when the file cannot be opened."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._descriptor).st_size
        self._chunk = chunk
        self._offset = offset
        self._ahead: asyncio.Future[bytes] | None = None
        self._carry = b""
        self._ended = False

    async def lines(self) -> list[bytes]:
        """Return the next lines, an empty list at the end. Raise OSError when the disk fails."""
        while not self._ended:
            data = await self._read_ahead()
            if not data:
                self._ended = True
                rest, self._carry = self._carry, b""
                return rest.splitlines(keepends=True)
            lines = (self._carry + data).splitlines(keepends=True)
            self._carry = b""
            # A CR at the very end may be the first half of CRLF: it waits with its line for the next chunk.
            if not lines[-1].endswith(b"\n") and len(lines[-1]) < MAX_LINE:
                self._carry = lines.pop()
            if lines:
                return lines
        return []

    async def _read_ahead(self) -> bytes:
        """Return the chunk that was asked for last time, and ask for the next one."""
        ahead = self._ahead or self._request()
        data = await asyncio.shield(ahead)
        self._offset += len(data)
        self._ahead = self._request() if data else None
        return data

    def _request(self) -> asyncio.Future[bytes]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(None, os.pread, self._descriptor, self._chunk, self._offset)

    async def close(self) -> None:
        """Close the file, after a read that is under way."""
        if self._descriptor < 0:
            return
        if self._ahead is not None:
            await asyncio.wait([self._ahead])
            if not self._ahead.cancelled():
                self._ahead.exception()
            self._ahead = None
        os.close(self._descriptor)
        self._descriptor = -1

    async def __aenter__(self) -> GcodeFile:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
