"""The configuration as the rest of the program sees it: typed sections, warnings, provenance."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from moonraker_lite.config.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)


class Config:
    """A configuration that was read. Stub: an empty file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors: list[ConfigError] = []

    def has(self, section: str) -> bool:
        """Whether the section stands in the files."""
        return False

    def sections(self, prefix: str | None = None) -> list[str]:
        """Full names in file order; with a prefix `webcam` only `webcam` and `webcam x`."""
        return []

    def decode(self, section: str, type_: type[T]) -> T:
        """The section as a frozen Struct; defaults where it is absent. Raises ConfigError on an invalid value."""
        return type_()

    def template(self, section: str, option: str) -> str:
        """The option with its Jinja2 expressions rendered; "" when it is absent. Raises ConfigError."""
        return ""

    def known_sections(self, names: Iterable[str]) -> None:
        """Name the sections (and prefixes: `webcam` covers `webcam x`) that exist; others become warnings."""

    def warnings(self) -> list[str]:
        """Errors, missing includes, unknown sections and, after all decodes, unknown options."""
        return [str(error) for error in self.errors]

    def parsed(self) -> dict[str, dict[str, Any]]:
        """Typed values of what was decoded, as JSON-able values (server.config `config`)."""
        return {}

    def original(self) -> dict[str, dict[str, str]]:
        """Values as they stand in the files, secrets redacted (server.config `orig`)."""
        return {"DEFAULT": {}}

    def files(self) -> list[dict[str, Any]]:
        """`[{"filename": "moonraker.conf", "sections": [...]}]` (server.config `files`)."""
        return []


def load_config(path: Path) -> Config:
    """Read a configuration; never raises for bad content. A missing file gives an empty Config."""
    return Config(path)
