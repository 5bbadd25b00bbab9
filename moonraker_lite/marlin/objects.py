"""Klipper's status objects, made from what is known of the printer.

Each object is a function from the event time to its fields; what it returns is never changed afterwards, so that the
feed can compare it with the next one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

from moonraker_lite.marlin.device_objects import DeviceObjects
from moonraker_lite.marlin.gcode.interpreter import Interpreter
from moonraker_lite.marlin.job import PrintJob
from moonraker_lite.marlin.live_motion import LiveMotion
from moonraker_lite.marlin.protocol import LinkStats
from moonraker_lite.marlin.state import Activity, IdleState, Machine

Status = dict[str, Any]


class MoreObjects(Protocol):
    """Objects of which there may be many."""

    def names(self) -> list[str]: ...
    def status(self, name: str, /) -> Status | None: ...


class _Nothing:
    def names(self) -> list[str]:
        return []

    def status(self, _: str, /) -> Status | None:
        return None


class StatusObjects:
    """All objects by name. Heaters and sensors join as the firmware reports them."""

    def __init__(
        self,
        machine: Machine,
        job: PrintJob,
        activity: Activity,
        webhooks: Callable[[], Status],
        configfile: Callable[[], Status],
        link_stats: Callable[[], LinkStats],
        interpreter: Interpreter,
        under_way: Callable[[], int] = lambda: 0,
    ) -> None:
        """`under_way`: how many lines were sent that the firmware has not acknowledged."""
        self._machine = machine
        self._job = job
        self._activity = activity
        self._webhooks = webhooks
        self._configfile = configfile
        self._link_stats = link_stats
        self._interpreter = interpreter
        self._added: dict[str, tuple[Callable[[], bool], Callable[[], Status]]] = {}
        self.more: MoreObjects = _Nothing()
        self._commands: tuple[object, Status] = (None, {})
        self._devices = DeviceObjects(machine)
        self._live = LiveMotion(machine.motion, under_way, machine.clock())
        self._system: tuple[float, Status] = (-1e9, {})
        self._started = machine.clock()
        empty: Status = {}
        self._fixed: dict[str, Callable[[float], Status]] = {
            "gcode": self._gcode,
            "webhooks": lambda _: webhooks(),
            "configfile": lambda _: configfile(),
            "mcu": self._mcu,
            "heaters": self._heaters,
            "fan": lambda _: {"speed": machine.motion.fans.get(0, 0.0), "rpm": machine.fan_speeds.part},
            "gcode_move": self._gcode_move,
            "print_stats": job.stats.status,
            "virtual_sdcard": lambda _: job.sdcard_status(),
            "pause_resume": lambda _: {"is_paused": job.paused},
            "display_status": self._display,
            "exclude_object": lambda _: machine.excluded.status(),
            "idle_timeout": self._idle_timeout,
            "gcode_macro PAUSE": lambda _: empty,
            "gcode_macro RESUME": lambda _: empty,
            "gcode_macro CANCEL_PRINT": lambda _: empty,
            "query_endstops": lambda _: {"last_query": machine.endstops},
            "stepper_enable": self._stepper_enable,
            "motion_report": self._motion_report,
            "toolhead": self._toolhead,
            "system_stats": self._system_stats,
        }

    def add(self, name: str, status: Callable[[], Status], present: Callable[[], bool] = lambda: True) -> None:
        """An object of somebody else, shown while `present`."""
        self._added[name] = (present, status)

    def names(self) -> list[str]:
        macros = [name for name in self._interpreter.macros.object_names() if name not in self._fixed]
        added = [name for name, (present, _) in self._added.items() if present()]
        return [*self._fixed, *self._devices.names(), *added, *self.more.names(), *macros]

    def snapshot(self, name: str, now: float) -> Status | None:
        """Return an object's fields, None when there is no such object."""
        if (variables := self._interpreter.macros.status(name)) is not None:
            return variables
        if build := self._fixed.get(name):
            return build(now)
        if added := self._added.get(name):
            return added[1]() if added[0]() else None
        more = self.more.status(name)
        return more if more is not None else self._devices.snapshot(name)

    def help(self) -> dict[str, str]:
        """Return name -> text of the commands that have one, as `gcode/help` tells them."""
        return {name: entry["help"] for name, entry in self.commands().items() if "help" in entry}

    def commands(self) -> dict[str, dict[str, str]]:
        """Return Klipper's `gcode.commands`."""
        commands: dict[str, dict[str, str]] = self._gcode(0.0)["commands"]
        return commands

    def _gcode(self, _: float) -> Status:
        firmware = self._machine.firmware
        probe, mesh = firmware.has_probe, firmware.has_levelling
        known = (self._machine.tools, probe, mesh, self._interpreter.macros.version)
        if self._commands[0] != known:
            self._commands = (known, {"commands": self._interpreter.commands(probe=probe, mesh=mesh)})
        return self._commands[1]

    def _mcu(self, _: float) -> Status:
        firmware, stats = self._machine.firmware, self._link_stats()
        name, *build = firmware.name.split(" (", 1)
        return {
            "mcu_version": f"{name} {firmware.version}".strip(),
            "mcu_build_versions": " ".join(part.rstrip(")") for part in (firmware.machine, *build) if part),
            "app": "Marlin" if "Marlin" in name else name.partition(" ")[0],
            "mcu_constants": {"MCU": firmware.machine or "marlin"},
            "last_stats": {
                "mcu_awake": 0.0,
                "mcu_task_avg": 0.0,
                "mcu_task_stddev": 0.0,
                "bytes_write": stats.bytes_sent,
                "bytes_retransmit": stats.lines_resent,
                "bytes_invalid": stats.noise_bytes,
                "send_seq": stats.lines_sent,
                "receive_seq": stats.acknowledged,
                "srtt": round(stats.rtt_p50 or 0.0, 3),
                "freq": 0,
            },
        }

    def _heaters(self, _: float) -> Status:
        heaters = self._machine.heaters
        return {
            "available_heaters": [name for name, heater in heaters.items() if heater.target is not None],
            "available_sensors": list(heaters),
            "available_monitors": [],
        }

    def _gcode_move(self, _: float) -> Status:
        motion = self._machine.motion
        x, y, z, e = motion.position
        return {
            "speed_factor": motion.speed_factor,
            "speed": motion.speed,
            "extrude_factor": motion.extrude_factor,
            "absolute_coordinates": motion.absolute,
            "absolute_extrude": motion.absolute_e,
            "homing_origin": [0.0, 0.0, round(motion.babystep, 4), 0.0],
            "position": [x, y, round(z + motion.babystep, 5), e],
            "gcode_position": [x, y, z, e],
            "axis_map": {"X": 0, "Y": 1, "Z": 2, "E": 3},
        }

    def _toolhead(self, now: float) -> Status:
        machine, limits = self._machine, self._machine.limits
        uptime = round(now - self._started, 3)
        return {
            "homed_axes": machine.motion.homed,
            "axis_minimum": [*limits.position_min, 0.0],
            "axis_maximum": [*limits.position_max, 0.0],
            "print_time": uptime,
            "stalls": 0,
            "estimated_print_time": uptime,
            "extruder": machine.active_extruder,
            "position": list(machine.motion.position),
            "max_velocity": limits.max_velocity,
            "max_accel": limits.max_accel,
            "minimum_cruise_ratio": machine.minimum_cruise_ratio,
            "square_corner_velocity": limits.square_corner_velocity,
            "extra_axes": {"extruder": 3},
        }

    def _motion_report(self, now: float) -> Status:
        live = self._live
        live.update(now)
        extruders = [name for name in self._machine.heaters if name.startswith("extruder")]
        return {
            "live_position": live.position(),
            "live_velocity": live.velocity,
            "live_extruder_velocity": live.extruder_velocity,
            "steppers": [*extruders, "stepper_x", "stepper_y", "stepper_z"],
            "trapq": [*extruders, "toolhead"],
        }

    def follow(self, now: float) -> None:
        """Called each second, so that the estimate of the head's place is right also when nobody has watched it."""
        self._live.update(now)

    def _stepper_enable(self, _: float) -> Status:
        on = self._machine.motors_on
        extruders = [name for name in self._machine.heaters if name.startswith("extruder")]
        return {"steppers": dict.fromkeys(("stepper_x", "stepper_y", "stepper_z", *extruders), on)}

    def _display(self, now: float) -> Status:
        display = self._machine.display
        printing = self._activity.state is IdleState.PRINTING
        return {
            "progress": display.progress(self._job.progress, now, printing=printing),
            "message": display.message,
        }

    def _idle_timeout(self, now: float) -> Status:
        activity = self._activity
        return {
            "state": activity.state.value,
            "printing_time": activity.printing_time(now),
            "idle_timeout": activity.timeout,
        }

    def _system_stats(self, now: float) -> Status:
        if now - self._system[0] >= 1.0:
            values = {"sysload": os.getloadavg()[0], "cputime": _cpu_time(), "memavail": _available_memory()}
            self._system = (now, values)
        return self._system[1]


def _cpu_time() -> float:
    times = os.times()
    return round(times.user + times.system, 3)


def _available_memory() -> int:
    """Return kB, 0 where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return 0
