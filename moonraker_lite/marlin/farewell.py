"""What the firmware is told when the process ends: nobody would watch the printer from here on."""

from __future__ import annotations

import asyncio
import logging

from moonraker_lite.errors import HostError
from moonraker_lite.marlin.cooling import Cooling, SendingLine
from moonraker_lite.marlin.waiting import forget

_LOGGER = logging.getLogger(__name__)

# How long the end of the process may wait for the firmware to switch its heaters off, and then to halt.
FAREWELL = 3.0
HALTING = 0.3


async def say_farewell(line: SendingLine, cooling: Cooling) -> None:
    """Leave no heater on. A firmware that is too busy to hear of it is halted: that it hears."""
    try:
        await cooling.switch_off(FAREWELL)
    except (HostError, TimeoutError):
        if cooling.hot:
            _LOGGER.warning("The printer does not switch its heaters off: it is halted")
            line.send("M112", emergency=True).add_done_callback(forget)
            await asyncio.sleep(HALTING)
