"""The text of one configuration file as sections and options with line numbers. Pure: no files, no types.

The dialect is that of Moonraker's manual: `[section]`, `option: value` or `option = value`, option names in any case,
values that go on in more deeply indented lines, whole-line comments by `#` or `;` anywhere (also inside a value),
inline comments when white space stands before the mark (after a backslash the mark is taken as it is). Blank lines
neither end a value nor stand in it.

Nothing is refused as a whole: a line that cannot be read becomes a `Problem`, and reading goes on with the next.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_PROBLEMS = 50
"""A file that is no configuration at all should not fill the log."""

_INLINE_COMMENT = re.compile(r"\s[#;]")
_ESCAPED_MARK = re.compile(r"(?<=\s)\\([#;])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class OptionLine(NamedTuple):
    """One option; `name` is lower case. A value that begins in the second line begins with a line break."""

    name: str
    value: str
    line: int


class Block(NamedTuple):
    """One `[header]` and what stands under it. `include` holds the pattern when it is an include directive."""

    header: str
    line: int
    options: list[OptionLine]
    include: str | None = None


class Problem(NamedTuple):
    """A line that is no configuration, and why."""

    line: int
    section: str | None
    message: str


class Text(NamedTuple):
    """All blocks of a file in order, and what could not be read."""

    blocks: list[Block]
    problems: list[Problem]


def parse(text: str) -> Text:
    """Read the text of one file. Never raises, whatever the text is."""
    return _Parser().run(text)


class _Parser:
    """Walks the lines; `_block` and `_value` are what a following line may belong to."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._problems: list[Problem] = []
        self._block: Block | None = None
        self._skip_block = False  # after a broken header: its options belong nowhere and are not worth a word each
        self._value: list[str] | None = None
        self._name = ""
        self._line = 0
        self._indent: int | None = None  # of the line that an indented line continues

    def run(self, text: str) -> Text:
        lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for number, raw in enumerate(lines, 1):
            line = _without_comment(raw)
            if line:
                self._take(number, line, len(raw) - len(raw.lstrip()))
        self._end_option()
        return Text(self._blocks, self._problems)

    def _take(self, number: int, line: str, indent: int) -> None:
        if _CONTROL.search(line):
            self._problem(number, "the line holds control characters; they were left out")
            line = _CONTROL.sub("", line).strip()
        if not line:
            return
        if self._indent is not None and indent > self._indent:
            if self._value is not None:
                self._value.append(line)
        elif line.startswith("["):
            self._end_option()
            self._indent = None
            self._begin_block(number, line)
        else:
            self._end_option()
            self._indent = indent
            self._begin_option(number, line)

    def _begin_block(self, number: int, line: str) -> None:
        close = line.rfind("]")
        header = " ".join(line[1:close].split()) if close > 0 else ""
        self._skip_block = not header
        self._block = None
        if not header:
            self._problem(number, f'{_quote(line)} is no section header; one looks like "[server]"')
            return
        word, _, pattern = header.partition(" ")
        self._block = Block(header, number, [], pattern if word == "include" and pattern else None)
        self._blocks.append(self._block)

    def _begin_option(self, number: int, line: str) -> None:
        if self._skip_block:
            return
        at = min((place for place in (line.find(":"), line.find("=")) if place >= 0), default=-1)
        name = line[:at].strip().lower() if at > 0 else ""
        if not name:
            self._problem(number, f'{_quote(line)} is neither a "[section]" nor an "option: value"')
        elif self._block is None:
            self._problem(number, f'{_quote(line)} stands before the first "[section]" and belongs to none')
        elif self._block.include is not None:
            self._problem(number, f'{_quote(line)} stands under an include directive; put it under a "[section]"')
        else:
            self._name, self._line, self._value = name, number, [line[at + 1 :].strip()]

    def _end_option(self) -> None:
        if self._block is not None and self._value is not None:
            self._block.options.append(OptionLine(self._name, "\n".join(self._value), self._line))
        self._value = None

    def _problem(self, number: int, message: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(number, self._block.header if self._block else None, message))


def _without_comment(raw: str) -> str:
    """The line without surrounding white space and comments; empty when nothing else is in it."""
    line = raw.strip()
    if not line or line[0] in "#;":
        return ""
    mark = _INLINE_COMMENT.search(line)
    if mark:
        line = line[: mark.start()].rstrip()
    return _ESCAPED_MARK.sub(r"\1", line) if "\\" in line else line


def _quote(line: str) -> str:
    return f'"{line if len(line) <= 40 else line[:37] + "..."}"'
