"""Identification, line numbers, texts; and the commands that do nothing here but are known."""

from __future__ import annotations

from moonraker_lite.marlin.virtual import reports
from moonraker_lite.marlin.virtual.board import Board, Run
from moonraker_lite.marlin.virtual.commands.table import Table, enter
from moonraker_lite.marlin.virtual.words import parse_words

TABLE: Table = {}


@enter(TABLE, "M115")
def firmware(board: Board, rest: bytes) -> Run:
    board.say_all(reports.firmware(board.who, emergency_parser=board.emergency_parser, card=board.card is not None))
    return None


@enter(TABLE, "M110")
def line_number(board: Board, rest: bytes) -> Run:
    # A numbered one did its work when it was read.
    number = parse_words(rest).get("N")
    if number is not None:
        board.set_line(int(number))
    return None


@enter(TABLE, "M113")
def keepalive(board: Board, rest: bytes) -> Run:
    seconds = parse_words(rest).get("S")
    if seconds is None:
        board.say(f"echo:M113 S{board.keepalive:g}\n".encode())
    else:
        board.keepalive = seconds
    return None


@enter(TABLE, "M118")
def say(board: Board, rest: bytes) -> Run:
    prefix = b""
    while len(rest) > 1 and rest[:1] in (b"A", b"E", b"P") and rest[1:2].isdigit():
        if rest[1:2] != b"0":
            prefix = {b"A": b"//", b"E": b"echo:"}.get(rest[:1], prefix)
        rest = rest[2:].lstrip()
    board.say(b"%b%b\r\n" % (prefix, rest))
    return None


@enter(TABLE, "M999")
def restart(board: Board, rest: bytes) -> Run:
    board.ask_again()
    return None


@enter(TABLE, "M73")
def progress(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    text = f"echo: M73 Progress: {words.get('P') or 0:g}%; Time left: {words.get('R') or 0:g}m;\n"
    board.say(text.encode())
    return None


@enter(TABLE, "M75")
def start_timer(board: Board, rest: bytes) -> Run:
    if board.print_began is None:
        board.print_began = board.now
    return None


@enter(TABLE, "M77")
def stop_timer(board: Board, rest: bytes) -> Run:
    board.print_began = None
    return None


@enter(TABLE, "M31")
def print_time(board: Board, rest: bytes) -> Run:
    seconds = 0 if board.print_began is None else int(board.now - board.print_began)
    parts = [(seconds // 3600, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s")]
    time = " ".join(f"{amount}{unit}" for amount, unit in parts if amount or unit == "s")
    board.say(f"//action:notification {time}\r\n".encode())
    board.say(f"echo:Print time: {time}\n".encode())
    return None


@enter(
    TABLE,
    *("G10", "G11", "G17", "G21", "M17", "M108", "M111", "M117", "M149", "M486", "M876"),
)
def silent(board: Board, rest: bytes) -> Run:
    return None
