"""What a pause saves and a resume restores: position and modes, fans, heater targets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from moonraker_lite.marlin.gcode.motion import Modes
from moonraker_lite.marlin.gcode.translate import heater_command
from moonraker_lite.marlin.state import Machine

# Gives one line to the firmware and waits until it is executed; `Machine` has observed it then.
Send = Callable[[str], Awaitable[tuple[str, ...]]]


class Saved:
    """The state of the machine at a pause."""

    def __init__(self, machine: Machine) -> None:
        self._modes = Modes(machine.motion)
        self._fans = dict(machine.motion.fans)
        self._targets = {name: heater.target for name, heater in machine.heaters.items() if heater.target}

    async def restore(self, machine: Machine, send: Send) -> None:
        """Heat up again first, the nozzle last, then go back. What did not change is not touched."""
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
        await self._modes.restore(machine.motion, send, move=True)
