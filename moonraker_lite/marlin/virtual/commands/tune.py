"""Calibration by the firmware itself, and outputs."""

from __future__ import annotations

from collections.abc import Iterator

from moonraker_lite.marlin.virtual.board import Board, Run
from moonraker_lite.marlin.virtual.commands.table import Table, dwell, enter, finish_moves
from moonraker_lite.marlin.virtual.words import parse_words

CYCLE_SECONDS = 20.0
SCREW_SECONDS = 4.0

TABLE: Table = {}


@enter(TABLE, "M303")
def tune_heater(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    heater = "bed" if (words.get("E") or 0.0) < 0.0 else ""
    return _tune(board, heater, words.get("S") or 0.0, int(words.get("C") or 5))


def _tune(board: Board, heater: str, target: float, cycles: int) -> Iterator[float]:
    board.say(b"//action:notification PID Autotune\n")
    board.say(b"PID Autotune start\n")
    if target > (115.0 if heater else 260.0):
        board.say(b"PID Autotune failed! Temperature too high\n")
        return
    yield from finish_moves(board)
    for cycle in range(cycles):
        yield from dwell(board, CYCLE_SECONDS)
        board.say(f" bias: 92 d: 92 min: {target - 2 - cycle / 10:.2f} max: {target + 2:.2f}\n".encode())
    gains = ("97.10", "1.41", "1675.16") if heater else ("19.56", "1.71", "55.26")
    board.say(b"PID Autotune finished! Put the last Kp, Ki and Kd constants from below into Configuration.h\n")
    for name, gain in zip("pid", gains, strict=True):
        board.say(f"#define DEFAULT_{heater}K{name} {gain}\n".encode())


@enter(TABLE, "G35")
def tramming(board: Board, rest: bytes) -> Run:
    return _tramming(board)


def _tramming(board: Board) -> Iterator[float]:
    yield from finish_moves(board)
    yield from dwell(board, 4 * SCREW_SECONDS)
    board.say(b"Turn Front-Right CW by 0 turns and 12 minutes\n")
    board.say(b"Turn Back-Right CCW by 0 turns and 3 minutes\n")
    board.say(b"Turn Back-Left CW by 1 turns and 0 minutes\n")


@enter(TABLE, "M42", "M150")
def output(board: Board, rest: bytes) -> Run:
    return None
