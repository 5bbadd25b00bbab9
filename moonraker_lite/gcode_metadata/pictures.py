"""Finding and checking the pictures that slicers put into comments.

A picture is accepted when it is what it claims to be: whole base64 (or hex) text, a PNG, JPEG or QOI signature and sane
dimensions. A wrong length in the block's first line is forgiven if the picture is complete to its end mark.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from moonraker_lite.gcode_metadata import display_pictures

MAX_PICTURES = 16
MAX_SIDE = 4096

_BLOCK = re.compile(
    rb"\n;[ \t]*+(?:thumbnail|png|jpe?g)(?:_\w++)?+ begin[ \t:]++(\d{1,5}+)[x* ](\d{1,5}+)[ \t]++(\d{1,9}+)[^\n]*+"
    rb"((?:\n;[ \t]*+[A-Za-z0-9+/=]++\r?+(?=\n))*+)"
    rb"(\n;[ \t]*+\w++ end\b)?+"
)
"""First line, base64 lines, and the last line, which is missing when the block was cut off."""
_DATA_URL = re.compile(rb"\n;[ \t]*+[Tt]humbnail:[ \t]*+data:image/\w++;base64,([A-Za-z0-9+/=]++)")
_HEX_BLOCK = re.compile(rb"(?:\nW220 [0-9a-fA-F]++\r?+)++")
_NOT_BASE64 = b"; \t\r\n"

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_QOI_END = bytes(7) + b"\x01"


class Picture(NamedTuple):
    """`kind` is png, jpg, qoi or bmp, from the data itself, or rgb565 for bare pixels. Width and height as the slicer
    states them."""

    width: int
    height: int
    kind: str
    data: bytes


def find(header: bytes) -> tuple[list[Picture], list[tuple[int, int]]]:
    """The pictures in the order of the file, and the byte ranges of all picture blocks, usable or not."""
    pictures = []
    cut = []
    # A file that begins with a picture has no line break before it.
    shift = 0 if header.startswith(b"\n") else 1
    for start, end, picture in _candidates(header if shift == 0 else b"\n" + header):
        cut.append((max(0, start - shift), max(0, end - shift)))
        if picture is not None and picture not in pictures:
            pictures.append(picture)
        if len(cut) == MAX_PICTURES:
            break
    return pictures, cut


def size_of(kind: str, data: bytes) -> tuple[int, int] | None:
    """Width and height that the picture itself states; None where that is not cheaply known (JPEG)."""
    if kind == "png" and len(data) >= 24:
        return struct.unpack(">II", data[16:24])
    if kind == "qoi" and len(data) >= 14:
        return struct.unpack(">II", data[4:12])
    if kind == "bmp" and len(data) >= 26:
        width, height = struct.unpack("<ii", data[18:26])
        return width, abs(height)
    return None


def identify(data: bytes) -> str | None:
    """png, jpg, qoi, bmp, or None for anything else."""
    if data.startswith(_PNG_START) and data[12:16] == b"IHDR":
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if data.startswith(b"qoif"):
        return "qoi"
    return "bmp" if data.startswith(b"BM") and data[6:10] == bytes(4) else None


def _candidates(head: bytes) -> Iterator[tuple[int, int, Picture | None]]:
    # Plain searches are much faster than the expressions, and most files hold none of these.
    position = 0
    while head.find(b" begin", position) >= 0 and (block := _BLOCK.search(head, position)):
        body = block[4].translate(None, _NOT_BASE64) if block[5] else b""
        yield block.start(), block.end(), _from_base64(body, int(block[1]), int(block[2]), int(block[3]))
        position = block.end()
    if position == 0:
        yield from _rare_forms(head)


def _rare_forms(head: bytes) -> Iterator[tuple[int, int, Picture | None]]:
    """Luban's data URL and Weedo's hexadecimal lines, neither of which states a size; and what is for displays."""
    if b";base64," in head and (url := _DATA_URL.search(head)):
        yield url.start(), url.end(), _from_base64(url[1], 0, 0, len(url[1]))
    if b"\nW220 " in head and (lines := _HEX_BLOCK.search(head)):
        digits = lines[0].replace(b"\nW220 ", b"").replace(b"\r", b"")
        try:
            data = binascii.unhexlify(digits)
        except binascii.Error:
            data = b""
        yield lines.start(), lines.end(), checked(data, 0, 0)
    for start, end, width, height, pixels in display_pictures.find(head):
        yield start, end, Picture(width, height, "rgb565", pixels) if pixels else None


def _from_base64(body: bytes, width: int, height: int, length: int) -> Picture | None:
    if len(body) % 4 == 1:
        body = body[:-1]  # a digit too many says nothing
    try:
        data = base64.b64decode(body + b"=" * (-len(body) % 4), validate=True)
    except binascii.Error:
        return None
    # Most slicers count base64 characters, Creality's bytes.
    if length not in (len(body), len(data)) and not _is_complete(data):
        return None
    return checked(data, width, height)


def checked(data: bytes, width: int, height: int) -> Picture | None:
    kind = identify(data)
    if kind is None:
        return None
    true_size = jpeg_size(data) if kind == "jpg" else size_of(kind, data)
    if true_size is None or not all(0 < side <= MAX_SIDE for side in true_size):
        return None
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        width, height = true_size
    return Picture(width, height, kind, data)


def _is_complete(data: bytes) -> bool:
    return data.rstrip(b"\0").endswith((_PNG_END, b"\xff\xd9")) or data.endswith(_QOI_END)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """From the frame header, walking the segments before it; None for a damaged file."""
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[position + 5 : position + 9])
            return width, height
        position += 2 + max(2, length)
    return None
