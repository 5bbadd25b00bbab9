"""Position reports of the firmware, where nothing else tells where the head is: while it prints from its own SD card.

M154 where it can, else M114 now and then. Both tell the end of the last planned move, which then is a few moves ahead.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from moonraker_lite.marlin.replies import parse_position
from moonraker_lite.marlin.state import Machine
from moonraker_lite.marlin.waiting import forget

EVERY = 1
# s between two M114, each of which waits in the firmware's queue behind commands of the file.
PAUSE = 2.0


class AskedLine(Protocol):
    """What this needs of the line to the firmware; see `MarlinLine`."""

    def send(self, command: str, *, emergency: bool = False) -> asyncio.Future[tuple[str, ...]]: ...
    def can_accept(self) -> int: ...


class PositionReports:
    """`tick` is called each second, `read_line` with each position line that came unasked."""

    def __init__(self, line: AskedLine, machine: Machine) -> None:
        self._line = line
        self._machine = machine
        self._wanted = False
        # M154 is on: positions come by themselves, and are no output.
        self.automatic = False
        self._asked_at = -1e9
        self._question: asyncio.Future[tuple[str, ...]] | None = None

    def forget(self) -> None:
        """A session begins: the firmware reports nothing by itself."""
        self._wanted = self.automatic = False

    def tick(self, *, wanted: bool) -> None:
        self._wanted = wanted
        waits = self._question is not None and not self._question.done()
        if waits or not self._line.can_accept():
            return
        if self._machine.firmware.can("AUTOREPORT_POS"):
            if wanted and not self.automatic:
                self.automatic = True
                self._ask(f"M154 S{EVERY}")
            elif self.automatic and not wanted:
                self._ask("M154 S0").add_done_callback(lambda _: self.forget())
        elif wanted and self._machine.clock() - self._asked_at >= PAUSE:
            self._asked_at = self._machine.clock()
            self._ask("M114")

    def _ask(self, command: str) -> asyncio.Future[tuple[str, ...]]:
        self._question = question = self._line.send(command)
        question.add_done_callback(forget)
        return question

    def read_line(self, line: str) -> None:
        if self._wanted and (position := parse_position(line)) is not None:
            self._machine.motion.reported(position.x, position.y, position.z, position.e)
