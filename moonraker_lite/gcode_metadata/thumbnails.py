"""Writing a file's pictures under `.thumbs` with Moonraker's names, and making the small one that file lists show."""

from __future__ import annotations

import io
import os
from pathlib import Path

from moonraker_lite.gcode_metadata.model import Thumbnail
from moonraker_lite.gcode_metadata.pictures import Picture, find, identify, size_of
from moonraker_lite.gcode_metadata.pixels import to_png

__all__ = ["find", "store", "write_atomically"]

SMALL_SIDE = 32
MAX_SMALL_SOURCE_PIXELS = 2 * 1024 * 1024
"""Larger pictures are not decoded to make the small one: bounds memory to 8 MiB."""
MAX_LOOSE_BYTES = 4 * 1024 * 1024
MAX_WORK = 256 * 1024
"""Bytes of QOI of all pictures of one file that are made into PNG: some 40 ms. Real files have 200 KiB at most."""
_BYTES_PER_WORK = {"bmp": 8, "rgb565": 4}
"""Other kinds take less time for a byte."""
_RELATIVE = ".thumbs/"


def store(pictures: list[Picture], stem: str, thumbs_dir: Path | None, *, prefix: str | None = None) -> list[Thumbnail]:
    """Write (or, without a folder, only list) the pictures of the file `<stem>.<ext>`. Their names begin with `prefix`,
    or with the stem.

    The list begins with a small one that was made here, if any. Without pictures of its own the file gets `<stem>.png`,
    where a container's picture was unpacked to. What cannot be written is left out.
    """
    # A name that is not UTF-8 cannot be told to clients.
    stem = stem.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    prefix = stem if prefix is None else prefix.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if thumbs_dir is None:
        return [_thumbnail(picture, name) for picture, name in _named(pictures, prefix)]
    result = []
    if pictures:
        pictures = _as_served(pictures)
        result = [
            _thumbnail(picture, name)
            for picture, name in _named(pictures, prefix)
            if write_atomically(thumbs_dir, name, picture.data)
        ]
    elif loose := _loose_picture(thumbs_dir / f"{stem}.png"):
        pictures = [loose]
        result = [_thumbnail(loose, f"{stem}.png")]
    if small := _small(pictures):
        name = f"{prefix}-{SMALL_SIDE}x{SMALL_SIDE}.png"
        if write_atomically(thumbs_dir, name, small.data):
            result.insert(0, _thumbnail(small, name))
    return result


def write_atomically(folder: Path, name: str, data: bytes) -> bool:
    """Make the file appear whole or not at all. False when that cannot be: no room, no permission, name too long."""
    temporary = folder / f".{os.urandom(8).hex()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            temporary.replace(folder / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError:
        return False
    return True


def _named(pictures: list[Picture], stem: str) -> list[tuple[Picture, str]]:
    """`<stem>-WxH.png`; a second picture of the same size (one was JPEG or QOI, say) gets a number."""
    taken: dict[str, int] = {}
    named = []
    for picture in pictures:
        suffix = "jpg" if picture.kind == "jpg" else "png"
        base = f"{stem}-{picture.width}x{picture.height}"
        count = taken[f"{base}.{suffix}"] = taken.get(f"{base}.{suffix}", 0) + 1
        named.append((picture, f"{base}.{suffix}" if count == 1 else f"{base}-{count}.{suffix}"))
    return named


def _thumbnail(picture: Picture, name: str) -> Thumbnail:
    return Thumbnail(picture.width, picture.height, len(picture.data), _RELATIVE + name)


def _loose_picture(path: Path) -> Picture | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LOOSE_BYTES + 1)
    except (OSError, ValueError):
        return None
    size = size_of("png", data) if identify(data) == "png" and len(data) <= MAX_LOOSE_BYTES else None
    return Picture(*size, "png", data) if size else None


def _as_served(pictures: list[Picture]) -> list[Picture]:
    """Browsers show PNG and JPEG; everything else is made into PNG, as long as that does not take too long."""
    ready = []
    work = 0
    for picture in pictures:
        if picture.kind in ("png", "jpg"):
            ready.append(picture)
            continue
        work += len(picture.data) // _BYTES_PER_WORK.get(picture.kind, 1)
        data = to_png(picture.kind, picture.width, picture.height, picture.data) if work <= MAX_WORK else None
        if data is not None:
            ready.append(Picture(picture.width, picture.height, "png", data))
    return ready


def _small(pictures: list[Picture]) -> Picture | None:
    """A small copy of the largest picture, unless there is one of that size already."""
    if any((picture.width, picture.height) == (SMALL_SIDE, SMALL_SIDE) for picture in pictures):
        return None
    for picture in sorted(pictures, key=lambda picture: picture.width * picture.height, reverse=True):
        if small := _shrunk(picture):
            return small
    return None


def _shrunk(picture: Picture) -> Picture | None:
    """The picture as PNG that fits the small square. None without Pillow or when damaged."""
    try:
        from PIL import Image
    except ImportError:
        return None
    try:
        with Image.open(io.BytesIO(picture.data), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MAX_SMALL_SOURCE_PIXELS:
                return None
            image.thumbnail((SMALL_SIDE, SMALL_SIDE))
            target = io.BytesIO()
            image.save(target, "PNG")
            return Picture(*image.size, "png", target.getvalue())
    except Exception:  # noqa: BLE001 - Pillow raises a different class for every kind of damage; a picture is optional
        return None
