"""What a pause saves and a resume restores: position and modes, filament, fans, heater targets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from moonraker_lite.marlin.gcode.motion import EPSILON, Modes
from moonraker_lite.marlin.gcode.translate import heater_command
from moonraker_lite.marlin.state import Machine

# Gives one line to the firmware and waits until it is executed; `Machine` has observed it then.
Send = Callable[[str], Awaitable[tuple[str, ...]]]

REFILL_SPEED = 1800.0
LONGEST_REFILL = 10.0


class Saved:
    """The state of the machine at a pause."""

    def __init__(self, machine: Machine) -> None:
        self._modes = Modes(machine.motion)
        self._retracted = machine.motion.retracted
        self._firmware_retracted = machine.motion.firmware_retracted
        self._fans = dict(machine.motion.fans)
        self._targets = {name: heater.target for name, heater in machine.heaters.items() if heater.target}

    async def restore(self, machine: Machine, send: Send, *, refill: bool = True) -> None:
        """Heat up again first, the nozzle last, then go back. What did not change is not touched.

        `refill`: filament that was pulled back is pushed forward again.
        """
        cold = {
            name: target
            for name, target in self._targets.items()
            if name in machine.heaters and (machine.heaters[name].target or 0.0) < target
        }
        for wait in (False, True):
            for name in sorted(cold, key=lambda name: name.startswith("extruder")):
                await send(heater_command(name.rpartition(" ")[2], cold[name], wait=wait))
        for fan, speed in self._fans.items():
            if machine.motion.fans.get(fan) != speed:
                await send(f"M106 P{fan} S{round(speed * 255)}")

        async def refilling() -> None:
            await self._refill(machine, send)

        await self._modes.restore(machine.motion, send, move=True, between=refilling if refill else None)

    async def _refill(self, machine: Machine, send: Send) -> None:
        """Push back (or pull) what the filament was moved, where it is to be printed on. E and modes come after."""
        motion = machine.motion
        if motion.firmware_retracted != self._firmware_retracted:
            await send("G10" if self._firmware_retracted else "G11")
        push = motion.retracted - self._retracted
        # Filament that was pulled out farther has been changed; nobody wants so much of it on the print.
        if EPSILON < abs(push) < LONGEST_REFILL:
            if motion.absolute_e:
                await send("M83")
            await send(f"G1 E{push:.5f} F{REFILL_SPEED:g}")
