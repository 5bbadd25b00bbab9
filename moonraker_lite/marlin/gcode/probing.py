"""Probing at one place, and finding an offset by hand with paper under the nozzle: Klipper's manual probe.

The arithmetic, from Marlin's: a probed point is told as `Z = nozzle at the trigger + M851 Z`. So when the nozzle
touches the bed at `z` where the probe had measured `p`, M851 Z is wrong by `z - p`. M206 Z is what is added to the
position of the endstop, so the nozzle that touches at `z` wants it smaller by `z`.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Awaitable, Callable
from typing import Any

from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.gcode.motion import Modes, Z
from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.replies import ProbedPoint, parse_probed_point
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.saved import Send
from moonraker_lite.marlin.state import Machine

# mm: above the bed between probe and paper, and the most that `+` and `-` go at once.
CLEARANCE = 5.0
LARGEST_STEP = 0.2
_SLOW, _TRAVEL = 300, 3000  # mm/min
_SAME = 1e-4
_STORE = "SAVE_CONFIG stores it in the printer's EEPROM; home again before you print."
_MAX_SAMPLES = 100

Finish = Callable[[float], Awaitable[None]]


class ManualProbe:
    """The height at which the nozzle touches, narrowed down step by step. `tried` are the heights so far, sorted."""

    def __init__(self) -> None:
        self.finish: Finish | None = None
        self.tried: list[float] = []

    def begin(self, finish: Finish) -> None:
        self.finish, self.tried = finish, []

    def end(self) -> None:
        self.finish, self.tried = None, []

    def neighbours(self, z: float) -> tuple[float | None, float | None]:
        """Return the nearest heights below and above that were tried."""
        below = [height for height in self.tried if height < z - _SAME]
        above = [height for height in self.tried if height > z + _SAME]
        return (below[-1] if below else None), (above[0] if above else None)

    def target(self, text: str, z: float) -> float:
        """Return the height that TESTZ Z= means. `+` and `-` go half the way to a height tried before, `++` and `--`
        all of it. ValueError: it is no number."""
        if text not in ("+", "++", "-", "--"):
            return z + float(text)
        below, above = self.neighbours(z)
        if text[0] == "+":
            goal = above if above is not None else z + 2 * LARGEST_STEP
            goal = (z + goal) / 2 if text == "+" else goal
            return min(goal, z + LARGEST_STEP)
        goal = below if below is not None else z - 2 * LARGEST_STEP
        goal = (z + goal) / 2 if text == "-" else goal
        return max(goal, z - LARGEST_STEP)

    def leave(self, z: float) -> None:
        """The nozzle goes away from here."""
        if all(abs(z - height) > _SAME for height in self.tried):
            insort(self.tried, z)

    def status(self, z: float) -> dict[str, Any]:
        """Return Klipper's `manual_probe` object."""
        if self.finish is None:
            return {"is_active": False, "z_position": None, "z_position_lower": None, "z_position_upper": None}
        below, above = self.neighbours(z)
        return {"is_active": True, "z_position": z, "z_position_lower": below, "z_position_upper": above}


