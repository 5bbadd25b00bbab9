"""What all containers of G-code offer, and the limits they are held to.

A container holds a print (a `.gcode.3mf` several), pictures, and facts. Facts are handed to the metadata tables as
text, the way the slicer would have written them into a text file; a print is written out as text, bounded and checked.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from moonraker_lite.gcode_metadata.kinds import MAX_GCODE_BYTES, ContainerError
from moonraker_lite.gcode_metadata.pictures import Picture
from moonraker_lite.gcode_metadata.window import Windows

MAX_PICTURE_BYTES = 4 * 1024 * 1024
CHUNK = 256 * 1024


class Container(ABC):
    """An open container. Use as a context manager.

    All methods raise ContainerError when the container is damaged or is none, and OSError when reading fails.
    """

    size: int
    modified: float

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    @abstractmethod
    def windows(self) -> Windows:
        """The text that states the facts of the (first) print. It may be used until the container is closed."""

    @abstractmethod
    def pictures(self) -> list[Picture]:
        """The pictures that stand beside the text."""

    def facts(self) -> dict[str, Any]:
        """Fields of the metadata that the container states, for those that the text does not state."""
        return {}

    @abstractmethod
    def text(self, plate: int = 0, *, max_bytes: int = MAX_GCODE_BYTES) -> Iterator[bytes]:
        """A print as text, piece by piece: the first one, or that of the plate with this number (in `plates`). One
        that says to be longer than `max_bytes` is refused."""

    def write(self, target: BinaryIO, plate: int = 0, *, max_bytes: int = MAX_GCODE_BYTES) -> None:
        """Write a print as text. What is longer than `max_bytes` is a ContainerError, whatever it says."""
        written = 0
        for piece in self.text(plate, max_bytes=max_bytes):
            written += len(piece)
            if written > max_bytes:
                raise ContainerError(f"The print unpacks to more than the {max_bytes} bytes that are allowed.")
            target.write(piece)

    @property
    def allowance(self) -> int:
        """Bytes of text that all prints of a container of this size may have together."""
        return MAX_GCODE_BYTES

    @property
    def text_at(self) -> int | None:
        """Where in the file the text begins; None when it does not stand there as it is."""
        return None

    @property
    def plates(self) -> tuple[int, ...]:
        """The numbers of the plates, one for each print; only one where the container has no plates."""
        return (1,)


def write_print(container: Container, destination: Path, plate: int = 0, *, max_bytes: int = MAX_GCODE_BYTES) -> None:
    """Write a print to a file that appears whole and synced, or not at all.

    Raises ContainerError when the container is damaged, OSError when reading or writing fails (no room, say).
    """
    temporary = destination.with_name(f".{os.urandom(8).hex()}.tmp")
    try:
        with temporary.open("xb") as target:
            container.write(target, plate, max_bytes=max_bytes)
            target.flush()
            os.fsync(target.fileno())
        temporary.replace(destination)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
