"""What is known of the machine now: heaters, display, mesh, endstops, activity. Data, and the rules that keep it true.

Everything the status objects show comes from here, from `Motion` and from the print job; nothing here talks to
anybody.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

import msgspec

from moonraker_lite.marlin.gcode.exclude import ExcludedObjects
from moonraker_lite.marlin.gcode.labels import Labels
from moonraker_lite.marlin.gcode.motion import Motion
from moonraker_lite.marlin.gcode.words import Command, number, parse
from moonraker_lite.marlin.mesh import Mesh
from moonraker_lite.marlin.settings import Firmware, Limits, PrinterSettings, corner_velocity, limits_of
from moonraker_lite.marlin.temperature_report import Temperatures

# After its last M73 a file's own progress is no longer believed.
M73_VALID = 5.0
# How long nothing has to happen until the machine counts as ready again.
SETTLE = 1.0
FULL_POWER = 127.0


class Heater:
    """A heater, or a mere sensor when `target` is None."""

    __slots__ = ("measured_max", "measured_min", "power", "target", "temperature")

    def __init__(self) -> None:
        self.temperature = 0.0
        self.target: float | None = None
        self.power = 0.0
        self.measured_min = 9999.0
        self.measured_max = -9999.0


class Display:
    """M117's text and M73's progress."""

    def __init__(self) -> None:
        self.message: str | None = None
        self._progress = 0.0
        self._told_at: float | None = None

    def tell_progress(self, fraction: float, now: float) -> None:
        self._progress = min(max(fraction, 0.0), 1.0)
        self._told_at = now

    def forget_progress(self) -> None:
        self._told_at = None

    def progress(self, by_bytes: float, now: float, *, printing: bool) -> float:
        """Return M73's progress as long as it counts (throughout a print, else 5 s), then that by bytes."""
        if self._told_at is not None and not printing and now - self._told_at > M73_VALID:
            self._told_at = None
        return by_bytes if self._told_at is None else self._progress


class IdleState(enum.Enum):
    """`idle_timeout.state`: whether the machine does something, has just done so, or has been left alone for long."""

    IDLE = "Idle"
    READY = "Ready"
    PRINTING = "Printing"


class Activity:
    """Follows whether the machine is busy. `on_idle` is called once each time the timeout has passed."""

    def __init__(self, timeout: float, on_idle: Callable[[], None]) -> None:
        self.timeout = timeout
        self.state = IdleState.IDLE
        self._since = 0.0
        self._busy_at = 0.0
        self._on_idle = on_idle

    def update(self, now: float, *, busy: bool, hot: bool = False) -> None:
        """`busy`: the machine does something. `hot`: a heater is on; left alone, it must not stay so for ever."""
        if busy:
            self._busy_at = now
            if self.state is not IdleState.PRINTING:
                self._enter(IdleState.PRINTING, now)
        elif self.state is IdleState.PRINTING:
            if now - self._busy_at > SETTLE:
                self._enter(IdleState.READY, now)
        elif self.state is IdleState.IDLE and hot:
            self._enter(IdleState.READY, now)
        elif self.state is IdleState.READY and 0 < self.timeout < now - self._since:
            self._enter(IdleState.IDLE, now)
            self._on_idle()

    def printing_time(self, now: float) -> float:
        return now - self._since if self.state is IdleState.PRINTING else 0.0

    def _enter(self, state: IdleState, now: float) -> None:
        self.state = state
        self._since = now


