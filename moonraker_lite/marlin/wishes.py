"""What is wished of a running print: one enum, and who waits for it to change."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable
from typing import TypeVar

from moonraker_lite.marlin.waiting import unless_set

T = TypeVar("T")


class Wish(enum.Enum):
    """What the user (or a failure) wants of a running job; the job grants it at the next line."""

    GO_ON = "go on"
    PAUSE = "pause"
    CANCEL = "cancel"
    FAIL = "fail"


class Stopped(Exception):
    """Leaves the file: cancelled or failed."""


class Wishes:
    """The wish that holds. A failure outweighs a cancel, a cancel a pause."""

    def __init__(self) -> None:
        self.current = Wish.GO_ON
        # Why the print fails.
        self.failure = ""
        # Set by whatever the job may be waiting for.
        self.wake = asyncio.Event()
        self._failed = asyncio.Event()
        self._leaving = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Cancelled or failed."""
        return self.current in (Wish.CANCEL, Wish.FAIL)

    def begin(self) -> None:
        """A print begins; nobody wishes anything of it yet."""
        self.current, self.failure = Wish.GO_ON, ""
        self._failed.clear()
        self._leaving.clear()

    def pause(self) -> bool:
        """Return whether nothing stronger is wished already."""
        if self.current is not Wish.GO_ON:
            return False
        self.current = Wish.PAUSE
        self.wake.set()
        return True

    def resume(self) -> None:
        """No pause is wished any more."""
        if self.current is Wish.PAUSE:
            self.current = Wish.GO_ON
            self.wake.set()

    def cancel(self) -> None:
        if self.current is not Wish.FAIL:
            self.current = Wish.CANCEL
        self._leaving.set()
        self.wake.set()

    def fail(self, message: str) -> bool:
        """The first failure counts. Return whether it was this."""
        if self.current is Wish.FAIL:
            return False
        self.current, self.failure = Wish.FAIL, message
        self._failed.set()
        self._leaving.set()
        self.wake.set()
        return True

    def check(self) -> None:
        """Raise Stopped when the print is to end."""
        if self.stopping:
            raise Stopped

    async def unless_failed(self, work: Awaitable[object]) -> None:
        """Wait for the firmware, but not when the print has failed: it may never answer. Raise Stopped then."""
        if not await unless_set(work, self._failed):
            raise Stopped

    async def unless_leaving(self, work: Awaitable[T]) -> T:
        """Wait for the disk, but not when the print is to end. Raise Stopped then."""
        future = asyncio.ensure_future(work)
        if not await unless_set(future, self._leaving):
            raise Stopped
        return future.result()
