"""Where an upload goes: pure rules on what the client said, then the look at the disk."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping

import msgspec

from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.names import is_gcode_name
from moonraker_lite.components.file_manager.paths import normalize, shown
from moonraker_lite.components.file_manager.roots import Root, Roots, Target
from moonraker_lite.errors import BadRequest, Forbidden
from moonraker_lite.gcode_metadata.kinds import named_kind, text_name

_PLATE = re.compile(r"[0-9]{1,3}")


class Destination(msgspec.Struct, frozen=True):
    """`folder` is made if it is missing (it is the form's `path`); `place` may stand deeper, in folders that exist.

    `name` is the file's own, `place` that of the print in it if it is a container. `plate` is the one that is meant of
    a container with several, 0 for the first one.
    """

    root: Root
    place: Place
    folder: Place
    name: str
    plate: int = 0

    @property
    def is_gcode(self) -> bool:
        return self.root.name == "gcodes" and is_gcode_name(self.place.path)

    @property
    def is_container(self) -> bool:
        """Whether the file should be a container by its name."""
        return self.is_gcode and named_kind(self.name) is not None


def destination(roots: Roots, fields: Mapping[str, str], filename: str) -> Destination:
    """What the form says about the file's place.

    Raises:
        BadRequest: an unknown or read-only root, or a path that cannot be. Forbidden: a reserved root or name.
    """
    name = fields.get("root", "gcodes").strip().lower() or "gcodes"
    root = roots.get(name)
    if root is None:
        raise BadRequest(f"Root '{shown(name)}' is not registered; uploads go to gcodes or config")
    if not root.writable:
        if root.reserved:
            raise Forbidden(f"Root '{name}' is reserved; nothing can be uploaded to it")
        raise BadRequest(f"Root '{name}' is read-only; nothing can be uploaded to it")
    if not filename.strip():
        raise BadRequest("The uploaded file has no name")
    folder = Place(root.name, normalize(fields.get("path", "")))
    path = normalize(filename)
    if not path:
        raise BadRequest(f"'{shown(filename)}' is not a file name")
    place = Place(root.name, normalize(f"{folder.path}/{path}"))
    name = place.name
    if root.name == "gcodes":
        place = place.parent.child(text_name(name))
    plate = fields.get("plateindex", "").strip()
    return Destination(root, place, folder, name, int(plate) if _PLATE.fullmatch(plate) else 0)


class Spot(msgspec.Struct, frozen=True):
    """Where on disk the file goes: a name in a folder that exists.

    `through` is the place of the file that a link at the destination leads to: that gets the content, the link stays.
    """

    folder: str
    name: str
    through: Place | None = None


def find_spot(roots: Roots, goal: Destination) -> Spot:
    """Look where the file goes (blocking). The folder of `path` exists by now.

    Raises:
        BadRequest: the folder is missing, or a directory has the name. Forbidden: it leads to where it may not.
    """
    target = Target(goal.root, goal.place, str(goal.place))
    parent = roots.real(Target(goal.root, goal.place.parent, str(goal.place.parent)))
    if not os.path.isdir(parent):
        raise BadRequest(f"Directory does not exist ({goal.place.parent})")
    path = os.path.join(parent, goal.place.name)
    if roots.reserved.holds(path):
        raise Forbidden(f"Access to {goal.place} is forbidden: it is reserved")
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return Spot(parent, goal.place.name)
    if stat.S_ISDIR(found.st_mode) or os.path.isdir(path):
        raise BadRequest(f"{goal.place} is a directory; upload the file under another name")
    if not stat.S_ISLNK(found.st_mode):
        return Spot(parent, goal.place.name)
    real = roots.real(target)
    through = _place_of(roots, real)
    if through is None or not os.path.isdir(os.path.dirname(real)):
        raise Forbidden(f"{goal.place} is a link to where nothing can be uploaded")
    return Spot(os.path.dirname(real), os.path.basename(real), through)


def _place_of(roots: Roots, real: str) -> Place | None:
    """The place of a real path in a writable root."""
    for root in roots:
        base = os.path.realpath(root.path)
        if root.writable and real.startswith(f"{base}/"):
            return Place(root.name, os.path.relpath(real, base))
    return None
