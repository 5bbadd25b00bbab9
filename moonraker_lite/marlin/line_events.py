"""What happens on the line to the firmware, and what that means for the print, the session and the host."""

from __future__ import annotations

from collections.abc import Callable

from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.emergency import EmergencyStop
from moonraker_lite.marlin.firmware_lines import FirmwareLines
from moonraker_lite.marlin.job import PrintJob
from moonraker_lite.marlin.mesh import Mesh
from moonraker_lite.marlin.protocol import Acknowledged, Connected, Event, Fatal, FirmwareReset, Line, LinkTrouble
from moonraker_lite.marlin.session import Begin, HostState, HostStatus, Session


class LineEvents:
    """`shutdown` ends all use of the printer until it is restarted."""

    def __init__(
        self,
        lines: FirmwareLines,
        mesh: Mesh,
        job: PrintJob,
        console: Console,
        status: HostStatus,
        session: Session,
        emergency: EmergencyStop,
        shutdown: Callable[[str], None],
    ) -> None:
        self._lines = lines
        self._mesh = mesh
        self._job = job
        self._console = console
        self._status = status
        self._session = session
        self._emergency = emergency
        self._shutdown = shutdown

    def take(self, event: Event) -> None:
        """The protocol has found something out."""
        if type(event) is Acknowledged:
            self._mesh.answer_ends()
            self._job.acknowledged(event.token, event.replies)
        elif type(event) is Line:
            self._lines.read(event.text)
        elif type(event) is Fatal:
            self._emergency.settled()
            self._shutdown(f"The printer halted: {event.message}")
        elif type(event) is FirmwareReset:
            self._reset()
        elif type(event) is Connected:
            self._session.shaken_hands()
        elif type(event) is LinkTrouble:
            self._trouble(event)

    def lost(self, reason: str, *, suspended: bool) -> None:
        """The link is away; `suspended`: its session is kept, and goes on when it is back."""
        message = f"Lost the connection to the printer: {reason}"
        if suspended:
            self._job.link_lost()
            self._console.error(f"{message}\nThe print waits for it")
            self._session.end(Begin.RESUME)
            return
        self._job.fail(message)
        self._status.transition(HostState.SHUTDOWN, f"{message}\nTrying to connect again.\n")
        self._session.end(Begin.CONNECT)

    def back(self) -> None:
        """The link is there again, and the firmware goes on where it was."""
        self._console.info("The printer is there again and has not been reset: the print goes on")
        self._job.link_back()

    def _trouble(self, event: LinkTrouble) -> None:
        self._console.error(event.message)
        if not event.recoverable:
            self._job.fail(event.message)
            self._session.end(Begin.SHAKE_HANDS)
        elif event.storm:
            self._job.pause_for_trouble(event.message)

    def _reset(self) -> None:
        self._emergency.settled()
        message = (
            "The printer's board was reset during the print: its heaters are off, and it no longer knows its position. "
            "RESUME_INTERRUPTED prints the rest"
        )
        self._job.fail(message, resumable=self._job.link_away)
        self._console.info("The printer's board was reset")
        self._session.board_was_reset()
