"""The emergency stop: M112 until the firmware says that it halts."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from moonraker_lite.errors import HostError
from moonraker_lite.marlin.cooling import Cooling, SendingLine
from moonraker_lite.marlin.waiting import forget

_LOGGER = logging.getLogger(__name__)

# M112 goes without number and checksum, to overtake: one damaged byte, and the firmware knows nothing of it.
INSIST = 0.5
INSISTENCE = 10
# How long the firmware may take to switch its heaters off where it did not halt.
HEATERS_OFF = 10.0


class EmergencyStop:
    """Sends M112 at once, and again until `settled` is called."""

    def __init__(self, line: SendingLine, cooling: Cooling) -> None:
        self._line = line
        self._cooling = cooling
        self._insisting: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Halt the firmware, now."""
        self._send()
        if self._insisting is None or self._insisting.done():
            self._insisting = asyncio.create_task(self._insist(), name="emergency stop")

    def settled(self) -> None:
        """The firmware has halted or begun anew, or somebody wants it to."""
        if self._insisting is not None:
            self._insisting.cancel()
            self._insisting = None

    def _send(self) -> None:
        self._line.send("M112", emergency=True).add_done_callback(forget)

    async def _insist(self) -> None:
        for _ in range(INSISTENCE):
            await asyncio.sleep(INSIST)
            self._send()
        _LOGGER.warning("The printer did not confirm the emergency stop")
        with suppress(HostError, TimeoutError):
            await self._cooling.switch_off(HEATERS_OFF)
