"""Hotend, bed, fan."""

from __future__ import annotations

from collections.abc import Iterator

from moonraker_lite.marlin.virtual.board import Board, Run
from moonraker_lite.marlin.virtual.commands.table import Table, enter
from moonraker_lite.marlin.virtual.thermal import Heater
from moonraker_lite.marlin.virtual.words import parse_words

RESIDENCY = 10.0
"""Seconds for which a target must be held."""

TABLE: Table = {}


@enter(TABLE, "M105")
def temperatures(board: Board, rest: bytes) -> Run:
    board.payload = board.temperatures(board.now)
    return None


@enter(TABLE, "M155")
def temperature_reports(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    board.reports_fans = bool(int(words.get("C") or 0.0) & 2) and "AUTOREPORT_FANS" in board.who.capabilities
    board.report_temperatures(words.get("S") or 0.0)
    return None


def _hotend(board: Board, rest: bytes) -> Heater | None:
    """That of T, else the active one; None (said by the firmware as well) where there is none of that number."""
    index = parse_words(rest).get("T")
    if index is None:
        return board.hotend
    if 0.0 <= index < len(board.hotends):
        return board.hotends[int(index)]
    board.say(b"echo:M104 Invalid extruder %d\n" % int(index))
    return None


@enter(TABLE, "M104")
def heat_hotend(board: Board, rest: bytes) -> Run:
    target = parse_words(rest).get("S")
    hotend = _hotend(board, rest)
    if target is not None and hotend is not None:
        hotend.set_target(target, board.now)
    return None


@enter(TABLE, "M140")
def heat_bed(board: Board, rest: bytes) -> Run:
    target = parse_words(rest).get("S")
    if target is not None:
        _bed_target(board, target)
    return None


def _bed_target(board: Board, target: float) -> None:
    heats = target > board.bed.temperature(board.now)
    board.say(b"//action:notification Bed %b...\n" % (b"Heating" if heats else b"Cooling"))
    board.bed.set_target(target, board.now)


@enter(TABLE, "M109")
def wait_for_hotend(board: Board, rest: bytes) -> Run:
    target, cooling = _wait_target(rest)
    hotend = _hotend(board, rest)
    if hotend is None:
        return None
    if target is not None:
        hotend.set_target(target, board.now)
    return _wait_for(board, hotend, cooling=cooling)


@enter(TABLE, "M141")
def heat_chamber(board: Board, rest: bytes) -> Run:
    target = parse_words(rest).get("S")
    if board.chamber is None:
        board.unknown(b"M141 " + rest)
    elif target is not None:
        board.chamber.set_target(target, board.now)
    return None


@enter(TABLE, "M191")
def wait_for_chamber(board: Board, rest: bytes) -> Run:
    target, cooling = _wait_target(rest)
    if board.chamber is None:
        board.unknown(b"M191 " + rest)
        return None
    if target is not None:
        board.chamber.set_target(target, board.now)
    return _wait_for(board, board.chamber, cooling=cooling)


@enter(TABLE, "M190")
def wait_for_bed(board: Board, rest: bytes) -> Run:
    target, cooling = _wait_target(rest)
    if target is not None:
        _bed_target(board, target)
    return _wait_for(board, board.bed, cooling=cooling)


def _wait_target(rest: bytes) -> tuple[float | None, bool]:
    """S waits for heating only, R for cooling too."""
    words = parse_words(rest)
    target = words.get("S")
    return (target, False) if target is not None else (words.get("R"), True)


def _wait_for(board: Board, heater: Heater, *, cooling: bool) -> Iterator[float]:
    """One report a second with `W:`, until the target was held for the residency time or M108 came."""
    board.go_on = False
    reached = heater.reaches(board.now, cooling=cooling)
    end = reached + board.motion.lasts(RESIDENCY)
    report_at = board.now
    while True:
        now = board.now
        if now >= report_at:
            report_at += 1.0
            left = b"?" if now < reached else b"%d" % max(end - now, 0.0)
            board.say(b" %b W:%b\n" % (board.temperatures(now), left))
        if now >= end or board.go_on:
            return
        yield min(report_at, end)


@enter(TABLE, "M106")
def fan_on(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    speed = words.get("S")
    _set_fan(board, words, min(int(speed), 255) if speed is not None else 255)
    return None


@enter(TABLE, "M107")
def fan_off(board: Board, rest: bytes) -> Run:
    _set_fan(board, parse_words(rest), 0)
    return None


def _set_fan(board: Board, words: dict[str, float | None], speed: int) -> None:
    """Nothing is said of a fan that is not there."""
    index = int(words.get("P") or 0.0)
    if 0 <= index < len(board.fans):
        board.fans[index] = speed
        board.say(b"M106 P%d S%d\n" % (index, speed))
