"""`[save_variables]`: values that macros keep in a file, over restarts."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from moonraker_lite.marlin.gcode.literals import LiteralError, literal
from moonraker_lite.marlin.gcode.options import Options
from moonraker_lite.marlin.gcode.words import Command
from moonraker_lite.marlin.requests import CommandError

SECTION = "save_variables"
MAX_BYTES = 1 << 20
_LINE = re.compile(r"\s*([a-z_][a-z0-9_]*)\s*[=:]\s*(.*)")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")


class SavedVariables:
    """The variables of one file; None without a section. `variables` is replaced, never changed."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self.variables: dict[str, Any] = {}
        self._lock = asyncio.Lock()
        self.table: dict[str, Callable[[Command], Awaitable[None]]] = {"SAVE_VARIABLE": self._save}

    def load(self, sections: Mapping[str, Mapping[str, str]], folder: Path | None) -> list[str]:
        """Read the file that the configuration names, relative to `folder`; return what is wrong."""
        self._path, self.variables = None, {}
        if SECTION not in sections:
            return []
        name = sections[SECTION].get("filename", "").strip()
        if not name:
            return [f"[{SECTION}] filename: the option is required here and missing"]
        self._path = (folder or Path()) / Path(name).expanduser()
        try:
            self.variables = read(self._path)
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            self._path = None
            return [f"[{SECTION}] filename: {name} cannot be used: {error}"]
        return []

    def status(self) -> dict[str, Any]:
        return {"variables": self.variables}

    @property
    def present(self) -> bool:
        return self._path is not None

    async def _save(self, command: Command) -> None:
        """SAVE_VARIABLE VARIABLE= VALUE=: it is in the file when this returns."""
        options = Options(command)
        name, text = options.text("VARIABLE"), options.text("VALUE")
        path = self._path
        if path is None:
            raise CommandError(f"[{SECTION}] with a filename is missing in marlin.cfg")
        if not _NAME.fullmatch(name):
            raise CommandError("VARIABLE must not contain upper case or odd characters")
        try:
            value = literal(text)
        except LiteralError as error:
            raise CommandError(f"Unable to parse '{text}' as a literal: {error}") from None
        async with self._lock:
            variables = {**self.variables, name: value}
            try:
                await asyncio.get_running_loop().run_in_executor(None, write, path, variables)
            except (OSError, ValueError) as error:
                raise CommandError(f"Unable to save variable: {error}") from None
            self.variables = variables


def read(path: Path) -> dict[str, Any]:
    """Return the variables of a file as Klipper writes it. Raise OSError, ValueError."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError("it is larger than 1 MiB")
    variables: dict[str, Any] = {}
    for number, line in enumerate(data.decode().splitlines(), 1):
        if match := _LINE.fullmatch(line):
            try:
                variables[match[1]] = literal(match[2])
            except LiteralError as error:
                raise ValueError(f"line {number}: {error}") from None
        elif line.strip() and line.strip().lower() != "[variables]" and line.lstrip()[0] not in "#;":
            raise ValueError(f"line {number} is no variable")
    return variables


def write(path: Path, variables: Mapping[str, Any]) -> None:
    """Write the whole file anew: it is there whole, or as it was before. Raise OSError, ValueError."""
    text = "".join(f"{name} = {value!r}\n" for name, value in sorted(variables.items()))
    data = f"[Variables]\n{text}".encode()
    if len(data) > MAX_BYTES:
        raise ValueError("the file would become larger than 1 MiB")
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
