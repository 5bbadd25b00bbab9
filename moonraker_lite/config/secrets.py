"""The secrets file: credentials that stand apart from the configuration, so that this can be shown to others.

It is INI (all values are texts) or JSON, at `<data path>/moonraker.secrets` or where `[secrets] secrets_path` points.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moonraker_lite.config.dialect import parse
from moonraker_lite.config.errors import ConfigError

MAX_SECRETS_BYTES = 1 << 20


class Secrets:
    """What templates see as `secrets`: `{secrets.section.name}`. It has no public methods, which could hide a key."""

    __slots__ = ("_path", "_values")

    def __init__(self, values: dict[str, Any], path: str = "secrets") -> None:
        self._values = values
        self._path = path

    def __getitem__(self, key: object) -> Any:
        if key not in self._values:
            raise MissingSecret(f"{self._path}.{key} is not in the secrets file")
        value = self._values[str(key)]
        return Secrets(value, f"{self._path}.{key}") if isinstance(value, dict) else value

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<{self._path}: {len(self._values)} entries>"


def leaf_texts(secrets: Secrets) -> Iterator[str]:
    """Every text in the secrets file, for hiding it in the log."""
    for key in secrets:
        value = secrets[key]
        for leaf in value if isinstance(value, list) else [value]:
            if isinstance(leaf, Secrets):
                yield from leaf_texts(leaf)
            elif isinstance(leaf, str):
                yield leaf


class MissingSecret(Exception):
    """A template asks for a secret that the file does not have. Not a LookupError: Jinja2 would print nothing."""


def load_secrets(path: Path) -> Secrets:
    """Read the file; no file means no secrets.

    Raises:
        ConfigError: the file is there and cannot be read. The message never quotes from it.
    """
    try:
        if not path.is_file():
            return Secrets({})
        with path.open("rb") as file:
            text = file.read(MAX_SECRETS_BYTES + 1).decode()
    except UnicodeDecodeError:
        raise ConfigError("the file is not UTF-8 text", file=path.name) from None
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror or error}", file=path.name) from None
    if len(text) > MAX_SECRETS_BYTES:
        raise ConfigError(f"the file is larger than {MAX_SECRETS_BYTES >> 20} MiB", file=path.name)
    read = _from_json if text.lstrip("\ufeff \t\r\n").startswith("{") else _from_ini
    return Secrets(read(text, path.name))


def _from_json(text: str, name: str) -> dict[str, Any]:
    try:
        values = json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise ConfigError(f"the JSON is broken: {error.msg}", file=name, line=error.lineno) from None
    except RecursionError:
        raise ConfigError("the JSON is nested too deeply", file=name) from None
    return dict(values)


def _from_ini(text: str, name: str) -> dict[str, Any]:
    parsed = parse(text)
    if parsed.problems:
        line = parsed.problems[0].line
        raise ConfigError('the line is neither a "[section]" nor a "name: value"', file=name, line=line)
    values: dict[str, Any] = {}
    for block in parsed.blocks:
        section = values.setdefault(block.header, {})
        section.update((option.name, option.value.strip()) for option in block.options)
    return values
