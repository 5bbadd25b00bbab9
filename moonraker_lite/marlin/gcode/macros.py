"""`[gcode_macro NAME]`: commands that the owner writes, with Klipper's semantics.

A macro's text is a template. It is rendered as a whole when the macro is called, with `params`, `rawparams`, the
macro's variables, `printer` and the `action_...` functions; then its lines are run as if they stood in its place.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from moonraker_lite.errors import HostError
from moonraker_lite.marlin.gcode.literals import LiteralError, literal
from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.status_view import LoopCalls, PrinterView, copied
from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.requests import CommandError

if TYPE_CHECKING:
    from moonraker_lite.marlin.gcode.templates import MacroEnvironment, Template

_LOGGER = logging.getLogger(__name__)

PREFIX = "gcode_macro"
DELAYED_PREFIX = "delayed_gcode"
DEFAULT_DESCRIPTION = "G-Code macro"

_TRADITIONAL = re.compile(r"[A-Z][0-9]+(\.[0-9]+)?")
_EXTENDED = re.compile(r"[A-Z_][A-Z0-9_]+")
_VARIABLE = "variable_"
_KNOWN = frozenset({"gcode", "description", "rename_existing"})


class MacroHost(Protocol):
    """What macros may do to the rest, always on the event loop."""

    def object_names(self) -> list[str]: ...
    def object_status(self, name: str) -> dict[str, Any] | None: ...
    def respond(self, message: str) -> None: ...
    def emergency_stop(self, reason: str) -> None: ...
    def call_remote_method(self, method: str, params: dict[str, Any]) -> None:
        """Raise CommandError when nobody has registered it."""


class RaisedByMacro(Exception):
    """`action_raise_error`."""


class Script:
    """A template with a name for its errors, such as `gcode_macro PURGE:gcode`."""

    def __init__(self, place: str, template: Template) -> None:
        self._place = place
        self._template = template

    async def render(self, host: MacroHost, variables: Mapping[str, Any]) -> str:
        """Render in a thread, so that no macro stops the printer. Raise CommandError."""
        from moonraker_lite.marlin.gcode.templates import RenderError

        loop = asyncio.get_running_loop()
        context = {**variables, **_context(host, LoopCalls(loop))}
        try:
            return await loop.run_in_executor(
                None, self._template.render, context, (RaisedByMacro, HostError, TimeoutError)
            )
        except RenderError as error:
            raise CommandError(f"Error evaluating '{self._place}': {error}") from None
        except RaisedByMacro as error:
            raise CommandError(str(error)) from None
        except TimeoutError:
            raise CommandError(f"Error evaluating '{self._place}': the printer's state could not be had") from None


class Macro:
    """One macro. `name` is its command, `section` as it stands in the file, `variables` is replaced, never changed."""

    def __init__(
        self, section: str, name: str, script: Script, description: str, original: str | None, variables: dict[str, Any]
    ) -> None:
        self.section = section
        self.name = name
        self.script = script
        self.description = description
        self.original = original
        self.variables = variables


class Macros:
    """All macros by name. Empty until `load`, and without Jinja2 as long as there is none."""

    def __init__(self, host: MacroHost) -> None:
        self._host = host
        self._environment: MacroEnvironment | None = None
        self._macros: dict[str, Macro] = {}
        self._originals: dict[str, str] = {}
        self.version = 0

    # Reading the configuration

    def load(self, sections: Mapping[str, Mapping[str, str]], exists: Callable[[str], bool]) -> list[str]:
        """Take the macros of a configuration in place of those before; return what is wrong with it.

        `exists` tells of a name whether the host has a command of that name. A macro that is wrong is left out.
        """
        self._macros, self._originals = {}, {}
        self.version += 1
        problems: list[str] = []
        for section, options in sections.items():
            if section.partition(" ")[0] == PREFIX:
                try:
                    problems += self._add(section, options, exists)
                except _Wrong as wrong:
                    problems.append(f"[{section}] {wrong}; the macro is left out")
        return problems

    def _add(self, section: str, options: Mapping[str, str], exists: Callable[[str], bool]) -> list[str]:
        """Add one macro; return what does not hinder it. Raise _Wrong."""
        name = _command_name(section)
        if name in self._macros:
            raise _Wrong("there is another macro of this name")
        if "gcode" not in options:
            raise _Wrong("gcode: the option is required here and missing")
        original = options.get("rename_existing", "").strip().upper() or None
        problems = self._check_names(section, name, original, exists)
        if problems:
            original = None
        script = self.script(f"{section}:gcode", options["gcode"])
        variables = {}
        for option, text in options.items():
            if option.startswith(_VARIABLE):
                try:
                    variables[option.removeprefix(_VARIABLE)] = literal(text)
                except LiteralError as error:
                    raise _Wrong(f"{option}: {text!r} is not a valid literal: {error}") from None
            elif option not in _KNOWN:
                problems.append(f"[{section}] {option}: a macro has no such option; it is left out")
        description = options.get("description", "").strip() or DEFAULT_DESCRIPTION
        self._macros[name] = Macro(section, name, script, description, original, variables)
        if original is not None:
            self._originals[original] = name
        return problems

    def _check_names(self, section: str, name: str, original: str | None, exists: Callable[[str], bool]) -> list[str]:
        """Return what is wrong with `rename_existing`. Raise _Wrong when the macro cannot have its name."""
        traditional = is_traditional(name)
        if original is None:
            if not traditional and exists(name):
                raise _Wrong(f"there is a command {name} already: rename_existing gives that another name")
            return []
        where = f"[{section}] rename_existing:"
        if is_traditional(original) != traditional:
            raise _Wrong(f"rename_existing: {name} and {original} are of different types: M117 may become M9117")
        if not traditional and not exists(name):
            return [f"{where} there is no command {name} that could be renamed"]
        if original in self._originals or original in self._macros or (not traditional and exists(original)):
            raise _Wrong(f"rename_existing: there is a command {original} already")
        if not (_TRADITIONAL if traditional else _EXTENDED).fullmatch(original):
            raise _Wrong(f"rename_existing: {original!r} cannot be the name of a command")
        return []

    def script(self, place: str, source: str) -> Script:
        """Compile a template. Raise _Wrong (a ValueError) when it cannot be."""
        from moonraker_lite.marlin.gcode.templates import MacroEnvironment, RenderError, Template

        if self._environment is None:
            self._environment = MacroEnvironment()
        try:
            return Script(place, Template(self._environment, source))
        except RenderError as error:
            raise _Wrong(f"gcode: {error}") from None

    # What is there

    def find(self, name: str) -> Macro | None:
        return self._macros.get(name)

    def original(self, name: str) -> str | None:
        """Return the command that has been renamed to `name`."""
        return self._originals.get(name)

    @property
    def overridden(self) -> frozenset[str]:
        """Commands of the firmware that are macros here, and names under which the firmware's own are reached."""
        return frozenset(name for name in (*self._macros, *self._originals) if is_traditional(name))

    def commands(self) -> dict[str, dict[str, str]]:
        """Return what the macros add to `gcode.commands`."""
        table = {name: {"help": macro.description} for name, macro in self._macros.items()}
        return {**table, **{name: {} for name in self._originals}}

    def object_names(self) -> list[str]:
        return [macro.section for macro in self._macros.values()]

    def status(self, section: str) -> dict[str, Any] | None:
        """Return the fields of an object `gcode_macro NAME`: its variables."""
        macro = self._by_section(section)
        return macro.variables if macro is not None else None

    def _by_section(self, section: str) -> Macro | None:
        macro = self._macros.get(section.partition(" ")[2].strip().upper())
        return macro if macro is not None and section.partition(" ")[0] == PREFIX else None

    # Running

    async def render(self, macro: Macro, command: Command) -> str:
        """Return the commands of a call. Raise CommandError."""
        params = command.words() if command.traditional else command.params()
        variables = {name: copied(value) for name, value in macro.variables.items()}
        return await macro.script.render(self._host, {**variables, "params": params, "rawparams": command.rest})

    async def set_variable(self, command: Command) -> None:
        """SET_GCODE_VARIABLE."""
        options = Options(command)
        wanted = options.text("MACRO")
        macro = self._macros.get(wanted.upper())
        if macro is None:
            raise CommandError(f"The value '{wanted}' is not valid for MACRO")
        variable, text = options.text("VARIABLE"), options.text("VALUE")
        if variable not in macro.variables:
            raise CommandError(f"Unknown gcode_macro variable '{variable}'")
        try:
            value = literal(text)
        except LiteralError as error:
            raise CommandError(f"Unable to parse '{text}' as a literal: {error} in '{command.line}'") from None
        macro.variables = {**macro.variables, variable: value}