class Probing:
    """The commands. `send` gives one line to the firmware and waits for it."""

    def __init__(self, machine: Machine, console: Console, send: Send) -> None:
        self._machine = machine
        self._console = console
        self._send = send
        self._manual = ManualProbe()
        self._levelled = False
        self.table: dict[str, Callable[[Command], Awaitable[None]]] = {
            "ABORT": self._abort,
            "ACCEPT": self._accept,
            "MANUAL_PROBE": self._manual_probe,
            "PROBE": self._probe,
            "PROBE_ACCURACY": self._accuracy,
            "PROBE_CALIBRATE": self._calibrate,
            "TESTZ": self._test,
            "Z_ENDSTOP_CALIBRATE": self._calibrate_endstop,
        }

    def status(self) -> dict[str, Any]:
        return self._manual.status(round(self._machine.motion.position[Z], 4))

    def session_ended(self) -> None:
        """The firmware begins anew: nobody knows where the nozzle is."""
        self._manual.end()

    # The probe

    async def _probe(self, _: Command) -> None:
        point = await self._probe_once()
        self._console.info(f"Result: at {point.x:.3f},{point.y:.3f} estimate contact at z={point.z:.6f}")

    async def _probe_once(self) -> ProbedPoint:
        if not {"x", "y", "z"} <= set(self._machine.motion.homed):
            raise CommandError("Must home before probe")
        for reply in await self._send("G30"):
            if point := parse_probed_point(reply):
                return point
        raise CommandError("The firmware has probed nothing: the place is out of the probe's reach, or it has no probe")

    async def _accuracy(self, command: Command) -> None:
        samples = Options(command).integer("SAMPLES", 10, minimum=1, maximum=_MAX_SAMPLES)
        heights = [(await self._probe_once()).z for _ in range(samples)]
        import statistics  # late: it brings fractions and decimals into memory

        low, high = min(heights), max(heights)
        self._console.info(
            f"probe accuracy results: maximum {high:.6f}, minimum {low:.6f}, range {high - low:.6f}, "
            f"average {statistics.fmean(heights):.6f}, median {statistics.median(heights):.6f}, "
            f"standard deviation {statistics.pstdev(heights):.6f}"
        )

    async def _calibrate(self, _: Command) -> None:
        """PROBE_CALIBRATE: the probe measures, then the nozzle stands over the same place."""
        self._check_idle()
        offset = self._machine.firmware.report("M851", "Z")
        if offset is None:
            raise CommandError("The firmware has not told the probe's offset (M851)")
        levelled = self._machine.mesh.active
        if levelled:
            await self._send("M420 S0")
        point = await self._probe_once()

        async def finish(z: float) -> None:
            new = offset + z - point.z
            await self._send(f"M851 Z{new:.3f}")
            self._console.info(f"probe: z_offset: {-new:.3f}\n{_STORE}")

        await self._go(f"Z{point.z + CLEARANCE:.3f}", _SLOW)
        await self._go(f"X{point.x:.3f} Y{point.y:.3f}", _TRAVEL)
        await self._begin(finish, levelled=levelled)

    # By hand

    async def _manual_probe(self, _: Command) -> None:
        async def finish(z: float) -> None:
            self._console.info(f"Z position is {z:.3f}")

        await self._begin(finish)

    async def _calibrate_endstop(self, _: Command) -> None:
        offset = self._machine.firmware.report("M206", "Z") or 0.0

        async def finish(z: float) -> None:
            await self._send(f"M206 Z{offset - z:.3f}")
            self._console.info(f"stepper_z: position_endstop: {offset - z:.3f}\n{_STORE}")

        await self._begin(finish)

    def _check_idle(self) -> None:
        if self._manual.finish is not None:
            raise CommandError("Already in a manual Z probe. Use ABORT to abort it.")

    async def _begin(self, finish: Finish, *, levelled: bool = False) -> None:
        """`levelled`: levelling was switched off for it, and comes back at the end."""
        self._check_idle()
        if "z" not in self._machine.motion.homed:
            raise CommandError("Must home before manual probe")
        # The nozzle may have to go below what the firmware takes for the bed.
        await self._send("M211 S0")
        self._manual.begin(finish)
        self._levelled = levelled
        self._console.info("Manual Z probe: TESTZ moves the nozzle, ACCEPT takes the height, ABORT gives up.")
        self._show()

    async def _test(self, command: Command) -> None:
        if not self._is_active(command):
            return
        options = Options(command)
        z = self._machine.motion.position[Z]
        text = options.text("Z")
        target = self._manual.target(text, z) if text in ("+", "++", "-", "--") else z + options.number("Z")
        self._manual.leave(z)
        await self._go(f"Z{target:.3f}", _SLOW)
        self._show()

    async def _accept(self, command: Command) -> None:
        if self._is_active(command):
            finish = self._manual.finish
            assert finish is not None
            await self._end()
            await finish(self._machine.motion.position[Z])

    async def _abort(self, command: Command) -> None:
        if self._is_active(command):
            await self._end()
            self._console.info("Manual Z probe given up")

    async def _end(self) -> None:
        self._manual.end()
        await self._send("M211 S1")
        if self._levelled:
            await self._send("M420 S1")

    async def leave(self) -> None:
        """Somebody wants the printer for something else."""
        if self._manual.finish is not None:
            await self._end()

    def _is_active(self, command: Command) -> bool:
        if self._manual.finish is None:
            self._console.info(f'Unknown command:"{command.name}"')
        return self._manual.finish is not None

    def _show(self) -> None:
        z = self._machine.motion.position[Z]
        below, above = ("??????" if height is None else f"{height:.3f}" for height in self._manual.neighbours(z))
        self._console.info(f"Z position: {below} --> {z:.3f} <-- {above}")

    async def _go(self, place: str, speed: int) -> None:
        """Move, whatever the modes are, and leave them as they were."""
        motion = self._machine.motion
        modes = Modes(motion)
        if not motion.absolute:
            await self._send("G90")
        await self._send(f"G1 {place} F{speed}")
        await modes.restore(motion, self._send, move=False)
