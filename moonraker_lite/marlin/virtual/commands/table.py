"""How commands are entered in a table, and what several of them do: wait for moves, let time pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from moonraker_lite.marlin.virtual.board import Board, Handler
from moonraker_lite.marlin.virtual.motion import PLANNER_BLOCKS

Table = dict[str, Handler]
"""By command word."""

_H = TypeVar("_H", bound=Handler)


def enter(table: Table, *names: str) -> Callable[[_H], _H]:
    """Decorator: the function executes these commands."""

    def decorate(handler: _H) -> _H:
        for name in names:
            table[name] = handler
        return handler

    return decorate


def finish_moves(board: Board) -> Iterator[float]:
    """Wait until the planner is empty (M410 may empty it)."""
    while board.motion.free_blocks(board.now) < PLANNER_BLOCKS:
        yield board.motion.ends[-1]


def dwell(board: Board, seconds: float) -> Iterator[float]:
    """Machine time passes, whatever wakes us."""
    end = board.now + board.motion.lasts(seconds)
    while board.now < end:
        yield end
