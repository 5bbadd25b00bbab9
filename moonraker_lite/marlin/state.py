"""What is known of the machine now: heaters, display, mesh, endstops, activity. Data, and the rules that keep it true.

Everything the status objects show comes from here, from `Motion` and from the print job; nothing here talks to
anybody.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from moonraker_lite.marlin.activity import Activity, Display, IdleState
from moonraker_lite.marlin.eeprom import STORED
from moonraker_lite.marlin.firmware_facts import Firmware
from moonraker_lite.marlin.gcode.exclude import ExcludedObjects
from moonraker_lite.marlin.gcode.labels import Labels
from moonraker_lite.marlin.gcode.motion import Motion
from moonraker_lite.marlin.gcode.words import Command, number, parse
from moonraker_lite.marlin.heaters import Heater, Heaters, extruder_index, extruder_name
from moonraker_lite.marlin.mesh import Mesh
from moonraker_lite.marlin.prompts import Prompts
from moonraker_lite.marlin.replies import parse_endstops, parse_fan_report, parse_host_action, parse_probed_point
from moonraker_lite.marlin.sensors import FanSpeeds, FilamentSensors, Probe
from moonraker_lite.marlin.settings import Limits, PrinterSettings, corner_velocity, limits_of
from moonraker_lite.marlin.settings_report import (
    DriverTable,
    Setting,
    parse_fan,
    parse_feedrate,
    parse_flow,
    parse_runout_switch,
    parse_setting,
)
from moonraker_lite.marlin.temperature_report import Temperatures

__all__ = ["Activity", "Display", "Heater", "IdleState", "Machine", "extruder_index", "extruder_name"]

MAX_QUESTIONS = 8
MAX_SWITCHES = 64


class Machine:
    """All that is known of one printer."""

    def __init__(self, settings: PrinterSettings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.clock = clock
        self.firmware = Firmware()
        self.limits: Limits = limits_of(settings, self.firmware)
        # Those that the firmware begins with; those in use may be others.
        self.stored_limits = self.limits
        self.motion = Motion()
        self._heaters = Heaters()
        self.display = Display()
        self.excluded = ExcludedObjects()
        self.labels = Labels(self.excluded)
        self.mesh = Mesh()
        self.prompts = Prompts()
        self.filament = FilamentSensors()
        self.probe = Probe()
        self.fan_speeds = FanSpeeds()
        self._drivers = DriverTable()
        # By Klipper's names: `open` or `TRIGGERED`.
        self.endstops: dict[str, str] = {}
        # The switches that M119 has named, as the firmware spells them.
        self.switches: set[str] = set()
        # What is to be asked of the firmware as soon as nothing else is going on, in this order.
        # True: what the firmware answers is what its EEPROM holds.
        self.questions: dict[str, bool] = {}
        # M290 answers `Probe Offset Z...` where it changes M851 as well.
        self.probe_offset_follows = False
        self.minimum_cruise_ratio = 0.5
        # When the last temperature report came, and the last one of a waiting M109 or M190.
        self.temperatures_at = 0.0
        self.heating_wait_at = -1e9
        self._stored_mesh: list[list[float]] = []
        self._identity: tuple[str, ...] = ()
        self._can_store = True
        self._motors_off_at = 0

    # What the owner says, and how a session begins

    def configure(self, settings: PrinterSettings) -> None:
        """The owner's settings have been read (again)."""
        self.settings = settings
        self.minimum_cruise_ratio = settings.minimum_cruise_ratio
        self._set_limits()

    def begin_session(self) -> None:
        """The firmware starts afresh (connected, or reset): nothing said before holds any longer."""
        self.firmware = Firmware()
        self.motion.power_on()
        self._heaters.begin_session()
        self.mesh.clear()
        self.prompts.reset()
        self.filament = FilamentSensors()
        self.probe = Probe()
        self.fan_speeds = FanSpeeds()
        self.endstops = {}
        self.switches = set()
        self.questions.clear()
        self._can_store = True
        self._motors_off_at = self.motion.moves

    def identified(self) -> None:
        """The firmware has told what it is: derive limits and the number of extruders."""
        firmware = self.firmware
        self._heaters.end_identification()
        if self.settings.g90_sets_extruder is not None:
            self.motion.g90_sets_extruder = self.settings.g90_sets_extruder
        else:
            self.motion.g90_sets_extruder = firmware.profile.g90_sets_extruder
        self.mesh.reader.measured_from_top = firmware.is_prusa
        identity = (firmware.name, firmware.machine, firmware.fields.get("UUID", ""))
        if identity != self._identity:
            self._identity = identity
            self.mesh.forget_place()
        if firmware.can("AUTOREPORT_FANS"):
            self.fan_speeds.hotends.setdefault(0, (0.0, 0.0))
        for fan in self.settings.fans:
            self.motion.fans.setdefault(fan, 0.0)
        self._set_limits()
        self.all_stored()

    def _set_limits(self) -> None:
        settings = self.settings
        self.limits = limits_of(settings, self.firmware)
        self.stored_limits = limits_of(settings, self.firmware, stored=True)
        low, high, margin = self.limits.position_min, self.limits.position_max, settings.probing_margin
        self.mesh.set_area((low[0] + margin, low[1] + margin), (high[0] - margin, high[1] - margin))
        self.mesh.own_area = (settings.mesh_min, settings.mesh_max)

    # What is stored

    def all_stored(self) -> None:
        """What the firmware uses is what its EEPROM holds."""
        self.firmware.settings.all_stored()
        self._stored_mesh = self.mesh.points
        self.stored_limits = limits_of(self.settings, self.firmware, stored=True)

    @property
    def mesh_pending(self) -> bool:
        """There is a mesh that M500 has not stored."""
        return bool(self.mesh.points) and self.mesh.points != self._stored_mesh

    @property
    def save_pending(self) -> bool:
        """M500 would change something in the EEPROM."""
        if not self._can_store or not self.firmware.can("EEPROM", unknown=True):
            return False
        return self.mesh_pending or bool(self.firmware.settings.pending())

    # Commands

    def observe(self, command: Command, *, lasting: bool = True) -> None:
        """Take account of a command on its way to the firmware that is no move. `lasting`: see `StoredSettings`."""
        self.motion.observe(command)
        name = command.name
        if name in STORED:
            words = {letter: number(value) if value else None for letter, value in command.words().items()}
            self.firmware.settings.change(name, words, lasting=lasting)
        if observer := _OBSERVERS.get(name):
            observer(self, command)

    def observe_line(self, text: str, *, lasting: bool = True) -> None:
        """Take account of a stripped line on its way to the firmware."""
        if (command := parse(text)) is not None:
            self.observe(command, lasting=lasting)

    def ask(self, question: str, *, stored: bool = False) -> None:
        """Have a question asked as soon as nothing else is going on. `stored`: the answer is what the EEPROM holds."""
        if len(self.questions) < MAX_QUESTIONS:
            self.questions[question] = stored

    def take_questions(self) -> dict[str, bool]:
        """Return what is to be asked now, and forget it."""
        questions, self.questions = self.questions, {}
        return questions

    def answered(self, *, stored: bool) -> None:
        """The firmware has answered a question, line by line."""
        if stored:
            self.all_stored()
        self._set_limits()

    def motors_off(self) -> None:
        self._motors_off_at = self.motion.moves

    @property
    def motors_on(self) -> bool:
        """Something has moved since the motors were switched off. (That they went off by themselves, nobody tells.)"""
        return self.motion.moves != self._motors_off_at or bool(self.motion.homed)

    # Reports

    def temperatures(self, report: Temperatures) -> None:
        """Take in a temperature report."""
        self.temperatures_at = self.clock()
        if report.waiting:
            self.heating_wait_at = self.temperatures_at
        self._heaters.read(report, self.motion.tool)

    def read_line(self, line: str) -> None:
        """Take in any other line of the firmware."""
        self.mesh.read_line(line)
        if self.mesh.reader.reading:
            return
        if (setting := self.firmware.read_line(line)) is not None:
            self._told_setting(setting)
        elif (percent := parse_feedrate(line)) is not None:
            self.motion.speed_factor = percent / 100.0
        elif (flow := parse_flow(line)) is not None:
            if flow.extruder == self.motion.tool:
                self.motion.extrude_factor = flow.percent / 100.0
        elif (fan := parse_fan(line)) is not None:
            self.motion.fans[fan.fan] = fan.speed / 255.0
        elif (report := parse_fan_report(line)) is not None:
            self.fan_speeds.told(report)
        elif (point := parse_probed_point(line)) is not None:
            self.probe.told_point(point)
        elif (enabled := parse_runout_switch(line)) is not None:
            self.filament.told_enabled(enabled)
        elif switches := parse_endstops(line):
            if len(self.switches) < MAX_SWITCHES:
                self.switches.update(switch.name for switch in switches)
            self.filament.told_switches(switches)
            self.probe.told_switches(switches)
        else:
            self._told_in_words(line)

    def _told_setting(self, setting: Setting) -> None:
        self.mesh.read_setting(setting)
        if setting.command == "M412" and "S" in setting.values:
            self.filament.told_enabled(setting.values["S"] > 0.0)
        elif setting.command == "M106" and "P" in setting.values:
            self.motion.fans[int(setting.values["P"])] = min(max(setting.values.get("S", 0.0) / 255.0, 0.0), 1.0)

    def _told_in_words(self, line: str) -> None:
        if action := parse_host_action(line):
            self.filament.told_action(action)
        elif "Probe Offset" in line:
            self.probe_offset_follows = True
            _, _, height = line.rpartition("Z")
            if (setting := parse_setting(f"M851 Z{height.strip(': ')}")) is not None:
                self.firmware.settings.change("M851", setting.values)
        elif "Settings Stored" in line:
            self.all_stored()
        elif (currents := self._drivers.read(line)) is not None:
            self.firmware.settings.read(currents)
        elif "Mesh saved in slot" in line:
            self._stored_mesh = self.mesh.points
        elif "EEPROM disabled" in line:
            self._can_store = False

    # Heaters

    @property
    def heaters(self) -> dict[str, Heater]:
        """Heaters and sensors by Klipper's names."""
        return self._heaters.by_name

    @property
    def hotends(self) -> int:
        """How many there are; tools may be more, where several share a nozzle."""
        return self._heaters.hotends

    @property
    def tools(self) -> int:
        return max(self.settings.extruders or self.firmware.extruders, self.hotends)

    @property
    def active_extruder(self) -> str:
        name = extruder_name(self.motion.tool)
        return name if name in self.heaters else "extruder"

    @property
    def min_extrude_temp(self) -> float:
        own, told = self.settings.min_extrude_temp, self.firmware.min_extrude_temp
        return own if own is not None else 170.0 if told is None else told

    def pressure_advance(self, tool: int = 0) -> float:
        """Linear advance of an extruder (M900), in Klipper's unit as far as the two can be compared."""
        return self.firmware.report("M900", "K", tool) or 0.0

    @property
    def heater_names(self) -> list[str]:
        """The heaters' names as SET_HEATER_TEMPERATURE takes them: without `heater_generic `."""
        return [name.rpartition(" ")[2] for name, heater in self.heaters.items() if heater.target is not None]


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


def _stored(machine: Machine, _: Command) -> None:
    machine.all_stored()


def _motors_off(machine: Machine, command: Command) -> None:
    if "S" not in command.words():
        machine.motors_off()


def _ask_settings(machine: Machine, command: Command) -> None:
    machine.ask("M503", stored=command.name == "M501")


def _ask_levelling(machine: Machine, _: Command) -> None:
    """Homing switches levelling off, probing on, as the firmware was built."""
    if "M420" in machine.firmware.settings.values:
        machine.ask("M420")


_OBSERVERS: dict[str, Callable[[Machine, Command], None]] = {
    "G28": _ask_levelling,
    "G29": _ask_levelling,
    "M18": _motors_off,
    "M73": _progress,
    "M84": _motors_off,
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
    "M303": _ask_settings,
    "M428": _ask_settings,
    "M500": _stored,
    "M501": _ask_settings,
    "M502": _ask_settings,
}
