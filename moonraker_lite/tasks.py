"""Ownership of asyncio tasks: every task has an owner and ends with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_LOGGER = logging.getLogger(__name__)


class TaskOwner:
    """Holds the tasks of one object and cancels them when that object closes.

    A task that ends with an exception is logged once, with its name: nobody awaits it, so nobody else would say so.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start `work` as a task of this owner."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self._name}:{name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def __len__(self) -> int:
        """How many run now."""
        return len(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOGGER.error("task %s failed", task.get_name(), exc_info=error)

    def cancel(self) -> None:
        """Cancel what still runs without waiting for it, where nothing can wait."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