class Machine:
    """All that is known of one printer."""

    def __init__(self, settings: PrinterSettings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.clock = clock
        self.firmware = Firmware()
        self.limits: Limits = limits_of(settings, self.firmware)
        self.motion = Motion()
        self.heaters: dict[str, Heater] = {"extruder": Heater()}
        self.heaters["extruder"].target = 0.0
        self.display = Display()
        self.excluded = ExcludedObjects()
        self.labels = Labels(self.excluded)
        self.mesh = Mesh()
        self.endstops: dict[str, str] = {}
        self.pressure_advance = 0.0
        self.save_pending = False
        # M290 answers `Probe Offset Z...` where it changes M851 as well.
        self.probe_offset_follows = False
        self.minimum_cruise_ratio = 0.5
        # When the last temperature report came, and the last one of a waiting M109 or M190.
        self.temperatures_at = 0.0
        self.heating_wait_at = -1e9

    def configure(self, settings: PrinterSettings) -> None:
        """The owner's settings have been read (again)."""
        self.settings = settings
        self.limits = limits_of(settings, self.firmware)
        self.minimum_cruise_ratio = settings.minimum_cruise_ratio

    def begin_session(self) -> None:
        """The firmware starts afresh (connected, or reset): nothing said before holds any longer."""
        self.firmware = Firmware()
        self.motion.power_on()
        self.save_pending = False
        self.mesh.clear()

    def identified(self) -> None:
        """The firmware has told what it is: derive limits and the number of extruders."""
        firmware = self.firmware
        self.limits = limits_of(self.settings, firmware)
        self.pressure_advance = firmware.report("M900", "K") or 0.0
        low, high, margin = self.limits.position_min, self.limits.position_max, self.settings.probing_margin
        self.mesh.set_area((low[0] + margin, low[1] + margin), (high[0] - margin, high[1] - margin))
        for index in range(firmware.extruders):
            heater = self.heaters.setdefault(extruder_name(index), Heater())
            heater.target = heater.target or 0.0
        if self.settings.g90_sets_extruder is not None:
            self.motion.g90_sets_extruder = self.settings.g90_sets_extruder
        else:
            self.motion.g90_sets_extruder = firmware.profile.g90_sets_extruder

    def observe(self, command: Command) -> None:
        """Take account of a command on its way to the firmware that is no move."""
        self.motion.observe(command)
        if observer := _OBSERVERS.get(command.name):
            observer(self, command)

    def observe_line(self, text: str) -> None:
        """Take account of a stripped line on its way to the firmware."""
        if (command := parse(text)) is not None:
            self.observe(command)

    def temperatures(self, report: Temperatures) -> None:
        """Take in a temperature report."""
        self.temperatures_at = self.clock()
        if report.waiting:
            self.heating_wait_at = self.temperatures_at
        readings = report.heaters
        for key, reading in readings.items():
            name = self._heater_name(key, has_index="T0" in readings, heats=reading.target is not None)
            if name is None:
                continue
            heater = self.heaters.setdefault(name, Heater())
            heater.temperature = reading.actual
            heater.measured_min = min(heater.measured_min, reading.actual)
            heater.measured_max = max(heater.measured_max, reading.actual)
            if reading.target is not None:
                heater.target = max(0.0, reading.target)
            if reading.power is not None:
                heater.power = min(max(reading.power / FULL_POWER, 0.0), 1.0)

    def _heater_name(self, key: str, *, has_index: bool, heats: bool) -> str | None:
        """Return the Klipper object of a key in a report. `T` repeats the active hotend where `T0` is told as well."""
        if key == "T":
            return None if has_index else "extruder"
        if key == "B":
            return "heater_bed"
        if key[0] == "T" and key[1:].isdigit():
            return extruder_name(int(key[1:]))
        if key == "C":
            return "heater_generic chamber" if heats else "temperature_sensor chamber"
        return {"P": "temperature_sensor probe", "L": "temperature_sensor cooler"}.get(key)

    @property
    def heater_names(self) -> list[str]:
        """The heaters' names as SET_HEATER_TEMPERATURE takes them: without `heater_generic `."""
        return [name.rpartition(" ")[2] for name, heater in self.heaters.items() if heater.target is not None]


def extruder_name(index: int) -> str:
    return f"extruder{index}" if index else "extruder"


def extruder_index(name: str) -> int:
    """Return the tool number of `extruder`, `extruder1`, ...; -1 for anything else."""
    if not name.startswith("extruder"):
        return -1
    digits = name[len("extruder") :]
    if not digits:
        return 0
    return int(digits) if digits.isdigit() else -1


def _progress(machine: Machine, command: Command) -> None:
    if percent := command.words().get("P"):
        machine.display.tell_progress(number(percent) / 100.0, machine.clock())


def _message(machine: Machine, command: Command) -> None:
    machine.display.message = command.rest or None


def _hotend_target(machine: Machine, command: Command) -> None:
    words = command.words()
    index = int(number(words.get("T", ""), float(machine.motion.tool)))
    _set_target(machine, extruder_name(index), words)


def _set_target(machine: Machine, name: str, words: dict[str, str]) -> None:
    """Show the new target at once; the next report tells what the firmware made of it."""
    value = words.get("S") or words.get("R")
    heater = machine.heaters.get(name)
    if value and heater is not None and heater.target is not None:
        heater.target = max(0.0, number(value))


def _limit(machine: Machine, **values: str | None) -> None:
    told = {name: number(value) for name, value in values.items() if value}
    if told:
        machine.limits = msgspec.structs.replace(machine.limits, **told)


def _max_speed(machine: Machine, command: Command) -> None:
    words = command.words()
    _limit(machine, max_velocity=words.get("X"), max_z_velocity=words.get("Z"))


def _max_accel(machine: Machine, command: Command) -> None:
    words = command.words()
    _limit(machine, max_accel=words.get("P") or words.get("S"))


def _corner(machine: Machine, command: Command) -> None:
    words = command.words()
    if deviation := words.get("J"):
        corner = corner_velocity(number(deviation), machine.limits.max_accel)
        machine.limits = msgspec.structs.replace(machine.limits, square_corner_velocity=corner)
    else:
        _limit(machine, square_corner_velocity=words.get("X"))


def _advance(machine: Machine, command: Command) -> None:
    if factor := command.words().get("K"):
        machine.pressure_advance = number(factor)


_OBSERVERS: dict[str, Callable[[Machine, Command], None]] = {
    "M73": _progress,
    "M104": _hotend_target,
    "M109": _hotend_target,
    "M117": _message,
    "M140": lambda machine, command: _set_target(machine, "heater_bed", command.words()),
    "M141": lambda machine, command: _set_target(machine, "heater_generic chamber", command.words()),
    "M190": lambda machine, command: _set_target(machine, "heater_bed", command.words()),
    "M191": lambda machine, command: _set_target(machine, "heater_generic chamber", command.words()),
    "M203": _max_speed,
    "M204": _max_accel,
    "M205": _corner,
    "M900": _advance,
}
