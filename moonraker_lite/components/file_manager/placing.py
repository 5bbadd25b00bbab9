"""The disk's side of an upload: room, folders, and giving the content its place (all blocking)."""

from __future__ import annotations

import os
from contextlib import suppress

from moonraker_lite.components.file_manager.copying import copy_content
from moonraker_lite.components.file_manager.destination import Destination, Spot, find_spot
from moonraker_lite.components.file_manager.disk_errors import explained
from moonraker_lite.components.file_manager.in_use import PrintedFile
from moonraker_lite.components.file_manager.names import THUMBS, stem
from moonraker_lite.components.file_manager.parts import Part, new_part, new_part_folder
from moonraker_lite.components.file_manager.roots import Folder, Roots
from moonraker_lite.components.file_manager.unpacker import Unpacker
from moonraker_lite.errors import BadRequest
from moonraker_lite.gcode_metadata.kinds import SIGNATURE, Kind, kind_of


def make_folders(goal: Destination, roots: Roots) -> list[str]:
    """Make the folder that the form asked for, with all above it (blocking); the new ones, topmost first."""
    path, made = str(goal.root.path), []
    try:
        for name in goal.folder.path.split("/"):
            with Folder(path, roots.reserved) as folder:
                path = folder.join(name)
                if folder.look(name) is None:
                    os.mkdir(name, dir_fd=folder.fd)
                    made.append(path)
                    folder.sync()
        if not os.path.isdir(path):
            raise BadRequest(f"{goal.folder} is a file; an upload needs a directory")
    except BaseException:
        remove_folders(made)
        raise
    return made


def remove_folders(folders: list[str]) -> None:
    """Take back folders that were made for an upload which failed; what somebody else uses by now stays (blocking)."""
    for path in reversed(folders):
        with suppress(OSError):
            os.rmdir(path)


def put(part: Part, goal: Destination, roots: Roots, printed: PrintedFile, unpacker: Unpacker) -> None:
    """Make an upload real: from here on it has its name, whole and durable. A container becomes the print in it.

    Raises:
        HostError: it may not stand there, is a damaged container, or the disk refuses.
    """
    with explained(f"Uploading to {goal.place}"):
        spot = find_spot(roots, goal)
        printed.protect(os.path.join(spot.folder, spot.name))
        with Folder(spot.folder, roots.reserved) as folder:
            kind = kind_of(goal.name, os.pread(part.fd, SIGNATURE, 0)) if goal.is_gcode else None
            if kind is not None:
                unpack_into(folder, spot.name, part.path, goal.name, kind, unpacker, printed, plate=goal.plate)
            else:
                _rename(part, folder, spot)
                if goal.is_gcode:
                    _drop_picture(folder, spot.name)


def _rename(part: Part, folder: Folder, spot: Spot) -> None:
    """Rename, or copy across file systems."""
    if part.device == os.fstat(folder.fd).st_dev:
        part.place(folder, spot.name)
        return
    with new_part(folder) as copy:
        copy_content(part.fd, copy.fd)
        copy.place(folder, spot.name)


def unpack_into(
    folder: Folder,
    target: str,
    path: str,
    name: str,
    kind: Kind,
    unpacker: Unpacker,
    printed: PrintedFile,
    *,
    plate: int = 0,
    mtime_ns: int | None = None,
) -> None:
    """Place the print of a container as `target` in a folder (blocking), with the picture that is not in its text.

    Of several plates it is that of `plate`, or of the first one; the others stand beside it under names of their own.
    The container itself is left alone. `mtime_ns` is the time that the print gets.

    Raises:
        HostError: the container is damaged, or a file that would be replaced is being printed. OSError: the disk
        refuses; the print itself is not there then.
    """
    with new_part_folder(folder) as staging:
        found = unpacker.unpack(path, name, staging.path, kind, plate)
        places = [*found.prints[1:], target]
        printed.protect(*map(folder.join, places))
        if mtime_ns is not None:
            os.utime(found.prints[0], ns=(mtime_ns, mtime_ns), dir_fd=staging.fd)
        for source, place in zip([*found.prints[1:], found.prints[0]], places, strict=True):
            os.rename(source, place, src_dir_fd=staging.fd, dst_dir_fd=folder.fd)
        folder.sync()
        if found.picture is not None:
            os.makedirs(folder.join(THUMBS), exist_ok=True)
            picture = os.path.join(folder.join(THUMBS), f"{stem(target)}.png")
            os.replace(os.path.join(staging.join(THUMBS), found.picture), picture)
        else:
            _drop_picture(folder, target)


def _drop_picture(folder: Folder, name: str) -> None:
    """Remove the picture that came in a container with a file which stood here before."""
    with suppress(OSError):
        os.unlink(os.path.join(folder.join(THUMBS), f"{stem(name)}.png"))
