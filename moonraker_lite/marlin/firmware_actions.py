"""What the firmware asks of its host and of whoever stands at the printer, and how they answer.

`//action:pause` and its kin become the commands that a user would type, so that the owner's macros take part. While
the firmware waits for somebody, RESUME is the answer, and needs no turn: every other line would wait with it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from moonraker_lite.errors import HostError
from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.cooling import SendingLine
from moonraker_lite.marlin.gcode.interpreter import Interpreter
from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.job import PrintJob
from moonraker_lite.marlin.replies import HostAction
from moonraker_lite.marlin.state import Machine
from moonraker_lite.marlin.waiting import forget

_PAUSE = frozenset({"pause", "out_of_filament", "filament_runout"})


class FirmwareActions:
    """`spawn` starts work beside everything else; `shutdown` ends all use of the printer until it is restarted."""

    def __init__(
        self,
        machine: Machine,
        console: Console,
        job: PrintJob,
        line: SendingLine,
        interpreter: Interpreter,
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
        shutdown: Callable[[str], None],
    ) -> None:
        self._prompts = machine.prompts
        self._console = console
        self._job = job
        self._line = line
        self._interpreter = interpreter
        self._spawn = spawn
        self._shutdown = shutdown
        # Commands of the firmware that have not been carried out yet.
        self._asked: set[str] = set()
        self._prompts.changed = job.user_waits
        interpreter.answer_user = self.answer_user
        interpreter.user_waits = lambda: self._prompts.waiting
        self.table = {"M108": self._answer, "M876": self._answer}

    def take(self, action: HostAction) -> None:
        """The firmware has said `//action:...`."""
        self._prompts.action(action)
        name = action.name
        if name in _PAUSE:
            if name != "pause":
                self._console.info(f"Filament has run out {action.tail}".rstrip())
            self._ask("PAUSE", unless=self._job.paused)
        elif name == "resume":
            self._ask("RESUME", unless=not self._job.paused)
        elif name == "cancel":
            self._ask("CANCEL_PRINT")
        elif name == "disconnect":
            self._shutdown("The printer has asked to be disconnected")

    def busy(self, line: str) -> None:
        """The firmware has said `busy: ...`."""
        if again := self._prompts.busy(line):
            self._line.send(again, emergency=True).add_done_callback(forget)

    def answer_user(self, command: str) -> bool:
        """RESUME or PAUSE was typed: return whether it was for a firmware that waits, and is done with."""
        if not self._prompts.waiting:
            return False
        if command == "PAUSE":
            self._console.info("Print already paused")
        else:
            self._send(self._prompts.answer())
        return True

    async def _answer(self, command: Command) -> None:
        """M108, M876: they act at once, but may be acknowledged only when the firmware waits no more."""
        self._send(command.line)

    def _send(self, answer: str) -> None:
        closes = self._prompts.answered(answer)
        sent = self._line.send(answer, emergency=True)
        sent.add_done_callback(forget)
        if sent.done():
            sent.result()
        if closes:
            self._console.raw("// action:prompt_end")

    def _ask(self, command: str, *, unless: bool = False) -> None:
        if self._job.running and not unless and command not in self._asked:
            self._asked.add(command)
            self._spawn(self._run(command), f"{command} asked for by the firmware")

    async def _run(self, command: str) -> None:
        try:
            await self._interpreter.run_script(command)
        except HostError:
            pass  # it has been told on the console
        finally:
            self._asked.discard(command)
