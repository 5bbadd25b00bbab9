"""The printer inside the fake Klipper: its status objects, its clock, its heaters and its toolhead."""

from __future__ import annotations

import asyncio
import copy
import json
import math
import random
import time
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[1] / "data" / "klippy" / "printer.json"
RECORDED_ROOT = "/printer/printer_data"  # the data path of the printer that was recorded
BUFFER_TIME = 0.75  # s of motion that a script may leave behind when it is answered
HEATERS = {"extruder": (0.0, 300.0), "heater_bed": (0.0, 130.0)}
MIN_EXTRUDE_TEMP = 170.0
AXIS_MINIMUM = (0.0, 0.0, -2.0)
AXIS_MAXIMUM = (235.0, 235.0, 250.0)

NOT_READY = (
    "\nPrinter is not ready\nThe klippy host software is attempting to connect.  Please\nretry in a few moments.\n"
)
SHUTDOWN = (
    "{reason}\nOnce the underlying issue is corrected, use the\n"
    '"FIRMWARE_RESTART" command to reset the firmware, reload the\n'
    "config, and restart the host software.\nPrinter is shutdown\n"
)
CONFIG_ERROR = (
    '{reason}\n\nOnce the underlying issue is corrected, use the "RESTART"\n'
    "command to reload the config and restart the host software.\nPrinter is halted\n"
)


class CommandError(Exception):
    """What Klipper answers to a command that it cannot do."""


