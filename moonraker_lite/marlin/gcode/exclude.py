"""Exclude object: moves of objects that the user gave up are not printed.

The host drops the moves itself, so any firmware will do. While moves are dropped, a second `Motion` follows the file
and the machine's own follows what is really sent; when printing goes on, the firmware is brought to where the file
believes it to be: filament pulled back as far, E the same, the head at the same place, modes and speed as they were.
"""

from __future__ import annotations

from typing import Any

from moonraker_lite.marlin.gcode.motion import AXES, E, Motion, X, Y, Z
from moonraker_lite.marlin.gcode.words import Command, fixed, number, parse

TRAVEL_SPEED = 6000.0
RETRACT_SPEED = 2100.0
EPSILON = 1e-5
INCH = 25.4
_MOVES = frozenset({"G0", "G1", "G2", "G3", "G5", "G10", "G11"})
# These leave the head where only the firmware knows: behind them the file takes it to be there, too.
_PROBING = frozenset({"G29", "G30"})


class ExcludedObjects:
    """The objects of the file being printed, and which of them are excluded. Names are upper case."""

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []
        self.excluded: list[str] = []
        self.current: str | None = None

    def reset(self) -> None:
        self.objects, self.excluded, self.current = [], [], None

    def define(self, name: str, **details: Any) -> None:
        """Add an object; one that is known already keeps its place, and its details if it has any."""
        for index, known in enumerate(self.objects):
            if known["name"] == name:
                if details and len(known) == 1:
                    self.objects = [*self.objects[:index], {"name": name, **details}, *self.objects[index + 1 :]]
                return
        self.objects = [*self.objects, {"name": name, **details}]

    def rename(self, old: str, new: str) -> None:
        """An object's label came later than the object."""
        self.objects = [{**known, "name": new} if known["name"] == old else known for known in self.objects]
        self.excluded = sorted({new if name == old else name for name in self.excluded})
        if self.current == old:
            self.current = new

    def start(self, name: str) -> None:
        self.define(name)
        self.current = name

    def end(self) -> None:
        self.current = None

    def exclude(self, name: str) -> None:
        if name not in self.excluded:
            self.excluded = sorted([*self.excluded, name])

    def include(self, name: str) -> None:
        self.excluded = [other for other in self.excluded if other != name]

    @property
    def dropping(self) -> bool:
        """Whether the moves that come now belong to an excluded object."""
        return self.current is not None and self.current in self.excluded

    def status(self) -> dict[str, Any]:
        return {"objects": self.objects, "excluded_objects": self.excluded, "current_object": self.current}


class MoveFilter:
    """Drops the moves of excluded objects from a stream of lines, and brings the firmware back into step after.

    `motion` follows the firmware: whoever calls `pass_on` lets it observe each line that is returned.
    """

    def __init__(self, objects: ExcludedObjects, motion: Motion) -> None:
        self._objects = objects
        self._motion = motion
        # Where the file believes to be, while that is not where the firmware is.
        self._file: Motion | None = None
        # The axes that were homed or probed last.
        self._homed: tuple[int, ...] = ()

    @property
    def file(self) -> Motion:
        """What the file believes the state of the firmware to be."""
        return self._file or self._motion

    @property
    def active(self) -> bool:
        """Whether lines have to go through `pass_on`: an object is being dropped, or the firmware is out of step."""
        return self._file is not None or self._objects.dropping

    def reset(self) -> None:
        self._file = None

    def host_did(self, before: Motion) -> None:
        """The host has run a command of the file (a macro), which found the firmware as `before`: modes that it has
        changed are changed for the file."""
        file, now = self._file, self._motion
        if file is None:
            return
        for mode in ("absolute", "absolute_e", "inches", "speed", "tool"):
            if getattr(now, mode) != getattr(before, mode):
                setattr(file, mode, getattr(now, mode))
        if now.position[E] != before.position[E]:
            file.position[E] = now.position[E]

    def reported(self) -> None:
        """Homing or probing has told where the head is, and that holds for the file as well."""
        if self._file is not None:
            for axis in self._homed:
                self._file.position[axis] = self._motion.position[axis]

    def pass_on(self, text: str) -> list[str]:
        """Take one stripped line; return what has to be sent in its place."""
        command = parse(text)
        if command is None:
            return []
        file = self._file
        if self._objects.dropping:
            if file is None:
                file = self._file = self._motion.copy()
            if command.name in _MOVES:
                file.observe(command)
                return []
            return self._without_moving(command, text, file)
        if file is None or _in_step(file, self._motion):
            self._file = None
            return [text]
        if command.name not in _MOVES:
            return self._without_moving(command, text, file)
        if (lines := _go_along(command, file, self._motion)) is None:
            self._file = None
            return [*_catch_up(command, file, self._motion), text]
        file.observe(command)
        return [*lines, text]

    def _without_moving(self, command: Command, text: str, file: Motion) -> list[str]:
        """A command that holds for the firmware, wherever it stands."""
        lines = [text]
        if command.name == "G92":
            lines = [_shifted(command, text, file, self._motion)]
        elif command.name[0] == "T" and command.name[1:].isdigit():
            # Filament that the file has pulled back must be so before another tool has it out of sight.
            steps = _Steps(self._motion)
            steps.retract(file)
            steps.unretract(file)
            steps.finish(self._motion)
            lines = [*steps.lines, text]
        elif command.name == "G28":
            words = command.words()
            self._homed = tuple(axis for axis in (X, Y, Z) if AXES[axis] in words) or (X, Y, Z)
        elif command.name in _PROBING:
            self._homed = (X, Y, Z)
        file.observe(command)
        return lines


