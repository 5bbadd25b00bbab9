"""Binary G-code, `.bgcode`: PrusaSlicer's container of blocks.

A file header, then blocks: metadata (file, printer, thumbnails, print, slicer) and after them the G-code in pieces,
each with its own compression, encoding and checksum. All numbers are little-endian. Source: prusa3d/libbgcode,
doc/specifications.md. Facts and pictures need zlib at most; the G-code also heatshrink and MeatPack.
"""

from __future__ import annotations

import base64
import errno
import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from moonraker_lite.gcode_metadata import heatshrink, meatpack
from moonraker_lite.gcode_metadata.kinds import MAX_GCODE_BYTES, ContainerError
from moonraker_lite.gcode_metadata.packed import MAX_PICTURE_BYTES, Container
from moonraker_lite.gcode_metadata.pictures import MAX_PICTURES, Picture, checked
from moonraker_lite.gcode_metadata.window import HEAD_LIMIT, Windows

MAX_METADATA_BYTES = 2 * 1024 * 1024
MAX_GCODE_BLOCK = 4 * 1024 * 1024
"""libbgcode writes blocks of 64 KiB."""
MAX_METADATA_BLOCKS = 64
MAX_METADATA_TOTAL = 16 * 1024 * 1024
"""Before the first G-code, pictures included."""
MAX_FACTS = 4000
"""Lines of one metadata block; PrusaSlicer writes some 400."""

_FILE, _GCODE, _SLICER, _PRINTER, _PRINT, _THUMBNAIL = range(6)
_RAW, _DEFLATE, _HEATSHRINK_11, _HEATSHRINK_12 = range(4)
_LIMITS = {_GCODE: MAX_GCODE_BLOCK, _THUMBNAIL: MAX_PICTURE_BYTES}
_PARAMETERS = {_THUMBNAIL: 6}
_WORDS = {"png": "thumbnail", "jpg": "thumbnail_JPG", "qoi": "thumbnail_QOI"}
_HEADER = struct.Struct("<4sIH")
_BLOCK = struct.Struct("<HHI")
_SIZE = struct.Struct("<I")

Facts = dict[bytes, bytes]


class Block(NamedTuple):
    """`kind` and `compression` are the specification's numbers. `size` is that of the data once decompressed."""

    kind: int
    compression: int
    size: int
    parameters: bytes
    data: bytes


