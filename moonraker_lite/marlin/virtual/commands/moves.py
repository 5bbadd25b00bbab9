"""Moves, homing, probing, modes, positions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from moonraker_lite.marlin.virtual.board import Board, Run
from moonraker_lite.marlin.virtual.commands.table import Table, dwell, enter, finish_moves
from moonraker_lite.marlin.virtual.words import parse_words

HOMING_SECONDS = {"X": 2.5, "Y": 2.5, "Z": 4.0}
PROBE_SECONDS = 3.2

TABLE: Table = {}


@enter(TABLE, "G0", "G1")
def move(board: Board, rest: bytes) -> Run:
    if board.motion.free_blocks(board.now):
        _moved(board, board.motion.move(parse_words(rest), board.now))
        return None
    return _move_later(board, lambda: board.motion.move(parse_words(rest), board.now))


@enter(TABLE, "G2")
def arc_clockwise(board: Board, rest: bytes) -> Run:
    return _move_later(board, lambda: board.motion.arc(parse_words(rest), board.now, clockwise=True))


@enter(TABLE, "G3")
def arc_counter_clockwise(board: Board, rest: bytes) -> Run:
    return _move_later(board, lambda: board.motion.arc(parse_words(rest), board.now, clockwise=False))


def _move_later(board: Board, plan: Callable[[], bool]) -> Iterator[float]:
    """A full planner takes the move when a block is done."""
    while not board.motion.free_blocks(board.now):
        yield board.motion.ends[0]
    _moved(board, plan())


def _moved(board: Board, extrudes: bool) -> None:
    if extrudes:
        board.check_cold()


@enter(TABLE, "G4")
def g4(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    seconds = (words.get("S") or 0.0) + (words.get("P") or 0.0) / 1000.0
    board.say(b"//action:notification Sleep...\n")
    return _wait_then_dwell(board, seconds)


def _wait_then_dwell(board: Board, seconds: float) -> Iterator[float]:
    yield from finish_moves(board)
    yield from dwell(board, seconds)


@enter(TABLE, "G28")
def home(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    axes = [axis for axis in "XYZ" if axis in words] or list("XYZ")
    if "O" in words and board.motion.homed.issuperset("XYZ"):
        return None
    return _home(board, axes)


def _home(board: Board, axes: list[str]) -> Iterator[float]:
    yield from finish_moves(board)
    yield from dwell(board, sum(HOMING_SECONDS[axis] for axis in axes))
    position = board.motion.position
    for axis in axes:
        position[axis] = 0.0
        board.motion.homed.add(axis)
    if "Z" in axes:
        position["X"], position["Y"] = (board.motion.reach[axis] / 2 for axis in "XY")
    else:
        position["Z"] = 5.0
    if "M420" in board.values:
        board.values["M420"]["S"] = 0.0
    board.say_position()


@enter(TABLE, "G30")
def probe_once(board: Board, rest: bytes) -> Run:
    return _probe_once(board, rest)


def _probe_once(board: Board, rest: bytes) -> Iterator[float]:
    yield from finish_moves(board)
    yield from dwell(board, PROBE_SECONDS)
    position = board.motion.position
    board.motion.move({axis: value for axis, value in parse_words(rest).items() if axis in ("X", "Y")}, board.now)
    board.motion.stop()
    board.say(f"Bed X: {position['X']:.2f} Y: {position['Y']:.2f} Z: 0.00\n".encode())
    board.say_position()


@enter(TABLE, "G90")
def absolute(board: Board, rest: bytes) -> Run:
    board.motion.relative = board.motion.relative_e = False
    return None


@enter(TABLE, "G91")
def relative(board: Board, rest: bytes) -> Run:
    board.motion.relative = board.motion.relative_e = True
    return None


@enter(TABLE, "M82")
def absolute_extruder(board: Board, rest: bytes) -> Run:
    board.motion.relative_e = False
    return None


@enter(TABLE, "M83")
def relative_extruder(board: Board, rest: bytes) -> Run:
    board.motion.relative_e = True
    return None


@enter(TABLE, "G92")
def set_position(board: Board, rest: bytes) -> Run:
    board.motion.shift(parse_words(rest))
    board.say_position()
    return None


@enter(TABLE, "M400")
def m400(board: Board, rest: bytes) -> Run:
    return finish_moves(board)


@enter(TABLE, "M410")
def quick_stop(board: Board, rest: bytes) -> Run:
    board.motion.stop()
    return dwell(board, 1.0)


@enter(TABLE, "M18", "M84")
def motors_off(board: Board, rest: bytes) -> Run:
    if not rest:
        board.motion.homed.clear()
    return finish_moves(board)


@enter(TABLE, "M114")
def position(board: Board, rest: bytes) -> Run:
    board.say_position()
    return None


@enter(TABLE, "M154")
def position_reports(board: Board, rest: bytes) -> Run:
    board.report_position(parse_words(rest).get("S") or 0.0)
    return None


@enter(TABLE, "M119")
def endstops(board: Board, rest: bytes) -> Run:
    board.say(b"Reporting endstop status\n")
    for axis in "xyz":
        triggered = axis.upper() in board.motion.homed and board.motion.position[axis.upper()] <= 0.0
        board.say(b"%b_min: %b\n" % (axis.encode(), b"TRIGGERED" if triggered else b"open"))
    if board.who.runout:
        board.say(b"filament: %b\n" % (b"TRIGGERED" if board.filament_present else b"open"))
    return None