class _Wrong(ValueError):
    """A section that cannot be used."""


def is_traditional(name: str) -> bool:
    """Whether a command name is a letter and a number, such as M600 or G29.1."""
    return _TRADITIONAL.fullmatch(name) is not None


def _command_name(section: str) -> str:
    """Return the command of `gcode_macro NAME`. Raise _Wrong."""
    name = section.partition(" ")[2].strip().upper()
    if " " in name:
        raise _Wrong(f"the name {name!r} has blanks")
    if not (_TRADITIONAL.fullmatch(name) or _EXTENDED.fullmatch(name)):
        raise _Wrong(f"{name!r} cannot be the name of a command")
    return name


def _context(host: MacroHost, on_loop: LoopCalls) -> dict[str, Any]:
    """Return what every template is given. The functions run in the rendering thread."""

    def respond(message: object) -> str:
        text = str(message)
        on_loop(lambda: host.respond(text))
        return ""

    def raise_error(message: object) -> str:
        raise RaisedByMacro(str(message))

    def emergency_stop(message: object = "action_emergency_stop") -> str:
        reason = f"Shutdown due to {message}"
        on_loop(lambda: host.emergency_stop(reason))
        return ""

    def call_remote_method(method: object, **params: Any) -> str:
        name = str(method)
        try:
            msgspec.json.encode(params)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise RaisedByMacro(f"action_call_remote_method {name}: {error}") from None
        on_loop(lambda: host.call_remote_method(name, params))
        return ""

    def log(message: object) -> str:
        _LOGGER.info("Macro: %s", message)
        return ""

    return {
        "printer": PrinterView(on_loop, host.object_names, host.object_status),
        "action_respond_info": respond,
        "action_log": log,
        "action_raise_error": raise_error,
        "action_emergency_stop": emergency_stop,
        "action_call_remote_method": call_remote_method,
    }
