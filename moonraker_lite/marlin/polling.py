"""What the firmware is asked because it does not tell it by itself. The answers are no output."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.gcode.turn import ScriptTurn
from moonraker_lite.marlin.line_driver import LineError
from moonraker_lite.marlin.position_reports import AskedLine
from moonraker_lite.marlin.replies import parse_endstops
from moonraker_lite.marlin.sensors import endstop_name
from moonraker_lite.marlin.state import Machine
from moonraker_lite.marlin.waiting import forget

# Without a temperature report for so long we ask for one.
TEMPERATURE_SILENCE = 2.5
# How often an idle printer is asked whether there is filament.
LOOK_AT_SWITCHES = 5.0


class Polling:
    """`spawn` starts work beside everything else."""

    def __init__(
        self,
        machine: Machine,
        line: AskedLine,
        console: Console,
        turn: ScriptTurn,
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        self._machine = machine
        self._line = line
        self._console = console
        self._turn = turn
        self._spawn = spawn
        self._temperature: asyncio.Future[tuple[str, ...]] | None = None
        self._looked_at = machine.clock()

    def ask_temperature(self) -> None:
        """Poll where the firmware does not report by itself; never more than one question at a time."""
        silent = self._machine.clock() - self._machine.temperatures_at > TEMPERATURE_SILENCE
        asked = self._temperature is not None and not self._temperature.done()
        if silent and not asked and self._line.can_accept():
            self._temperature = self._line.send("M105")
            self._temperature.add_done_callback(forget)

    def ask_what_is_uncertain(self) -> None:
        """Called while nothing is printed and no script runs: ask for what has become uncertain meanwhile."""
        machine = self._machine
        if self._turn.busy or self._console.muted:
            return
        if machine.filament.detected and machine.clock() - self._looked_at > LOOK_AT_SWITCHES:
            self._looked_at = machine.clock()
            machine.ask("M119")
        if machine.questions:
            self._spawn(self._ask_all(), "questions to the firmware")

    async def _ask_all(self) -> None:
        with suppress(LineError):
            async with self._turn.script():
                questions = self._machine.take_questions()
                self._console.muted = True
                try:
                    for question, stored in questions.items():
                        await self._line.send(question)
                        self._machine.answered(stored=stored)
                finally:
                    self._console.muted = False

    async def endstops(self) -> dict[str, str]:
        """Ask for the endstops: name -> `open` or `TRIGGERED`, in Klipper's names where they have one."""
        self._console.muted = True
        try:
            replies = await self._line.send("M119")
        finally:
            self._console.muted = False
        found = {endstop.name: endstop.triggered for reply in replies for endstop in parse_endstops(reply)}
        self._machine.endstops = {
            endstop_name(name, found): "TRIGGERED" if triggered else "open" for name, triggered in found.items()
        }
        return self._machine.endstops
