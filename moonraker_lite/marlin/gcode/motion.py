"""What the commands sent so far mean: where the head will be, in which modes, how much filament has gone in.

Marlin reports positions only when asked and cannot report its modes at all, so the host keeps count. The rules are
Marlin's: G90 and G91 set the mode of all axes (in Marlin 2 including E), M82 and M83 that of E alone.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable, Callable
from copy import copy

from moonraker_lite.marlin.gcode.words import Command, fixed, number, parse

_NUMBER = r"([-+]?[0-9]*\.?[0-9]+|[-+]?[0-9]+\.)"
# The shapes in which slicers write nearly all of their moves; what does not fit goes the slow way.
_PLAIN_MOVE = re.compile(
    rf"G[01] (?:F{_NUMBER} ?)?(?:X{_NUMBER} ?)?(?:Y{_NUMBER} ?)?(?:Z{_NUMBER} ?)?(?:E{_NUMBER} ?)?(?:F{_NUMBER})?"
).fullmatch

X, Y, Z, E = range(4)
AXES = "XYZE"
INCH = 25.4
TRAVEL_SPEED = 3000.0
# Moves between the one that the head makes and the one that was sent last: planner, firmware's queue, line, our queue.
TRAIL = 96

Send = Callable[[str], Awaitable[object]]
EPSILON = 1e-5


class Modes:
    """A saved set of modes and positions, as SAVE_GCODE_STATE keeps it."""

    __slots__ = ("absolute", "absolute_e", "inches", "position", "speed", "tool")

    def __init__(self, motion: Motion) -> None:
        self.absolute = motion.absolute
        self.absolute_e = motion.absolute_e
        self.inches = motion.inches
        self.position = tuple(motion.position)
        self.speed = motion.speed
        self.tool = motion.tool

    async def restore(
        self,
        motion: Motion,
        send: Send,
        *,
        move: bool,
        move_speed: float | None = None,
        between: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Bring the firmware back by `send`, which lets `motion` observe each line. What is right is not touched.

        `between` is awaited when the head is back, before the modes are: until then lengths are in millimetres.
        """
        if motion.tool != self.tool:
            await send(f"T{self.tool}")
        if motion.inches:
            await send("G21")
        if move:
            await self._go_back(motion, send, move_speed or max(self.speed, motion.speed, TRAVEL_SPEED))
        if between is not None:
            await between()
        if motion.absolute != self.absolute:
            await send("G90" if self.absolute else "G91")
        if motion.absolute_e != self.absolute_e:
            await send("M82" if self.absolute_e else "M83")
        if self.absolute_e and abs(motion.position[E] - self.position[E]) > EPSILON:
            await send(f"G92 E{self.position[E]:.5f}")
        if motion.speed != self.speed:
            await send(f"G1 F{fixed(self.speed)}")
        if self.inches:
            await send("G20")

    async def _go_back(self, motion: Motion, send: Send, speed: float) -> None:
        """Up before sideways, sideways before down."""
        aside = [axis for axis in (X, Y) if abs(motion.position[axis] - self.position[axis]) > EPSILON]
        steps = [" ".join(f"{AXES[axis]}{self.position[axis]:.3f}" for axis in aside)] if aside else []
        if abs(motion.position[Z] - self.position[Z]) > EPSILON:
            steps.insert(0 if self.position[Z] > motion.position[Z] else len(steps), f"Z{self.position[Z]:.3f}")
        if steps and not motion.absolute:
            await send("G90")
        for step in steps:
            await send(f"G0 {step} F{fixed(speed)}")


