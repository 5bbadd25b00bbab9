"""The G-code of the fake Klipper: parsing, the commands that do something, and the recorded answers."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.fakes.klippy_job import PrintJob
from tests.fakes.klippy_printer import BUFFER_TIME, HEATERS, CommandError, Printer

Params = dict[str, str]
Handler = Callable[[Params], Awaitable[None] | None]

WHEN_NOT_READY = {"M110", "M112", "M115", "RESTART", "FIRMWARE_RESTART", "ECHO", "STATUS", "HELP"}
_CLASSIC = re.compile(r"([A-Z*])\s*([-+]?[0-9.]*)")
_NAME = re.compile(r"^\s*(?:N\d+\s*)?([A-Z_]+[0-9]*(?:\.[0-9]+)?|[GMT]\d+(?:\.\d+)?)", re.IGNORECASE)
_RAW = {"M117", "M118", "ECHO", "M23"}  # commands that take the rest of the line as it stands


class GCode:
    """Runs scripts one after the other, as Klipper does."""

    def __init__(
        self,
        printer: Printer,
        gcodes: Path,
        output: Callable[[str], None],
        restart: Callable[[], None],
        shutdown: Callable[[str], None],
    ) -> None:
        self.printer = printer
        self.lock = asyncio.Lock()
        self.output = output
        self.job = PrintJob(printer, gcodes, self.lock, self.run_line, output)
        self._restart = restart
        self._shutdown = shutdown
        self._variables = gcodes.parent / "config" / "variables.cfg"
        self._relative = self._relative_extrude = False
        self._speed = 25.0
        self._saved: dict[str, tuple[bool, bool, float, list[float]]] = {}
        self._base = [0.0, 0.0, 0.0, 0.0]
        self._commands: dict[str, Handler] = self._table()

    async def run_script(self, script: str) -> None:
        """Run the lines of a script when it is its turn. Raises CommandError; the output goes out before."""
        async with self.lock:
            try:
                for line in script.split("\n"):
                    await self.run_line(line)
                await self.printer.wait_motion(BUFFER_TIME)
            except CommandError as exc:
                self._output_error(str(exc))
                raise

    async def run_line(self, line: str) -> None:
        line = line.split(";", 1)[0].strip()
        match = _NAME.match(line)
        if not line or not match:
            return
        name, rest = match.group(1).upper(), line[match.end() :].strip()
        if self.printer.state != "ready" and name not in WHEN_NOT_READY:
            self.printer.check_alive()
        handler = self._commands.get(name)
        if handler is None:
            if name not in self.printer.status["gcode"]["commands"]:
                self.output(f'// Unknown command:"{name}"')
            return
        try:
            done = handler(_parse(name, rest))
            if done is not None:
                await done
        except OSError as exc:  # a dangling link in the folder of files is enough
            self._shutdown(f'Internal error on command:"{name}"')
            raise CommandError(f'Internal error on command:"{name}"') from exc

    def _output_error(self, message: str) -> None:
        lines = message.strip().split("\n")
        if len(lines) > 1:
            self.output("// " + "\n// ".join(lines))
        self.output("!! " + lines[0])

    # -- the commands ----------------------------------------------------------------------------------------------

    def _table(self) -> dict[str, Handler]:
        job, printer, say = self.job, self.printer, self.output
        return {
            "M105": lambda p: say(printer.temperatures()),
            "M112": lambda p: self._shutdown("Shutdown due to M112 command"),
            "M114": lambda p: say("X:{:.3f} Y:{:.3f} Z:{:.3f} E:{:.3f}".format(*printer.position)),
            "M115": lambda p: say(f"// FIRMWARE_NAME:Klipper FIRMWARE_VERSION:{printer.info['software_version']}"),
            "M117": lambda p: self._display(p.get("", "") or None),
            "SET_DISPLAY_TEXT": lambda p: self._display(p.get("MSG") or None),
            "M118": lambda p: say(f"echo: {p.get('', '')}"),
            "ECHO": lambda p: say(f"echo: {p.get('', '')}"),
            "RESPOND": self._respond,
            "STATUS": lambda p: say(f"// Klipper state: {printer.state.capitalize()}"),
            "HELP": self._help,
            "RESTART": lambda p: self._restart(),
            "FIRMWARE_RESTART": lambda p: self._restart(),
            "G0": self._move,
            "G1": self._move,
            "G4": lambda p: printer.queue(float(p.get("P", "0")) / 1000),
            "M400": lambda p: printer.wait_motion(),
            "G28": self._home,
            "G90": lambda p: self._mode(relative=False),
            "G91": lambda p: self._mode(relative=True),
            "M82": lambda p: self._mode(relative_extrude=False),
            "M83": lambda p: self._mode(relative_extrude=True),
            "G92": self._set_origin,
            "M18": lambda p: printer.motors_off(),
            "M84": lambda p: printer.motors_off(),
            "M220": lambda p: printer.status["gcode_move"].update(speed_factor=float(p.get("S", "100")) / 100),
            "M221": lambda p: printer.status["gcode_move"].update(extrude_factor=float(p.get("S", "100")) / 100),
            "SET_GCODE_OFFSET": self._offset,
            "SAVE_GCODE_STATE": self._save_state,
            "RESTORE_GCODE_STATE": self._restore_state,
            "GET_POSITION": self._get_position,
            "M104": lambda p: printer.set_target("extruder", float(p.get("S", "0"))),
            "M140": lambda p: printer.set_target("heater_bed", float(p.get("S", "0"))),
            "M109": lambda p: self._heat_and_wait("extruder", p),
            "M190": lambda p: self._heat_and_wait("heater_bed", p),
            "SET_HEATER_TEMPERATURE": self._set_heater,
            "TURN_OFF_HEATERS": lambda p: self._heaters_off(),
            "M106": lambda p: printer.status["fan"].update(speed=min(1.0, float(p.get("S", "255")) / 255)),
            "M107": lambda p: printer.status["fan"].update(speed=0.0),
            "SET_FAN_SPEED": lambda p: self._object("fan_generic", p, "FAN").update(speed=float(p.get("SPEED", "0"))),
            "SET_PIN": lambda p: self._object("output_pin", p, "PIN").update(value=float(p.get("VALUE", "0"))),
            "M73": lambda p: job.set_progress(float(p.get("P", "0"))),
            "SET_PRINT_STATS_INFO": self._layers,
            "SDCARD_PRINT_FILE": self._print_file,
            "SDCARD_RESET_FILE": lambda p: self._reset_file(),
            "M20": lambda p: self._list_files(),
            "M23": lambda p: job.load(p.get("", "").strip()),
            "M24": lambda p: job.start(),
            "M25": lambda p: job.pause(),
            "M27": lambda p: self._report_progress(),
            "PAUSE": lambda p: self._pause(),
            "RESUME": lambda p: self._resume(),
            "CLEAR_PAUSE": lambda p: printer.status["pause_resume"].update(is_paused=False),
            "CANCEL_PRINT": lambda p: self._cancel(),
            "EXCLUDE_OBJECT_DEFINE": self._define_object,
            "EXCLUDE_OBJECT_START": lambda p: self._exclude().update(current_object=p.get("NAME", "").upper()),
            "EXCLUDE_OBJECT_END": lambda p: self._exclude().update(current_object=None),
            "EXCLUDE_OBJECT": self._exclude_object,
            "SAVE_VARIABLE": self._save_variable,
            "BED_MESH_PROFILE": self._mesh_profile,
            "BED_MESH_CLEAR": lambda p: printer.status["bed_mesh"].update(profile_name="", mesh_matrix=[[]]),
            "QUERY_ENDSTOPS": lambda p: self._query_endstops(),
            "PRINT_START": lambda p: self._print_start(),
            "PRINT_END": lambda p: self._print_end(),
            "HELLO": lambda p: say(f"echo: hello {printer.status['gcode_macro HELLO']['who']} {p.get('X', '1')}"),
            "RAISE": self._raise,
        }

    def _display(self, text: str | None) -> None:
        self.printer.status["display_status"]["message"] = text

    def _respond(self, params: Params) -> None:
        prefixes = {"echo": "echo:", "command": "//", "error": "!!"}
        prefix = params.get("PREFIX") or prefixes.get(params.get("TYPE", "echo").lower(), "echo:")
        self.output(f"{prefix} {params.get('MSG', '')}")

    def _help(self, _params: Params) -> None:
        lines = [f"{name:<10}: {text}" for name, text in sorted(self.printer.help.items())]
        self.output("// " + "\n// ".join(["Available extended commands:", *lines]))

    def _move(self, params: Params) -> None:
        gcode_move = self.printer.status["gcode_move"]
        target = list(self.printer.position)
        for axis, letter in enumerate("XYZE"):
            if letter not in params:
                continue
            value = float(params[letter])
            relative = self._relative or (letter == "E" and self._relative_extrude)
            target[axis] = value + (target[axis] if relative else self._base[axis])
        if "F" in params:
            self._speed = float(params["F"]) / 60
            gcode_move["speed"] = float(params["F"])
        extrudes = target[3] > self.printer.position[3]
        self.printer.move(target, self._speed * gcode_move["speed_factor"])
        if extrudes:
            self.job.note_extrusion()
        self._show_position()

    def _show_position(self) -> None:
        position = self.printer.position
        shown = [value - base for value, base in zip(position, self._base, strict=True)]
        self.printer.status["gcode_move"].update(position=list(position), gcode_position=shown)

    async def _home(self, params: Params) -> None:
        axes = "".join(axis for axis in "xyz" if axis.upper() in params) or "xyz"
        self.printer.home(axes)
        self._show_position()
        await self.printer.wait_motion()

    def _mode(self, *, relative: bool | None = None, relative_extrude: bool | None = None) -> None:
        gcode_move = self.printer.status["gcode_move"]
        if relative is not None:
            self._relative = relative
            gcode_move["absolute_coordinates"] = not relative
        if relative_extrude is not None:
            self._relative_extrude = relative_extrude
            gcode_move["absolute_extrude"] = not relative_extrude

    def _set_origin(self, params: Params) -> None:
        for axis, letter in enumerate("XYZE"):
            if letter in params or not params:
                self._base[axis] = self.printer.position[axis] - float(params.get(letter, "0"))
        self._show_position()

    def _offset(self, params: Params) -> None:
        origin = self.printer.status["gcode_move"]["homing_origin"]
        for axis, letter in enumerate("XYZE"):
            if letter in params:
                origin[axis] = float(params[letter])
            elif f"{letter}_ADJUST" in params:
                origin[axis] += float(params[f"{letter}_ADJUST"])

    def _save_state(self, params: Params) -> None:
        state = (self._relative, self._relative_extrude, self._speed, list(self._base))
        self._saved[params.get("NAME", "default")] = state

    def _restore_state(self, params: Params) -> None:
        name = params.get("NAME", "default")
        if name not in self._saved:
            raise CommandError(f"Unknown g-code state: {name}")
        relative, relative_extrude, self._speed, base = self._saved[name]
        self._base = list(base)
        self._mode(relative=relative, relative_extrude=relative_extrude)

    def _get_position(self, _params: Params) -> None:
        x, y, z, e = self.printer.position
        axes = f"X:{x:.6f} Y:{y:.6f} Z:{z:.6f}"
        lines = [
            f"mcu: stepper_x:{x * 80:.0f} stepper_y:{y * 80:.0f} stepper_z:{z * 400:.0f}",
            f"stepper: stepper_x:{x:.6f} stepper_y:{y:.6f} stepper_z:{z:.6f}",
            f"kinematic: {axes}",
            f"toolhead: {axes} E:{e:.6f}",
            f"gcode: {axes} E:{e:.6f}",
            "gcode base: X:0.000000 Y:0.000000 Z:0.000000 E:0.000000",
            "gcode homing: X:0.000000 Y:0.000000 Z:0.000000",
        ]
        self.output("// " + "\n// ".join(lines))

    async def _heat_and_wait(self, heater: str, params: Params) -> None:
        self.printer.set_target(heater, float(params.get("S", "0")))
        status = self.printer.status[heater]
        while status["target"] and abs(status["temperature"] - status["target"]) > 1.0:
            self.output(self.printer.temperatures())
            await self.printer.sleep(1.0)
            self.printer.check_alive()
            self.printer.refresh(printing=True)

    def _set_heater(self, params: Params) -> None:
        heater = params.get("HEATER", "")
        if heater not in HEATERS:
            raise CommandError(f"The value '{heater}' is not valid for HEATER. Options: 'heater_bed', 'extruder'")
        self.printer.set_target(heater, float(params.get("TARGET", "0")))

    def _heaters_off(self) -> None:
        for heater in HEATERS:
            self.printer.set_target(heater, 0.0)

    def _object(self, kind: str, params: Params, key: str) -> dict[str, object]:
        value = params.get(key, "")
        found = self.printer.status.get(f"{kind} {value}")
        if found is None:
            raise CommandError(f"The value '{value}' is not valid for {key}")
        return found

    def _layers(self, params: Params) -> None:
        info = dict(self.printer.status["print_stats"]["info"])
        for key in ("TOTAL_LAYER", "CURRENT_LAYER"):
            if key in params:
                info[key.lower()] = int(params[key])
        self.printer.status["print_stats"]["info"] = info

    # -- printing --------------------------------------------------------------------------------------------------

    def _print_file(self, params: Params) -> None:
        self.job.load(params.get("FILENAME", ""))
        self.job.start()

    def _reset_file(self) -> None:
        if self.job.active:
            raise CommandError("SDCARD_RESET_FILE cannot be run from the sdcard")
        self.job.reset()

    def _list_files(self) -> None:
        self.output("Begin file list")
        for name, size in self.job.files():
            self.output(f"{name} {size}")
        self.output("End file list")

    def _report_progress(self) -> None:
        sdcard = self.printer.status["virtual_sdcard"]
        if sdcard["file_path"] is None:
            self.output("Not SD printing.")
        else:
            self.output(f"SD printing byte {sdcard['file_position']}/{sdcard['file_size']}")

    async def _pause(self) -> None:
        pause_resume = self.printer.status["pause_resume"]
        if pause_resume["is_paused"]:
            self.output("// Print already paused")
            return
        if self.job.active:
            await self.job.pause()
        else:
            self.output("// action:paused")
        pause_resume["is_paused"] = True

    def _resume(self) -> None:
        pause_resume = self.printer.status["pause_resume"]
        if not pause_resume["is_paused"]:
            self.output("// Print is not paused, resume aborted")
            return
        if self.printer.status["virtual_sdcard"]["file_path"] is None:
            self.output("// action:resumed")
        else:
            self.job.start()
        pause_resume["is_paused"] = False

    async def _cancel(self) -> None:
        if self.printer.status["virtual_sdcard"]["file_path"] is None:
            self.output("// action:cancel")
        await self.job.cancel()
        self.printer.status["pause_resume"]["is_paused"] = False

    async def _print_start(self) -> None:
        macro = self.printer.status["gcode_macro PRINT_START"]
        macro["count"] += 1
        self.output("echo: print start")
        await self._home({})
        self._mode(relative=False)

    def _print_end(self) -> None:
        self._heaters_off()
        self.printer.status["fan"]["speed"] = 0.0

    def _raise(self, _params: Params) -> None:
        raise CommandError("Error evaluating 'gcode_macro RAISE:gcode': gcode.CommandError: raised by macro\n")

    # -- the rest --------------------------------------------------------------------------------------------------

    def _exclude(self) -> dict[str, object]:
        return self.printer.status["exclude_object"]

    def _define_object(self, params: Params) -> None:
        entry: dict[str, object] = {"name": params.get("NAME", "").upper()}
        if "CENTER" in params:
            entry["center"] = [float(value) for value in params["CENTER"].split(",")]
        self.printer.status["exclude_object"]["objects"].append(entry)

    def _exclude_object(self, params: Params) -> None:
        name = params.get("NAME", "").upper()
        if name:
            self.printer.status["exclude_object"]["excluded_objects"].append(name)
            self.output(f"// Excluding object {name}")

    def _save_variable(self, params: Params) -> None:
        variables = self.printer.status["save_variables"]["variables"]
        value = params.get("VALUE", "")
        variables[params.get("VARIABLE", "").lower()] = int(value) if value.lstrip("-").isdigit() else value.strip("'")
        lines = [f"{name} = {value!r}" for name, value in sorted(variables.items())]
        self._variables.parent.mkdir(parents=True, exist_ok=True)
        self._variables.write_text("[Variables]\n" + "\n".join(lines) + "\n\n")

    def _mesh_profile(self, params: Params) -> None:
        mesh = self.printer.status["bed_mesh"]
        name = params.get("LOAD")
        if name is not None:
            if name not in mesh["profiles"]:
                raise CommandError(f"bed_mesh: Unknown profile [{name}]")
            mesh.update(profile_name=name, mesh_matrix=mesh["profiles"][name]["points"])

    async def _query_endstops(self) -> None:
        await self.printer.sleep(0.25)
        self.output("stepper_x:open stepper_y:open stepper_z:open")
        self.printer.status["query_endstops"]["last_query"] = dict.fromkeys(("stepper_x", "stepper_y", "stepper_z"), 0)


def _parse(name: str, rest: str) -> Params:
    """Parameters by name: letters of classic G-code, KEY=VALUE of Klipper's own; "" for the rest of a raw line."""
    if name in _RAW:
        return {"": rest}
    if re.fullmatch(r"[GMT]\d+(\.\d+)?", name):
        return {letter: value or "0" for letter, value in _CLASSIC.findall(rest.upper())}
    try:
        words = shlex.split(rest)
    except ValueError as exc:
        raise CommandError(f"Malformed command '{name} {rest}'") from exc
    pairs = (word.partition("=") for word in words)
    return {key.upper(): value for key, sep, value in pairs if sep}
