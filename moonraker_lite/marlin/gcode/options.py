"""The parameters of an extended command, read with Klipper's messages for what is missing or of no use."""

from __future__ import annotations

from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.requests import CommandError


class Options:
    """The parameters of an extended command, with Klipper's rules: names upper case, numbers checked."""

    __slots__ = ("_command", "_values")

    def __init__(self, command: Command) -> None:
        self._command = command
        self._values = command.params()

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str | None = None) -> str:
        value = self._values.get(name, default)
        if value is None:
            raise CommandError(f"Error on '{self._command.line}': missing {name}")
        return value

    def number(self, name: str, default: float | None = None, *, minimum: float | None = None) -> float:
        if name not in self._values and default is not None:
            return default
        text = self.text(name)
        try:
            value = float(text)
        except ValueError:
            raise CommandError(f"Error on '{self._command.line}': unable to parse {text}") from None
        if value != value or value in (float("inf"), float("-inf")):
            raise CommandError(f"Error on '{self._command.line}': unable to parse {text}")
        if minimum is not None and value < minimum:
            raise CommandError(f"Error on '{self._command.line}': {name} must have minimum of {minimum:g}")
        return value

    def choice(self, name: str, choices: list[str], default: str | None = None) -> str:
        value = self.text(name, default)
        for choice in choices:
            if choice.lower() == value.lower():
                return choice
        options = ", ".join(f"'{choice}'" for choice in choices)
        raise CommandError(f"The value '{value}' is not valid for {name}. Options: {options}")