class Motion:
    """The state of the G-code interpreter. Lengths in mm, `speed` in mm/min, positions logical (after G92)."""

    def __init__(self) -> None:
        # Net filament through the nozzle, without the flow factor; and the number of moves: never reset.
        self.filament = 0.0
        self.moves = 0
        # The ends of the last moves as (x, y, z, filament, mm/min), and how many there have been: for `LiveMotion`.
        # A speed of 0 is no move, but a new place.
        self.trail: deque[tuple[float, float, float, float, float]] = deque(maxlen=TRAIL)
        self.planned = 0
        self.power_on()

    def copy(self) -> Motion:
        """Return another one that goes its own way from here."""
        other = copy(self)
        other.position = list(self.position)
        other.fans = dict(self.fans)
        other._other_tools = dict(self._other_tools)
        return other

    def observe_line(self, text: str) -> bool:
        """Take account of a stripped line that goes to the firmware; return whether it is a move."""
        match = _PLAIN_MOVE(text)
        if match is None:
            command = parse(text)
            return command is not None and self.observe(command)
        f1, x, y, z, e, f2 = match.groups()
        if self.inches:
            return self.observe(Command(text[:2], text[3:], traditional=True))
        position = self.position
        self.moves += 1
        if self.absolute:
            if x is not None:
                position[0] = float(x)
            if y is not None:
                position[1] = float(y)
            if z is not None:
                position[2] = float(z)
        else:
            if x is not None:
                position[0] += float(x)
            if y is not None:
                position[1] += float(y)
            if z is not None:
                position[2] += float(z)
        if e is not None:
            self._extrude(float(e))
        if f2 is not None:
            self.speed = float(f2)
        elif f1 is not None:
            self.speed = float(f1)
        self.trail.append((position[0], position[1], position[2], self.filament, self.speed))
        self.planned += 1
        return True

    def observe(self, command: Command) -> bool:
        """Take account of one command that goes to the firmware; return whether it is a move."""
        handler = _HANDLERS.get(command.name)
        if handler is not None:
            handler(self, command)
            return command.name in ("G0", "G1", "G2", "G3", "G5")
        if command.name[0] == "T" and command.name[1:].isdigit():
            self._change_tool(int(command.name[1:]))
        return False

    def reported(self, x: float | None, y: float | None, z: float | None, e: float | None) -> None:
        """Correct the position by what the firmware says, when nothing is under way."""
        for axis, value in enumerate((x, y, z, e)):
            if value is not None:
                self.position[axis] = value
        self._leave_trail(0.0)

    def power_on(self) -> None:
        """The firmware starts: everything is at its power-on value."""
        self.position = [0.0, 0.0, 0.0, 0.0]
        self._leave_trail(0.0)
        self.absolute = True
        self.absolute_e = True
        self.inches = False
        self.speed = 1500.0
        self.tool = 0
        self.g90_sets_extruder = True
        self.homed = ""
        self.speed_factor = 1.0
        self.extrude_factor = 1.0
        self.babystep = 0.0
        self.fans: dict[int, float] = {}
        # How far the filament of the tool in use is pulled back from its farthest, and whether by G10.
        self.retracted = 0.0
        self.firmware_retracted = False
        # The same of the tools that are not in use.
        self._other_tools: dict[int, tuple[float, bool]] = {}

    def _extrude(self, value: float) -> None:
        if self.absolute_e:
            delta = value - self.position[E]
            self.position[E] = value
        else:
            delta = value
            self.position[E] += value
        self.filament += delta
        self.retracted = max(0.0, self.retracted - delta)

    def _move(self, command: Command) -> None:
        scale = INCH if self.inches else 1.0
        words = command.words()
        self.moves += 1
        for axis, letter in enumerate("XYZ"):
            if words.get(letter):
                value = number(words[letter]) * scale
                self.position[axis] = value if self.absolute else self.position[axis] + value
        if words.get("E"):
            self._extrude(number(words["E"]) * scale)
        if words.get("F"):
            self.speed = number(words["F"], self.speed) * scale
        self._leave_trail(self.speed)

    def _leave_trail(self, speed: float) -> None:
        x, y, z, _ = self.position
        self.trail.append((x, y, z, self.filament, speed))
        self.planned += 1

    def _set_position(self, command: Command) -> None:
        scale = INCH if self.inches else 1.0
        words = command.words()
        chosen = [letter for letter in AXES if letter in words] or list(AXES)
        for letter in chosen:
            self.position[AXES.index(letter)] = number(words.get(letter, "")) * scale
        if chosen != ["E"]:
            self._leave_trail(0.0)

    def _home(self, command: Command) -> None:
        words = command.words()
        axes = [letter for letter in "XYZ" if letter in words] or list("XYZ")
        for letter in axes:
            self.position[AXES.index(letter)] = 0.0
        self._leave_trail(0.0)
        homed = {*self.homed, *(letter.lower() for letter in axes)}
        self.homed = "".join(axis for axis in "xyz" if axis in homed)

    def _motors_off(self, command: Command) -> None:
        words = command.words()
        if "S" in words:
            return  # only sets the time after which the motors go off by themselves
        named = [letter for letter in AXES if letter in words]
        off = {letter.lower() for letter in named} if named else set("xyz")
        self.homed = "".join(axis for axis in self.homed if axis not in off)

    def _all_axes(self, absolute: bool) -> None:
        self.absolute = absolute
        if self.g90_sets_extruder:
            self.absolute_e = absolute

    def _extruder(self, absolute: bool) -> None:
        self.absolute_e = absolute

    def _units(self, inches: bool) -> None:
        self.inches = inches

    def _firmware_retract(self, retracted: bool) -> None:
        self.firmware_retracted = retracted

    def _change_tool(self, tool: int) -> None:
        if tool != self.tool:
            self._other_tools[self.tool] = (self.retracted, self.firmware_retracted)
            self.retracted, self.firmware_retracted = self._other_tools.pop(tool, (0.0, False))
            self.tool = tool

    def _fan(self, command: Command) -> None:
        words = command.words()
        speed = 0.0 if command.name == "M107" else number(words.get("S", ""), 255.0)
        self.fans[int(number(words.get("P", "")))] = min(max(speed / 255.0, 0.0), 1.0)

    def _speed_factor(self, command: Command) -> None:
        if percent := command.words().get("S"):
            self.speed_factor = number(percent, 100.0) / 100.0

    def _extrude_factor(self, command: Command) -> None:
        if percent := command.words().get("S"):
            self.extrude_factor = number(percent, 100.0) / 100.0

    def _babystep(self, command: Command) -> None:
        words = command.words()
        self.babystep += number(words.get("Z") or words.get("S") or "")


_HANDLERS: dict[str, Callable[[Motion, Command], None]] = {
    "G0": Motion._move,
    "G1": Motion._move,
    "G2": Motion._move,
    "G3": Motion._move,
    "G5": Motion._move,
    "G10": lambda motion, _: motion._firmware_retract(True),
    "G11": lambda motion, _: motion._firmware_retract(False),
    "G20": lambda motion, _: motion._units(True),
    "G21": lambda motion, _: motion._units(False),
    "G28": Motion._home,
    "G90": lambda motion, _: motion._all_axes(True),
    "G91": lambda motion, _: motion._all_axes(False),
    "G92": Motion._set_position,
    "M18": Motion._motors_off,
    "M82": lambda motion, _: motion._extruder(True),
    "M83": lambda motion, _: motion._extruder(False),
    "M84": Motion._motors_off,
    "M106": Motion._fan,
    "M107": Motion._fan,
    "M220": Motion._speed_factor,
    "M221": Motion._extrude_factor,
    "M290": Motion._babystep,
}
