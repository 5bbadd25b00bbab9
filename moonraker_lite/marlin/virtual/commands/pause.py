"""Waiting for the user: M0, M1, parking, filament change."""

from __future__ import annotations

from collections.abc import Iterator

from moonraker_lite.marlin.virtual.board import Board, Run
from moonraker_lite.marlin.virtual.commands.table import Table, dwell, enter, finish_moves
from moonraker_lite.marlin.virtual.words import parse_words

FOREVER = 1e9
HEATER_TIMEOUT = 45.0
"""Seconds without an answer after which the nozzle is left to cool."""
PARKING, LOADING, LEAVING = 6.0, 13.0, 6.0
REHEATING = 0.7

TABLE: Table = {}


@enter(TABLE, "M0", "M1")
def wait_for_user(board: Board, rest: bytes) -> Run:
    timed = rest[:1] in (b"S", b"P")
    words = parse_words(rest) if timed else {}
    seconds = (words.get("S") or 0.0) + (words.get("P") or 0.0) / 1000.0
    return _break(board, rest if rest and not seconds else b"", seconds)


def _break(board: Board, text: bytes, seconds: float) -> Iterator[float]:
    yield from finish_moves(board)
    if text:
        board.say(b"echo:%b\r\n" % text)
    _prompt(board, text or b"M1 Stop", [b"Continue"])
    yield from _answer(board, board.motion.lasts(seconds) if seconds else FOREVER)


def _answer(board: Board, patience: float) -> Iterator[float]:
    """Wait for M108 or M876, or for `patience` seconds; see `_was_answered`."""
    board.go_on = False
    board.prompt_answer = None
    board.waiting_for_user = True
    end = board.now + patience
    while not _was_answered(board) and board.now < end:
        yield end
    board.waiting_for_user = False


def _was_answered(board: Board) -> bool:
    return board.go_on or board.prompt_answer is not None


def _prompt(board: Board, text: bytes, buttons: list[bytes]) -> None:
    board.say(b"//action:prompt_end\n")
    board.say(b"//action:prompt_begin %b\n" % text)
    for button in buttons:
        board.say(b"//action:prompt_button %b\n" % button)
    board.say(b"//action:prompt_show\n")


@enter(TABLE, "M125")
def park(board: Board, rest: bytes) -> Run:
    return _change(board, b"Send M108 to resume", filament=0.0)


@enter(TABLE, "M600")
def change_filament(board: Board, rest: bytes) -> Run:
    return _change(board, b"Insert filament and send M108", filament=LOADING)


def _change(board: Board, text: bytes, *, filament: float) -> Iterator[float]:
    """Park, unload, wait for the first answer, load, and ask until the second one is `Continue`."""
    board.say(b"//action:paused\n")
    if not filament:
        _prompt(board, b"Pause", [b"Dismiss"])
    yield from finish_moves(board)
    yield from dwell(board, PARKING)
    place = dict(board.motion.position)
    board.motion.position.update({"X": 10.0, "Y": 190.0, "Z": place["Z"] + 20.0})
    board.say_position()
    yield from dwell(board, filament)
    yield from _parked(board, text)
    while True:
        yield from dwell(board, filament)
        _prompt(board, b"Paused", [b"PurgeMore", b"Continue"])
        # M108 does not answer this one.
        board.prompt_answer = None
        while board.prompt_answer is None:
            yield from _answer(board, FOREVER)
        if board.prompt_answer != 0:
            break
    board.say(b"//action:prompt_end\n")
    yield from dwell(board, LEAVING)
    board.motion.position.update(place)
    board.say(b"//action:resumed\n")
    _prompt(board, b"Resuming", [b"Dismiss"])


def _parked(board: Board, text: bytes) -> Iterator[float]:
    """Wait for an answer; if it takes long, the heater goes off and two more answers are needed."""
    board.say(b"echo:%b\n" % text)
    _prompt(board, b"Nozzle Parked", [b"Continue"])
    yield from _answer(board, board.motion.lasts(HEATER_TIMEOUT) or FOREVER)
    if not _was_answered(board):
        board.say(b"echo:Send M108 to heat nozzle\n")
        _prompt(board, b"Heater Timeout", [b"Reheat"])
        yield from _answer(board, FOREVER)
        _prompt(board, b"Reheating...", [])
        yield from dwell(board, REHEATING)
        board.say(b"echo:Send M108 to resume\n")
        _prompt(board, b"Reheat Done", [b"Continue"])
        yield from _answer(board, FOREVER)
    board.go_on = False
    board.prompt_answer = None
