"""The choice of the tool."""

from __future__ import annotations

from moonraker_lite.marlin.virtual.board import Board, Handler, Run
from moonraker_lite.marlin.virtual.commands.table import Table

TABLE: Table = {}


def _choose(index: int) -> Handler:
    def choose(board: Board, rest: bytes) -> Run:
        if index >= len(board.hotends):
            board.say(b"echo:T%d Invalid extruder\n" % index)
            return None
        board.tool = index
        if len(board.hotends) > 1:
            board.say(b"echo:Active Extruder: %d\n" % index)
        return None

    return choose


TABLE.update((f"T{index}", _choose(index)) for index in range(8))
