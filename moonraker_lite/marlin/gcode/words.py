"""What a line of G-code says: the command word and its parameters, in both dialects.

A traditional line is `G1 X10 F3000` or `G1X10F3000`; an extended one is `NAME KEY=value KEY="quoted value"`. Both may
end in a `;` comment. Everything here is pure and never raises on odd bytes, except `CommandError` for what cannot be
read.
"""

from __future__ import annotations

import re

from moonraker_lite.marlin.requests import CommandError

# Nothing behind the number may make it a word: M600_LOAD and T0_SELECT are macros, G1X10 and M117hello are not.
# A sign belongs to lines without a command word (`X-10 Y5`), which some firmware takes for another G1.
_TRADITIONAL = re.compile(r"([A-Z])[ \t]*([-+]?[0-9]+(?:\.[0-9]+)?)(?![0-9_])(.*)", re.IGNORECASE | re.DOTALL)
_EXTENDED = re.compile(r"([A-Z_][A-Z0-9_]*)(?:[ \t]+(.*))?", re.IGNORECASE | re.DOTALL)
_LINE_NUMBER = re.compile(r"N[0-9]+[ \t]*", re.IGNORECASE)
_CHECKSUM = re.compile(r"\*[0-9]+[ \t]*$")
# Comments of RS274. Marlin would read their capitals as words of the command.
_PARENTHESES = re.compile(r"\([^()]*\)")
_WORD = re.compile(r"([A-Z])[ \t]*([-+]?[0-9]*\.?[0-9]*)", re.IGNORECASE)
# What surely fits into Marlin's 96 bytes beside a line number and a checksum.
SHORT_TEXT = 72
# Everything below a space; a tab counts as a space.
_CONTROL = {code: " " if code == 9 else None for code in (*range(32), 127)}
# Their argument is free text: no upper-casing, no parameters.
TEXT_COMMANDS = frozenset({"M117", "M118", "M23", "M28", "M30", "M32", "M486", "M928", "M0", "M1", "M16", "ECHO"})


# They park the head, tell where that is, and come back when somebody has answered.
COMING_BACK = frozenset({"M0", "M1", "M125", "M226", "M600", "M601", "M701", "M702"})


class Command:
    """One command. `name` is upper case, `rest` what stands after it, `line` what would be sent to a firmware."""

    __slots__ = ("line", "name", "rest", "traditional")

    def __init__(self, name: str, rest: str, *, traditional: bool) -> None:
        self.name = name
        self.rest = rest
        self.traditional = traditional
        self.line = f"{name} {rest}" if rest else name

    def words(self) -> dict[str, str]:
        """Return the parameters of a traditional command: letter -> number as written ("" for a bare letter)."""
        return {letter.upper(): number for letter, number in _WORD.findall(self.rest)}

    def params(self) -> dict[str, str]:
        """Return the parameters of an extended command, keys upper case. Raise CommandError when malformed."""
        params: dict[str, str] = {}
        for item in _split_quoted(self):
            key, equals, value = item.partition("=")
            if not equals or not key:
                raise CommandError(f"Malformed command '{self.line}'")
            params[key.upper()] = value
        return params


def strip_line(line: str) -> str:
    """Return a traditional line without comment, line number, checksum, control characters and outer blanks."""
    comment = line.find(";")
    if comment >= 0:
        line = line[:comment]
    if not line.isprintable():
        line = line.translate(_CONTROL)
    line = line.strip()
    if line[:1] in ("N", "n") and (number := _LINE_NUMBER.match(line)):
        line = _CHECKSUM.sub("", line[number.end() :]).rstrip()
    # A comment in parentheses on a line of its own; elsewhere parentheses may be part of a text.
    return "" if line.startswith("(") else line


def parse(line: str) -> Command | None:
    """Return the command of a line, None for blank lines and comments."""
    text = strip_line(line)
    if not text:
        return None
    if match := _TRADITIONAL.fullmatch(text):
        name = match[1].upper() + _plain_number(match[2])
        rest = match[3].strip()
        if name.partition(".")[0] in TEXT_COMMANDS:
            return Command(name, rest, traditional=True)
        rest = _PARENTHESES.sub("", rest).strip()
        return Command(name, rest.upper() if rest.isascii() else rest, traditional=True)
    whole = line.translate(_CONTROL).strip()
    if match := _EXTENDED.match(whole):
        name = match[1].upper()
        if match[2] is None and match.end() < len(_before_comment(whole)):
            return Command(_before_comment(whole).split()[0].upper(), "", traditional=False)
        return Command(name, (match[2] or "").strip(), traditional=False)
    return Command(text.split()[0].upper(), "", traditional=False)


def fixed(value: float) -> str:
    """Return a number as a firmware reads it: G-code knows no exponents."""
    return f"{value:.4f}".rstrip("0").rstrip(".")


def number(text: str, default: float = 0.0) -> float:
    """Return the value of a word's number; G-code knows no exponents, and a bare letter has none."""
    try:
        return float(text)
    except ValueError:
        return default


def _plain_number(digits: str) -> str:
    """G01 is G1, M0104 is M104; G29.1 keeps its part behind the point."""
    whole, point, part = digits.partition(".")
    return (whole.lstrip("0") or "0") + point + part


def squeeze(text: str) -> str:
    """Return the same command in fewer bytes: without blanks, or with less of its text."""
    command = parse(text)
    if command is None or command.name in TEXT_COMMANDS:
        return text.encode("utf-8", "surrogateescape")[:SHORT_TEXT].decode("utf-8", "ignore").rstrip()
    return command.line.replace(" ", "").replace("\t", "")


def _before_comment(text: str) -> str:
    return text.partition(";")[0].strip()


def _split_quoted(command: Command) -> list[str]:
    """Split at blanks outside of quotes; quotes vanish, a comment begins at `;` or `#` outside of them.

    A backslash takes the meaning from what follows it: from anything outside of quotes, from a quote or a backslash
    between double ones, from nothing between single ones.
    """
    items: list[str] = []
    item = ""
    begun = False
    quote = ""
    escaped = False
    for char in command.rest:
        if escaped:
            item += char if not quote or char in '"\\' else f"\\{char}"
            escaped, begun = False, True
        elif char == "\\" and quote != "'":
            escaped = True
        elif quote:
            if char == quote:
                quote = ""
            else:
                item += char
        elif char in "\"'":
            quote, begun = char, True
        elif char in ";#":
            break
        elif char in " \t":
            if begun:
                items.append(item)
            item, begun = "", False
        else:
            item += char
            begun = True
    if quote or escaped:
        raise CommandError(f"Malformed command '{command.line}'")
    if begun:
        items.append(item)
    return items
