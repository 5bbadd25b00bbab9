"""Opening containers of G-code, reading their facts, and unpacking them.

from moonraker_lite.gcode_metadata.containers import unpack
unpack("cube.bgcode", Path("cube.gcode"))
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from moonraker_lite.gcode_metadata.kinds import (
    MAX_GCODE_BYTES,
    ContainerError,
    Kind,
    file_kind,
    kind_of,
    text_name,
)
from moonraker_lite.gcode_metadata.packed import Container, write_print
from moonraker_lite.gcode_metadata.thumbnails import write_atomically

__all__ = [
    "Container",
    "ContainerError",
    "Kind",
    "OpenedText",
    "extract_ufp",
    "kind_at",
    "kind_of",
    "open_container",
    "text_name",
    "unpack",
]


def kind_at(path: str | os.PathLike[str]) -> Kind | None:
    """What the file at a path is; None for text. Raises OSError."""
    return file_kind(os.fspath(path), os.fspath(path))


def open_container(path: str | os.PathLike[str], kind: Kind) -> Container:
    """Open a container of this kind.

    Raises ContainerError when it is damaged or is none, OSError when it cannot be read.
    """
    if kind is Kind.BGCODE:
        from moonraker_lite.gcode_metadata.bgcode import BgcodeFile

        return BgcodeFile(path)
    if kind is Kind.GX:
        from moonraker_lite.gcode_metadata.gx import GxFile

        return GxFile(path)
    from moonraker_lite.gcode_metadata.zipped import ThreeMfFile, UfpFile

    return UfpFile(path) if kind is Kind.UFP else ThreeMfFile(path)


class OpenedText:
    """The text of a print, to be read from its beginning: a file of text as it is, a container unpacked on the way.

    The text of a damaged container ends where the damage is. Use as a context manager. Raises OSError.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        kind = kind_at(path)
        self._source: IO[bytes] | Container | None = None
        self._pieces: Iterator[bytes] = iter(())
        if kind is None:
            self._source = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by the context manager
        else:
            with suppress(ContainerError):
                self._source = container = open_container(path, kind)
                self._pieces = container.text()

    def read(self, count: int = -1) -> bytes:
        """Some more text, of a container perhaps more than `count` bytes; empty at the end."""
        if self._source is None or isinstance(self._source, Container):
            with suppress(ContainerError):
                return next(self._pieces, b"")
            return b""
        return self._source.read(count)

    def __enter__(self) -> OpenedText:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._source is not None:
            self._source.close()


def unpack(
    path: str | os.PathLike[str], destination: Path, plate: int = 0, *, max_bytes: int = MAX_GCODE_BYTES
) -> None:
    """Write the (first) print of a container to a file of text, whole and synced or not at all.

    Raises ContainerError with a sentence for the user when the container is damaged, holds no print, or unpacks to more
    than `max_bytes`; OSError when reading or writing fails. The container itself is left alone.
    """
    kind = kind_at(path)
    if kind is None:
        raise ContainerError("This is no container of G-code.")
    with open_container(path, kind) as container:
        write_print(container, destination, plate, max_bytes=max_bytes)


def extract_ufp(
    path: str | os.PathLike[str],
    gcode_dest: Path,
    thumbs_dir: Path | None = None,
    *,
    max_bytes: int = MAX_GCODE_BYTES,
) -> Path | None:
    """Unpack the print of a UFP file to `gcode_dest` and its picture into `thumbs_dir`.

    The picture becomes `<stem of gcode_dest>.png`, where `scan` finds it; its path is returned, or None without one.
    Raises as `unpack`.
    """
    with open_container(path, Kind.UFP) as container:
        write_print(container, gcode_dest, max_bytes=max_bytes)
        pictures = container.pictures() if thumbs_dir else []
    name = f"{gcode_dest.stem}.png"
    if thumbs_dir is None or not pictures or not write_atomically(thumbs_dir, name, pictures[0].data):
        return None
    return thumbs_dir / name
