"""Prints in zip archives: Ultimaker's `.ufp` and the `.gcode.3mf` of Bambu Studio, OrcaSlicer and their kin.

Nothing is unpacked beyond what was asked for, whatever sizes the archive states: its table of contents, the members and
their ratio are bounded before they are read.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
import zlib
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from moonraker_lite.gcode_metadata import fields
from moonraker_lite.gcode_metadata.kinds import MAX_GCODE_BYTES, ContainerError
from moonraker_lite.gcode_metadata.packed import CHUNK, MAX_PICTURE_BYTES, Container
from moonraker_lite.gcode_metadata.pictures import Picture, checked
from moonraker_lite.gcode_metadata.window import HEAD_LIMIT, TAIL_LIMIT, Windows

MAX_MEMBERS = 1000
MAX_DIRECTORY_BYTES = 1024 * 1024
MAX_RATIO = 100
"""G-code packs about 5:1, and a tenth of a bomb's 1000:1 is more than any print reaches."""
RATIO_FREE_BYTES = 64 * 1024**2
MAX_SCAN_RATIO = 20
"""Beyond this only the beginning of a print is looked at: its end costs unpacking all of it."""
SCAN_FREE_BYTES = 4 * 1024**2
MAX_FACTS_BYTES = 1024 * 1024

_END_RECORD = struct.Struct("<4s4H2LH")
_ZIP64_LOCATOR_BYTES = 20


class ZippedPrint(Container):
    """See `Container`. `label` names the form in sentences. Raises ContainerError when the archive is damaged."""

    label: str

    def __init__(self, path: str | os.PathLike[str]) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        self._file = os.fdopen(fd, "rb")
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "Not a regular file", os.fspath(path))
            self.size, self.modified = status.st_size, status.st_mtime
            self._check_directory()
            with self._sound():
                self._zip = ZipFile(self._file)
                self._members = {info.filename.lstrip("/"): info for info in self._zip.infolist()}
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        self._file.close()

    @property
    def allowance(self) -> int:
        return max(RATIO_FREE_BYTES, self.size * MAX_RATIO)

    @abstractmethod
    def _print(self, plate: int) -> ZipInfo:
        """The member with the print of this plate."""

    def windows(self) -> Windows:
        info = self._allowed(self._print(self.plates[0]), MAX_GCODE_BYTES)
        head, tail = self._ends(info)

        def pread(count: int, offset: int) -> bytes:
            if offset < len(head):
                return head[offset : offset + count]
            position = offset - (info.file_size - len(tail))
            return tail[position : position + count] if position >= 0 else b""

        length = info.file_size if tail else len(head)
        return Windows.over(pread, length, size=self.size, modified=self.modified)

    def text(self, plate: int = 0, *, max_bytes: int = MAX_GCODE_BYTES) -> Iterator[bytes]:
        info = self._allowed(self._print(plate or self.plates[0]), max_bytes)
        with self._sound():
            source = self._zip.open(info)
        with source:
            while chunk := self._chunk(source):
                yield chunk

    def _chunk(self, source: IO[bytes]) -> bytes:
        with self._sound():
            return source.read(CHUNK)

    def picture(self, name: str) -> Picture | None:
        """A member that is a picture; None for a missing, oversized or foreign one: the print matters more."""
        data = self._bytes(name, MAX_PICTURE_BYTES)
        return checked(data, 0, 0) if data else None

    def _bytes(self, name: str, limit: int) -> bytes | None:
        info = self._members.get(name)
        if info is None or info.flag_bits & 1 or info.file_size > limit:
            return None
        try:
            with self._sound(), self._zip.open(info) as source:
                return source.read(limit)
        except ContainerError:
            return None

    def _ends(self, info: ZipInfo) -> tuple[bytes, bytes]:
        """The beginning, and the end of what is longer; no end where it would cost too much to get there."""
        with self._sound(), self._zip.open(info) as source:
            head = source.read(HEAD_LIMIT)
            if info.file_size > max(SCAN_FREE_BYTES, info.compress_size * MAX_SCAN_RATIO):
                return head, b""
            before = tail = b""
            while chunk := source.read(TAIL_LIMIT):
                before, tail = tail, chunk
        return head, (before + tail)[-TAIL_LIMIT:]

    def _allowed(self, info: ZipInfo, max_bytes: int) -> ZipInfo:
        if info.flag_bits & 1:
            raise ContainerError(f"The {self.label} file is encrypted. Export it without a password.")
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ContainerError(f"The {self.label} file is packed by an unknown method. Export it again.")
        limit = min(max_bytes, max(RATIO_FREE_BYTES, info.compress_size * MAX_RATIO))
        if info.file_size > limit:
            raise ContainerError(
                f"The print in the {self.label} file has {info.file_size} bytes unpacked; {limit} are allowed."
            )
        return info

    def _check_directory(self) -> None:
        """Refuse what is no zip, or one whose table of contents would fill the memory, before zipfile reads it."""
        file: IO[bytes] = self._file
        file.seek(max(0, self.size - _END_RECORD.size - 0xFFFF))
        tail = file.read(_END_RECORD.size + 0xFFFF)
        position = tail.rfind(b"PK\x05\x06")
        if position < 0 or len(tail) - position < _END_RECORD.size:
            raise ContainerError(f"The {self.label} file is damaged: it has no zip directory. Export it again.")
        record = _END_RECORD.unpack_from(tail, position)
        locator = max(0, position - _ZIP64_LOCATOR_BYTES)
        if tail.startswith(b"PK\x06\x07", locator):
            raise ContainerError(f"The {self.label} file is a zip archive of more than 4 GB. Export it again.")
        if record[4] > MAX_MEMBERS or record[5] > MAX_DIRECTORY_BYTES:
            raise ContainerError(f"The {self.label} file has more than {MAX_MEMBERS} members: this is no print.")

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """One sentence for all the ways in which zipfile and zlib report a broken archive."""
        try:
            yield
        except (BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, UnicodeError) as error:
            raise ContainerError(f"The {self.label} file is damaged ({error}). Export it again.") from error
        except RuntimeError as error:
            raise ContainerError(f"The {self.label} file is encrypted. Export it without a password.") from error
        except OSError as error:
            # zipfile seeks to whatever offset it is told, also to a negative one.
            if error.errno != errno.EINVAL:
                raise
            raise ContainerError(f"The {self.label} file is damaged (false offsets). Export it again.") from error


