"""Whether a Raspberry Pi slows itself down for lack of power or for heat."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from moonraker_lite.components.machine.kernel import ROOT, number_of
from moonraker_lite.components.machine.programs import run_program

PERIOD = 5.0  # seconds between two looks
TIMEOUT = 3.0  # seconds that vcgencmd may take
# Raspberry Pi documentation, `vcgencmd get_throttled`; the words are those that Moonraker's clients know.
_FLAGS = (
    (0, "Under-Voltage Detected"),
    (1, "Frequency Capped"),
    (2, "Currently Throttled"),
    (3, "Temperature Limit Active"),
    (16, "Previously Under-Volted"),
    (17, "Previously Frequency Capped"),
    (18, "Previously Throttled"),
    (19, "Previously Temperature Limited"),
)


class Throttled(msgspec.Struct, frozen=True):
    """`bits` as the firmware gives them, and what they mean."""

    bits: int
    flags: tuple[str, ...]


def describe(bits: int) -> Throttled:
    """Spell the bits out."""
    return Throttled(bits, tuple(text for bit, text in _FLAGS if bits >> bit & 1))


def parse_vcgencmd(output: str) -> Throttled | None:
    """Read `throttled=0x50005`; None when it is something else."""
    name, _, value = output.strip().partition("=")
    try:
        return describe(int(value, 16)) if name == "throttled" else None
    except ValueError:
        return None


class ThrottleWatch:
    """Asks the firmware from time to time: through the kernel's file where there is one, else through vcgencmd.

    `state` is None where neither exists. `changed` is called with each new state.
    """

    def __init__(self, changed: Callable[[Throttled], None], root: Path = ROOT, command: str = "vcgencmd") -> None:
        self.state: Throttled | None = None
        self._changed = changed
        found = (root / "sys/devices/platform").glob("soc*/soc*:firmware/get_throttled")
        self._file = next(iter(sorted(found)), None)
        self._command = None if self._file else shutil.which(command)

    @property
    def possible(self) -> bool:
        """Whether this machine can tell."""
        return self._file is not None or self._command is not None

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await self.ask()
            await asyncio.sleep(PERIOD)

    async def ask(self) -> None:
        """Ask once."""
        new = await self._read()
        if new is not None and new != self.state:
            self.state = new
            self._changed(new)

    async def _read(self) -> Throttled | None:
        if self._file is not None:
            bits = number_of(self._file, 16)
            return None if bits is None else describe(bits)
        if self._command is None:
            return None
        try:
            return parse_vcgencmd((await run_program(self._command, "get_throttled", seconds=TIMEOUT)).output)
        except (TimeoutError, OSError):
            return None
