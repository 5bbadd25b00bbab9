"""What a file has told the firmware up to one of its bytes: found out by reading it again from the beginning.

A checkpoint is a second old and knows what was sent; the file itself knows for each byte in which modes its next line
is to be executed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from moonraker_lite.marlin.gcode.labels import read_label
from moonraker_lite.marlin.gcode.layers import Layers
from moonraker_lite.marlin.gcode.motion import AXES, E
from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.translate import TRANSLATIONS
from moonraker_lite.marlin.gcode.words import Command, parse
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.settings import PrinterSettings
from moonraker_lite.marlin.state import Heater, Machine

CHUNK = 256 * 1024
# Every so many lines others get a turn: this is not urgent.
_BREATH = 5000
# Settings that a file makes once and that a reset of the board takes back: the last of each has to be made again.
_SETTINGS = frozenset({"M201", "M203", "M204", "M205", "M207", "M208", "M302", "M413", "M593", "M900"})
_MOVES = ("G0 ", "G1 ")


class Replay:
    """The state behind the lines that were read. `machine` follows them as if they had been sent."""

    def __init__(self, settings: PrinterSettings, heaters: list[str], *, g90_sets_extruder: bool) -> None:
        """`heaters`: the names of the heaters' objects."""
        self.machine = Machine(settings, time.monotonic)
        self.machine.motion.g90_sets_extruder = g90_sets_extruder
        for name in heaters:
            self.machine.heaters.setdefault(name, Heater()).target = 0.0
        self.layers = Layers()
        self.lines = 0
        # How far G92 has shifted the coordinates of X and Y: logical less machine's.
        self.shift = [0.0, 0.0]
        # The bed was levelled, or a mesh switched on.
        self.levelled = False
        self.settings: dict[str, str] = {}
        # What defines the objects, as the file has it, and the label of the one that is being printed.
        self.definitions: list[str] = []
        self.label: str | None = None

    def take(self, raw: bytes) -> None:
        """Take the next line."""
        self.lines += 1
        text = raw.decode("utf-8", "surrogateescape")
        comment = text.find(";")
        if comment >= 0:
            self.layers.read_comment(text[comment:])
            if (label := read_label(text[comment:].rstrip())) is not None:
                self.label = None if label[1] is None else text[comment:].strip()
        bare = (text[:comment] if comment >= 0 else text).strip()
        if bare[:3] in _MOVES:
            self.machine.motion.observe_line(bare)
        elif bare and (command := parse(text)) is not None:
            self._command(command)

    def _command(self, command: Command) -> None:
        name, motion = command.name, self.machine.motion
        if name == "G92":
            before = list(motion.position)
            motion.observe(command)
            for axis in range(2):
                self.shift[axis] += motion.position[axis] - before[axis]
            return
        if name == "G28":
            words = command.words()
            named = [axis for axis in range(2) if AXES[axis] in words]
            for axis in named or ([] if any(letter in words for letter in AXES) else range(2)):
                self.shift[axis] = 0.0
        elif name == "G29" or (name == "M420" and command.words().get("S") not in (None, "", "0")):
            self.levelled = True
        elif name in _SETTINGS:
            self.settings[name] = command.line
        elif name == "EXCLUDE_OBJECT_DEFINE":
            self.definitions.append(command.line)
        elif name == "EXCLUDE_OBJECT_START":
            self.label = command.line
        elif name == "EXCLUDE_OBJECT_END":
            self.label = None
        elif name == "M486":
            self._object(command)
        if translation := TRANSLATIONS.get(name):
            self._translated(command, translation(Options(command), self.machine))
        elif command.traditional:
            self.machine.observe(command)

    def _object(self, command: Command) -> None:
        kind = command.rest[:1].upper()
        if kind == "S":
            self.label = None if command.rest[1:].lstrip().startswith("-") else command.line
        elif kind == "A" and self.label is not None:
            self.definitions += [self.label, command.line]
        elif kind == "T":
            self.definitions.append(command.line)

    def _translated(self, command: Command, lines: list[str]) -> None:
        for line in lines:
            self.machine.observe_line(line)
            if (word := line.split(" ", 1)[0]) in _SETTINGS:
                self.settings[word] = line


def replay(
    path: Path, position: int, settings: PrinterSettings, heaters: list[str], *, g90_sets_extruder: bool
) -> Replay:
    """Read a file up to a byte that ends a line. Raise OSError, CommandError when no line ends there. Slow."""
    state = Replay(settings, heaters, g90_sets_extruder=g90_sets_extruder)
    for number, raw in enumerate(_lines(path, position)):
        try:
            state.take(raw)
        except CommandError:
            pass  # the print has got over it
        if number % _BREATH == _BREATH - 1:
            time.sleep(0.002)
    return state


def _lines(path: Path, position: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        left, carry = position, b""
        while left > 0:
            data = file.read(min(CHUNK, left))
            if not data:
                raise CommandError(f"{path.name} is shorter than the print of it has come")
            left -= len(data)
            lines = (carry + data).splitlines(keepends=True)
            carry = b""
            if left and not lines[-1].endswith(b"\n"):
                carry = lines.pop()
            yield from lines
        following = file.read(1)
    if position and following and not lines[-1].endswith((b"\n", b"\r")):
        raise CommandError(f"No line of {path.name} ends where the print of it has come to: it was changed")


def same_place(state: Replay, e: float, z: float) -> bool:
    """Whether the checkpoint and the file agree where the head was."""
    position = state.machine.motion.position
    return abs(position[2] - z) < 0.01 and abs(position[E] - e) < 0.1