class UfpFile(ZippedPrint):
    """Cura's and Ultimaker's: one print, one picture."""

    label = "UFP"
    gcode_member = "3D/model.gcode"
    picture_member = "Metadata/thumbnail.png"

    def pictures(self) -> list[Picture]:
        found = self.picture(self.picture_member)
        return [found] if found is not None and found.kind == "png" else []

    def _print(self, plate: int) -> ZipInfo:
        info = self._members.get(self.gcode_member)
        if info is None:
            raise ContainerError(f"The UFP file holds no print: {self.gcode_member} is missing. Export it again.")
        return info


class ThreeMfFile(ZippedPrint):
    """A sliced project: `Metadata/plate_N.gcode` for each plate that was sliced, with `plate_N.png` beside it."""

    label = "3MF"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        found = (_PLATE.fullmatch(name) for name in self._members)
        self._plates = tuple(sorted(int(match[1]) for match in found if match))

    @property
    def plates(self) -> tuple[int, ...]:
        if not self._plates:
            raise ContainerError("The 3MF file holds no G-code. Slice it and export the sliced file.")
        return self._plates

    def pictures(self) -> list[Picture]:
        number = self.plates[0]
        found = (self.picture(f"Metadata/plate_{number}{ending}.png") for ending in ("_small", ""))
        return [picture for picture in found if picture is not None]

    def facts(self) -> dict[str, Any]:
        """What `slice_info.config` says of the first plate."""
        data = self._bytes("Metadata/slice_info.config", MAX_FACTS_BYTES)
        return slice_facts(data, self.plates[0]) if data else {}

    def _print(self, plate: int) -> ZipInfo:
        if plate not in self.plates:
            raise ContainerError(f"The 3MF file has no sliced plate {plate}.")
        return self._members[f"Metadata/plate_{plate}.gcode"]


_PLATE = re.compile(r"Metadata/plate_([1-9]\d{0,2})\.gcode")
_PLATE_FACTS = re.compile(rb"<plate>(.*?)</plate>", re.DOTALL)
_FACT = re.compile(rb'<metadata\s+key="(\w{1,64})"\s+value="([^"]{0,256})"')
_FILAMENT = re.compile(rb"<filament\s([^>]{0,1024})>")
_ATTRIBUTE = re.compile(rb'(\w{1,32})="([^"]{0,128})"')
MAX_FILAMENTS = 64


def slice_facts(data: bytes, plate: int) -> dict[str, Any]:
    """The metadata fields that `slice_info.config` (XML that slicers write line by line) states of a plate.

    It is read by expressions: an XML parser would have to be kept from following entities, and nothing is nested here.
    """
    for block in _PLATE_FACTS.findall(data):
        stated = dict(_FACT.findall(block))
        if stated.get(b"index", b"1").strip() == b"%d" % plate:
            return _plate_facts(stated, [dict(_ATTRIBUTE.findall(item)) for item in _FILAMENT.findall(block)])
    return {}


def _plate_facts(stated: dict[bytes, bytes], filaments: list[dict[bytes, bytes]]) -> dict[str, Any]:
    filaments = filaments[:MAX_FILAMENTS]
    lengths = [fields.positive(item.get(b"used_m", b"")) for item in filaments]
    weights = [fields.positive(item.get(b"used_g", b"")) for item in filaments]
    length = sum(item for item in lengths if item)
    colors = fields.colors(b" ".join(item.get(b"color", b"") for item in filaments))
    facts = {
        "estimated_time": fields.integer(stated.get(b"prediction", b"")),
        "nozzle_diameter": fields.positive(stated.get(b"nozzle_diameters", b"")),
        "printer_model": fields.some_text(stated.get(b"printer_model_id", b"")),
        "filament_weight_total": fields.positive(stated.get(b"weight", b"")),
        "filament_total": round(length * 1000, 3),
        "filament_weights": [item for item in weights if item],
        "filament_type": fields.names(b";".join(item.get(b"type", b"") for item in filaments)),
        "filament_colors": colors,
    }
    return {field: value for field, value in facts.items() if value}
