"""Exclude object: moves of objects that the user gave up are not printed.

The host drops the moves itself, so any firmware will do. While moves are dropped, `Motion` goes on following the
file; when printing goes on, the firmware is brought to where the file believes it to be: filament pulled back as far,
E the same, the head at the same place.
"""

from __future__ import annotations

from typing import Any

from moonraker_lite.marlin.gcode.motion import AXES, E, Motion, X, Y, Z
from moonraker_lite.marlin.gcode.words import Command, fixed, parse

TRAVEL_SPEED = 6000.0
RETRACT_SPEED = 2100.0
EPSILON = 1e-5
_MOVES = frozenset({"G0", "G1", "G2", "G3", "G5", "G10", "G11"})


class ExcludedObjects:
    """The objects of the file being printed, and which of them are excluded. Names are upper case."""

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []
        self.excluded: list[str] = []
        self.current: str | None = None

    def reset(self) -> None:
        self.objects, self.excluded, self.current = [], [], None

    def define(self, name: str, **details: Any) -> None:
        """Add an object; one that is known already keeps its place."""
        if not any(known["name"] == name for known in self.objects):
            self.objects = [*self.objects, {"name": name, **details}]

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
    """Drops the moves of excluded objects from a stream of lines, and brings the firmware back into step after."""

    def __init__(self, objects: ExcludedObjects, motion: Motion) -> None:
        self._objects = objects
        self._motion = motion
        self._real: _Real | None = None

    @property
    def active(self) -> bool:
        """Whether lines have to go through `pass_on`: an object is being dropped, or the firmware is out of step."""
        return self._real is not None or self._objects.dropping

    def reset(self) -> None:
        self._set_real(None)

    def _set_real(self, real: _Real | None) -> None:
        self._real = real
        self._motion.virtual = real is not None

    def pass_on(self, text: str) -> list[str]:
        """Take one stripped line; `Motion` observes it here. Return what has to be sent in its place."""
        command = parse(text)
        if command is None:
            return []
        is_move = command.name in _MOVES
        if self._objects.dropping:
            if is_move:
                if self._real is None:
                    self._set_real(_Real(self._motion))
                self._motion.observe(command)
                return []
            self._note_real(command)
            self._motion.observe(command)
            return [text]
        before = self._catch_up(command) if is_move and self._real is not None else []
        self._note_real(command)
        self._motion.observe(command)
        return [*before, text]

    def _note_real(self, command: Command) -> None:
        """Homing while out of step brings the firmware to the file's position on those axes."""
        if command.name == "G28":
            self._set_real(None)

    def _catch_up(self, command: Command) -> list[str]:
        """Return the lines that bring the firmware from where it is to where the file is, before `command`."""
        real, motion = self._real, self._motion
        assert real is not None
        self._set_real(None)
        words = command.words()
        # An absolute travel goes to its own target from anywhere: only the axes it does not name have to be corrected.
        named = words if motion.absolute and "E" not in words and command.name in ("G0", "G1") else {}
        axes = [axis for axis in (X, Y, Z) if AXES[axis] not in named]
        axes = [axis for axis in axes if abs(motion.position[axis] - real.position[axis]) > EPSILON]
        lines = _retract_lines(real, motion)
        travel = _travel_lines(axes, real.position[Z], motion)
        if lines or travel:
            lines = ["G90", *lines, *travel, *_mode_lines(motion)]
        return [*lines, f"G92 E{motion.position[E]:.5f}"]


class _Real:
    """Where the firmware stands since the first dropped move."""

    __slots__ = ("firmware_retracted", "position", "retracted")

    def __init__(self, motion: Motion) -> None:
        self.position = tuple(motion.position)
        self.retracted = motion.retracted
        self.firmware_retracted = motion.firmware_retracted


def _retract_lines(real: _Real, motion: Motion) -> list[str]:
    lines = []
    pull = motion.retracted - real.retracted
    if abs(pull) > EPSILON:
        lines += ["M83", f"G1 E{-pull:.5f} F{RETRACT_SPEED:g}"]
    if motion.firmware_retracted != real.firmware_retracted:
        lines.append("G10" if motion.firmware_retracted else "G11")
    return lines


def _travel_lines(axes: list[int], real_z: float, motion: Motion) -> list[str]:
    """Up before sideways, sideways before down: nothing that was printed stands in the way."""
    if not axes:
        return []
    lift = [f"G0 Z{motion.position[Z]:.5f} F{TRAVEL_SPEED:g}"] if Z in axes else []
    words = " ".join(f"{AXES[axis]}{motion.position[axis]:.5f}" for axis in axes if axis != Z)
    aside = [f"G0 {words} F{TRAVEL_SPEED:g}"] if words else []
    return [*lift, *aside] if motion.position[Z] >= real_z else [*aside, *lift]


def _mode_lines(motion: Motion) -> list[str]:
    """Return what gives the file its modes and speed back."""
    lines = [] if motion.absolute else ["G91"]
    lines.append("M82" if motion.absolute_e else "M83")
    lines.append(f"G1 F{fixed(motion.speed)}")
    return lines
