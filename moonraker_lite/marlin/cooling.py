"""Switching the heaters off, whatever the firmware is waiting for, and remembering where that is still owed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from moonraker_lite.marlin.gcode.translate import turn_off_heaters
from moonraker_lite.marlin.state import Machine
from moonraker_lite.marlin.waiting import forget

# A temperature report of M109 or M190 this young means that one of them is still waiting.
HEATING_WAIT = 3.0
# So often a wait is broken off again: one that begins a moment after an M108 has not heard it.
NAG = 1.0


class SendingLine(Protocol):
    """What this needs of the line to the firmware; see `MarlinLine`."""

    def send(self, command: str, *, emergency: bool = False) -> asyncio.Future[tuple[str, ...]]: ...
    @property
    def connected(self) -> bool: ...


class Cooling:
    """`owed`: heaters may be on though nobody wants them any more, because the printer could not be told."""

    def __init__(self, machine: Machine, line: SendingLine) -> None:
        self.owed = False
        self._machine = machine
        self._line = line

    @property
    def hot(self) -> bool:
        """A heater has a target, as far as the firmware has told or confirmed."""
        return any(heater.target for heater in self._machine.heaters.values())

    def break_wait(self) -> None:
        """End an M109 or M190 that waits just now, or a wait for the user: everything else would wait behind it."""
        prompts = self._machine.prompts
        if not self._line.connected:
            return
        if prompts.waiting:
            answer = prompts.answer()
            prompts.answered(answer)
            self._line.send(answer, emergency=True).add_done_callback(forget)
        elif self._machine.clock() - self._machine.heating_wait_at < HEATING_WAIT:
            self._line.send("M108", emergency=True).add_done_callback(forget)

    async def without_waits(self, work: Awaitable[object]) -> None:
        """Await `work`; until it is done, break off each wait for a temperature."""
        nagging = asyncio.create_task(self._nag(), name="breaking off the waits for temperatures")
        try:
            await work
        finally:
            nagging.cancel()

    async def switch_off(self, timeout: float) -> None:
        """Switch all heaters off. Raise HostError, TimeoutError when the firmware does not confirm it."""
        self.owed = True
        if not self._line.connected:
            return
        self.break_wait()
        async with asyncio.timeout(timeout):
            await self.without_waits(self._send_all())
        self.owed = False

    async def settle(self, timeout: float) -> None:
        """A new session with the printer: do what is owed. Raises as `switch_off`."""
        if self.owed and self.hot:
            await self.switch_off(timeout)
        self.owed = False

    async def _send_all(self) -> None:
        for text in turn_off_heaters(None, self._machine):
            await self._line.send(text)
            self._machine.observe_line(text)

    async def _nag(self) -> None:
        while True:
            await asyncio.sleep(NAG)
            self.break_wait()
