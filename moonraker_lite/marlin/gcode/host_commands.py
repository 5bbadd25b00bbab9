"""Commands that the host carries out itself: printing from `gcodes`, pausing, saving state, messages, waiting.

A handler runs to the end before the next command of its script; it may send lines to the firmware and wait for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.gcode.motion import Modes
from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.words import Command, number
from moonraker_lite.marlin.gcode_folder import list_files
from moonraker_lite.marlin.job import PrintJob
from moonraker_lite.marlin.print_stats import JobState
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.saved import Send
from moonraker_lite.marlin.state import Heater, Machine

Handler = Callable[[Command], Awaitable[None]]

# RESPOND TYPE=...: what stands before the message.
_PREFIXES = {"echo": "echo:", "command": "//", "error": "!!"}
_TEMPERATURE_POLL = 0.25


class HostCommands:
    """The handlers, and what they work on. `table` is what the interpreter looks names up in."""

    def __init__(
        self,
        machine: Machine,
        console: Console,
        job: PrintJob,
        send: Send,
        run: Callable[[str], Awaitable[None]],
        check_ready: Callable[[], None],
    ) -> None:
        """`send` gives one line to the firmware and waits for it; `run` runs a script of the settings;
        `check_ready` raises when there is no printer any more."""
        self._machine = machine
        self._console = console
        self._job = job
        self._send = send
        self._run = run
        self._check_ready = check_ready
        self._saved: dict[str, Modes] = {}
        # Whether the macro that runs here is to be left.
        self.leaving: Callable[[], bool] = lambda: False
        self.table: dict[str, Handler] = {
            "CANCEL_PRINT": self.cancel_print,
            "CLEAR_PAUSE": self._clear_pause,
            "ECHO": self._echo,
            "M20": self._list_files,
            "M21": self._card_ready,
            "M23": self._select_file,
            "M24": self._start,
            "M25": self.pause,
            "M26": self._seek,
            "M27": self._report_progress,
            "M28": self._refuse_write,
            "M29": self._refuse_write,
            "M30": self._refuse_write,
            "M110": self._ignore,
            "M118": self._echo_text,
            "PAUSE": self.pause,
            "RESPOND": self._respond,
            "RESTORE_GCODE_STATE": self._restore_state,
            "RESUME": self.resume,
            "SAVE_CONFIG": self._save_config,
            "SAVE_GCODE_STATE": self._save_state,
            "SDCARD_PRINT_FILE": self._print_file,
            "SDCARD_RESET_FILE": self._reset_file,
            "SET_DISPLAY_TEXT": self._display_text,
            "SET_PRINT_STATS_INFO": self._print_info,
            "TEMPERATURE_WAIT": self._temperature_wait,
            "Z_OFFSET_APPLY_ENDSTOP": self._apply_endstop_offset,
            "Z_OFFSET_APPLY_PROBE": self._apply_probe_offset,
        }

    # Printing

    async def _print_file(self, command: Command) -> None:
        name = Options(command).text("FILENAME")
        if self._job.printing:
            raise CommandError("SD busy")
        await self._job.unload()
        await self._job.files.look_for(name)
        self._job.select(name)
        self._job.start()

    async def _reset_file(self, _: Command) -> None:
        await self._job.unload()

    async def _select_file(self, command: Command) -> None:
        if self._job.printing:
            raise CommandError("SD busy")
        await self._job.unload()
        self._job.select(command.rest.strip())

    async def _start(self, _: Command) -> None:
        if self._job.printing:
            raise CommandError("SD busy")
        if self._job.interrupted:
            raise CommandError(self._job.interrupted)
        if not await self._job.resume(self._send):
            await self._job.ended()
            self._job.start()

    async def _seek(self, command: Command) -> None:
        self._job.seek(int(number(command.words().get("S", ""))))

    async def _report_progress(self, _: Command) -> None:
        job = self._job
        self._console.raw(f"SD printing byte {job.position}/{job.size}" if job.path else "Not SD printing.")

    async def _list_files(self, _: Command) -> None:
        listing = await asyncio.get_running_loop().run_in_executor(None, list_files, self._job.gcodes)
        lines = [f"{name} {size}" for name, size in listing]
        self._console.raw("\n".join(["Begin file list", *lines, "End file list"]))

    async def _card_ready(self, _: Command) -> None:
        self._console.raw("SD card ok")

    async def _refuse_write(self, _: Command) -> None:
        raise CommandError("SD write not supported")

    # Pausing

    async def pause(self, _: Command | None = None) -> None:
        if self._job.paused:
            self._console.info("Print already paused")
        elif not await self._job.pause():
            self._console.info("action:paused")

    async def resume(self, _: Command | None = None) -> None:
        job = self._job
        if job.interrupted:
            raise CommandError(job.interrupted)
        if not job.paused:
            self._console.info("Print is not paused, resume aborted")
            return
        if job.stats.state is JobState.PAUSED:
            await self._run(self._machine.settings.resume_gcode)
        if not await job.resume(self._send):
            self._console.info("action:resumed")

    async def cancel_print(self, _: Command | None = None) -> None:
        if await self._job.cancel():
            await self._run(self._machine.settings.cancel_gcode)
        else:
            self._console.info("action:cancel")

    async def _clear_pause(self, _: Command) -> None:
        self._job.paused = False

    # State

    async def _save_state(self, command: Command) -> None:
        self._saved[Options(command).text("NAME", "default")] = Modes(self._machine.motion)

    async def _restore_state(self, command: Command) -> None:
        options = Options(command)
        name = options.text("NAME", "default")
        saved = self._saved.get(name)
        if saved is None:
            raise CommandError(f"Unknown g-code state: {name}")
        speed = options.number("MOVE_SPEED", 0.0) * 60.0 or None
        await saved.restore(self._machine.motion, self._send, move=bool(options.number("MOVE", 0.0)), move_speed=speed)

    async def _print_info(self, command: Command) -> None:
        options = Options(command)
        current = int(options.number("CURRENT_LAYER")) if "CURRENT_LAYER" in options else None
        total = int(options.number("TOTAL_LAYER")) if "TOTAL_LAYER" in options else None
        self._job.stats.layers.tell(current, total)

    # Messages

    async def _echo(self, command: Command) -> None:
        self._console.info(command.line)

    async def _echo_text(self, command: Command) -> None:
        """M118, as Marlin reads it: `A1` makes an action line, `E1` and nothing an echo."""
        text, prefix = command.rest, "echo: "
        while text[:3] in ("A1 ", "E1 ", "A0 ", "E0 ", "P0 ", "P1 ", "P2 "):
            if text.startswith("A1"):
                prefix = "// "
            text = text[3:].lstrip()
        self._console.raw(f"{prefix}{text}")

    async def _respond(self, command: Command) -> None:
        options = Options(command)
        kind = options.text("TYPE", "echo").lower()
        no_space = kind == "echo_no_space"
        if not no_space and kind not in _PREFIXES:
            raise CommandError(f"RESPOND TYPE '{kind}' is invalid. Must be one of 'echo', 'command', or 'error'")
        prefix = options.text("PREFIX", "echo:" if no_space else _PREFIXES[kind])
        self._console.raw(f"{prefix}{'' if no_space else ' '}{options.text('MSG', '')}")

    async def _display_text(self, command: Command) -> None:
        message = Options(command).text("MSG", "")
        await self._send(f"M117 {message}".rstrip())

    async def _ignore(self, _: Command) -> None:
        """Line numbers are the protocol's own business."""

    # Heating and storing

    async def _temperature_wait(self, command: Command) -> None:
        options = Options(command)
        names = list(self._machine.heaters)
        heater = self._heater(options.choice("SENSOR", [*names, *(name.rpartition(" ")[2] for name in names)]))
        minimum = options.number("MINIMUM", float("-inf"))
        maximum = options.number("MAXIMUM", float("inf"))
        if "MINIMUM" not in options and "MAXIMUM" not in options:
            raise CommandError("Error on 'TEMPERATURE_WAIT': missing MINIMUM or MAXIMUM.")
        in_job = self._job.running
        while not minimum <= heater.temperature <= maximum:
            if (in_job and self._job.stopping) or self.leaving():
                return
            self._check_ready()
            await asyncio.sleep(_TEMPERATURE_POLL)

    def _heater(self, name: str) -> Heater:
        heaters = self._machine.heaters
        return next(heater for key, heater in heaters.items() if name in (key, key.rpartition(" ")[2]))

    async def _apply_probe_offset(self, _: Command) -> None:
        """The babysteps become part of the probe's offset; Marlin usually has done so by itself at M290."""
        machine = self._machine
        offset = machine.firmware.report("M851", "Z")
        if not machine.motion.babystep:
            self._console.info("Nothing to do: Z offset is 0")
            return
        if offset is not None and not machine.probe_offset_follows:
            await self._send(f"M851 Z{offset + machine.motion.babystep:.3f}")
        machine.motion.babystep = 0.0
        self._console.info("The new probe offset is in use. SAVE_CONFIG stores it in the printer's EEPROM.")

    async def _apply_endstop_offset(self, _: Command) -> None:
        """The babysteps become part of the homing offset: what is added to the endstop's position."""
        machine = self._machine
        if not machine.motion.babystep:
            self._console.info("Nothing to do: Z offset is 0")
            return
        offset = machine.firmware.report("M206", "Z") or 0.0
        await self._send(f"M206 Z{offset - machine.motion.babystep:.3f}")
        machine.motion.babystep = 0.0
        self._console.info("The new home offset counts from the next homing on. SAVE_CONFIG stores it in the EEPROM.")

    async def _save_config(self, _: Command) -> None:
        """Klipper restarts here; Marlin only has to write its EEPROM."""
        await self._send("M500")
