"""Commands that end what is under way at once, and those that begin a new session with the firmware."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from moonraker_lite.marlin.cooling import SendingLine
from moonraker_lite.marlin.emergency import EmergencyStop
from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.job import PrintJob
from moonraker_lite.marlin.session import Begin, Session


class StopCommands:
    """`halt` is told why the firmware is to be halted, and does so."""

    def __init__(
        self,
        line: SendingLine,
        job: PrintJob,
        session: Session,
        emergency: EmergencyStop,
        halt: Callable[[str], None],
    ) -> None:
        self._line = line
        self._job = job
        self._session = session
        self._emergency = emergency
        self._halt = halt
        self.table: dict[str, Callable[[Command], Awaitable[None]]] = {
            "FIRMWARE_RESTART": self._firmware_restart,
            "M112": self._m112,
            "M410": self._m410,
            "RESTART": self._restart,
        }

    async def _restart(self, _: Command) -> None:
        self._emergency.settled()
        self._session.end(Begin.RESTART)

    async def _firmware_restart(self, _: Command) -> None:
        self._emergency.settled()
        self._session.end(Begin.RESET_BOARD)

    async def _m112(self, _: Command) -> None:
        self._halt("Shutdown due to M112 command")

    async def _m410(self, _: Command) -> None:
        """Stop all moves, now. A print cannot go on behind that: moves are missing, and perhaps steps."""
        stopped = self._line.send("M410", emergency=True)
        if self._job.printing:
            self._job.fail("Stopped by M410")
        await stopped
