"""FlashForge's `.gx`: G-code behind a binary header with a few facts and one or two pictures.

The header has 58 bytes, little-endian: the mark `xgcode 1.0` with a line end, padded to 16 bytes, the offsets of the
first picture, of a second one and of the G-code (the last two are the same where there is one picture), then time (s),
filament of the right and the left extruder (mm), extruder mode, layer height (µm), a reserved number, perimeter shells,
speed (mm/s), temperatures of bed, right and left extruder (°C) and a mark. FlashPrint writes a BMP of 80 by 60 pixels,
other programs PNG. No maker documents it; this is what FlashPrint's files and the programs that imitate it have.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Any

from moonraker_lite.gcode_metadata.kinds import MAX_GCODE_BYTES, ContainerError
from moonraker_lite.gcode_metadata.packed import CHUNK, MAX_PICTURE_BYTES, Container
from moonraker_lite.gcode_metadata.pictures import Picture, checked
from moonraker_lite.gcode_metadata.window import Windows

_HEADER = struct.Struct("<12s4x6I9H")
_MAX_OFFSET = 2 * MAX_PICTURE_BYTES


class GxFile(Container):
    """See `Container`. Raises ContainerError when the file is no `.gx`, or its offsets lead nowhere."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = Windows(path)
        try:
            self.size, self.modified = self._file.size, self._file.modified
            head = self._file.head
            if len(head) < _HEADER.size or not head.startswith(b"xgcode "):
                raise ContainerError("This is no GX file. Export it again.")
            self._values = _HEADER.unpack_from(head)
            starts = self._values[1:4]
            if not all(_HEADER.size <= start <= min(self.size, _MAX_OFFSET) for start in starts):
                raise ContainerError("The GX file is damaged: its header points to where nothing is. Export it again.")
            if starts[2] == self.size:
                raise ContainerError("The GX file holds no G-code. Export it again.")
            self._gcode: int = starts[2]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()

    def windows(self) -> Windows:
        start = self._gcode
        return Windows.over(
            lambda count, offset: self._file.read(start + offset, count),
            self.size - start,
            size=self.size,
            modified=self.modified,
        )

    @property
    def text_at(self) -> int:
        return self._gcode

    def facts(self) -> dict[str, Any]:
        """What the header states; zero stands for "not known"."""
        seconds, right, left = self._values[4:7]
        micrometres, bed, nozzle = self._values[8], self._values[12], self._values[13] or self._values[14]
        stated = {
            "estimated_time": seconds,
            "filament_total": float(right + left),
            "layer_height": micrometres / 1000,
            "first_layer_bed_temp": float(bed),
            "first_layer_extr_temp": float(nozzle),
        }
        return {field: value for field, value in stated.items() if value}

    def pictures(self) -> list[Picture]:
        first, second, end = self._values[1:4]
        found = []
        for start, stop in ((first, second), (second, end)):
            data = self._file.read(start, max(0, min(stop - start, MAX_PICTURE_BYTES)))
            if picture := checked(data, 0, 0):
                found.append(picture)
        return found

    def text(self, plate: int = 0, *, max_bytes: int = MAX_GCODE_BYTES) -> Iterator[bytes]:
        offset = self._gcode
        while chunk := self._file.read(offset, CHUNK):
            yield chunk
            offset += len(chunk)
