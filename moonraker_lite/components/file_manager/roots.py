"""Registered roots, what may be done in them, and the places that no path may lead to."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from moonraker_lite.components.file_manager import paths
from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.errors import BadRequest, Forbidden


class Root(msgspec.Struct, frozen=True):
    """A folder that clients see under `name`.

    `watched`: changes are followed and announced; the others are read when somebody asks. `reserved`: a foreign
    program's folder, for which refusals say 403. `readable`: False where the files stand in for others that the host
    cannot read.
    """

    name: str
    path: Path
    writable: bool = True
    watched: bool = True
    reserved: bool = False
    readable: bool = True

    @property
    def permissions(self) -> str:
        return "rw" if self.writable else "r"


class Reserved:
    """Folders and files that stay closed, by whatever link a path comes to them."""

    def __init__(self) -> None:
        self._closed: list[str] = []

    def add(self, path: Path) -> None:
        """Close a file, or a folder with all that is in it. It need not exist yet."""
        self._closed.append(os.path.realpath(path))

    def holds(self, real: str) -> bool:
        """Whether a real path (without links) is reserved."""
        if "/.git/" in f"{real}/":
            return True
        return any(real == closed or real.startswith(f"{closed}/") for closed in self._closed)

    def is_below(self, real: str) -> bool:
        """Whether a folder has something reserved in it, which would go with it."""
        return any(closed.startswith(f"{real}/") for closed in self._closed)


class Target(msgspec.Struct, frozen=True):
    """A path that a client named, in a registered root. It need not exist. `text` is what the client wrote."""

    root: Root
    place: Place
    text: str

    @property
    def path(self) -> str:
        """The path on disk, links not followed."""
        return os.path.join(self.root.path, self.place.path) if self.place.path else str(self.root.path)

    @property
    def is_root(self) -> bool:
        return not self.place.path


class Roots:
    """The registered roots in the order in which clients see them."""

    def __init__(self, reserved: Reserved) -> None:
        self.reserved = reserved
        self._roots: dict[str, Root] = {}

    def __iter__(self) -> Iterator[Root]:
        return iter(tuple(self._roots.values()))

    def get(self, name: str) -> Root | None:
        return self._roots.get(name)

    def register(self, root: Root) -> bool:
        """Add a root or replace the one of this name. False when nothing changed."""
        if self._roots.get(root.name) == root:
            return False
        self._roots[root.name] = root
        return True

    def target(self, text: str) -> Target:
        """What "<root>/<path>" means.

        Raises:
            BadRequest: no such root, or a path that cannot be.
            Forbidden: a reserved name.
        """
        place, _ = paths.parse(text)
        root = self._roots.get(place.root)
        if root is None:
            raise BadRequest(f"Invalid root path ({paths.shown(place.root)})")
        return Target(root, place, paths.shown(text))

    def real(self, target: Target) -> str:
        """The path on disk with all links followed (blocking). What does not exist keeps its name.

        Raises:
            Forbidden: it leads to a reserved place.
            BadRequest: links that lead in a circle.
        """
        try:
            real = os.path.realpath(target.path)
        except OSError:
            raise BadRequest(f"Path {target.text} cannot be followed") from None
        if self.reserved.holds(real):
            raise Forbidden(f"Access to {target.text} is forbidden: it leads to a reserved place")
        return real


class Folder:
    """An open directory: what is done in it by name stays in it, whatever happens to the path meanwhile."""

    def __init__(self, path: str, reserved: Reserved) -> None:
        """Open the directory and make sure of where it really is (blocking).

        Raises:
            Forbidden: it is a reserved place. OSError: it cannot be opened.
        """
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.path = os.readlink(f"/proc/self/fd/{self.fd}")
            if reserved.holds(self.path):
                raise Forbidden("Access is forbidden: the folder is a reserved place")
        except BaseException:
            os.close(self.fd)
            raise

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self.fd)

    def join(self, name: str) -> str:
        """The path of a name in this folder."""
        return os.path.join(self.path, name)

    def look(self, name: str) -> os.stat_result | None:
        """What the name is, a link not followed; None when it is not there."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def is_link(self, name: str) -> bool:
        found = self.look(name)
        return found is not None and stat.S_ISLNK(found.st_mode)

    def is_directory(self, name: str) -> bool:
        found = self.look(name)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def sync(self) -> None:
        """Make renames in this folder durable."""
        try:
            os.fsync(self.fd)
        except OSError:
            # Some network and FUSE file systems cannot sync a directory; the file's own data is synced.
            return
