"""What the owner's configuration adds to the printer: macros and delayed G-code, and how the rest sees them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moonraker_lite.errors import HostError
from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.gcode.delayed import DelayedGcodes
from moonraker_lite.marlin.gcode.help import HELP
from moonraker_lite.marlin.gcode.interpreter import Interpreter
from moonraker_lite.marlin.gcode.literals import LiteralError, literal
from moonraker_lite.marlin.gcode.macros import DELAYED_PREFIX, PREFIX, Macros, Script
from moonraker_lite.marlin.gcode.outputs import KINDS, Outputs
from moonraker_lite.marlin.gcode.variables import SavedVariables
from moonraker_lite.marlin.objects import StatusObjects
from moonraker_lite.marlin.printer_config import Sections
from moonraker_lite.marlin.requests import CommandError

_LOGGER = logging.getLogger(__name__)

RemoteCall = Callable[[str, dict[str, Any]], bool]


class MacroActions:
    """What macros may see and do; see `MacroHost`. `objects` and `remote` are set when they are there."""

    def __init__(self, console: Console, emergency_stop: Callable[[str], None]) -> None:
        self._console = console
        self._emergency_stop = emergency_stop
        self.objects: StatusObjects | None = None
        # Calls a method that a client has registered; False: nobody has.
        self.remote: RemoteCall = lambda method, params: False
        self.clock: Callable[[], float] = lambda: 0.0

    def object_names(self) -> list[str]:
        return self.objects.names() if self.objects is not None else []

    def object_status(self, name: str) -> dict[str, Any] | None:
        return self.objects.snapshot(name, self.clock()) if self.objects is not None else None

    def respond(self, message: str) -> None:
        self._console.info(message)

    def emergency_stop(self, reason: str) -> None:
        self._emergency_stop(reason)

    def call_remote_method(self, method: str, params: dict[str, Any]) -> None:
        if not self.remote(method, params):
            raise CommandError(f"Remote Method '{method}' not registered")


class OwnersCommands:
    """The macros, delayed scripts and outputs of marlin.cfg, loaded into the interpreter."""

    def __init__(self, interpreter: Interpreter, outputs: Outputs) -> None:
        self._interpreter = interpreter
        self._outputs = outputs
        self._macros = interpreter.macros
        self._delayed = DelayedGcodes(self._run_delayed)
        self.variables = SavedVariables()
        interpreter.add({"UPDATE_DELAYED_GCODE": self._delayed.update, **self.variables.table})
        self._sections: Sections = {}
        # What `[idle_timeout] gcode` wants done in place of switching heaters and motors off.
        self.idle: Script | None = None

    def load(self, sections: Sections, folder: Path | None = None) -> list[str]:
        """Take the configuration, which lies in `folder`, in place of the one before; return what is wrong with it."""
        self._sections = {name: options for name, options in sections.items() if name.partition(" ")[0] in _SECTIONS}
        problems = self._macros.load(sections, self._interpreter.exists)
        problems += self._delayed.load(sections, self._macros)
        self.idle = None
        if source := sections.get("idle_timeout", {}).get("gcode", "").strip():
            try:
                self.idle = self._macros.script("idle_timeout:gcode", source)
            except ValueError as error:
                problems.append(f"[idle_timeout] {error}; it is left out")
        problems += self.variables.load(sections, folder)
        return problems + self._outputs.load(sections)

    def ready(self) -> None:
        """The printer has become ready: what waits for that begins to wait its time."""
        self._delayed.start()

    async def stop(self) -> None:
        self._delayed.stop()
        await self._delayed.ended()

    async def _run_delayed(self, script: Script) -> None:
        try:
            await self._interpreter.run_template(script)
        except HostError as error:
            _LOGGER.warning("A delayed G-code failed: %s", error.message)

    def show(self, configfile: dict[str, Any]) -> dict[str, Any]:
        """Return the `configfile` object with the owner's sections: that is what frontends make buttons of."""
        config, settings = dict(configfile["config"]), dict(configfile["settings"])
        for section, options in self._sections.items():
            kind, _, name = section.partition(" ")
            if kind == PREFIX and self._macros.find(name.strip().upper()) is None:
                continue  # it was left out
            if kind in KINDS:
                if section in self._outputs.names():
                    settings[section.lower()] = {**settings.get(section.lower(), {}), **self._outputs.settings(section)}
                continue
            for known in [key for key in config if key.lower() == section.lower()]:
                del config[known]
            config[section] = options
            settings[section.lower()] = {name: _value(name, text) for name, text in options.items()}
        return {**configfile, "config": config, "settings": settings}


def problems_of(sections: Sections) -> list[str]:
    """Return what is wrong with the owner's sections, without a printer."""
    macros = Macros(MacroActions(Console(lambda text: None), lambda reason: None))
    problems = macros.load(sections, HELP.__contains__)
    problems += DelayedGcodes(_nobody).load(sections, macros)
    return problems + Outputs(_nobody).load(sections)


async def _nobody(_: object) -> Any:
    """Runs nothing."""


_SECTIONS = (PREFIX, DELAYED_PREFIX, *KINDS)


def _value(option: str, text: str) -> Any:
    """Return an option as Klipper's `settings` have it: parsed."""
    if option == "initial_duration" or option.startswith("variable_"):
        try:
            return literal(text)
        except LiteralError:
            pass
    return text
