"""Writing a stream to disk while its SHA-256 is computed: one block is written while the next one fills."""

from __future__ import annotations

import asyncio
import hashlib
import os
from concurrent.futures import Executor

from moonraker_lite.components.file_manager.parts import Part

BLOCK = 1024 * 1024
WRITE_OUT = 8 * BLOCK  # so often the disk is asked to begin, which leaves little for the final sync


class HashingWriter:
    """Takes bytes of any size; memory is two blocks. After an error nothing more may be written."""

    def __init__(self, part: Part, pool: Executor) -> None:
        self._part = part
        self._pool = pool
        self._hash = hashlib.sha256()
        self._filling, self._writing = bytearray(BLOCK), bytearray(BLOCK)
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
        while view:
            taken = min(len(view), BLOCK - self._filled)
            self._filling[self._filled : self._filled + taken] = view[:taken]
            self._filled += taken
            view = view[taken:]
            if self._filled == BLOCK:
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
        self._hash.update(data)
        end = start + len(data)
        while data:
            data = data[os.write(self._part.fd, data) :]
        if end // WRITE_OUT > start // WRITE_OUT:
            self._part.write_out(end - WRITE_OUT, WRITE_OUT)

    async def _written(self) -> None:
        if self._busy is not None:
            await asyncio.shield(self._busy)
            self._busy = None

    async def finish(self) -> str:
        """Write the rest; the SHA-256 of everything, in hexadecimal.

        Raises:
            OSError: the disk refused.
        """
        if self._filled:
            await self._hand_over()
        await self._written()
        return self._hash.hexdigest()

    async def stop(self) -> None:
        """Return when no thread uses the part any more: only then may it be closed."""
        self._stopped = True
        if self._busy is not None:
            await asyncio.wait([self._busy])
            if not self._busy.cancelled():
                self._busy.exception()  # whoever wrote has been told already
            self._busy = None
