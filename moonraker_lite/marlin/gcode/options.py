"""The parameters of an extended command, read with Klipper's messages for what is missing or of no use."""

from __future__ import annotations

import math

from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.requests import CommandError

# No length, speed, acceleration, temperature or time of a printer is larger; a line with such a number would not fit.
LARGEST = 1e9


class Options:
    """The parameters of an extended command, with Klipper's rules: names upper case, numbers checked."""

    __slots__ = ("_command", "_values")

    def __init__(self, command: Command) -> None:
        """Raise CommandError when the command is malformed."""
        self._command = command
        self._values = command.params()

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str | None = None) -> str:
        value = self._values.get(name, default)
        if value is None:
            raise self._error(f"missing {name}")
        return value

    def number(
        self,
        name: str,
        default: float | None = None,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
        above: float | None = None,
    ) -> float:
        """Raise CommandError when absent (and no default is given), no finite number, or out of bounds."""
        if name not in self._values and default is not None:
            return default
        text = self.text(name)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._error(f"unable to parse {text}")
        if abs(value) > LARGEST:
            raise self._error(f"{name} is larger than anything a printer knows")
        if minimum is not None and value < minimum:
            raise self._error(f"{name} must have minimum of {minimum:g}")
        if maximum is not None and value > maximum:
            raise self._error(f"{name} must have maximum of {maximum:g}")
        if above is not None and value <= above:
            raise self._error(f"{name} must be above {above:g}")
        return value

    def integer(
        self, name: str, default: int | None = None, *, minimum: int | None = None, maximum: int | None = None
    ) -> int:
        value = self.number(name, default, minimum=minimum, maximum=maximum)
        if value != int(value):
            raise self._error(f"unable to parse {self._values[name]}")
        return int(value)

    def choice(self, name: str, choices: list[str], default: str | None = None) -> str:
        value = self.text(name, default)
        for choice in choices:
            if choice.lower() == value.lower():
                return choice
        options = ", ".join(f"'{choice}'" for choice in choices)
        raise CommandError(f"The value '{value}' is not valid for {name}. Options: {options}")

    def _error(self, problem: str) -> CommandError:
        return CommandError(f"Error on '{self._command.line}': {problem}")
