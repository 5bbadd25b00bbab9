"""Switches, probe and fans of the machine, as far as reports of the firmware tell of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from moonraker_lite.marlin.replies import Endstop, FanReport, HostAction, ProbedPoint

_FILAMENT = re.compile(r"filament(?:_runout)?_?(\d*)$")
_TOOL = re.compile(r"\bT?(\d{1,2})\b")


def endstop_name(name: str, names: Iterable[str]) -> str:
    """Return Klipper's name of one of M119's switches: `x_min` is stepper_x; so is `x_max` without an `x_min`."""
    axis, _, end = name.partition("_")
    if axis in ("x", "y", "z") and (end == "min" or (end == "max" and f"{axis}_min" not in names)):
        return f"stepper_{axis}"
    return "probe" if name == "z_probe" else name


class FilamentSensors:
    """The runout sensors by Klipper's short name: `runout`, of a second one `runout2`.

    `detected` is None until the firmware has told of it (M119, or that the filament ran out).
    """

    def __init__(self) -> None:
        self.detected: dict[str, bool | None] = {}
        # M412; None: not told.
        self.enabled: bool | None = None

    def told_enabled(self, enabled: bool) -> None:
        self.enabled = enabled
        self.detected.setdefault("runout", None)

    def told_switches(self, switches: list[Endstop]) -> None:
        """M119: `filament: TRIGGERED` means that there is filament."""
        for switch in switches:
            if match := _FILAMENT.match(switch.name):
                self.detected[_sensor(int(match[1] or 1))] = switch.triggered

    def told_action(self, action: HostAction) -> None:
        """`filament_runout T0`, `paused filament_runout 0`: the filament of that tool is at its end."""
        name, _, tool = (
            action.tail.partition(" ") if action.name.startswith("pause") else (action.name, "", action.tail)
        )
        if name in ("filament_runout", "out_of_filament"):
            index = _TOOL.search(tool)
            self.detected[_sensor(int(index[1]) + 1 if index else 1)] = False


def _sensor(number: int) -> str:
    return "runout" if number <= 1 else f"runout{number}"


class Probe:
    """What the probe told last."""

    def __init__(self) -> None:
        self.triggered = False
        self.last_z = 0.0

    def told_switches(self, switches: list[Endstop]) -> None:
        for switch in switches:
            if switch.name == "z_probe":
                self.triggered = switch.triggered

    def told_point(self, point: ProbedPoint) -> None:
        self.last_z = point.z


class FanSpeeds:
    """Turns per minute where a firmware measures them (Prusa's M155, Marlin's M123).

    Prusa's `PRN1` is the part fan, `E0`, `E1`, ... are those of the hotends; Marlin numbers all of its fans `E0`, ...
    """

    def __init__(self) -> None:
        self.part: float | None = None
        self.hotends: dict[int, tuple[float, float]] = {}

    def told(self, report: FanReport) -> None:
        for name, rpm in report.rpm.items():
            if name.startswith("PRN"):
                self.part = rpm
            elif name[0] == "E" and name[1:].isdigit() and int(name[1:]) < 16:
                running = report.speed.get(name, 1.0 if rpm else 0.0)
                self.hotends[int(name[1:])] = (running, rpm)
