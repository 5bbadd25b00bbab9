"""The path rules: what a client may name, and where it is.

A client names things as "<root>/<path>". `.` and empty parts are dropped and `..` goes up, as in Moonraker, but never
out of the root: Moonraker reads "gcodes/../config/x" as config/x, we refuse it.
"""

from __future__ import annotations

from typing import NamedTuple

from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.names import GIT, is_part
from moonraker_lite.errors import BadRequest, Forbidden

MAX_NAME = 255  # bytes of one component, the bound of Linux file systems
MAX_DEPTH = 64  # names of one path; nobody sorts prints deeper, and what walks trees can rely on it
MAX_PATH = 4000  # bytes of a path in its root; Linux takes 4096 with the root's own


class Named(NamedTuple):
    """A path as a client named it: `text` is for messages, `trailing` says that it ended with a slash."""

    place: Place
    text: str


def parse(text: str) -> Named:
    """Read "<root>/<path>"; a leading slash is ignored. Whether the root exists is not asked here.

    Raises:
        BadRequest: no root is named, the path leaves it, or a part of it cannot be a file name.
        Forbidden: the path leads to a reserved name.
    """
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or parts[0] == "..":
        raise BadRequest(f"Invalid root path ({parts[0] if parts else '.'})")
    return Named(Place(check(parts[0]), normalize("/".join(parts[1:]), text)), text)


def normalize(path: str, text: str | None = None) -> str:
    """The canonical form of a path in a root. "" is the root itself. `text` is what messages quote.

    Raises:
        BadRequest, Forbidden: as `parse`.
    """
    result: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            if not result:
                raise BadRequest(f"Invalid path: '{shown(text or path)}' leaves its root; name the root it leads to")
            result.pop()
        else:
            result.append(check(part))
    if len(result) > MAX_DEPTH:
        raise BadRequest(f"Invalid path: deeper than {MAX_DEPTH} levels")
    joined = "/".join(result)
    if len(joined.encode()) > MAX_PATH:
        raise BadRequest(f"Invalid path: longer than {MAX_PATH} bytes")
    return joined


def check(name: str) -> str:
    """One component of a path, as it is.

    Raises:
        BadRequest: no file may have this name here.
        Forbidden: the name is reserved.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise BadRequest("Invalid path: a name is not valid Unicode") from None
    if size > MAX_NAME:
        raise BadRequest(f"Invalid path: '{shown(name[:40])}…' is longer than {MAX_NAME} bytes")
    if any(ord(char) < 32 or ord(char) == 127 for char in name):
        raise BadRequest(f"Invalid path: '{shown(name)}' holds control characters")
    if name == GIT:
        raise Forbidden("Access to .git folders is forbidden")
    if is_part(name):
        raise Forbidden("Access to temporary files of uploads is forbidden")
    return name


def is_plain_name(name: str) -> bool:
    """Whether a name seen on disk can be named by a client at all."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return not is_part(name)


def shown(text: str) -> str:
    """Text from a client for a message: control characters replaced, not longer than a line."""
    clean = "".join(char if ord(char) >= 32 and ord(char) != 127 else "?" for char in text[:200])
    return clean.encode("utf-8", "replace").decode()
