"""EXCLUDE_OBJECT and its kin: what the objects of a print are, and which of them to leave out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from moonraker_lite.marlin.console import Console
from moonraker_lite.marlin.gcode.exclude import ExcludedObjects
from moonraker_lite.marlin.gcode.labels import Labels
from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.requests import CommandError


class ObjectCommands:
    """Handlers of the four commands, and of M486, which is Marlin's for the same."""

    def __init__(self, objects: ExcludedObjects, labels: Labels, console: Console) -> None:
        self._objects = objects
        self._labels = labels
        self._console = console
        self.table: dict[str, Callable[[Command], Awaitable[None]]] = {
            "EXCLUDE_OBJECT": self._exclude,
            "EXCLUDE_OBJECT_DEFINE": self._define,
            "EXCLUDE_OBJECT_END": self._end,
            "EXCLUDE_OBJECT_START": self._start,
            "M486": self._m486,
        }

    async def _define(self, command: Command) -> None:
        options = Options(command)
        self._labels.commands()
        if _flag(options, "RESET"):
            self._objects.reset()
        if "NAME" in options:
            details: dict[str, object] = {}
            if "CENTER" in options:
                details["center"] = _json(command, f"[{options.text('CENTER')}]", list[float])
            if "POLYGON" in options:
                details["polygon"] = _json(command, options.text("POLYGON"), list[tuple[float, float]])
            self._objects.define(options.text("NAME").upper(), **details)
        elif not _flag(options, "RESET"):
            self._console.info(f"Known objects: {self._names([known['name'] for known in self._objects.objects])}")

    async def _start(self, command: Command) -> None:
        self._labels.commands()
        self._objects.start(Options(command).text("NAME").upper())

    async def _end(self, command: Command) -> None:
        name = Options(command).text("NAME", "").upper()
        if self._objects.current is None:
            self._console.info("EXCLUDE_OBJECT_END called, but no object is currently active")
        elif name and name != self._objects.current:
            self._console.info(
                f"EXCLUDE_OBJECT_END NAME={name} does not match the current object {self._objects.current}"
            )
        else:
            self._objects.end()

    async def _exclude(self, command: Command) -> None:
        options = Options(command)
        name = options.text("NAME", "").upper()
        if _flag(options, "RESET"):
            for excluded in [name] if name else self._objects.excluded:
                self._objects.include(excluded)
        elif name:
            self._objects.exclude(name)
        elif _flag(options, "CURRENT"):
            if self._objects.current is None:
                raise CommandError("There is no current object to exclude")
            self._objects.exclude(self._objects.current)
        else:
            self._console.info(f"Excluded objects: {self._names(self._objects.excluded)}")

    async def _m486(self, command: Command) -> None:
        self._labels.m486(command.rest)

    @staticmethod
    def _names(names: list[str]) -> str:
        return " ".join(names) or "none"


def _flag(options: Options, name: str) -> bool:
    return name in options and options.text(name) not in ("", "0")


def _json(command: Command, text: str, kind: object) -> object:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise CommandError(f"Error on '{command.line}': unable to parse {text}") from None
