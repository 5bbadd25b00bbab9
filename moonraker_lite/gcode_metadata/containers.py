"""Containers that hold G-code: Ultimaker's `.ufp`, a zip with the print and one picture."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from moonraker_lite.gcode_metadata.pictures import identify
from moonraker_lite.gcode_metadata.thumbnails import write_atomically

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

GCODE_MEMBER = "3D/model.gcode"
PICTURE_MEMBER = "Metadata/thumbnail.png"
MAX_MEMBERS = 1000
MAX_DIRECTORY_BYTES = 1024 * 1024
MAX_PICTURE_BYTES = 4 * 1024 * 1024
MAX_GCODE_BYTES = 4 * 1024**3
MAX_RATIO = 100
"""G-code packs about 5:1, and a tenth of a bomb's 1000:1 is more than any print reaches."""
RATIO_FREE_BYTES = 64 * 1024**2
_CHUNK = 256 * 1024
_END_RECORD = struct.Struct("<4s4H2LH")


def extract_ufp(
    path: str | os.PathLike[str],
    gcode_dest: Path,
    thumbs_dir: Path | None = None,
    *,
    max_bytes: int = MAX_GCODE_BYTES,
) -> Path | None:
    """Unpack the print to `gcode_dest` (whole and synced, or not at all) and its picture into `thumbs_dir`.

    The picture becomes `<stem of gcode_dest>.png`, where `scan` finds it; its path is returned, or None without one.
    Raises ValueError with a sentence for the user when the container is broken, holds no print, or unpacks to more
    than `max_bytes`; OSError when reading or writing fails. The container itself is left alone.
    """
    from zipfile import ZipFile

    with open(path, "rb") as file:
        _check_directory(file)
        with _damage_as_value_error(), ZipFile(file) as container:
            members = {info.filename.lstrip("/"): info for info in container.infolist()}
            if GCODE_MEMBER not in members:
                raise ValueError(f"The UFP file holds no print: {GCODE_MEMBER} is missing. Export it again.")
            _unpack(container, members[GCODE_MEMBER], gcode_dest, max_bytes)
            picture = _read_picture(container, members.get(PICTURE_MEMBER)) if thumbs_dir else None
    name = f"{gcode_dest.stem}.png"
    if thumbs_dir is None or picture is None or not write_atomically(thumbs_dir, name, picture):
        return None
    return thumbs_dir / name


@contextmanager
def _damage_as_value_error() -> Iterator[None]:
    """One sentence for all the ways in which zipfile and zlib report a broken container."""
    import zlib
    from zipfile import BadZipFile

    try:
        yield
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, UnicodeError) as error:
        raise ValueError(f"The UFP file is damaged ({error}). Export it again.") from error
    except OSError as error:
        # zipfile seeks to whatever offset it is told, also to a negative one.
        if error.errno != errno.EINVAL:
            raise
        raise ValueError("The UFP file is damaged (false offsets). Export it again.") from error


def _check_directory(file: IO[bytes]) -> None:
    """Refuse what is no zip, or one whose table of contents alone would fill the memory, before zipfile reads it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_RECORD.size - 0xFFFF))
    tail = file.read()
    file.seek(0)
    position = tail.rfind(b"PK\x05\x06")
    if position < 0 or len(tail) - position < _END_RECORD.size:
        raise ValueError("The UFP file is damaged: it has no zip directory. Export it again.")
    record = _END_RECORD.unpack_from(tail, position)
    if record[4] > MAX_MEMBERS or record[5] > MAX_DIRECTORY_BYTES:
        raise ValueError(f"The UFP file has more than {MAX_MEMBERS} members: this is no print.")


def _unpack(container: ZipFile, info: ZipInfo, destination: Path, max_bytes: int) -> None:
    from zipfile import ZIP_DEFLATED, ZIP_STORED

    if info.flag_bits & 1:
        raise ValueError("The UFP file is encrypted. Export it without a password.")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise ValueError("The UFP file is packed by an unknown method. Export it again.")
    limit = min(max_bytes, max(RATIO_FREE_BYTES, info.compress_size * MAX_RATIO))
    if info.file_size > limit:
        raise ValueError(f"The print in the UFP file has {info.file_size} bytes unpacked; {limit} are allowed.")
    temporary = destination.with_name(f".{os.urandom(8).hex()}.tmp")
    try:
        written = 0
        with container.open(info) as source, temporary.open("xb") as target:
            # zipfile stops at the stated size by itself; the bound here does not depend on it.
            while written <= limit and (chunk := source.read(_CHUNK)):
                written += target.write(chunk)
            if written > limit:
                raise ValueError(f"The print in the UFP file unpacks to more than {limit} bytes.")
            target.flush()
            os.fsync(target.fileno())
        temporary.replace(destination)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read_picture(container: ZipFile, info: ZipInfo | None) -> bytes | None:
    """None for a missing, oversized or foreign picture: the print matters, the picture does not."""
    if info is None or info.flag_bits & 1 or info.file_size > MAX_PICTURE_BYTES:
        return None
    try:
        with _damage_as_value_error(), container.open(info) as source:
            data = source.read(MAX_PICTURE_BYTES)
    except ValueError:
        return None
    return data if identify(data) == "png" else None
