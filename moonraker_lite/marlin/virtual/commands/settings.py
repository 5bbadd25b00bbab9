"""Settings and their storage."""

from __future__ import annotations

from moonraker_lite.marlin.virtual import reports
from moonraker_lite.marlin.virtual.board import Board, Handler, Run
from moonraker_lite.marlin.virtual.commands.table import Table, enter
from moonraker_lite.marlin.virtual.words import parse_words

TABLE: Table = {}


def _setting(name: str) -> Handler:
    """A command that sets values, or without any prints them."""

    def change(board: Board, rest: bytes) -> Run:
        values = board.values[name]
        given = {letter: value for letter, value in parse_words(rest).items() if letter in values and value is not None}
        if not rest:
            board.say(reports.setting(name, values))
        values.update(given)
        return None

    return change


TABLE.update((name, _setting(name)) for name in ("M92", "M201", "M203", "M204", "M205", "M206", "M301", "M304", "M851"))


@enter(TABLE, "M900")
def linear_advance(board: Board, rest: bytes) -> Run:
    factor = parse_words(rest).get("K")
    if factor is None:
        board.say(f"echo:Advance K={board.values['M900']['K']:g}\n".encode())
    else:
        board.values["M900"]["K"] = factor
    return None


@enter(TABLE, "M220")
def feed_percent(board: Board, rest: bytes) -> Run:
    percent = parse_words(rest).get("S")
    if percent is None:
        board.say(f"FR:{board.motion.feed_percent:g}%\n".encode())
    elif percent > 0.0:
        board.motion.feed_percent = percent
    return None


@enter(TABLE, "M221")
def flow_percent(board: Board, rest: bytes) -> Run:
    percent = parse_words(rest).get("S")
    if percent is None:
        board.say(f"echo:E0 Flow: {board.motion.flow_percent:g}%\n".encode())
    else:
        board.motion.flow_percent = percent
    return None


@enter(TABLE, "M290")
def babystep(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    step = words.get("Z") or words.get("S") or 0.0
    board.values["M851"]["Z"] += step
    board.say(f"echo:Probe Offset Z{board.values['M851']['Z']:.2f}\n".encode())
    return None


@enter(TABLE, "M211")
def soft_endstops(board: Board, rest: bytes) -> Run:
    switch = parse_words(rest).get("S")
    if switch is None:
        on = board.motion.soft_endstops
        board.say(b"  M211 S%d ; %b\n" % (on, b"ON" if on else b"OFF"))
        board.say(b"  Min:  X0.00 Y0.00 Z0.00   Max:  X200.00 Y200.00 Z200.00\n")
    else:
        board.motion.soft_endstops = bool(switch)
    return None


@enter(TABLE, "M302")
def cold_extrusion(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    if not words:
        state = b"enabled" if board.cold_extrusion else b"disabled"
        board.say(b"echo:Cold extrudes are %b (min temp 170C)\n" % state)
    else:
        board.cold_extrusion = bool(words.get("P")) or words.get("S") == 0.0
    return None


@enter(TABLE, "M420")
def levelling(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    values = board.values["M420"]
    if "V" in words:
        board.say_all(reports.mesh())
    fade = words.get("Z")
    if fade is not None:
        values["Z"] = fade
    switch = words.get("S")
    if switch is not None:
        values["S"] = float(bool(switch))
    board.say(b"echo:Bed Leveling %b\n" % (b"ON" if values["S"] else b"OFF"))
    board.say(f"echo:Fade Height {values['Z']:.2f}\r\n".encode())
    if switch is not None:
        board.say_position()
    return None


@enter(TABLE, "M412")
def runout_sensor(board: Board, rest: bytes) -> Run:
    switch = parse_words(rest).get("S")
    if switch is None:
        state = b"ON" if board.values["M412"]["S"] else b"OFF"
        board.say(b"echo:Filament runout %b ; Host handling OFF\n" % state)
    else:
        board.values["M412"]["S"] = float(bool(switch))
    return None


@enter(TABLE, "M500")
def store(board: Board, rest: bytes) -> Run:
    board.say(b"echo:Settings Stored (678 bytes; crc 2619)\n")
    board.say(b"//action:notification Settings Stored\n")
    return None


@enter(TABLE, "M501")
def load(board: Board, rest: bytes) -> Run:
    board.say(b"echo:V87 stored settings retrieved (678 bytes; crc 2619)\n")
    board.say(b"//action:notification Stored settings retrieved\n")
    board.say_all(reports.settings(board.values, titles=True))
    return None


@enter(TABLE, "M502")
def defaults(board: Board, rest: bytes) -> Run:
    board.values = {name: dict(words) for name, words in reports.DEFAULTS.items()}
    board.say(b"//action:notification Hardcoded Default Settings Loaded\n")
    board.say(b"echo:Hardcoded Default Settings Loaded\n")
    return None


@enter(TABLE, "M503")
def settings(board: Board, rest: bytes) -> Run:
    board.say_all(reports.settings(board.values, titles=parse_words(rest).get("S") != 0.0))
    return None
