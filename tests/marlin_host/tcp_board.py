"""A virtual Marlin behind a TCP server, as ser2net and network adapters offer one."""

from __future__ import annotations

import asyncio

from moonraker_lite.marlin.virtual.board import Board
from moonraker_lite.marlin.virtual.commands import HANDLERS
from moonraker_lite.marlin.virtual.faults import FaultPlan, Faults


class TcpBoard:
    """One board, one connection at a time; `drop` ends the connection and the board goes on."""

    def __init__(self, *, keep: int = 100_000) -> None:
        self.board = Board(HANDLERS, Faults(FaultPlan()), speed=0.0, keep=keep)
        self.url = ""
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self.board.power_on(asyncio.get_running_loop().time())
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"socket://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        task = asyncio.create_task(self._tick())
        self._tasks.add(task)

    def drop(self) -> None:
        """End the connection without a word."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    async def close(self) -> None:
        self.drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writer = writer
        try:
            while self.board.room and (data := await reader.read(self.board.room)):
                self.board.feed(data, asyncio.get_running_loop().time())
                self._say()
                while not self.board.room:
                    await asyncio.sleep(0.002)
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _say(self) -> None:
        output = self.board.take_output(asyncio.get_running_loop().time())
        if self._writer is not None and output:
            self._writer.write(output)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.002)
            self.board.advance(asyncio.get_running_loop().time())
            self._say()
