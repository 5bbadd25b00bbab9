"""What can be wrong with a configuration, as one sentence that says where and what would be valid."""

from __future__ import annotations


class ConfigError(Exception):
    """A problem at one place of the configuration; `str()` is one sentence.

    `file` is the name relative to the main file's folder, `line` counts from 1. Each place may be unknown (None).
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        section: str | None = None,
        option: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.section = section
        self.option = option

    def __str__(self) -> str:
        place = self.file or ""
        if self.file and self.line:
            place += f" line {self.line}"
        where = f"[{self.section}]" if self.section else ""
        if self.option:
            where = f"{where} {self.option}".strip()
        head = ", ".join(part for part in (place, where) if part)
        return f"{head}: {self.message}" if head else self.message
