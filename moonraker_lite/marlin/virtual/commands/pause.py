"""Waiting for the user: M0, M1, parking, filament change."""

from __future__ import annotations

from collections.abc import Iterator

from moonraker_lite.marlin.virtual.board import Board, Run
from moonraker_lite.marlin.virtual.commands.table import Table, dwell, enter, finish_moves
from moonraker_lite.marlin.virtual.words import parse_words

FOREVER = 1e9

TABLE: Table = {}


@enter(TABLE, "M0", "M1")
def wait_for_user(board: Board, rest: bytes) -> Run:
    words = parse_words(rest) if rest[:1] in (b"S", b"P") else {}
    seconds = (words.get("S") or 0.0) + (words.get("P") or 0.0) / 1000.0
    text = rest if rest and not seconds else b"M0/1 Break Called"
    return _wait_for_user(board, text, [b"Continue"], seconds)


def _wait_for_user(board: Board, text: bytes, buttons: list[bytes], seconds: float) -> Iterator[float]:
    """Ends by M108, by M876, or after its own time."""
    board.say(b"echo:%b\r\n" % text)
    _prompt(board, text, buttons)
    board.go_on = False
    board.prompt_answer = None
    board.waiting_for_user = True
    end = board.now + board.motion.lasts(seconds) if seconds else FOREVER
    while not board.go_on and board.prompt_answer is None and board.now < end:
        yield end
    board.waiting_for_user = False


def _prompt(board: Board, text: bytes, buttons: list[bytes]) -> None:
    board.say(b"//action:prompt_end\n")
    board.say(b"//action:prompt_begin %b\n" % text)
    for button in buttons:
        board.say(b"//action:prompt_button %b\n" % button)
    board.say(b"//action:prompt_show\n")


@enter(TABLE, "M125", "M600")
def park(board: Board, rest: bytes) -> Run:
    return _park(board)


def _park(board: Board) -> Iterator[float]:
    """Pause in two steps: M108 when the filament is in, then `PurgeMore` or `Continue` by M876."""
    board.say(b"//action:paused\n")
    _prompt(board, b"Pause", [b"Dismiss"])
    yield from finish_moves(board)
    yield from dwell(board, 6.0)
    place = dict(board.motion.position)
    board.motion.position.update({"X": 10.0, "Y": 190.0, "Z": place["Z"] + 20.0})
    board.say_position()
    yield from _wait_for_user(board, b"Send M108 to resume", [b"Continue"], 0.0)
    board.go_on = False
    while not board.go_on:
        _prompt(board, b"Paused", [b"PurgeMore", b"Continue"])
        board.prompt_answer = None
        board.waiting_for_user = True
        while board.prompt_answer is None:
            yield FOREVER
        board.waiting_for_user = False
        board.go_on = board.prompt_answer != 0
        yield from dwell(board, 5.0)
    board.motion.position.update(place)
    board.say(b"//action:resumed\n")
    _prompt(board, b"Resuming", [b"Dismiss"])
