"""File names that mean something: G-code, and the temporary names that nobody is shown."""

from __future__ import annotations

import secrets

THUMBS = ".thumbs"
GIT = ".git"
_PART_PREFIX = ".upload-"
_PART_SUFFIX = ".part"
# As moonraker_lite.gcode_metadata has them; importing that library here would cost the host its slicers' tables.
GCODE_ENDINGS = (".gcode", ".g", ".gco", ".ufp", ".nc")
_SCANNED = tuple(ending for ending in GCODE_ENDINGS if ending != ".ufp")
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".ico", ".svg")


def is_gcode_name(name: str) -> bool:
    """Whether a file of this name or path is listed as G-code; upper and lower case are the same."""
    return name.lower().endswith(GCODE_ENDINGS)


def is_scanned(path: str) -> bool:
    """Whether a file of the gcodes root has metadata. Upper-case endings have none, as in Moonraker."""
    name = path.rpartition("/")[2]
    return name.endswith(_SCANNED) and not name.startswith(_SCANNED)


def is_image(path: str) -> bool:
    """Whether browsers load it in an <img>, which cannot send credentials."""
    return path.lower().endswith(_IMAGES)


def part_name() -> str:
    """A new temporary name. Files and folders of such names are in no listing and no client can name them."""
    return f"{_PART_PREFIX}{secrets.token_hex(8)}{_PART_SUFFIX}"


def is_part(name: str) -> bool:
    """Whether `part_name` could have made it."""
    return name.startswith(_PART_PREFIX) and name.endswith(_PART_SUFFIX)
