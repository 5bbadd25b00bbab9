"""The file that prints the rest of an interrupted one.

It heats, finds X and Y again by homing them, takes the height from the checkpoint (Z is never homed: the print stands
in the way), primes the nozzle away from the print, brings all modes to where they were, and goes on with the very
next line. What cannot be known is said in its head.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from moonraker_lite.marlin.checkpoint import Checkpoint
from moonraker_lite.marlin.gcode.motion import E, X, Y, Z
from moonraker_lite.marlin.gcode.replay import Replay
from moonraker_lite.marlin.gcode.translate import heater_command
from moonraker_lite.marlin.gcode.words import fixed
from moonraker_lite.marlin.requests import CommandError

SUFFIX = "_rest"
# Filament that sticks to the nozzle is soft at this temperature, and does not yet run out.
SOFT = 150.0
LIFT_SPEED = 600.0
TRAVEL_SPEED = 6000.0
PRIME_SPEED = 150.0
RETRACT = 2.0
RETRACT_SPEED = 2100.0
COPY = 1024 * 1024
# Room that is left on the disk.
SPARE = 16 * 1024 * 1024


class ResumeOptions(msgspec.Struct, frozen=True):
    """What the user may say about it. Lengths in mm.

    `z`: the height at which the nozzle stands now, in the coordinates of the print; None: it stands `z_now` above that
    of the checkpoint. `z_now`: where the printer itself believes the nozzle to be; with `knows_z` it is right, as it
    was not switched off.
    """

    z: float | None = None
    z_now: float = 0.0
    knows_z: bool = False
    lift: float = 5.0
    prime: float = 10.0
    # The printer has a mesh that can be switched on.
    has_mesh: bool = False


def file_name(name: str) -> str:
    """Return the name of the file for the rest of `name`: `sub/cube.gcode` -> `sub/cube_rest.gcode`."""
    folder, slash, base = name.rpartition("/")
    stem, point, extension = base.rpartition(".")
    if not point:
        stem, extension = base, "gcode"
    return f"{folder}{slash}{stem.removesuffix(SUFFIX)}{SUFFIX}.{extension}"


def opening(point: Checkpoint, state: Replay, options: ResumeOptions) -> list[str]:
    """Return the lines before the rest of the file."""
    return [
        *_head(point, options),
        *_heat_and_home(point, state, options),
        *_prime(point, state, options),
        *_go_back(point, state, options),
        *_modes(state),
        *_objects(point, state),
        "; the rest of the file",
    ]


def _head(point: Checkpoint, options: ResumeOptions) -> list[str]:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(point.written))
    source = (
        "The height is the one that the printer knows, it was not switched off"
        if options.knows_z
        else "The height was taken from the checkpoint: if Z has moved since, the nozzle is too high or too low"
    )
    return [
        f"; The rest of {_plain(point.file)} from byte {point.position} (line {point.line}) of {point.size}",
        f"; Interrupted {when} at X{point.x:.3f} Y{point.y:.3f} Z{point.z:.3f}",
        "; X and Y are homed, Z is not: the print stands in the way",
        f"; {source}",
        "; The last moves before the interruption may be missing or printed twice",
    ]


def _heat_and_home(point: Checkpoint, state: Replay, options: ResumeOptions) -> list[str]:
    """First the bed, so that the print sticks; the nozzle only so far that it comes off."""
    targets = _targets(point, state)
    nozzles = {name: target for name, target in targets.items() if name.startswith("extruder")}
    others = {name: target for name, target in targets.items() if name not in nozzles}
    lines = ["G21", "G90"]
    height = point.z if options.z is None else options.z
    if not options.knows_z:
        lines += ["M420 S0"] if options.has_mesh else []
        lines.append(f"G92 Z{height + options.z_now:.3f} ; where the nozzle is")
    lines += [_heat(name, target) for name, target in others.items()]
    lines += [_heat(name, min(target, SOFT)) for name, target in nozzles.items()]
    lines += [_heat(name, target, wait=True) for name, target in others.items()]
    lines += [_heat(name, min(target, SOFT), wait=True) for name, target in nozzles.items()]
    lines.append(f"G1 Z{_above(point, options):.3f} F{LIFT_SPEED:g} ; off the print")
    lines.append("G28 X Y")
    return lines


def _prime(point: Checkpoint, state: Replay, options: ResumeOptions) -> list[str]:
    targets = _targets(point, state)
    tool = state.machine.motion.tool
    nozzles = {name: target for name, target in targets.items() if name.startswith("extruder")}
    lines = [_heat(name, target) for name, target in nozzles.items()]
    if tool:
        lines.append(f"T{tool}")
    lines += [_heat(name, target, wait=True) for name, target in nozzles.items()]
    lines.append("M83")
    if options.prime > 0:
        lines.append(f"G1 E{options.prime:.3f} F{PRIME_SPEED:g} ; prime")
    lines.append(f"G1 E-{RETRACT:g} F{RETRACT_SPEED:g}")
    return lines


def _go_back(point: Checkpoint, state: Replay, options: ResumeOptions) -> list[str]:
    motion = state.machine.motion
    x, y, z = (motion.position[axis] for axis in (X, Y, Z))
    above = _above(point, options)
    lines = [f"G0 X{x - state.shift[X]:.3f} Y{y - state.shift[Y]:.3f} F{TRAVEL_SPEED:g}"]
    if any(abs(shift) > 1e-5 for shift in state.shift):
        lines.append(f"G92 X{x:.3f} Y{y:.3f}")
    if state.levelled and options.has_mesh:
        # Homing has switched the mesh off; a height that was set was set without it, and holds for this very place.
        lines += ["M420 S1"] if options.knows_z else ["M420 S1", f"G92 Z{above:.3f}"]
    lines.append(f"G0 Z{z:.3f} F{LIFT_SPEED:g}")
    if motion.firmware_retracted:
        lines += [f"G1 E{RETRACT:g} F{RETRACT_SPEED:g}", "G10"]
    elif abs(push := RETRACT - motion.retracted) > 1e-5:
        lines.append(f"G1 E{push:.5f} F{RETRACT_SPEED:g}")
    fans = point.fans or motion.fans
    lines += [f"M106 P{fan} S{round(speed * 255)}" for fan, speed in fans.items()]
    if point.speed_factor != 1.0:
        lines.append(f"M220 S{point.speed_factor * 100:g}")
    if point.extrude_factor != 1.0:
        lines.append(f"M221 S{point.extrude_factor * 100:g}")
    return [*lines, *state.settings.values()]


def _modes(state: Replay) -> list[str]:
    motion = state.machine.motion
    lines = ["G90" if motion.absolute else "G91", "M82" if motion.absolute_e else "M83"]
    lines += [f"G92 E{motion.position[E]:.5f}", f"G1 F{fixed(motion.speed)}"]
    return [*lines, "G20"] if motion.inches else lines


def _objects(point: Checkpoint, state: Replay) -> list[str]:
    lines = list(state.definitions)
    lines += [f"EXCLUDE_OBJECT NAME={name}" for name in point.excluded]
    layer, total = state.layers.current or point.layer, state.layers.total or point.layers
    if layer is not None and total is not None:
        lines.append(f"; layer num/total_layer_count: {layer}/{total}")
    if state.label is not None:
        lines.append(state.label)
    elif any(line.startswith("M486 S") for line in lines):
        lines.append("M486 S-1")
    return lines


def _targets(point: Checkpoint, state: Replay) -> dict[str, float]:
    """What the user had set last; where all was off already, what the file had."""
    told = {name: target for name, target in point.targets.items() if target > 0}
    heaters = state.machine.heaters
    return told or {name: heater.target for name, heater in heaters.items() if heater.target}


def _heat(name: str, target: float, *, wait: bool = False) -> str:
    return heater_command(name.rpartition(" ")[2], target, wait=wait)


def _above(point: Checkpoint, options: ResumeOptions) -> float:
    """Where the nozzle is clear of the print."""
    height = point.z if options.z is None else options.z
    now = options.z_now if options.knows_z else height + options.z_now
    return max(point.z, now) + options.lift


def _plain(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name)


def write(source: Path, target: Path, lines: list[str], position: int) -> None:
    """Write `lines` and what `source` has from `position` on, whole or not at all. Slow.

    Raise OSError; CommandError when there is no room.
    """
    needed = source.stat().st_size - position
    disk = os.statvfs(target.parent)
    if disk.f_bavail * disk.f_frsize < needed + SPARE:
        raise CommandError(f"There is no room on the disk for {target.name}: {needed} bytes are needed")
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        with source.open("rb") as whole, temporary.open("wb") as rest:
            whole.seek(position)
            rest.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
            while data := whole.read(COPY):
                rest.write(data)
            rest.flush()
            os.fsync(rest.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
