"""A print from the printer's own SD card: the firmware reads the file, the host starts, follows, pauses and ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from moonraker_lite.marlin.cooling import SendingLine
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.sdcard import CardFile, parse_progress
from moonraker_lite.marlin.waiting import forget
from moonraker_lite.marlin.wishes import Stopped, Wish, Wishes

# How often the firmware is asked how far it is.
POLL = 2.0
# Some firmwares park at a pause and answer nothing until somebody has told them to go on.
PARKS_AFTER = 5.0
NAG = 2.0
# M524 clears the queue of the firmware, and often its own answer.
ABORT = 5.0


class CardPrint:
    """One print. `position` and `size` are what the firmware has told last."""

    def __init__(self, line: SendingLine, file: CardFile, wishes: Wishes) -> None:
        self.file = file
        self.position = 0
        self.size = file.size
        self._line = line
        self._wishes = wishes

    async def run(self, paused: Callable[[], None], resumed: Callable[[], None]) -> None:
        """Print from start to end. `paused` is called when the printer has been told to pause, `resumed` when
        somebody has let it go on at the printer itself.

        Raise Stopped when the print is to end (the firmware has been told so), CommandError, LineError.
        """
        replies = await self._line.send(f"M23 /{self.file.path}")
        if not any("File opened" in reply for reply in replies):
            raise CommandError(f"The printer cannot open {self.file.name} on its SD card")
        await self._line.send("M24")
        while True:
            if self._wishes.stopping:
                await self._abort()
                raise Stopped
            if self._wishes.current is Wish.PAUSE:
                await self._pause(paused, resumed)
                continue
            if (found := parse_progress(await self._line.send("M27"))) is None:
                return
            self.position, self.size = found
            await self._rest()

    async def _rest(self) -> None:
        """Wait, but no longer than until something is wished."""
        self._wishes.wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                await self._wishes.wake.wait()

    async def _pause(self, paused: Callable[[], None], resumed: Callable[[], None]) -> None:
        pausing = self._line.send("M25")
        pausing.add_done_callback(self._wake)
        await asyncio.wait([pausing], timeout=PARKS_AFTER)
        parks = not pausing.done()
        paused()
        while self._wishes.current is Wish.PAUSE:
            if parks and pausing.done():
                self._wishes.resume()
                resumed()
                return
            self._wishes.wake.clear()
            await self._wishes.wake.wait()
        if self._wishes.current is Wish.GO_ON and not parks:
            await self._line.send("M24")
        # One that parks waits for the user, who has spoken: on with it, and no more filament to be purged.
        while not pausing.done() and self._wishes.current is Wish.GO_ON:
            for command in ("M108", "M876 S1"):
                self._line.send(command, emergency=True).add_done_callback(forget)
                await asyncio.wait([pausing], timeout=NAG)

    def _wake(self, done: asyncio.Future[tuple[str, ...]]) -> None:
        forget(done)
        self._wishes.wake.set()

    async def _abort(self) -> None:
        if self._line.connected:
            aborting = self._line.send("M524")
            aborting.add_done_callback(forget)
            await asyncio.wait([aborting], timeout=ABORT)
