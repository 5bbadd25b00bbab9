"""Commands whose result is in what the firmware writes: tuning heaters (M303), levelling by the bed's screws (G35)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.translate import checked_target
from moonraker_lite.marlin.gcode.words import Command, fixed
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.saved import Send
from moonraker_lite.marlin.state import Machine, extruder_index

CYCLES = 8
_GAIN = re.compile(r"#define\s+DEFAULT_(bed|chamber)?K([pid])\s+([0-9]+\.?[0-9]*)", re.IGNORECASE)
_PLAIN_GAIN = re.compile(r"\bK([pid]):\s*([0-9]+\.?[0-9]*)", re.IGNORECASE)
_FAILED = re.compile(r"PID Autotune failed!?\s*(.*)", re.IGNORECASE)
_TURN = re.compile(
    r"Turn\s+(.+?)\s+(CW|CCW)\s+by\s+(\d+)\s+turns?(?:\s+and\s+(\d+)\s+minutes?)?(?:\s+\((-?[\d.]+)\s*mm\))?"
)
_LARGEST = 1e5


def parse_gains(lines: Iterable[str]) -> dict[str, float]:
    """Return P, I and D of M303's answer, as many as it names; its last word on each counts."""
    gains: dict[str, float] = {}
    defined = False
    for line in lines:
        if found := _GAIN.search(line):
            gains[found[2].upper()] = float(found[3])
            defined = True
        elif not defined:
            gains.update({name.upper(): float(value) for name, value in _PLAIN_GAIN.findall(line)})
    return {name: value for name, value in gains.items() if value < _LARGEST}


def parse_screws(lines: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the screws of G35's answer as Klipper's `screws_tilt_adjust` has them: screw1 is the base."""
    screws: dict[str, dict[str, Any]] = {"screw1": {"z": 0.0, "sign": "CW", "adjust": "00:00", "is_base": True}}
    for line in lines:
        if (turn := _TURN.search(line)) and len(screws) < 10:
            adjust = f"{min(int(turn[3]), 99):02d}:{min(int(turn[4] or 0), 59):02d}"
            height = float(turn[5]) if turn[5] and turn[5].count(".") < 2 else 0.0
            screws[f"screw{len(screws) + 1}"] = {"z": height, "sign": turn[2], "adjust": adjust, "is_base": False}
    return screws


class Tuning:
    """The commands. `send` gives one line to the firmware and waits for it."""

    def __init__(self, machine: Machine, console: Console, send: Send) -> None:
        self._machine = machine
        self._console = console
        self._send = send
        self._screws: dict[str, dict[str, Any]] = {}
        self.table: dict[str, Callable[[Command], Awaitable[None]]] = {
            "PID_CALIBRATE": self._calibrate,
            "SCREWS_TILT_CALCULATE": self._tilt,
        }

    async def _calibrate(self, command: Command) -> None:
        """PID_CALIBRATE HEATER= TARGET=: the result is used at once, and pending until SAVE_CONFIG."""
        options = Options(command)
        name = options.choice("HEATER", self._machine.heater_names)
        target = checked_target(name, options.number("TARGET"), self._machine)
        tool = {"heater_bed": -1, "chamber": -2}.get(name, extruder_index(name))
        replies = await self._send(f"M303 E{tool} S{fixed(target)} C{CYCLES} U1")
        for reply in replies:
            if failed := _FAILED.search(reply):
                raise CommandError(f"PID Autotune failed: {failed[1] or 'see the console'}")
        gains = parse_gains(replies)
        if len(gains) < 3:
            raise CommandError("The firmware has told no result of M303: it may have been built without PID for it")
        words = " ".join(f"{letter}{gains[letter]:.2f}" for letter in "PID")
        setting = {-1: "M304", -2: "M309"}.get(tool, f"M301 E{tool}" if self._machine.hotends > 1 else "M301")
        await self._send(f"{setting} {words}")
        self._console.info(
            f"PID parameters: pid_Kp={gains['P']:.3f} pid_Ki={gains['I']:.3f} pid_Kd={gains['D']:.3f}\n"
            "They are in use. SAVE_CONFIG stores them in the printer's EEPROM."
        )

    async def _tilt(self, _: Command) -> None:
        """SCREWS_TILT_CALCULATE: the firmware probes at the screws and tells how to turn them."""
        replies = await self._send("G35")
        screws = parse_screws(replies)
        if len(screws) < 2:
            raise CommandError("The firmware has no tramming assistant (G35), or could not probe")
        self._screws = screws

    @property
    def has_screws(self) -> bool:
        return bool(self._screws)

    def screws_status(self) -> dict[str, Any]:
        """Return Klipper's `screws_tilt_adjust` object."""
        return {"error": False, "max_deviation": None, "results": self._screws}
