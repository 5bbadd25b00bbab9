"""Pixels of the pictures that browsers do not show, made into PNG: QOI, BMP and the bare 16-bit colours of displays.

It is done here rather than by Pillow because Pillow is an extra, and decodes QOI in Python too.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array

MAX_PIXELS = 1024 * 1024
"""Of a picture that is decoded in Python, some five million pixels a second."""
_COMPRESSION = 2

_PNG_START = b"\x89PNG\r\n\x1a\n"
_BMP_HEADERS = struct.Struct("<2xI4xIIiiHHI")


def png(width: int, height: int, pixels: bytes, channels: int) -> bytes:
    """A PNG of rows of RGB or RGBA bytes from the top."""
    stride = width * channels
    rows = b"".join(b"\0" + pixels[start : start + stride] for start in range(0, stride * height, stride))
    header = struct.pack(">IIBBBBB", width, height, 8, 6 if channels == 4 else 2, 0, 0, 0)
    body = zlib.compress(rows, _COMPRESSION)
    return _PNG_START + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def to_png(kind: str, width: int, height: int, data: bytes) -> bytes | None:
    """A picture of kind qoi, bmp or rgb565 as PNG; None when it is damaged, too large or of a rare form.

    `width` and `height` matter for rgb565 only: little-endian words from the top.
    """
    if kind == "qoi":
        return _from_qoi(data)
    if kind == "bmp":
        return _from_bmp(data)
    return _from_rgb565(width, height, data)


class _Colours(dict[int, bytes]):
    """16-bit colours to RGB, worked out once each."""

    def __missing__(self, word: int) -> bytes:
        red, green, blue = word >> 11, word >> 5 & 63, word & 31
        colour = bytes((red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2))
        self[word] = colour
        return colour


def _from_rgb565(width: int, height: int, data: bytes) -> bytes | None:
    if not 0 < width * height <= MAX_PIXELS or len(data) < width * height * 2:
        return None
    words = array("H", data[: width * height * 2])
    if sys.byteorder == "big":
        words.byteswap()
    return png(width, height, b"".join(map(_Colours().__getitem__, words)), 3)


def _from_bmp(data: bytes) -> bytes | None:
    """Of the plain forms: 24 or 32 bits, not compressed."""
    if len(data) < 54:
        return None
    _, start, _, width, height, _, bits, compression = _BMP_HEADERS.unpack_from(data)
    rows, pixel = abs(height), bits // 8
    stride = (width * pixel + 3) & ~3
    whole = data[start : start + stride * rows]
    if bits not in (24, 32) or compression or not 0 < width * rows <= MAX_PIXELS or len(whole) < stride * rows:
        return None
    order = range(rows) if height < 0 else range(rows - 1, -1, -1)
    packed = b"".join(whole[row * stride : row * stride + width * pixel] for row in order)
    pixels = bytearray(width * rows * 3)
    pixels[0::3], pixels[1::3], pixels[2::3] = packed[2::pixel], packed[1::pixel], packed[0::pixel]
    return png(width, rows, bytes(pixels), 3)


def _from_qoi(data: bytes) -> bytes | None:
    """Source: the QOI specification, qoiformat.org."""
    if len(data) < 22 or not data.startswith(b"qoif"):
        return None
    width, height, channels = struct.unpack_from(">IIB", data, 4)
    if not 0 < width * height <= MAX_PIXELS or channels not in (3, 4):
        return None
    pixels = _qoi_pixels(data, width * height)
    if pixels is None:
        return None
    if channels == 3:
        opaque = bytearray(width * height * 3)
        opaque[0::3], opaque[1::3], opaque[2::3] = pixels[0::4], pixels[1::4], pixels[2::4]
        pixels = bytes(opaque)
    return png(width, height, pixels, channels)


def _qoi_pixels(data: bytes, wanted: int) -> bytes | None:
    """RGBA; None when there is less than `wanted`. One loop without calls: it runs for every pixel."""
    seen = [bytes(4)] * 64
    pixel = b"\0\0\0\xff"
    output: list[bytes] = []
    repeated = 0
    codes = iter(data[14 : len(data) - 8])
    try:
        for code in codes:
            if code < 64:
                pixel = seen[code]
                output.append(pixel)
                continue
            red, green, blue, alpha = pixel
            if code < 128:
                red = red + (code >> 4 & 3) - 2 & 255
                green = green + (code >> 2 & 3) - 2 & 255
                blue = blue + (code & 3) - 2 & 255
            elif code < 192:
                change, rest = code - 160, next(codes)
                red = red + change - 8 + (rest >> 4) & 255
                green = green + change & 255
                blue = blue + change - 8 + (rest & 15) & 255
            elif code < 254:
                output.append(pixel * (code - 191))
                repeated += code - 192
                if repeated > wanted:  # what is given a byte for sixty pixels is not to fill the memory
                    break
                continue
            else:
                red, green, blue = next(codes), next(codes), next(codes)
                alpha = next(codes) if code == 255 else alpha
            pixel = bytes((red, green, blue, alpha))
            seen[(red * 3 + green * 5 + blue * 7 + alpha * 11) & 63] = pixel
            output.append(pixel)
    except StopIteration:
        pass  # within a code; there may be enough without it
    return b"".join(output)[: wanted * 4] if len(output) + repeated >= wanted else None
