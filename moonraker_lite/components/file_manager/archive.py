"""Packing files into a zip archive (blocking). Memory does not grow with the files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from moonraker_lite.components.file_manager.copying import entries, identity, open_regular
from moonraker_lite.components.file_manager.names import THUMBS
from moonraker_lite.components.file_manager.parts import new_part
from moonraker_lite.components.file_manager.roots import Folder, Roots, Target

if TYPE_CHECKING:
    from zipfile import ZipFile

_CHUNK = 1 << 20


def pack(items: list[Target], folder: Folder, name: str, roots: Roots, *, store_only: bool) -> None:
    """Write an archive of `items` to a name in a folder, replacing what has it. Names in it begin with the root.

    Hidden `.thumbs` folders are left out: they come again from the G-code.

    Raises:
        Forbidden: an item leads to a reserved place. OSError: as the system says; nothing is left then.
    """
    from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

    with new_part(folder) as part:
        own = os.fstat(part.fd)
        seen: set[str] = set()
        with open(part.fd, "wb", closefd=False) as file:
            method = ZIP_STORED if store_only else ZIP_DEFLATED
            with ZipFile(file, "w", method, strict_timestamps=False) as archive:
                for item in items:
                    real = roots.real(item)
                    for path, inside in _files(real, str(item.place), roots, []):
                        if inside not in seen and identity(path) != (own.st_dev, own.st_ino):
                            seen.add(inside)
                            _add(archive, path, inside)
        part.place(folder, name)


def _files(real: str, inside: str, roots: Roots, above: list[tuple[int, int]]) -> Iterator[tuple[str, str]]:
    """The files of an item, with their names in the archive."""
    if not os.path.isdir(real):
        yield real, inside
        return
    for entry in sorted(entries(real, roots.reserved, above), key=lambda entry: entry.name):
        if entry.name == THUMBS:
            continue
        yield from _files(entry.path, f"{inside}/{entry.name}", roots, [*above, identity(real)])


def _add(archive: ZipFile, path: str, inside: str) -> None:
    from zipfile import ZipInfo

    with open_regular(path) as fd, open(fd, "rb", closefd=False) as source:
        # Names that are no UTF-8 may be on the disk, but not in an archive.
        plain = inside.encode("utf-8", "replace").decode()
        info = ZipInfo.from_file(path, plain, strict_timestamps=False)
        info.compress_type = archive.compression
        with archive.open(info, "w") as target:
            while block := source.read(_CHUNK):
                target.write(block)
