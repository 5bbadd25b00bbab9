"""What the firmware says, line by line: who learns from it, and what of it is shown."""

from __future__ import annotations

from moonraker_lite.marlin.console import Console, complaint
from moonraker_lite.marlin.firmware_actions import FirmwareActions
from moonraker_lite.marlin.gcode.turn import ScriptTurn
from moonraker_lite.marlin.job import PrintJob
from moonraker_lite.marlin.position_reports import PositionReports
from moonraker_lite.marlin.replies import ReplyKind, classify, parse_host_action
from moonraker_lite.marlin.session import Session
from moonraker_lite.marlin.settings_report import parse_fan
from moonraker_lite.marlin.state import Machine
from moonraker_lite.marlin.temperature_report import parse_temperatures


class FirmwareLines:
    """`read` is called with each line that is no part of the protocol."""

    def __init__(
        self,
        machine: Machine,
        console: Console,
        turn: ScriptTurn,
        session: Session,
        job: PrintJob,
        positions: PositionReports,
        actions: FirmwareActions,
    ) -> None:
        self._machine = machine
        self._console = console
        self._turn = turn
        self._session = session
        self._job = job
        self._positions = positions
        self._actions = actions

    def read(self, text: str) -> None:
        if (report := parse_temperatures(text)) is not None:
            self._machine.temperatures(report)
            return
        if self._session.identifying:
            self._session.learn(text)
        kind = classify(text)
        if kind is ReplyKind.POSITION:
            self._positions.read_line(text)
        else:
            self._machine.read_line(text)
        # Marlin tells position and fan unasked, after each G92 and M106 of a print.
        unasked = kind is ReplyKind.POSITION or parse_fan(text)
        if not unasked or (self._turn.busy and not self._positions.automatic):
            self._console.firmware(text)
        if (action := parse_host_action(text)) is not None:
            self._actions.take(action)
        elif kind is ReplyKind.BUSY:
            self._actions.busy(text)
        elif not self._turn.busy and kind is ReplyKind.ERROR and (error := complaint(text)):
            self._job.fail(error)
