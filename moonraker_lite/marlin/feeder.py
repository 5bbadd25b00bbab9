"""Takes a file from the disk to the `Streamer`, and what in it is not for the firmware to who carries it out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from moonraker_lite.marlin.gcode.reader import GcodeFile
from moonraker_lite.marlin.gcode.turn import ScriptTurn
from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.streamer import Streamer
from moonraker_lite.marlin.wishes import Wishes

# Runs a command that is not for the firmware as it stands; returns the lines to send instead of it.
Execute = Callable[[Command], Awaitable[list[str]]]


class Feeder:
    """One file at a time. `grant_wishes` is awaited before each line is sent, and may take as long as a pause."""

    def __init__(
        self,
        streamer: Streamer,
        turn: ScriptTurn,
        wishes: Wishes,
        execute: Execute,
        grant_wishes: Callable[[], Awaitable[None]],
    ) -> None:
        self._streamer = streamer
        self._turn = turn
        self._wishes = wishes
        self._execute = execute
        self._grant_wishes = grant_wishes

    async def send_file(self, path: Path, position: int) -> None:
        """Send the file from byte `position` on; its last lines need not have been acknowledged at the end.

        Raise Stopped when the print is to end, OSError, HostError.
        """
        with GcodeFile(path, position) as file:
            while lines := await self._wishes.unless_leaving(file.lines()):
                await self._feed(lines)

    async def _feed(self, lines: list[bytes]) -> None:
        streamer, index = self._streamer, 0
        while index < len(lines):
            await self._ready()
            index = streamer.push(lines, index)
            if streamer.special is not None:
                command, streamer.special = streamer.special, None
                before = streamer.begin_special()
                lines_of_host = await self._execute(command)
                streamer.end_special(before)
                for text in lines_of_host:
                    streamer.announce(text)
                    await self._ready()
                    streamer.send(text)

    async def _ready(self) -> None:
        """Wait until a line may be sent; grant what was wished for meanwhile."""
        while True:
            await self._grant_wishes()
            if not self._turn.busy and self._streamer.room() > 0:
                return
            self._wishes.wake.clear()
            await self._wishes.wake.wait()
