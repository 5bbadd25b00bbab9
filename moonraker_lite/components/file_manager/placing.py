"""The disk's side of an upload: room, folders, and giving the content its place (all blocking)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from moonraker_lite.components.file_manager.copying import copy_content
from moonraker_lite.components.file_manager.destination import Destination, Spot, find_spot
from moonraker_lite.components.file_manager.disk_errors import explained
from moonraker_lite.components.file_manager.in_use import PrintedFile
from moonraker_lite.components.file_manager.names import THUMBS
from moonraker_lite.components.file_manager.parts import Part, new_part, new_part_folder
from moonraker_lite.components.file_manager.roots import Folder, Roots
from moonraker_lite.errors import BadRequest, UnprocessableContent


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


def put(part: Part, goal: Destination, roots: Roots, printed: PrintedFile) -> None:
    """Make an upload real: from here on it has its name, whole and durable.

    Raises:
        HostError: it may not stand there, or the disk refuses.
    """
    with explained(f"Uploading to {goal.place}"):
        spot = find_spot(roots, goal)
        printed.protect(os.path.join(spot.folder, spot.name))
        with Folder(spot.folder, roots.reserved) as folder:
            if goal.unpack:
                _unpack(part, folder, spot)
            else:
                _rename(part, folder, spot)


def _rename(part: Part, folder: Folder, spot: Spot) -> None:
    """Rename, or copy across file systems."""
    if part.device == os.fstat(folder.fd).st_dev:
        part.place(folder, spot.name)
        return
    with new_part(folder) as copy:
        copy_content(part.fd, copy.fd)
        copy.place(folder, spot.name)


def _unpack(part: Part, folder: Folder, spot: Spot) -> None:
    """Take the print and its picture out of a UFP container; the container itself is not kept."""
    from moonraker_lite.gcode_metadata import extract_ufp

    with new_part_folder(folder) as staging:
        unpacked = Path(staging.join(spot.name))
        try:
            picture = extract_ufp(part.path, unpacked, Path(staging.join(THUMBS)))
        except ValueError as error:
            raise UnprocessableContent(str(error)) from None
        os.rename(spot.name, spot.name, src_dir_fd=staging.fd, dst_dir_fd=folder.fd)
        folder.sync()
        if picture is not None:
            os.makedirs(folder.join(THUMBS), exist_ok=True)
            os.replace(picture, os.path.join(folder.join(THUMBS), picture.name))
