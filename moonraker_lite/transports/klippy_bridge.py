"""/klippysocket: a websocket that is a raw bridge to Klipper's API socket. A message is one JSON object; the 0x03 that
ends it on the socket is taken off on the way out and may be left out on the way in."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from tornado.websocket import WebSocketClosedError

from moonraker_lite.api.access import AccessPolicy
from moonraker_lite.errors import Unauthorized
from moonraker_lite.tasks import TaskOwner
from moonraker_lite.transports.handshake import GuardedSocket

_END = b"\x03"
MAX_MESSAGE = 16 * 1024 * 1024


class KlippyBridge(GuardedSocket):
    """One bridged client: its messages to the socket, the socket's messages to it."""

    def initialize(self, access: AccessPolicy, socket_path: Path) -> None:  # type: ignore[override]
        super().initialize(access)
        self._socket_path = socket_path
        self._tasks = TaskOwner("klippy-bridge")
        self._writer: asyncio.StreamWriter | None = None

    def prepare(self) -> None:
        if self.caller() is None:
            self.refuse(Unauthorized("Unauthorized"))

    async def open(self, *args: str, **kwargs: str) -> None:
        try:
            reader, self._writer = await asyncio.open_unix_connection(self._socket_path, limit=MAX_MESSAGE)
        except OSError:
            self.close(1011, "Klippy Host not connected")
            return
        self._tasks.spawn(self._relay(reader), "relay")

    async def _relay(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, WebSocketClosedError):
            while True:
                frame = (await reader.readuntil(_END)).removesuffix(_END)
                await self.write_message(frame.decode("utf-8", "replace"))
        self.close(1011, "Klippy Disconnected")

    async def on_message(self, message: str | bytes) -> None:
        if self._writer is None:
            return
        data = message.encode() if isinstance(message, str) else message
        with contextlib.suppress(OSError):
            self._writer.write(data if data.endswith(_END) else data + _END)
            await self._writer.drain()

    def on_close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._tasks.cancel()
