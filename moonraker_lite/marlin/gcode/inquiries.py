"""Questions that are answered in Klipper's form, and settings of the motion that only the host keeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.gcode.motion import AXES
from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.replies import Position, parse_position
from moonraker_lite.marlin.saved import Send
from moonraker_lite.marlin.state import Machine

Endstops = Callable[[], Awaitable[dict[str, str]]]


class Inquiries:
    """The commands. `endstops` asks the firmware for its switches: Klipper's name -> `open` or `TRIGGERED`."""

    def __init__(self, machine: Machine, console: Console, send: Send, endstops: Endstops) -> None:
        self._machine = machine
        self._console = console
        self._send = send
        self._endstops = endstops
        self.table: dict[str, Callable[[Command], Awaitable[None]]] = {
            "GET_POSITION": self._position,
            "GET_RETRACTION": self._retraction,
            "QUERY_ENDSTOPS": self._switches,
            "QUERY_FILAMENT_SENSOR": self._filament,
            "QUERY_PROBE": self._probe,
            "SET_KINEMATIC_POSITION": self._set_position,
        }

    async def _switches(self, _: Command) -> None:
        states = await self._endstops()
        self._console.raw(" ".join(f"{name}:{state}" for name, state in states.items()))

    async def _probe(self, _: Command) -> None:
        states = await self._endstops()
        self._console.info(f"probe: {states.get('probe', states.get('stepper_z', 'open'))}")

    async def _filament(self, command: Command) -> None:
        await self._endstops()
        sensors = self._machine.filament.detected
        name = Options(command).choice("SENSOR", list(sensors) or ["runout"])
        told = {True: "filament detected", False: "filament not detected"}
        self._console.info(f"Filament Sensor {name}: {told.get(sensors.get(name) is True)}")

    async def _position(self, _: Command) -> None:
        """GET_POSITION, from the firmware's steps and from what the host knows."""
        told: Position | None = None
        for reply in await self._send("M114"):
            told = parse_position(reply) or told
        motion = self._machine.motion
        steps = told.steps if told is not None else {}
        place = " ".join(f"{axis}:{value:.6f}" for axis, value in zip(AXES, motion.position, strict=True))
        xyz = place.rpartition(" ")[0]
        mcu = " ".join(f"stepper_{axis.lower()}:{count}" for axis, count in steps.items() if axis in "XYZ")
        self._console.info(
            f"mcu: {mcu}\nkinematic: {xyz}\ntoolhead: {place}\ngcode: {place}\n"
            f"gcode base: X:0.000000 Y:0.000000 Z:0.000000 E:0.000000\n"
            f"gcode homing: X:0.000000 Y:0.000000 Z:{motion.babystep:.6f}"
        )

    async def _retraction(self, _: Command) -> None:
        report = self._machine.firmware.report
        values = {
            "RETRACT_LENGTH": report("M207", "S") or 0.0,
            "RETRACT_SPEED": (report("M207", "F") or 0.0) / 60.0,
            "UNRETRACT_EXTRA_LENGTH": report("M208", "S") or 0.0,
            "UNRETRACT_SPEED": (report("M208", "F") or 0.0) / 60.0,
        }
        self._console.info(" ".join(f"{name}={value:.5f}" for name, value in values.items()))

    async def _set_position(self, command: Command) -> None:
        """SET_KINEMATIC_POSITION: the host takes the axes for homed; Marlin moves them anyway."""
        options = Options(command)
        motion = self._machine.motion
        axes = [axis for axis in "XYZ" if axis in options] or ([] if "CLEAR" in options else list("XYZ"))
        words = [f"{axis}{options.number(axis, motion.position['XYZ'.index(axis)]):.3f}" for axis in axes]
        cleared = options.text("CLEAR", "").lower()
        if words:
            await self._send(f"G92 {' '.join(words)}")
        homed = {*motion.homed, *(axis.lower() for axis in axes)}
        motion.homed = "".join(axis for axis in "xyz" if axis in homed and axis not in cleared)
