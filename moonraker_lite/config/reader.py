"""From a main file, through its includes, to one merged set of sections that knows where each value stands."""

from __future__ import annotations

import glob
import os
import stat
from pathlib import Path
from typing import NamedTuple

from moonraker_lite.config.dialect import Block, parse
from moonraker_lite.config.errors import ConfigError

MAX_FILE_BYTES = 1 << 20
MAX_FILES = 200

DEFAULT_SECTION = "DEFAULT"
"""Its options are given to every other section, as INI readers have it."""


class Option(NamedTuple):
    """A raw value and its place; `file` is relative to the main file's folder."""

    value: str
    file: str
    line: int


class Section(NamedTuple):
    """The merged options of all blocks of one name; the place is that of the first."""

    name: str
    options: dict[str, Option]
    file: str
    line: int


class Reading(NamedTuple):
    """What the files say. `errors` were skipped over, `notes` are harmless but worth a warning."""

    sections: dict[str, Section]
    files: dict[str, list[str]]
    errors: list[ConfigError]
    notes: list[ConfigError]


def read_files(main: Path) -> Reading:
    """Read the main file and all that it includes. Never raises; a file that is missing is one of the errors."""
    reader = _Reader(main)
    reader.read(main)
    return reader.result


class _Reader:
    """Holds the files that are being read, so that a loop of includes is seen."""

    def __init__(self, main: Path) -> None:
        self._folder = main.parent
        self._seen: set[str] = set()
        self._open: list[str] = []
        self.result = Reading({}, {}, [], [])

    def read(self, path: Path) -> None:
        name = self._name_of(path)
        try:
            text = self._text_of(path, name)
        except OSError as error:
            self._error(f"the file cannot be read: {error.strerror or error}", name)
            return
        parsed = parse(text)
        self.result.files[name] = []
        for problem in parsed.problems:
            self._error(problem.message, name, problem.line, problem.section)
        key = os.path.realpath(path)
        self._seen.add(key)
        self._open.append(key)
        here: dict[str, set[str]] = {}
        for block in parsed.blocks:
            if block.include is not None:
                self._include(path, name, block)
            else:
                self._merge(name, block, here)
        self._open.pop()

    def _text_of(self, path: Path, name: str) -> str:
        """The file's text. Only regular files are opened: a pipe would never end. Raises OSError."""
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError("it is no regular file")
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            self._error(f"the file is larger than {MAX_FILE_BYTES >> 20} MiB; the rest was left out", name)
            data = data[:MAX_FILE_BYTES]
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self._error("the line holds bytes that are not UTF-8 text; save the file as UTF-8", name, line)
            return data.decode(errors="replace")

    def _merge(self, file: str, block: Block, here: dict[str, set[str]]) -> None:
        """Later values win over earlier ones; twice in the same file is likely a slip and gets a note."""
        section = self.result.sections.get(block.header)
        if section is None:
            section = self.result.sections[block.header] = Section(block.header, {}, file, block.line)
        if block.header not in self.result.files[file]:
            self.result.files[file].append(block.header)
        else:
            self._note("the section stands twice in this file; its parts were merged", file, block.line, block.header)
        names = here.setdefault(block.header, set())
        for option in block.options:
            if option.name in names:
                self._note(
                    "the option is given twice; the last value is used", file, option.line, block.header, option.name
                )
            names.add(option.name)
            section.options[option.name] = Option(option.value, file, option.line)

    def _include(self, path: Path, name: str, block: Block) -> None:
        pattern = os.path.expanduser(block.include or "")
        wild = glob.has_magic(pattern)
        found = self._matches(path.parent, pattern, wild)
        if not found:
            report = self._note if wild else self._error
            report("no file matches; the path is relative to the folder of this file", name, block.line, block.header)
        for file in found:
            key = os.path.realpath(file)
            if key in self._open:
                if not wild:
                    self._error("the file includes itself", name, block.line, block.header)
            elif key in self._seen:
                self._note(f"{self._name_of(file)} was included before", name, block.line, block.header)
            elif len(self.result.files) >= MAX_FILES:
                self._error(f"more than {MAX_FILES} files; the rest was left out", name, block.line, block.header)
                return
            else:
                self.read(file)

    @staticmethod
    def _matches(folder: Path, pattern: str, wild: bool) -> list[Path]:
        """Files in alphabetical order. Not recursive: `**` over a linked tree may never end."""
        if not wild:
            path = folder / pattern
            return [path] if os.path.lexists(path) else []
        base = glob.escape(str(folder))
        return [Path(hit) for hit in sorted(glob.glob(os.path.join(base, pattern))) if os.path.isfile(hit)]

    def _name_of(self, path: Path) -> str:
        return os.path.relpath(path, self._folder)

    def _error(self, message: str, file: str, line: int | None = None, section: str | None = None) -> None:
        self.result.errors.append(ConfigError(message, file=file, line=line, section=section))

    def _note(
        self, message: str, file: str, line: int | None = None, section: str | None = None, option: str | None = None
    ) -> None:
        self.result.notes.append(ConfigError(message, file=file, line=line, section=section, option=option))