class _Steps:
    """Lines for the firmware, and what they make of its state."""

    def __init__(self, real: Motion) -> None:
        self.lines: list[str] = []
        self.state = real.copy()

    def add(self, line: str) -> None:
        self.lines.append(line)
        self.state.observe_line(line)

    def retract(self, goal: Motion) -> None:
        """Pull the filament back where it is farther back in `goal`."""
        pull = goal.retracted - self.state.retracted
        if pull > EPSILON:
            self._feed(-pull)
        if goal.firmware_retracted and not self.state.firmware_retracted:
            self.add("G10")

    def unretract(self, goal: Motion) -> None:
        """Push the filament forward where it is less far back in `goal`."""
        if self.state.firmware_retracted and not goal.firmware_retracted:
            self.add("G11")
        push = self.state.retracted - goal.retracted
        if push > EPSILON:
            self._feed(push)

    def _feed(self, length: float) -> None:
        self._millimetres()
        if self.state.absolute_e:
            self.add("M83")
        self.add(f"G1 E{length:.5f} F{RETRACT_SPEED:g}")

    def travel(self, axes: list[int], goal: Motion) -> None:
        """Up before sideways, sideways before down: nothing that was printed stands in the way."""
        axes = [axis for axis in axes if abs(goal.position[axis] - self.state.position[axis]) > EPSILON]
        if not axes:
            return
        self._millimetres()
        if not self.state.absolute:
            self.add("G90")
        up = goal.position[Z] >= self.state.position[Z]
        lift = f"Z{goal.position[Z]:.5f}" if Z in axes else ""
        aside = " ".join(f"{AXES[axis]}{goal.position[axis]:.5f}" for axis in axes if axis != Z)
        for words in (lift, aside) if up else (aside, lift):
            if words:
                self.add(f"G0 {words} F{TRAVEL_SPEED:g}")

    def finish(self, goal: Motion, *, speed: bool = True) -> None:
        """Bring the modes, E and (where `speed`) the feed rate to those of `goal`."""
        state = self.state
        if state.absolute != goal.absolute:
            self.add("G90" if goal.absolute else "G91")
        if state.absolute_e != goal.absolute_e:
            self.add("M82" if goal.absolute_e else "M83")
        if abs(goal.position[E] - state.position[E]) > EPSILON:
            self._millimetres()
            self.add(f"G92 E{goal.position[E]:.5f}")
        if speed and state.speed != goal.speed:
            self._millimetres()
            self.add(f"G1 F{fixed(goal.speed)}")
        if state.inches != goal.inches:
            self.add("G20" if goal.inches else "G21")

    def _millimetres(self) -> None:
        if self.state.inches:
            self.add("G21")


def _in_step(file: Motion, real: Motion) -> bool:
    """Whether the firmware is where the file believes it to be, in all that a line could depend on."""
    away = max(abs(there - here) for there, here in zip(file.position, real.position, strict=True))
    return (
        away <= EPSILON
        and abs(file.retracted - real.retracted) <= EPSILON
        and file.firmware_retracted == real.firmware_retracted
        and (file.speed, file.absolute, file.absolute_e, file.inches)
        == (real.speed, real.absolute, real.absolute_e, real.inches)
    )


def _go_along(command: Command, file: Motion, real: Motion) -> list[str] | None:
    """Return what has to be sent before a move that the firmware can make from where it is; None for other moves.

    An absolute travel goes to its own target from anywhere. To bring the head to where the file is before would only
    take it to the excluded object and back.
    """
    words = command.words()
    targets = {axis: number(words[AXES[axis]]) for axis in (X, Y, Z) if words.get(AXES[axis])}
    if command.name not in ("G0", "G1") or "E" in words or not file.absolute or not targets:
        return None
    steps = _Steps(real)
    steps.retract(file)
    if Z not in targets:
        if file.position[Z] > real.position[Z]:
            steps.travel([Z], file)
    elif targets[Z] * (INCH if file.inches else 1.0) < real.position[Z]:
        # Down only where the file goes down: elsewhere something may stand that was printed.
        steps.travel([axis for axis in (X, Y) if axis not in targets], file)
    # E is put right when it is needed: `finish` would set it each time.
    file_e, file.position[E] = file.position[E], steps.state.position[E]
    steps.finish(file, speed=not words.get("F"))
    file.position[E] = file_e
    return steps.lines


def _catch_up(command: Command, file: Motion, real: Motion) -> list[str]:
    """Return the lines that bring the firmware from where it is to where the file is, before the move `command`."""
    steps = _Steps(real)
    steps.retract(file)
    steps.travel([X, Y, Z], file)
    steps.unretract(file)
    steps.finish(file, speed=not command.words().get("F"))
    return steps.lines


def _shifted(command: Command, text: str, file: Motion, real: Motion) -> str:
    """Return the G92 that shifts the coordinates as much as the file's does, given where the firmware stands."""
    words = command.words()
    letters = [letter for letter in AXES if letter in words] or list(AXES)
    away = [real.position[axis] - file.position[axis] if axis != E else 0.0 for axis in range(len(AXES))]
    if all(abs(away[AXES.index(letter)]) <= EPSILON for letter in letters):
        return text
    scale = INCH if file.inches else 1.0
    shifted = [f"{letter}{number(words.get(letter, '')) + away[AXES.index(letter)] / scale:.5f}" for letter in letters]
    return " ".join(["G92", *shifted])
