"""Requests that wait for their answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from moonraker_lite.errors import TooManyRequests, Unavailable
from moonraker_lite.klippy.errors import KlippyError
from moonraker_lite.klippy.framing import Reply

MAX_PENDING = 512  # scripts wait for the one before them, which may take minutes; more than this is a runaway client


class PendingRequests:
    """Futures by request id, bounded."""

    def __init__(self, limit: int = MAX_PENDING) -> None:
        self._limit = limit
        self._next_id = 1
        self._futures: dict[int, asyncio.Future[Any]] = {}
        self._callbacks: dict[int, Callable[[Any], None]] = {}

    def __len__(self) -> int:
        return len(self._futures)

    def open(self, on_result: Callable[[Any], None] | None = None) -> tuple[int, asyncio.Future[Any]]:
        """A new id and the future of its answer. Raises TooManyRequests when too many wait already.

        `on_result` is called at once when the result arrives: in order with everything else on the connection, which
        whoever awaits the future is not.
        """
        if len(self._futures) >= self._limit:
            raise TooManyRequests(f"{self._limit} requests wait for the printer already; try again when some are done")
        request_id = self._next_id
        self._next_id += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._futures[request_id] = future
        if on_result is not None:
            self._callbacks[request_id] = on_result
        return request_id, future

    def forget(self, request_id: int) -> None:
        """The asker waits no longer; a late answer is ignored."""
        self._futures.pop(request_id, None)
        self._callbacks.pop(request_id, None)

    def resolve(self, reply: Reply) -> bool:
        """Hand an answer to its asker. False if nobody waits for it."""
        future = self._futures.get(reply.id) if isinstance(reply.id, int) else None
        if future is None or future.done():
            return False
        on_result = self._callbacks.pop(reply.id, None) if isinstance(reply.id, int) else None
        if reply.error is None:
            if on_result is not None:
                on_result(reply.result)
            future.set_result(reply.result)
        else:
            future.set_exception(KlippyError(_message_of(reply.error)))
        return True

    def fail_all(self, message: str) -> None:
        """The connection is gone: everybody who waits gets Unavailable."""
        futures, self._futures = self._futures, {}
        self._callbacks.clear()
        for future in futures.values():
            if not future.done():
                future.set_exception(Unavailable(message))


def _message_of(error: Any) -> str:
    """Klipper sends {"error": kind, "message": text}; others may send a bare string."""
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error["message"])
    return str(error)
