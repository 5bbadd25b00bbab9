"""Parameters of a command as Marlin reads them: letters with numbers, with or without spaces between."""

from __future__ import annotations

import re

_WORD = re.compile(rb"([A-Za-z])\s*([-+]?(?:\d+\.?\d*|\.\d+))?")


def parse_words(text: bytes) -> dict[str, float | None]:
    """`X10 Y-2.5 E` -> {"X": 10.0, "Y": -2.5, "E": None}; what cannot be read is left out."""
    words: dict[str, float | None] = {}
    try:
        for piece in text.split():
            words[chr(piece[0])] = float(piece[1:]) if len(piece) > 1 else None
    except ValueError:
        words = {letter.decode().upper(): float(number) if number else None for letter, number in _WORD.findall(text)}
    return words


def command_of(text: bytes) -> tuple[str, bytes]:
    """`G01X5` -> ("G1", b"X5"); ("", text) where Marlin sees no command. Subcodes (`G29.1`) stay in the rest."""
    letter = text[:1]
    if letter not in (b"G", b"M", b"T"):
        return "", text
    at = 1
    while text[at : at + 1] == b" ":
        at += 1
    end = at
    while end < len(text) and 0x30 <= text[end] <= 0x39:
        end += 1
    if end == at:
        return "", text
    return f"{letter.decode()}{int(text[at:end])}", text[end:].lstrip()
