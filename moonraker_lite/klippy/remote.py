"""Methods of ours that Klipper macros may call (`action_call_remote_method`)."""

from __future__ import annotations

import inspect
import logging
from typing import Any

from moonraker_lite.klippy.listener import RemoteMethod
from moonraker_lite.tasks import TaskOwner

MAX_RUNNING = 64  # coroutine handlers at the same time; more are dropped with a warning

_LOGGER = logging.getLogger(__name__)


class RemoteMethods:
    """Handlers by name, and the tasks of those that are coroutines."""

    def __init__(self) -> None:
        self._handlers: dict[str, RemoteMethod] = {}
        self._tasks = TaskOwner("remote methods")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._handlers)

    def register(self, name: str, handler: RemoteMethod) -> None:
        """Raises ValueError for a name that is taken."""
        if name in self._handlers:
            raise ValueError(f"Remote method {name} is registered already")
        self._handlers[name] = handler

    def call(self, name: str, params: dict[str, Any]) -> None:
        """Run the handler of `name`; nobody waits for its result."""
        handler = self._handlers.get(name)
        if handler is None:
            _LOGGER.warning("The printer called the unknown method %s", name)
        elif not inspect.iscoroutinefunction(handler):
            self._run(name, handler, params)
        elif len(self._tasks) >= MAX_RUNNING:
            _LOGGER.warning("The printer called %s too often, this call is dropped", name)
        else:
            self._tasks.spawn(self._run_async(name, handler, params), name)

    async def close(self) -> None:
        """End the handlers that still run."""
        await self._tasks.close()

    def _run(self, name: str, handler: RemoteMethod, params: dict[str, Any]) -> None:
        try:
            handler(**params)
        except Exception:  # boundary: macros pass what they like, and nobody waits for an answer
            _LOGGER.exception("Remote method %s failed", name)

    async def _run_async(self, name: str, handler: RemoteMethod, params: dict[str, Any]) -> None:
        try:
            await handler(**params)
        except Exception:  # boundary: macros pass what they like, and nobody waits for an answer
            _LOGGER.exception("Remote method %s failed", name)
