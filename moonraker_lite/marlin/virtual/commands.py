"""The commands of the virtual Marlin, one small function each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from moonraker_lite.marlin.virtual import reports
from moonraker_lite.marlin.virtual.board import Board, Handler, Run
from moonraker_lite.marlin.virtual.motion import PLANNER_BLOCKS
from moonraker_lite.marlin.virtual.thermal import Heater
from moonraker_lite.marlin.virtual.words import parse_words

RESIDENCY = 10.0
HOMING_SECONDS = {"X": 2.5, "Y": 2.5, "Z": 4.0}
PROBE_SECONDS = 3.2
FOREVER = 1e9

HANDLERS: dict[str, Handler] = {}
"""By command word; complete when this module is imported."""

_H = TypeVar("_H", bound=Handler)


def command(*names: str) -> Callable[[_H], _H]:
    """Enter a function for these commands."""

    def enter(handler: _H) -> _H:
        for name in names:
            HANDLERS[name] = handler
        return handler

    return enter


def _finish_moves(board: Board) -> Iterator[float]:
    """Wait until the planner is empty (M410 may empty it)."""
    while board.motion.free_blocks(board.now) < PLANNER_BLOCKS:
        yield board.motion.ends[-1]


def _dwell(board: Board, seconds: float) -> Iterator[float]:
    """Machine time passes, whatever wakes us."""
    end = board.now + board.motion.lasts(seconds)
    while board.now < end:
        yield end


# -- moves ------------------------------------------------------------------------------------------------------------


@command("G0", "G1")
def move(board: Board, rest: bytes) -> Run:
    if board.motion.free_blocks(board.now):
        _moved(board, board.motion.move(parse_words(rest), board.now))
        return None
    return _move_later(board, lambda: board.motion.move(parse_words(rest), board.now))


@command("G2")
def arc_clockwise(board: Board, rest: bytes) -> Run:
    return _move_later(board, lambda: board.motion.arc(parse_words(rest), board.now, clockwise=True))


@command("G3")
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


@command("G4")
def dwell(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    seconds = (words.get("S") or 0.0) + (words.get("P") or 0.0) / 1000.0
    board.say(b"//action:notification Sleep...\n")
    return _wait_then_dwell(board, seconds)


def _wait_then_dwell(board: Board, seconds: float) -> Iterator[float]:
    yield from _finish_moves(board)
    yield from _dwell(board, seconds)


@command("G28")
def home(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    axes = [axis for axis in "XYZ" if axis in words] or list("XYZ")
    if "O" in words and board.motion.homed.issuperset("XYZ"):
        return None
    return _home(board, axes)


def _home(board: Board, axes: list[str]) -> Iterator[float]:
    yield from _finish_moves(board)
    yield from _dwell(board, sum(HOMING_SECONDS[axis] for axis in axes))
    position = board.motion.position
    for axis in axes:
        position[axis] = 0.0
        board.motion.homed.add(axis)
    if "Z" in axes:
        position["X"] = position["Y"] = 100.0
    else:
        position["Z"] = 5.0
    board.values["M420"]["S"] = 0.0
    board.say_position()


@command("G29")
def probe_mesh(board: Board, rest: bytes) -> Run:
    if not board.motion.homed.issuperset("XYZ"):
        board.say(b"echo:Home XYZ First\r\n")
        board.say(b"//action:notification Home XYZ First\r\n")
        return None
    return _probe_mesh(board, verbose=(parse_words(rest).get("V") or 0.0) >= 4.0)


def _probe_mesh(board: Board, *, verbose: bool) -> Iterator[float]:
    yield from _finish_moves(board)
    if verbose:
        board.say(b"G29 Auto Bed Leveling\n")
    for point in range(25):
        if verbose:
            board.say(b"Probing mesh point %d/25.\n" % (point + 1))
        yield from _dwell(board, PROBE_SECONDS)
        row, column = divmod(point, 5)
        if verbose:
            place = f"Bed X: {20 + 40 * column:.2f} Y: {20 + 40 * row:.2f} Z: {reports.mesh_value(column, row):.2f}\n"
            board.say(place.encode())
    board.motion.position.update({"X": 180.0, "Y": 180.0, "Z": 4.91})
    board.values["M420"]["S"] = 1.0
    board.say_all(reports.mesh())
    board.say_position()


@command("G30")
def probe_once(board: Board, rest: bytes) -> Run:
    return _probe_once(board, rest)


def _probe_once(board: Board, rest: bytes) -> Iterator[float]:
    yield from _finish_moves(board)
    yield from _dwell(board, PROBE_SECONDS)
    position = board.motion.position
    board.motion.move({axis: value for axis, value in parse_words(rest).items() if axis in ("X", "Y")}, board.now)
    board.motion.stop()
    board.say(f"Bed X: {position['X']:.2f} Y: {position['Y']:.2f} Z: 0.00\n".encode())
    board.say_position()


@command("G90")
def absolute(board: Board, rest: bytes) -> Run:
    board.motion.relative = board.motion.relative_e = False
    return None


@command("G91")
def relative(board: Board, rest: bytes) -> Run:
    board.motion.relative = board.motion.relative_e = True
    return None


@command("M82")
def absolute_extruder(board: Board, rest: bytes) -> Run:
    board.motion.relative_e = False
    return None


@command("M83")
def relative_extruder(board: Board, rest: bytes) -> Run:
    board.motion.relative_e = True
    return None


@command("G92")
def set_position(board: Board, rest: bytes) -> Run:
    board.motion.shift(parse_words(rest))
    board.say_position()
    return None


@command("M400")
def finish_moves(board: Board, rest: bytes) -> Run:
    return _finish_moves(board)


@command("M410")
def quick_stop(board: Board, rest: bytes) -> Run:
    board.motion.stop()
    return _dwell(board, 1.0)


@command("M18", "M84")
def motors_off(board: Board, rest: bytes) -> Run:
    if not rest:
        board.motion.homed.clear()
    return _finish_moves(board)


@command("M114")
def position(board: Board, rest: bytes) -> Run:
    board.say_position()
    return None


@command("M154")
def position_reports(board: Board, rest: bytes) -> Run:
    board.report_position(parse_words(rest).get("S") or 0.0)
    return None


@command("M119")
def endstops(board: Board, rest: bytes) -> Run:
    board.say(b"Reporting endstop status\n")
    for axis in "xyz":
        triggered = axis.upper() in board.motion.homed and board.motion.position[axis.upper()] <= 0.0
        board.say(b"%b_min: %b\n" % (axis.encode(), b"TRIGGERED" if triggered else b"open"))
    board.say(b"filament: TRIGGERED\n")
    return None


# -- heat -------------------------------------------------------------------------------------------------------------


@command("M105")
def temperatures(board: Board, rest: bytes) -> Run:
    board.payload = board.temperatures(board.now)
    return None


@command("M155")
def temperature_reports(board: Board, rest: bytes) -> Run:
    board.report_temperatures(parse_words(rest).get("S") or 0.0)
    return None


@command("M104")
def heat_hotend(board: Board, rest: bytes) -> Run:
    target = parse_words(rest).get("S")
    if target is not None:
        board.hotend.set_target(target, board.now)
    return None


@command("M140")
def heat_bed(board: Board, rest: bytes) -> Run:
    target = parse_words(rest).get("S")
    if target is not None:
        _bed_target(board, target)
    return None


def _bed_target(board: Board, target: float) -> None:
    heats = target > board.bed.temperature(board.now)
    board.say(b"//action:notification Bed %b...\n" % (b"Heating" if heats else b"Cooling"))
    board.bed.set_target(target, board.now)


@command("M109")
def wait_for_hotend(board: Board, rest: bytes) -> Run:
    target, cooling = _wait_target(rest)
    if target is not None:
        board.hotend.set_target(target, board.now)
    return _wait_for(board, board.hotend, cooling=cooling)


@command("M190")
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


@command("M106")
def fan_on(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    if not words.get("P"):
        speed = words.get("S")
        board.fan = min(int(speed), 255) if speed is not None else 255
        board.say(b"M106 P0 S%d\n" % board.fan)
    return None


@command("M107")
def fan_off(board: Board, rest: bytes) -> Run:
    board.fan = 0
    board.say(b"M106 P0 S0\n")
    return None


# -- settings ---------------------------------------------------------------------------------------------------------


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


for _name in ("M92", "M201", "M203", "M204", "M205", "M206", "M301", "M304", "M851"):
    HANDLERS[_name] = _setting(_name)


@command("M900")
def linear_advance(board: Board, rest: bytes) -> Run:
    factor = parse_words(rest).get("K")
    if factor is None:
        board.say(f"echo:Advance K={board.values['M900']['K']:g}\n".encode())
    else:
        board.values["M900"]["K"] = factor
    return None


@command("M220")
def feed_percent(board: Board, rest: bytes) -> Run:
    percent = parse_words(rest).get("S")
    if percent is None:
        board.say(f"FR:{board.motion.feed_percent:g}%\n".encode())
    elif percent > 0.0:
        board.motion.feed_percent = percent
    return None


@command("M221")
def flow_percent(board: Board, rest: bytes) -> Run:
    percent = parse_words(rest).get("S")
    if percent is None:
        board.say(f"echo:E0 Flow: {board.motion.flow_percent:g}%\n".encode())
    else:
        board.motion.flow_percent = percent
    return None


@command("M290")
def babystep(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    step = words.get("Z") or words.get("S") or 0.0
    board.values["M851"]["Z"] += step
    board.say(f"echo:Probe Offset Z{board.values['M851']['Z']:.2f}\n".encode())
    return None


@command("M211")
def soft_endstops(board: Board, rest: bytes) -> Run:
    switch = parse_words(rest).get("S")
    if switch is None:
        on = board.motion.soft_endstops
        board.say(b"  M211 S%d ; %b\n" % (on, b"ON" if on else b"OFF"))
        board.say(b"  Min:  X0.00 Y0.00 Z0.00   Max:  X200.00 Y200.00 Z200.00\n")
    else:
        board.motion.soft_endstops = bool(switch)
    return None


@command("M302")
def cold_extrusion(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    if not words:
        state = b"enabled" if board.cold_extrusion else b"disabled"
        board.say(b"echo:Cold extrudes are %b (min temp 170C)\n" % state)
    else:
        board.cold_extrusion = bool(words.get("P")) or words.get("S") == 0.0
    return None


@command("M420")
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


@command("M412")
def runout_sensor(board: Board, rest: bytes) -> Run:
    switch = parse_words(rest).get("S")
    if switch is None:
        state = b"ON" if board.values["M412"]["S"] else b"OFF"
        board.say(b"echo:Filament runout %b ; Host handling OFF\n" % state)
    else:
        board.values["M412"]["S"] = float(bool(switch))
    return None


@command("M500")
def store(board: Board, rest: bytes) -> Run:
    board.say(b"echo:Settings Stored (678 bytes; crc 2619)\n")
    board.say(b"//action:notification Settings Stored\n")
    return None


@command("M501")
def load(board: Board, rest: bytes) -> Run:
    board.say(b"echo:V87 stored settings retrieved (678 bytes; crc 2619)\n")
    board.say(b"//action:notification Stored settings retrieved\n")
    board.say_all(reports.settings(board.values, titles=True))
    return None


@command("M502")
def defaults(board: Board, rest: bytes) -> Run:
    board.values = {name: dict(words) for name, words in reports.DEFAULTS.items()}
    board.say(b"//action:notification Hardcoded Default Settings Loaded\n")
    board.say(b"echo:Hardcoded Default Settings Loaded\n")
    return None


@command("M503")
def settings(board: Board, rest: bytes) -> Run:
    board.say_all(reports.settings(board.values, titles=parse_words(rest).get("S") != 0.0))
    return None


# -- talking ----------------------------------------------------------------------------------------------------------


@command("M115")
def firmware(board: Board, rest: bytes) -> Run:
    board.say_all(reports.firmware(emergency_parser=board.emergency_parser))
    return None


@command("M110")
def line_number(board: Board, rest: bytes) -> Run:
    # A numbered one did its work when it was read.
    number = parse_words(rest).get("N")
    if number is not None:
        board.set_line(int(number))
    return None


@command("M113")
def keepalive(board: Board, rest: bytes) -> Run:
    seconds = parse_words(rest).get("S")
    if seconds is None:
        board.say(f"echo:M113 S{board.keepalive:g}\n".encode())
    else:
        board.keepalive = seconds
    return None


@command("M118")
def say(board: Board, rest: bytes) -> Run:
    prefix = b""
    while len(rest) > 1 and rest[:1] in (b"A", b"E", b"P") and rest[1:2].isdigit():
        if rest[1:2] != b"0":
            prefix = {b"A": b"//", b"E": b"echo:"}.get(rest[:1], prefix)
        rest = rest[2:].lstrip()
    board.say(b"%b%b\r\n" % (prefix, rest))
    return None


@command("M999")
def restart(board: Board, rest: bytes) -> Run:
    board.ask_again()
    return None


@command("M73")
def progress(board: Board, rest: bytes) -> Run:
    words = parse_words(rest)
    text = f"echo: M73 Progress: {words.get('P') or 0:g}%; Time left: {words.get('R') or 0:g}m;\n"
    board.say(text.encode())
    return None


@command("M0", "M1")
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


@command("M125", "M600")
def park(board: Board, rest: bytes) -> Run:
    return _park(board)


def _park(board: Board) -> Iterator[float]:
    """Pause in two steps: M108 when the filament is in, then `PurgeMore` or `Continue` by M876."""
    board.say(b"//action:paused\n")
    _prompt(board, b"Pause", [b"Dismiss"])
    yield from _finish_moves(board)
    yield from _dwell(board, 6.0)
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
        yield from _dwell(board, 5.0)
    board.motion.position.update(place)
    board.say(b"//action:resumed\n")
    _prompt(board, b"Resuming", [b"Dismiss"])


def _silent(board: Board, rest: bytes) -> Run:
    return None


for _name in (
    *("G10", "G11", "G17", "G21", "M17", "M75", "M77", "M108", "M111", "M117", "M149", "M200", "M207", "M208"),
    *("M209", "M486", "M603", "M876", "T0"),
):
    HANDLERS[_name] = _silent
