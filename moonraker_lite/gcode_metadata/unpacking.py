"""Unpacking all that is in a container.

As a program (`python -m moonraker_lite.gcode_metadata.unpacking <file> <name> <folder> <limit>`) it writes the prints
of the file, which is called `name`, into a folder, and says on standard output what became of it: one JSON object,
`Unpacked`. A server runs it so because binary G-code is decoded in Python, some hundred milliseconds for a megabyte.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

import msgspec

from moonraker_lite.gcode_metadata.containers import open_container
from moonraker_lite.gcode_metadata.kinds import ContainerError, Kind, Unpacked, file_kind, text_name
from moonraker_lite.gcode_metadata.packed import Container, write_print
from moonraker_lite.gcode_metadata.thumbnails import write_atomically

THUMBS = ".thumbs"
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def unpack_all(path: str, name: str, folder: Path, kind: Kind, limit: int, plate: int = 0) -> Unpacked:
    """Write the prints of a container called `name` into a folder. Of several plates the others get their numbers.

    The first print is that of the lowest plate, or of `plate` if there is one with this number. `limit` is the number
    of bytes for all prints. Raises ContainerError and OSError.
    """
    first = text_name(os.path.basename(name))
    with open_container(path, kind) as container:
        plates = sorted(container.plates, key=lambda number: (number != plate, number))
        names = [first, *(f"{first.removesuffix('.gcode')}_plate_{number}.gcode" for number in plates[1:])]
        for number, text in zip(plates, names, strict=True):
            write_print(container, folder / text, number, max_bytes=limit)
            limit -= (folder / text).stat().st_size
        picture = _picture(container, first, folder) if kind is Kind.UFP else None
    return Unpacked(tuple(names), picture)


def _picture(container: Container, text: str, folder: Path) -> str | None:
    """The picture of a UFP file, which is not in its text, under the name that Moonraker gives it."""
    pictures = container.pictures()
    name = f"{text.removesuffix('.gcode')}.png"
    return name if pictures and write_atomically(folder / THUMBS, name, pictures[0].data) else None


def _end_with_parent() -> None:
    """Be killed when whoever has started this goes away, however that happens."""
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    path, name, folder, limit = arguments
    _end_with_parent()
    try:
        kind = file_kind(path, name)
        if kind is None:
            raise ContainerError("This is no container of G-code.")
        result = unpack_all(path, name, Path(folder), kind, int(limit))
    except ContainerError as error:
        result = Unpacked(error=str(error))
    except OSError as error:
        result = Unpacked(errno=error.errno or 0)
    sys.stdout.buffer.write(msgspec.json.encode(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
