"""The containers of G-code, how they are told from text and from each other, and what unpacking one comes to.

This is all that a server needs to know of containers until it has one.
"""

from __future__ import annotations

import os
from enum import Enum

import msgspec

MAX_GCODE_BYTES = 4 * 1024**3
"""Text that one print may have."""


class ContainerError(ValueError):
    """The container cannot be used; the text is a sentence for the user."""


class Kind(Enum):
    """The containers by the ending of their names."""

    BGCODE = ".bgcode"
    GX = ".gx"
    UFP = ".ufp"
    THREE_MF = ".gcode.3mf"


SIGNATURE = 16
"""Bytes at the beginning of a file that tell what it is."""
_SIGNATURES = ((b"GCDE", Kind.BGCODE), (b"xgcode ", Kind.GX))
_ZIP = b"PK\x03\x04"


def kind_of(name: str, start: bytes) -> Kind | None:
    """What a file of this name (or path) that begins so is; None for text.

    The content counts more than the name: PrusaSlicer writes binary G-code into a `.gcode` when told to.
    """
    for signature, kind in _SIGNATURES:
        if start.startswith(signature):
            return kind
    named = named_kind(name)
    if named is None and start.startswith(_ZIP):
        return Kind.THREE_MF
    return named


def file_kind(path: str, name: str) -> Kind | None:
    """What the file at a path, which is called `name`, is; None for text. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return kind_of(name, os.read(fd, SIGNATURE))
    finally:
        os.close(fd)


def named_kind(name: str) -> Kind | None:
    """What a file of this name (or path) should be; None for text. Upper and lower case are the same."""
    lower = name.lower()
    return next((kind for kind in Kind if lower.endswith(kind.value)), None)


def text_name(name: str) -> str:
    """The name for the print of a container: its own with `.gcode` in place of its ending."""
    kind = named_kind(name)
    return name if kind is None else f"{name[: -len(kind.value)]}.gcode"


class Unpacked(msgspec.Struct, frozen=True, omit_defaults=True):
    """The names of the prints, the first one's first, and of the picture in `.thumbs` that stands for it. Or why there
    are none: a sentence, or the number of a system's error."""

    prints: tuple[str, ...] = ()
    picture: str | None = None
    error: str | None = None
    errno: int | None = None