class BgcodeFile(Container):
    """See `Container`. Raises ContainerError when the file is no binary G-code or of an unknown version.

    `decode` makes texts of blocks of G-code, in their order; it may be replaced by what does so in several processes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.decode: Callable[[Iterable[Block]], Iterable[bytes]] = partial(map, gcode_of)
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(self._fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "Not a regular file", os.fspath(path))
            self.size, self.modified = status.st_size, status.st_mtime
            self._checksums = _read_header(os.pread(self._fd, _HEADER.size, 0))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def windows(self) -> Windows:
        """The metadata as the comments that PrusaSlicer writes into text, most telling first, each key once."""
        tables = dict(self._tables())
        text = b"".join((*_opening(tables), *_comments(tables.get(_PRINT, {})), *_config(tables)))
        return Windows.of_text(text[:HEAD_LIMIT], size=self.size, modified=self.modified)

    def pictures(self) -> list[Picture]:
        found = (_picture(block) for block in self._metadata_blocks() if block.kind == _THUMBNAIL)
        return [picture for picture, _ in zip((item for item in found if item), range(MAX_PICTURES), strict=False)]

    def text(self, plate: int = 0, *, max_bytes: int = MAX_GCODE_BYTES) -> Iterator[bytes]:
        """The text that PrusaSlicer would have written: facts and pictures as comments around the G-code."""
        tables = dict(self._tables())
        yield b"".join((*_opening(tables), b"\n", *map(_picture_comments, self.pictures()), b"\n"))
        empty = True
        for gcode in self.decode(block for block in self.blocks() if block.kind == _GCODE):
            empty = empty and not gcode
            yield gcode
        if empty:
            raise ContainerError("The binary G-code file holds no G-code. Export it again.")
        yield b"".join((b"\n", *_comments(tables.get(_PRINT, {})), b"\n", *_config(tables)))

    def blocks(self) -> Iterator[Block]:
        """All blocks in their order, checked against their checksums but not decompressed."""
        offset = _HEADER.size
        while offset < self.size:
            block, offset = self._block(offset)
            yield block

    def _metadata_blocks(self) -> Iterator[Block]:
        total = 0
        for block, _ in zip(self.blocks(), range(MAX_METADATA_BLOCKS), strict=False):
            total += max(block.size, len(block.data))
            if block.kind == _GCODE:
                return
            if total > MAX_METADATA_TOTAL:
                raise ContainerError("The binary G-code file has more metadata than a print can have.")
            yield block

    def _tables(self) -> Iterator[tuple[int, Facts]]:
        for block in self._metadata_blocks():
            if block.kind != _THUMBNAIL:
                yield block.kind, _table(block)

    def _block(self, offset: int) -> tuple[Block, int]:
        head = self._read(offset, _BLOCK.size + _SIZE.size, at_least=_BLOCK.size)
        kind, compression, size = _BLOCK.unpack_from(head)
        if kind > _THUMBNAIL or compression > _HEATSHRINK_12:
            raise ContainerError("The binary G-code file is damaged: it has a block of an unknown form.")
        length, stored = _BLOCK.size, size
        if compression != _RAW:
            if len(head) < _BLOCK.size + _SIZE.size:
                raise _cut_off()
            (stored,) = _SIZE.unpack_from(head, _BLOCK.size)
            length += _SIZE.size
        limit = _LIMITS.get(kind, MAX_METADATA_BYTES)
        if max(size, stored) > limit:
            raise ContainerError(f"The binary G-code file has a block of more than the {limit} bytes that are allowed.")
        parameters = _PARAMETERS.get(kind, 2)
        whole = length + parameters + stored
        data = self._read(offset, whole + self._checksums)
        if self._checksums and zlib.crc32(data[:whole]) != _SIZE.unpack_from(data, whole)[0]:
            raise ContainerError("The binary G-code file is damaged: a checksum differs. Export or send it again.")
        block = Block(kind, compression, size, data[length : length + parameters], data[length + parameters : whole])
        return block, offset + whole + self._checksums

    def _read(self, offset: int, count: int, at_least: int = -1) -> bytes:
        data = os.pread(self._fd, count, offset)
        if len(data) < (count if at_least < 0 else at_least):
            raise _cut_off()
        return data


def _cut_off() -> ContainerError:
    return ContainerError("The binary G-code file is damaged: it ends within a block. Export or send it again.")


def _read_header(data: bytes) -> int:
    """The bytes that a checksum has."""
    if len(data) < _HEADER.size or not data.startswith(b"GCDE"):
        raise ContainerError("This is no binary G-code file. Export it again.")
    _, version, checksum = _HEADER.unpack(data)
    if version != 1 or checksum > 1:
        raise ContainerError(f"The binary G-code file is of version {version}, which is not known here.")
    return 4 if checksum else 0


def _content(block: Block) -> bytes:
    """The data of a block, decompressed."""
    if block.compression == _RAW:
        return block.data
    if block.compression == _DEFLATE:
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(block.data, block.size + 1)
        except zlib.error as error:
            raise ContainerError(f"The binary G-code file is damaged ({error}).") from error
    else:
        data = heatshrink.decompress(block.data, 11 if block.compression == _HEATSHRINK_11 else 12)
        # The last byte may be filled up with bits that look like something.
        data = data[: block.size]
    if len(data) != block.size:
        raise ContainerError("The binary G-code file is damaged: a block has another size than it says.")
    return data


def gcode_of(block: Block) -> bytes:
    """The text in a block of G-code. Raises ContainerError."""
    (encoding,) = struct.unpack("<H", block.parameters)
    if encoding == 0:
        return _content(block)
    if encoding > 2:
        raise ContainerError("The G-code is encoded in a way that is not known here. Export it as text.")
    return meatpack.unpack(_content(block))


def _picture(block: Block) -> Picture | None:
    _, width, height = struct.unpack("<HHH", block.parameters)
    return checked(_content(block), width, height)


def _table(block: Block) -> Facts:
    """The `key=value` lines of a metadata block."""
    lines = _content(block).replace(b"\r", b"").replace(b"\0", b"").split(b"\n", MAX_FACTS)
    pairs = (line.partition(b"=") for line in lines[:MAX_FACTS])
    return {key.strip(): value.strip() for key, separator, value in pairs if separator}


def _opening(tables: dict[int, Facts]) -> Iterator[bytes]:
    """The first line and the printer's facts that no other table has."""
    file = tables.get(_FILE, {})
    made = b"; generated by " + file.get(b"Producer", b"an unknown program")
    yield made + (b" on " + file[b"Produced on"] if b"Produced on" in file else b"") + b"\n\n"
    elsewhere = tables.get(_PRINT, {}).keys() | tables.get(_SLICER, {}).keys()
    printer = tables.get(_PRINTER, {})
    yield from _comments({key: value for key, value in printer.items() if key not in elsewhere})


def _config(tables: dict[int, Facts]) -> Iterable[bytes]:
    config = tables.get(_SLICER)
    return (b"; prusaslicer_config = begin\n", *_comments(config), b"; prusaslicer_config = end\n") if config else ()


def _comments(facts: Facts) -> Iterator[bytes]:
    for key, value in facts.items():
        yield b"; %b = %b\n" % (key, value)


def _picture_comments(picture: Picture) -> bytes:
    text = base64.b64encode(picture.data)
    word = _WORDS[picture.kind].encode()
    lines = b"".join(b"; %b\n" % text[start : start + 78] for start in range(0, len(text), 78))
    size = b"%dx%d %d" % (picture.width, picture.height, len(text))
    return b"\n;\n; %b begin %b\n%b; %b end\n;\n" % (word, size, lines, word)
