"""The configuration as the rest of the program sees it: typed sections, warnings, provenance."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from moonraker_lite.config.decoding import decode_fields
from moonraker_lite.config.errors import ConfigError
from moonraker_lite.config.hints import BUILT_IN_SECTIONS, unknown_option, unknown_section
from moonraker_lite.config.reader import DEFAULT_SECTION, Option, Reading, read_files
from moonraker_lite.config.secrets import Secrets, leaf_texts, load_secrets
from moonraker_lite.config.templates import Templates, is_template
from moonraker_lite.redaction import redact_option

T = TypeVar("T", bound=msgspec.Struct)


def load_config(path: Path, *, data_path: Path | None = None) -> Config:
    """Read a configuration; never raises. A missing file gives an empty Config with an error.

    `data_path` is where `moonraker.secrets` lies and what `{data_path}` means in templates; by default the parent of
    the file's folder when that is called `config`, else the folder itself.
    """
    path = Path(os.path.abspath(path.expanduser()))
    if data_path is None:
        data_path = path.parent.parent if path.parent.name == "config" else path.parent
    return Config(path, read_files(path), data_path)


class Config:
    """A configuration that was read. Made by `load_config`."""

    def __init__(self, path: Path, reading: Reading, data_path: Path) -> None:
        self.path = path
        self.errors: list[ConfigError] = list(reading.errors)
        self._reading = reading
        self._data_path = data_path
        self._defaults = reading.sections[DEFAULT_SECTION].options if DEFAULT_SECTION in reading.sections else {}
        self._known_sections: set[str] | None = None
        self._known_options: dict[str, set[str]] = {}
        self._asked: set[str] = set()  # sections that were decoded: only there are options known to be unknown
        self._decoded: dict[str, dict[str, Any]] = {}

    def has(self, section: str) -> bool:
        """Whether the section stands in the files."""
        return section in self._reading.sections and section != DEFAULT_SECTION

    def sections(self, prefix: str | None = None) -> list[str]:
        """Full names in the order of the files; with a prefix `webcam` only `webcam` and `webcam x`."""
        names = [name for name in self._reading.sections if name != DEFAULT_SECTION]
        if prefix is None:
            return names
        return [name for name in names if name == prefix or name.startswith(f"{prefix} ")]

    def decode(self, section: str, type_: type[T]) -> T:
        """The section as a frozen Struct; defaults where options (or the whole section) are absent.

        Field types may be int, float, bool, str, Path, Literal, Enum, Optional and unions of these, list, tuple, set
        and dict of these; bounds by `Meta`; TemplateText and TemplatePath are rendered first.

        Raises:
            ConfigError: the first invalid option; all of them are in `errors`.
        """
        settings, problems = self._decode(section, type_)
        if settings is None or problems:
            raise problems[0]
        return settings

    def decode_valid(self, section: str, type_: type[T]) -> T:
        """As `decode`, but each invalid option is left at its default and noted in `errors`.

        Raises:
            ConfigError: only when a required option has no valid value.
        """
        settings, problems = self._decode(section, type_)
        if settings is None:
            raise problems[0]
        return settings

    def known_sections(self, names: Iterable[str]) -> None:
        """Name the sections that exist; `webcam` covers `[webcam]` and `[webcam x]`. Others become warnings."""
        self._known_sections = {*(self._known_sections or ()), *names}

    def warnings(self) -> list[str]:
        """Sentences for server.info: errors, slips in the files, unknown sections and (after all decodes) options."""
        notes = [str(note) for note in (*self.errors, *self._reading.notes)]
        return list(dict.fromkeys([*notes, *self._unknown_sections(), *self._unknown_options()]))

    def parsed(self) -> dict[str, dict[str, Any]]:
        """Typed values of what was decoded, JSON-able, secrets hidden (server.config `config`)."""
        return {section: dict(values) for section, values in self._decoded.items()}

    def original(self) -> dict[str, dict[str, str]]:
        """Values as they stand in the files, secrets hidden (server.config `orig`). Always has `DEFAULT`."""
        result = {DEFAULT_SECTION: self._shown(DEFAULT_SECTION, self._defaults)}
        for name in self.sections():
            result[name] = self._shown(name, self._options(name))
        return result

    def files(self) -> list[dict[str, Any]]:
        """`[{"filename": "moonraker.conf", "sections": [...]}]` (server.config `files`); relative names."""
        return [{"filename": name, "sections": list(found)} for name, found in self._reading.files.items()]

    def secret_texts(self) -> list[str]:
        """All texts of the secrets file, so that the log can hide them (`Logs.hide`)."""
        return list(leaf_texts(self._secrets))

    @cached_property
    def _secrets(self) -> Secrets:
        place = self._options("secrets").get("secrets_path")
        path = Path(place.value.strip()).expanduser() if place and place.value.strip() else None
        try:
            return load_secrets(path or self._data_path / f"{self.path.stem}.secrets")
        except ConfigError as error:
            self._remember(error)
            return Secrets({})

    @cached_property
    def _templates(self) -> Templates:
        return Templates({"secrets": self._secrets, "data_path": str(self._data_path)})

    def _options(self, section: str) -> dict[str, Option]:
        if not self.has(section):
            return {}
        own = self._reading.sections[section].options
        return {**own, **{name: value for name, value in self._defaults.items() if name not in own}}

    def _decode(self, section: str, type_: type[T]) -> tuple[T | None, list[ConfigError]]:
        """The settings made of what is valid (None when a required option is missing) and all problems."""
        decoding = decode_fields(type_, self._options(section), self._render)
        self._known_options.setdefault(section, set()).update(decoding.names)
        self._asked.add(section)
        problems = [self._error(message, section, name) for name, message in decoding.problems]
        settings: T | None = None
        if not decoding.missing:
            try:
                settings = type_(**decoding.values)
            except (ValueError, TypeError) as error:  # from a Struct's own __post_init__ check
                problems.append(self._error(str(error), section))
        for problem in problems:
            self._remember(problem)
        if settings is not None:
            self._decoded[section] = self._as_json(section, settings, decoding.templates)
        return settings, problems

    @staticmethod
    def _as_json(section: str, settings: msgspec.Struct, templates: Mapping[str, str]) -> dict[str, Any]:
        """Builtins only; a template's own text stands instead of what it became, which may be a secret."""
        values: dict[str, Any] = msgspec.to_builtins(settings, enc_hook=str)
        for name, value in values.items():
            if isinstance(value, str):
                values[name] = redact_option(section, name, value)
            elif isinstance(value, list):
                values[name] = [redact_option(section, name, item) if isinstance(item, str) else item for item in value]
        return {**values, **templates}

    def _render(self, text: str) -> str:
        """Raises TemplateError."""
        return self._templates.render(text) if is_template(text) else text

    def _error(self, message: str, section: str, option: str | None = None) -> ConfigError:
        """With the place of the option, or of the section, or of nothing when it is not in the files."""
        found = self._options(section).get(option or "")
        if found is not None:
            return ConfigError(message, file=found.file, line=found.line, section=section, option=option)
        if self.has(section):
            at = self._reading.sections[section]
            return ConfigError(message, file=at.file, line=at.line, section=section, option=option)
        return ConfigError(message, file=self.path.name, section=section, option=option)

    def _remember(self, error: ConfigError) -> None:
        if all(str(error) != str(known) for known in self.errors):
            self.errors.append(error)

    def _unknown_sections(self) -> list[str]:
        """One sentence per first word, so that twenty [update_manager x] are one warning."""
        if self._known_sections is None:
            return []
        known = {*self._known_sections, *BUILT_IN_SECTIONS}
        groups: dict[str, str] = {}
        for name in self.sections():
            word = name.partition(" ")[0]
            if name not in known and word not in known and word not in groups:
                groups[word] = str(self._error(unknown_section(name), name))
        return list(groups.values())

    def _unknown_options(self) -> list[str]:
        result = []
        for section in filter(self._asked.__contains__, self.sections()):
            known, own = self._known_options[section], self._reading.sections[section].options
            result += [str(self._error(unknown_option(section, o, known), section, o)) for o in own if o not in known]
        return result

    @staticmethod
    def _shown(section: str, options: dict[str, Option]) -> dict[str, str]:
        return {name: redact_option(section, name, option.value) for name, option in options.items()}
