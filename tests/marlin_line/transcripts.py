"""Recorded dialogues with real Marlin, where they stand beside the project."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / ".." / "shared" / "marlin" / "transcripts"

needs_transcripts = pytest.mark.skipif(not FOLDER.is_dir(), reason="the transcripts of real Marlin are not there")


@dataclass
class Exchange:
    """What the host sent (without its line end), and what came until it sent again."""

    sent: bytes
    replies: list[str] = field(default_factory=list)


def names() -> list[str]:
    """All transcripts."""
    return sorted(path.name for path in FOLDER.glob("*.txt")) if FOLDER.is_dir() else []


def lines(name: str) -> list[tuple[float, str, bytes]]:
    """Time, direction and bytes of every line of a transcript."""
    found = []
    for line in (FOLDER / name).read_text("utf-8").splitlines():
        match = re.match(r"\s*(\d+\.\d+) ([<>]) ?(.*)$", line)
        if match:
            found.append((float(match[1]), match[2], _unescaped(match[3])))
    return found


def _unescaped(text: str) -> bytes:
    """Control and high bytes are written as `\\x0a`, `\\r`, `\\t`; a backslash that is neither stands for itself."""
    special = {"r": "\r", "t": "\t", "n": "\n"}
    plain = re.sub(r"\\(?:x([0-9a-f]{2})|([rtn]))", lambda m: special.get(m[2]) or chr(int(m[1], 16)), text)
    return plain.encode("latin-1", "replace")


def exchanges(name: str) -> list[Exchange]:
    """The dialogue of a transcript; what came before the host spoke is left out."""
    dialogue: list[Exchange] = []
    for _, direction, data in lines(name):
        if direction == ">":
            dialogue.append(Exchange(data))
        elif dialogue:
            dialogue[-1].replies.append(data.decode("latin-1").rstrip("\r"))
    return dialogue


def replies(name: str) -> list[bytes]:
    """Everything that the printer said."""
    return [data for _, direction, data in lines(name) if direction == "<"]


def blurred(line: str) -> str:
    """A line without what differs from run to run: measured temperatures and powers."""
    return re.sub(r"\b([TB]):-?\d+\.\d+", r"\1:#", re.sub(r"@:\d+", "@:#", line))
