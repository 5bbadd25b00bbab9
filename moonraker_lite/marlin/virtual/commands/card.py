"""The SD card. A board without one knows none of these, but for the end of a listing."""

from __future__ import annotations

from moonraker_lite.marlin.virtual.board import Board, Run
from moonraker_lite.marlin.virtual.card import Card
from moonraker_lite.marlin.virtual.commands.table import Table, enter
from moonraker_lite.marlin.virtual.words import parse_words

TABLE: Table = {}


def _card(board: Board) -> Card:
    return board.card or Card()


@enter(TABLE, "M20")
def list_files(board: Board, rest: bytes) -> Run:
    card = _card(board)
    if card.released:
        board.say(b"echo:No media\n")
        return None
    letters = rest.upper().split()
    board.say(b"Begin file list\n")
    board.say_all(card.listing(long=b"L" in letters, time=b"T" in letters))
    board.say(b"End file list\n")
    return None


@enter(TABLE, "M21")
def init_card(board: Board, rest: bytes) -> Run:
    _card(board).released = False
    board.say(b"echo:SD card ok\n" if board.card else b"echo:No SD card\n")
    return None


@enter(TABLE, "M22")
def release_card(board: Board, rest: bytes) -> Run:
    _card(board).released = True
    board.say(b"echo:SD card released\n")
    return None


@enter(TABLE, "M23")
def select_file(board: Board, rest: bytes) -> Run:
    card = _card(board)
    board.say(b"echo:Now fresh file: %b\n" % rest)
    file = card.selected = card.find(rest)
    card.position = 0
    card.at_end = False
    if file is None:
        board.say(b"open failed, File: %b.\n" % rest)
    else:
        board.say(b"File opened: %b Size: %d\n" % (rest, len(file.data)))
        board.say(b"File selected\n")
        board.say(b"//action:notification %b\r\n" % rest)
    return None


@enter(TABLE, "M24")
def start_print(board: Board, rest: bytes) -> Run:
    card = _card(board)
    card.printing = card.selected is not None
    board.say(b"//action:resume\n")
    if card.printing:
        for prompt in (b"end", b"begin Resuming SD", b"button Dismiss", b"show"):
            board.say(b"//action:prompt_%b\n" % prompt)
    return None


@enter(TABLE, "M25")
def pause_print(board: Board, rest: bytes) -> Run:
    _card(board).printing = False
    board.say(b"//action:pause\n")
    return None


@enter(TABLE, "M26")
def seek(board: Board, rest: bytes) -> Run:
    _card(board).position = int(parse_words(rest).get("S") or 0)
    return None


@enter(TABLE, "M27")
def progress(board: Board, rest: bytes) -> Run:
    card = _card(board)
    words = parse_words(rest)
    if "S" in words:
        board.report_card(words["S"] or 0.0)
    elif rest[:1] == b"C":
        board.say(b"Current file: %b\n" % (card.selected.short if card.selected else b"(no file)"))
    else:
        board.say_progress()
    return None


@enter(TABLE, "M28")
def begin_writing(board: Board, rest: bytes) -> Run:
    card = _card(board)
    board.say(b"echo:Now fresh file: %b\n" % rest)
    if board.card is None or card.released:
        board.say(b"open failed, File: %b.\n" % rest)
        return None
    card.writing = card.create(rest)
    board.receiver.saving = True
    board.say(b"Writing to file: %b\n" % rest)
    board.say(b"//action:notification %b\r\n" % rest)
    return None


@enter(TABLE, "M29")
def end_writing(board: Board, rest: bytes) -> Run:
    card = _card(board)
    if card.writing is not None:
        card.writing = None
        board.receiver.saving = False
        board.say(b"Done saving file.\n")
    return None


@enter(TABLE, "M30")
def delete(board: Board, rest: bytes) -> Run:
    card = _card(board)
    file = card.find(rest)
    if file is None:
        board.say(b"Deletion failed, File: %b.\n" % rest)
    else:
        del card.files[file.short]
        board.say(b"File deleted:%b\n" % rest)
    return None


@enter(TABLE, "M32")
def select_and_start(board: Board, rest: bytes) -> Run:
    select_file(board, rest)
    _card(board).printing = _card(board).selected is not None
    return None


@enter(TABLE, "M524")
def abort(board: Board, rest: bytes) -> Run:
    card = _card(board)
    if card.printing or (card.selected is not None and card.position):
        card.printing = False
        card.selected = None
        card.position = 0
        board.motion.stop()
        board.fans[0] = 0
        board.say(b"M106 P0 S0\n")
        board.say_position()
        # The queue goes, and with it the `ok` of this very command.
        board.drop_queue()
    return None
