"""File names that mean something: G-code, and the temporary names that nobody is shown."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from moonraker_lite.gcode_metadata.model import GCODE_EXTENSIONS

THUMBS = ".thumbs"
GIT = ".git"
GCODE_ENDINGS = tuple(sorted(GCODE_EXTENSIONS))
_PART_PREFIX = ".upload-"
_PART_SUFFIX = ".part"
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".ico", ".svg")


def is_gcode_name(name: str) -> bool:
    """Whether a file of this name or path is listed as G-code; upper and lower case are the same."""
    return name.lower().endswith(GCODE_ENDINGS)


def is_scanned(path: str) -> bool:
    """Whether a file of the gcodes root has metadata. Upper-case endings have none, as in Moonraker."""
    name = path.rpartition("/")[2]
    return name.endswith(GCODE_ENDINGS) and name not in GCODE_EXTENSIONS


def stem(name: str) -> str:
    """A file's name without its (last) ending, of which thumbnails are named."""
    return name.rpartition(".")[0] or name


def siblings(path: str) -> Iterator[str]:
    """All names that files of G-code with the stem of this one can have, its own included: they share thumbnails."""
    for ending in GCODE_ENDINGS:
        name = f"{stem(path)}.{ending.rpartition('.')[2]}"
        if is_scanned(name):
            yield name


def is_image(path: str) -> bool:
    """Whether browsers load it in an <img>, which cannot send credentials."""
    return path.lower().endswith(_IMAGES)


def part_name() -> str:
    """A new temporary name. Files and folders of such names are in no listing and no client can name them."""
    return f"{_PART_PREFIX}{secrets.token_hex(8)}{_PART_SUFFIX}"


def is_part(name: str) -> bool:
    """Whether `part_name` could have made it."""
    return name.startswith(_PART_PREFIX) and name.endswith(_PART_SUFFIX)
