"""Writing a stream to disk: one block is hashed and written while the next one fills.

Whether a checksum will be compared is known when its field comes before the file, which is what clients with a checksum
do. Then the stream is hashed on its way. Should the field come after the file, what was written is read once more;
uploads without a checksum, which most are, are not hashed at all: that would be a third of their cost.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from concurrent.futures import Executor

from moonraker_lite.components.file_manager.parts import Part

BLOCK = 1024 * 1024
SMALL_BLOCK = 64 * 1024  # for one of many
WRITE_OUT = 8 * BLOCK  # so often the disk is asked to begin, which leaves little for the final sync


class BlockWriter:
    """Takes bytes of any size; memory is two blocks. After an error nothing more may be written."""

    def __init__(self, part: Part, pool: Executor, *, hashing: bool, block: int = BLOCK) -> None:
        self._part = part
        self._pool = pool
        self._hash = hashlib.sha256() if hashing else None
        self._block = block
        self._filling, self._writing = bytearray(block), bytearray(block)
        self._filled = 0
        self._busy: asyncio.Future[None] | None = None
        self._stopped = False
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Take the next bytes; waits while both blocks are full.

        Raises:
            OSError: the disk refused an earlier block.
        """
        view = memoryview(data)
        while view and not self._stopped:
            taken = min(len(view), self._block - self._filled)
            self._filling[self._filled : self._filled + taken] = view[:taken]
            self._filled += taken
            view = view[taken:]
            if self._filled == self._block:
                await self._hand_over()

    async def _hand_over(self) -> None:
        await self._written()
        if self._stopped:
            return
        self._filling, self._writing = self._writing, self._filling
        data, start = memoryview(self._writing)[: self._filled], self.size
        self.size += self._filled
        self._filled = 0
        self._busy = asyncio.get_running_loop().run_in_executor(self._pool, self._store, data, start)

    def _store(self, data: memoryview, start: int) -> None:
        """In the thread."""
        if self._hash is not None:
            self._hash.update(data)
        end = start + len(data)
        while data:
            data = data[os.write(self._part.fd, data) :]
        if end // WRITE_OUT > start // WRITE_OUT:
            self._part.write_out(end - WRITE_OUT, WRITE_OUT)

    async def _written(self) -> None:
        if self._busy is not None:
            busy = self._busy
            await asyncio.shield(busy)
            if self._busy is busy:
                self._busy = None

    async def finish(self) -> None:
        """Write the rest.

        Raises:
            OSError: the disk refused.
        """
        if self._filled:
            await self._hand_over()
        await self._written()

    async def digest(self) -> str:
        """The SHA-256 of everything, in hexadecimal, after `finish`."""
        if self._hash is None:
            self._hash = await asyncio.get_running_loop().run_in_executor(self._pool, self._read_again)
        return self._hash.hexdigest()

    def _read_again(self) -> hashlib._Hash:
        """In the thread."""
        digest, done = hashlib.sha256(), 0
        while block := os.pread(self._part.fd, BLOCK, done):
            digest.update(block)
            done += len(block)
        return digest

    async def stop(self) -> None:
        """Return when no thread uses the part any more: only then may it be closed."""
        self._stopped = True
        busy, self._busy = self._busy, None
        if busy is not None:
            await asyncio.wait([busy])
            if not busy.cancelled():
                busy.exception()  # whoever wrote has been told already
