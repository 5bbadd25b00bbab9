"""Reading a G-code file as lines, with read-ahead and without ever holding the file.

Lines come as bytes with their ends, so that the lengths add up to the exact offset in the file. A line may end in LF,
CRLF or a lone CR. Reading happens in a thread: a slow SD card must not stop the line to the printer.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from types import TracebackType

from moonraker_lite.marlin.requests import CommandError

CHUNK = 64 * 1024
# Nothing a firmware understands is longer. The rest of a longer one comes as pieces that begin with a `;`: it cannot
# be obeyed, and must not be taken for lines of its own.
MAX_LINE = 64 * 1024


# What Windows editors put before the first line.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class FileChanged(CommandError):
    """Somebody changed the file while it was being read."""


class GcodeFile:
    """An open file, read from `offset` on. `size` is the size at opening."""

    def __init__(self, path: Path, offset: int = 0, chunk: int = CHUNK) -> None:
        """Raise OSError when the file cannot be opened."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        status = os.fstat(self._descriptor)
        self.size = status.st_size
        self._modified = status.st_mtime_ns
        self._chunk = chunk
        self._offset = offset
        # The chunk before the one that is asked for, and where it stood.
        self._last = (offset, b"")
        self._ahead: asyncio.Future[bytes] | None = None
        self._carry = b""
        # What comes next is the rest of a line that was too long.
        self._inside = False
        self._ended = False

    async def lines(self) -> list[bytes]:
        """Return the next lines, an empty list at the end. Raise OSError when the disk fails, FileChanged."""
        while not self._ended:
            data = await self._read_ahead()
            if not data:
                self._ended = True
                rest, self._carry = self._carry, b""
                return self._split(rest)
            lines = self._split(self._carry + data)
            self._carry = b""
            last = lines[-1]
            if last.endswith(b"\n"):
                self._inside = False
            elif len(last) < MAX_LINE:
                # A CR at the very end may be the first half of CRLF: it waits with its line for the next chunk.
                self._carry = lines.pop()
                self._inside = self._inside and not lines
            else:
                self._inside = not last.endswith(b"\r")
            if lines:
                return lines
        return []

    def _split(self, data: bytes) -> list[bytes]:
        """Cut into lines; the rest of a line that was too long becomes a comment of the same length."""
        lines = data.splitlines(keepends=True)
        if self._inside and lines and lines[0] not in (b"\n", b"\r", b"\r\n"):
            lines[0] = b";" + lines[0][1:]
        return lines

    async def _read_ahead(self) -> bytes:
        """Return the chunk that was asked for last time, and ask for the next one."""
        ahead = self._ahead or self._request()
        self._ahead = ahead
        data = await asyncio.shield(ahead)
        first = self._offset == 0
        self._last = (self._offset, data)
        self._offset += len(data)
        self._ahead = self._request() if data else None
        if first and data.startswith(_BYTE_ORDER_MARK):
            return b"   " + data[3:]
        return data

    def _request(self) -> asyncio.Future[bytes]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(None, self._read, self._descriptor, self._offset, *self._last)

    def _read(self, descriptor: int, offset: int, last_offset: int, last: bytes) -> bytes:
        """In a thread: read a chunk. A file that was touched must still hold what was read of it before."""
        data = os.pread(descriptor, self._chunk, offset)
        if not data and offset < self.size:
            raise FileChanged(f"The file was cut short while it was printed: {offset} of {self.size} bytes are left")
        modified = os.fstat(descriptor).st_mtime_ns
        if modified != self._modified:
            if os.pread(descriptor, len(last) + len(data), last_offset) != last + data:
                raise FileChanged("The file was changed while it was printed")
            self._modified = modified
        return data

    def close(self) -> None:
        """Close the file; where a read is under way, after it, without waiting for that."""
        descriptor, self._descriptor = self._descriptor, -1
        ahead, self._ahead = self._ahead, None
        if descriptor < 0:
            return
        if ahead is None:
            os.close(descriptor)
        else:
            ahead.add_done_callback(partial(_close, descriptor))

    def __enter__(self) -> GcodeFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _close(descriptor: int, done: asyncio.Future[bytes]) -> None:
    if not done.cancelled():
        done.exception()
    os.close(descriptor)