class Printer:
    """State of one printer between two restarts. `speed` divides every duration; time itself is the real one."""

    def __init__(self, data_path: Path, speed: float) -> None:
        recorded = json.loads(DATA.read_text().replace(RECORDED_ROOT, str(data_path)))
        self.speed = speed
        self.info: dict[str, Any] = recorded["info"]
        self.endpoints: list[str] = recorded["endpoints"]
        self.help: dict[str, str] = recorded["help"]
        self.mesh: dict[str, Any] = recorded["dump_mesh"]
        self.status: dict[str, dict[str, Any]] = recorded["status"]
        self.state = "startup"
        self.state_message = NOT_READY
        self.homed = ""
        self.position = [0.0, 0.0, 0.0, 0.0]
        self.motion_end = 0.0  # clock time when the queued motion will be done
        self._started = self.clock()
        self._last_tick = self.clock()
        self._busy_since: float | None = None
        self._busy_end = 0.0
        self._random = random.Random(7)

    # -- time ------------------------------------------------------------------------------------------------------

    def clock(self) -> float:
        """The event time: seconds of the machine's monotonic clock."""
        return time.monotonic()

    def queue(self, seconds: float) -> None:
        """Motion (or a dwell) of so many seconds is appended to what is queued."""
        self.motion_end = max(self.motion_end, self.clock()) + seconds / self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)

    async def wait_motion(self, leave: float = 0.0) -> None:
        """Wait until at most `leave` seconds of motion are queued."""
        while (rest := self.motion_end - leave / self.speed - self.clock()) > 0:
            self.check_alive()
            await asyncio.sleep(min(rest, 0.1))

    # -- states ----------------------------------------------------------------------------------------------------

    def set_state(self, state: str, message: str) -> None:
        self.state, self.state_message = state, message
        self.status["webhooks"].update(state=state, state_message=message)

    def check_alive(self) -> None:
        """Raise CommandError when the printer is not ready."""
        if self.state != "ready":
            raise CommandError(self.state_message)

    # -- heaters ---------------------------------------------------------------------------------------------------

    def set_target(self, heater: str, target: float) -> None:
        low, high = HEATERS[heater]
        if target and not low <= target <= high:
            raise CommandError(f"Requested temperature ({target:.1f}) out of range ({low:.1f}:{high:.1f})")
        self.status[heater]["target"] = target

    def temperatures(self) -> str:
        """The line that M105 answers."""
        bed, tool = self.status["heater_bed"], self.status["extruder"]
        return f"B:{bed['temperature']:.1f} /{bed['target']:.1f} T0:{tool['temperature']:.1f} /{tool['target']:.1f}"

    # -- motion ----------------------------------------------------------------------------------------------------

    def move(self, target: list[float], speed: float) -> None:
        """Queue a straight move (mm, mm/s). Raises CommandError as Klipper's kinematics does."""
        where = "{:.3f} {:.3f} {:.3f} [{:.3f}]".format(*target)
        for axis, name in enumerate("xyz"):
            if target[axis] != self.position[axis]:
                if name not in self.homed:
                    raise CommandError(f"Must home axis first: {where}")
                if not AXIS_MINIMUM[axis] <= target[axis] <= AXIS_MAXIMUM[axis]:
                    raise CommandError(f"Move out of range: {where}")
        if target[3] != self.position[3] and not self.status["extruder"]["can_extrude"]:
            raise CommandError("Extrude below minimum temp\nSee the 'min_extrude_temp' config option for details")
        distance = math.dist(target[:3], self.position[:3]) or abs(target[3] - self.position[3])
        self.position = list(target)
        self.queue(distance / max(speed, 0.1))

    def home(self, axes: str) -> None:
        for axis in axes:
            index = "xyz".index(axis)
            self.position[index] = 0.5 if axis == "z" else 0.0
            self.queue(1.4)
        self.homed = "".join(axis for axis in "xyz" if axis in self.homed + axes)
        for axis in axes:
            self.status["stepper_enable"]["steppers"][f"stepper_{axis}"] = True

    def motors_off(self) -> None:
        self.homed = ""
        steppers = self.status["stepper_enable"]["steppers"]
        steppers.update(dict.fromkeys(steppers, False))

    # -- status ----------------------------------------------------------------------------------------------------

    def refresh(self, printing: bool) -> None:
        """Bring all that changes with time up to date; called before every look at the status."""
        now = self.clock()
        elapsed, self._last_tick = (now - self._last_tick) * self.speed, now
        for heater in HEATERS:
            self._heat(self.status[heater], elapsed)
        self.status["extruder"]["can_extrude"] = self.status["extruder"]["temperature"] >= MIN_EXTRUDE_TEMP
        chamber = self.status["temperature_sensor chamber"]
        chamber["temperature"] = round(25.0 + self._random.choice((-0.04, -0.03, -0.01, 0.01, 0.02)), 2)
        chamber["measured_min_temp"] = min(chamber["measured_min_temp"], chamber["temperature"])
        chamber["measured_max_temp"] = max(chamber["measured_max_temp"], chamber["temperature"])
        self.status["system_stats"]["cputime"] = round(now - self._started, 6)
        toolhead = self.status["toolhead"]
        toolhead.update(homed_axes=self.homed, position=list(self.position), estimated_print_time=now - self._started)
        toolhead["print_time"] = max(toolhead["print_time"], self.motion_end - self._started)
        self.status["motion_report"]["live_position"] = list(self.position)
        self._idle_timeout(now, printing or self.motion_end > now)

    def snapshot(self, name: str) -> dict[str, Any] | None:
        values = self.status.get(name)
        return None if values is None else copy.deepcopy(values)

    def _heat(self, heater: dict[str, Any], elapsed: float) -> None:
        goal = heater["target"] or 25.0
        gap = goal - heater["temperature"]
        step = gap * (1 - math.exp(-elapsed / 4.0)) if abs(gap) > 0.5 else gap * 0.5
        heater["temperature"] = round(heater["temperature"] + step + self._random.choice((-0.01, 0.0, 0.0, 0.01)), 2)
        heater["power"] = min(1.0, max(0.0, gap / 10)) if heater["target"] else 0.0

    def _idle_timeout(self, now: float, busy: bool) -> None:
        idle = self.status["idle_timeout"]
        if busy:
            if self._busy_since is None:
                self._busy_since = now
            self._busy_end = now
            idle["state"] = "Printing"
            idle["printing_time"] = now - self._busy_since
        elif self._busy_since is not None:
            idle["printing_time"] = now - self._busy_since
            if now - self._busy_end > 1.5 / self.speed:
                self._busy_since = None
                idle.update(state="Ready", printing_time=0.0)
