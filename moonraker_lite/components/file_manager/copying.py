"""Copying files and trees on disk (blocking): whole or not at all, never out of a reserved place, never in a circle."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from moonraker_lite.components.file_manager.names import GIT, is_part
from moonraker_lite.components.file_manager.parts import new_part, new_part_folder
from moonraker_lite.components.file_manager.paths import MAX_DEPTH
from moonraker_lite.components.file_manager.room import check_room
from moonraker_lite.components.file_manager.roots import Folder, Reserved
from moonraker_lite.errors import BadRequest

_CHUNK = 1 << 24


def copy_content(source: int, target: int) -> None:
    """Copy all that one open file holds to another, in the kernel."""
    done = 0
    while sent := os.sendfile(target, source, done, _CHUNK):
        done += sent


def copy_file(source: str, folder: Folder, name: str) -> None:
    """Copy a file with its time and mode to a name in a folder, replacing what has it.

    Raises:
        OSError: as the system says; nothing is left then.
    """
    with open_regular(source) as fd, new_part(folder) as part:
        found = os.fstat(fd)
        check_room(folder.path, found.st_size, "the copy")
        copy_content(fd, part.fd)
        _keep(found, part.fd)
        part.place(folder, name)


def copy_tree(source: str, folder: Folder, name: str, reserved: Reserved) -> None:
    """Copy a folder with all below it to a new name in a folder. Links are followed, each folder once on its way down.

    Raises:
        FileExistsError: the name is taken. OSError: as the system says; nothing is left then.
    """
    if folder.look(name) is not None:
        raise FileExistsError(17, "exists")
    with new_part_folder(folder) as staging:
        os.mkdir(name, dir_fd=staging.fd)
        with Folder(staging.join(name), reserved) as target:
            _copy_below(source, target, reserved, [])
            _keep(os.stat(source), target.fd)
        os.rename(name, name, src_dir_fd=staging.fd, dst_dir_fd=folder.fd)
        folder.sync()


def _copy_below(source: str, target: Folder, reserved: Reserved, above: list[tuple[int, int]]) -> None:
    for entry in entries(source, reserved, above):
        if entry.is_dir():
            os.mkdir(entry.name, dir_fd=target.fd)
            with Folder(target.join(entry.name), reserved) as below:
                _copy_below(entry.path, below, reserved, [*above, identity(source)])
                _keep(entry.stat(), below.fd)
        else:
            copy_file(entry.path, target, entry.name)


def entries(folder: str, reserved: Reserved, above: list[tuple[int, int]]) -> Iterator[os.DirEntry[str]]:
    """What of a folder may be copied or packed: files and folders, no temporary ones, nothing reserved, no circles.

    Raises:
        BadRequest: the tree is too deep; `above` are the folders that lead to this one.
    """
    if len(above) >= MAX_DEPTH:
        raise BadRequest(f"The directory is deeper than {MAX_DEPTH} levels")
    with os.scandir(folder) as found:
        for entry in found:
            if is_part(entry.name) or entry.name == GIT:
                continue
            if entry.is_symlink() and reserved.holds(os.path.realpath(entry.path)):
                continue
            if reserved.holds(entry.path):
                continue
            try:
                is_folder, is_file = entry.is_dir(), entry.is_file()
            except OSError:
                continue  # a link that leads in a circle
            if is_folder:
                if identity(entry.path) not in above and identity(entry.path) != identity(folder):
                    yield entry
            elif is_file:
                yield entry


def identity(path: str) -> tuple[int, int]:
    """Device and inode."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def open_regular(path: str) -> Iterator[int]:
    """Open a file to read it; never waits for the other end of a pipe.

    Raises:
        OSError: it is no regular file, or may not be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.ENXIO, "no regular file")
        yield fd
    finally:
        os.close(fd)


def _keep(found: os.stat_result, fd: int) -> None:
    """Give a copy the time and the mode of its original; file systems without them are content."""
    with contextlib.suppress(OSError):
        os.fchmod(fd, stat.S_IMODE(found.st_mode) & 0o777)
    with contextlib.suppress(OSError):
        os.utime(fd, ns=(found.st_atime_ns, found.st_mtime_ns))
