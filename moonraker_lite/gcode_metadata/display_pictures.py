"""The pictures that slicers write for displays: bare 16-bit colours in hexadecimal, without a file format around."""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Iterator

from moonraker_lite.gcode_metadata.pixels import MAX_PIXELS

MAX_SIDE = 1024

_MKS = re.compile(
    rb"[\r\n];;?[sg]image:([0-9A-Fa-f]{8,4096}+)((?:(?:\r\n?|\n)M10086[ \t]*+;[0-9A-Fa-f]*+){0,1024}+)(?=[\r\n]|$)"
)
"""`;simage:` and `;;gimage:`: the first row, and the other rows behind `M10086 ;`, for MKS displays. The line breaks
between them may be carriage returns. Each pixel is a little-endian word."""
_MKS_ROW = re.compile(rb"M10086[ \t]*+;([0-9A-Fa-f]++)")

_QIDI = re.compile(
    rb"\nM4010 X(\d{1,4}+) Y(\d{1,4}+)[ \t\r]*+((?:\nM4010 I\d{1,9}+ T\d{1,9}+ '[0-9A-Fa-f]*+'[ \t]*+\r?+)++)"
)
"""`M4010`: the size, and then chunks of big-endian words for QIDI's displays. In a colour with the bit 0x20 the low
twelve bits of the next word count how often it stands."""
_QIDI_CHUNK = re.compile(rb"'([0-9A-Fa-f]*+)'")
_QIDI_REPEAT = 0x20

_COLPIC = re.compile(
    rb"[\r\n];;?([gs])image:(0`00[0-\[\]-o~]{40,1000000}+)((?:\r\n?;;?\1image:[0-\[\]-o~]{1,1100}+){0,1024}+)(?=[\r\n]|$)"
)
"""ColPic, as OrcaSlicer and Elegoo's plug-in for Cura write it into one line, or into several that begin alike: base 64
with an alphabet of its own, in that a header of 32 bytes, a palette of words, and runs of it. The first four digits say
which version it is."""
_COLPIC_LINE = re.compile(rb"image:([0-\[\]-o~]++)")
_COLPIC_HEADER = struct.Struct("<6I8x")
_COLPIC_MARK = 0x05DDC33C
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_COLPIC_DIGITS = bytes.maketrans(bytes(range(48, 112)).replace(b"\\", b"~"), _BASE64)
_OTHER_COLOURS = 7

Found = tuple[int, int, int, int, bytes]
"""Start and end in the text, width, height, and the pixels as little-endian words from the top."""


def find(text: bytes) -> list[Found]:
    """All such pictures in a text that begins with a line break, in their order; damaged ones have no pixels."""
    return sorted(_find(text))


def _find(text: bytes) -> Iterator[Found]:
    if b"image:" in text:
        for block in _MKS.finditer(text):
            yield block.start(), block.end(), *_mks(block[1], block[2])
    if b"image:0`00" in text:
        for block in _COLPIC.finditer(text):
            digits = block[2] + b"".join(_COLPIC_LINE.findall(block[3]))
            yield block.start(), block.end(), *_colpic(digits)
    if b"\nM4010 X" in text:
        for block in _QIDI.finditer(text):
            width, height = int(block[1]), int(block[2])
            yield block.start(), block.end(), width, height, _qidi(block[3], width * height)


def _mks(first: bytes, others: bytes) -> tuple[int, int, bytes]:
    rows = [first, *_MKS_ROW.findall(others)]
    width = len(first) // 4
    if width > MAX_SIDE or any(len(row) != width * 4 for row in rows):
        return 0, 0, b""
    return width, len(rows), binascii.unhexlify(b"".join(rows))


def _qidi(lines: bytes, wanted: int) -> bytes:
    digits = b"".join(_QIDI_CHUNK.findall(lines))
    if not 0 < wanted <= MAX_PIXELS or len(digits) % 4:
        return b""
    data = binascii.unhexlify(digits)
    pixels = bytearray()
    position = 0
    while position < len(data) and len(pixels) < wanted * 2:
        high, low = data[position], data[position + 1]
        position += 2
        if low & _QIDI_REPEAT and position < len(data):
            pixels += bytes((low & ~_QIDI_REPEAT, high)) * ((data[position] & 0x0F) << 8 | data[position + 1])
            position += 2
        else:
            pixels += bytes((low, high))
    return bytes(pixels) if len(pixels) == wanted * 2 else b""


def _colpic(digits: bytes) -> tuple[int, int, bytes]:
    data = binascii.a2b_base64(digits[: len(digits) & ~3].translate(_COLPIC_DIGITS))
    _, width, height, mark, size, length = _COLPIC_HEADER.unpack_from(data)
    start = _COLPIC_HEADER.size + size
    codes = data[start : start + length]
    if mark != _COLPIC_MARK or not 0 < width * height <= MAX_PIXELS or size % 2:
        return 0, 0, b""
    palette = [data[place : place + 2] for place in range(_COLPIC_HEADER.size, start, 2)]
    return width, height, _colpic_pixels(codes, palette, width * height)


def _colpic_pixels(codes: bytes, palette: list[bytes], wanted: int) -> bytes:
    """Each byte has three bits of count and five of colour; no count says that it is in the next byte, and seven that
    the colours are those of another thirty-two."""
    pixels = bytearray()
    bank = 0
    numbers = iter(codes)
    for code in numbers:
        count, colour = code >> 5, code & 31
        if count == _OTHER_COLOURS:
            bank = colour * 32
            continue
        if count == 0:
            count = next(numbers, 0)
        if bank + colour >= len(palette):
            return b""
        pixels += palette[bank + colour] * count
    return bytes(pixels) if len(pixels) == wanted * 2 else b""
