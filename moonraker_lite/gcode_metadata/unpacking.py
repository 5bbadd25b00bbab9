"""Unpacking all that is in a container.

As a program (`python -m moonraker_lite.gcode_metadata.unpacking <file> <name> <folder> <limit>`) it writes the prints
of the file, which is called `name`, into a folder, and says on standard output what became of it: one JSON object,
`Unpacked`. A server runs it so because binary G-code is decoded in Python, some hundred milliseconds for a megabyte.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import msgspec

from moonraker_lite.gcode_metadata.bgcode import BgcodeFile, gcode_of
from moonraker_lite.gcode_metadata.containers import open_container
from moonraker_lite.gcode_metadata.kinds import ContainerError, Kind, Unpacked, file_kind, text_name
from moonraker_lite.gcode_metadata.packed import Container, write_print
from moonraker_lite.gcode_metadata.spread import end_with_parent, spread
from moonraker_lite.gcode_metadata.thumbnails import write_atomically

THUMBS = ".thumbs"
MAX_PROCESSES = 4
LARGE = 1024 * 1024
"""Bytes of binary G-code from which on several processes are worth their start."""


def unpack_all(
    path: str, name: str, folder: Path, kind: Kind, limit: int, plate: int = 0, *, processes: int = 1
) -> Unpacked:
    """Write the prints of a container called `name` into a folder. Of several plates the others get their numbers.

    The first print is that of the lowest plate, or of `plate` if there is one with this number. `limit` is the number
    of bytes for all prints. Binary G-code is decoded in so many processes. Raises ContainerError and OSError;
    plates that were written before stay then.
    """
    first = text_name(os.path.basename(name))
    with open_container(path, kind) as container:
        if isinstance(container, BgcodeFile) and container.size > LARGE and processes > 1:
            container.decode = partial(spread, gcode_of, processes=processes)
        limit = min(limit, container.allowance)
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


def main(arguments: list[str]) -> int:
    path, name, folder, limit = arguments
    end_with_parent()
    try:
        kind = file_kind(path, name)
        if kind is None:
            raise ContainerError("This is no container of G-code.")
        result = unpack_all(
            path, name, Path(folder), kind, int(limit), processes=min(os.cpu_count() or 1, MAX_PROCESSES)
        )
    except ContainerError as error:
        result = Unpacked(error=str(error))
    except OSError as error:
        result = Unpacked(errno=error.errno or 0)
    sys.stdout.buffer.write(msgspec.json.encode(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
