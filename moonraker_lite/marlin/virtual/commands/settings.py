"""Settings and their storage."""

from __future__ import annotations

from moonraker_lite.marlin.virtual import reports
from moonraker_lite.marlin.virtual.board import Board, Handler, Run
from moonraker_lite.marlin.virtual.commands.table import Table, enter
from moonraker_lite.marlin.virtual.personality import MeshKind
from moonraker_lite.marlin.virtual.words import parse_words

TABLE: Table = {}


_INDEX = {"M301": "E", "M218": "T", "M593": "XY"}
"""The letters that say which one of several settings is meant."""


def _setting(name: str) -> Handler:
    """A command that sets values, or without any prints them."""

    def change(board: Board, rest: bytes) -> Run:
        words = parse_words(rest)
        keys = _keys(board, name, words)
        if not keys:
            board.unknown(name.encode() + (b" " + rest if rest else b""))
            return None
        for key in keys:
            values = board.values[key]
            if not rest:
                board.say(reports.setting(key, values))
            values.update({letter: value for letter, value in words.items() if letter in values and value is not None})
        return None

    return change


def _keys(board: Board, name: str, words: dict[str, float | None]) -> list[str]:
    """Return which of the board's settings a command is about: `M301`, `M301 E1`, `M593 X`."""
    for letter in _INDEX.get(name, ""):
        index = words.get(letter, 0.0)
        suffix = letter if index is None else f"{letter}{index:.0f}" if index else ""
        if suffix and f"{name} {suffix}" in board.values:
            return [f"{name} {suffix}"]
    if name in board.values:
        return [name]
    return [key for key in board.values if key.startswith(f"{name} ")]


TABLE.update(
    (name, _setting(name))
    for name in (
        *("M92", "M200", "M201", "M203", "M204", "M205", "M206", "M207", "M208", "M209", "M218"),
        *("M301", "M304", "M309", "M593", "M603", "M851", "M906"),
    )
)


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
    if board.who.mesh is MeshKind.PRUSA:
        board.say(b"echo:Unknown M code: M211\n")
    elif switch is None:
        board.say_all(reports.endstop_limits(board.who, on=board.motion.soft_endstops))
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


@enter(TABLE, "M412")
def runout_sensor(board: Board, rest: bytes) -> Run:
    switch = parse_words(rest).get("S")
    if "M412" not in board.values:
        board.unknown(b"M412 " + rest)
    elif switch is None:
        state = b"ON" if board.values["M412"]["S"] else b"OFF"
        board.say(b"echo:Filament runout %b ; Host handling OFF\n" % state)
    else:
        board.values["M412"]["S"] = float(bool(switch))
    return None


@enter(TABLE, "M500")
def store(board: Board, rest: bytes) -> Run:
    board.eeprom = {name: dict(words) for name, words in board.values.items()}
    board.stored_probing = board.probing
    board.say(b"echo:Settings Stored (678 bytes; crc 2619)\n")
    board.say(b"//action:notification Settings Stored\n")
    return None


@enter(TABLE, "M501")
def load(board: Board, rest: bytes) -> Run:
    board.values = {name: dict(words) for name, words in board.eeprom.items()}
    board.probing = board.stored_probing
    board.say(b"echo:V87 stored settings retrieved (678 bytes; crc 2619)\n")
    board.say(b"//action:notification Stored settings retrieved\n")
    _list(board, titles=True)
    return None


@enter(TABLE, "M502")
def defaults(board: Board, rest: bytes) -> Run:
    board.values = {name: dict(words) for name, words in board.who.settings.items()}
    board.say(b"//action:notification Hardcoded Default Settings Loaded\n")
    board.say(b"echo:Hardcoded Default Settings Loaded\n")
    return None


@enter(TABLE, "M503")
def settings(board: Board, rest: bytes) -> Run:
    _list(board, titles=parse_words(rest).get("S") != 0.0)
    return None


def _list(board: Board, *, titles: bool) -> None:
    levelling: tuple[bytes, ...] = ()
    if board.who.mesh is MeshKind.UBL:
        state = b"" if board.values["M420"]["S"] else b"in"
        levelling = (
            b"\nUnified Bed Leveling System v1.01 %bactive\n" % state,
            b"echo:Active Mesh Slot %d\necho:EEPROM can hold 8 meshes.\n\n" % board.mesh_slot,
        )
    board.say_all(reports.settings(board.who, board.values, titles=titles, levelling=levelling))
