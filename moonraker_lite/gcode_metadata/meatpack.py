"""MeatPack: G-code packed into half bytes, as binary G-code files hold it.

Each byte holds two characters of the fifteen that G-code uses most; 0b1111 in a half says that a character stands for
itself in one of the bytes that follow. `0xFF 0xFF <command>` switches packing on and off, so that comments stay as they
are. The packer also drops the blanks of G lines, which are put back here: viewers and scanners expect them.

The format is described in libbgcode's specification and by the firmware that introduced it (Prusa-Firmware-MeatPack).
"""

from __future__ import annotations

import re

_ENABLE, _DISABLE, _RESET, _NO_SPACES, _SPACES = 251, 250, 249, 247, 246
_CHARACTERS = b"0123456789. \nGX"
_BLANK, _LINE_END, _LITERAL = 0x0B, 0x0C, 0x0F

_SIGNAL = re.compile(rb"\xff\xff(.)", re.DOTALL)
_TOKEN = re.compile(
    rb"\xff..|[\x0f\x1f\x2f\x3f\x4f\x5f\x6f\x7f\x8f\x9f\xaf\xbf\xcf\xdf\xef].|[\xf0-\xfb\xfd\xfe].|.", re.DOTALL
)
"""One byte and the characters it says to take as they are. A line end in the lower half ends the token."""

_MOVES = re.compile(rb"(?:^|(?<=\n))(?:G\d[^\n]*\n?)+")
_WORDS = [(letter, b" " + letter) for letter in map(bytes, zip(b"XYZEFIJRPWHCASTKQD", strict=True))]
_EMPTY_LINES = re.compile(rb"\n{2,}")


class _Table(dict[bytes, bytes]):
    """Token to text; what was not met yet is worked out."""

    def __init__(self, blank: bytes) -> None:
        super().__init__()
        self._letters = _CHARACTERS.replace(b" ", blank)

    def __missing__(self, token: bytes) -> bytes:
        low, high = token[0] & 0x0F, token[0] >> 4
        if low == _LINE_END:
            text = b"\n"
        elif low == _LITERAL:
            # Of a token that was cut off what is there counts.
            text = token[1:2] + (token[2:3] if high == _LITERAL else self._letters[high : high + 1])
        else:
            first = self._letters[low : low + 1]
            text = first + (token[1:2] if high == _LITERAL else self._letters[high : high + 1])
        self[token] = text
        return text


_WITH_BLANKS, _WITHOUT_BLANKS = _Table(b" "), _Table(b"E")


def unpack(data: bytes) -> bytes:
    """The text of one block. At most six times as long as the data; whatever is in them, nothing is raised."""
    pieces = []
    packing, table = False, _WITH_BLANKS
    position = 0
    for signal in _SIGNAL.finditer(data):
        pieces.append(_segment(data[position : signal.start()], packing, table))
        position = signal.end()
        command = signal[1][0]
        if command == _ENABLE:
            packing = True
        elif command in (_DISABLE, _RESET):
            packing = False
        elif command in (_NO_SPACES, _SPACES):
            table = _WITHOUT_BLANKS if command == _NO_SPACES else _WITH_BLANKS
    pieces.append(_segment(data[position:], packing, table))
    return _EMPTY_LINES.sub(b"\n", _MOVES.sub(_spaced, b"".join(pieces)))


def _segment(data: bytes, packing: bool, table: _Table) -> bytes:
    return b"".join(map(table.__getitem__, _TOKEN.findall(data))) if packing else data


def _spaced(moves: re.Match[bytes]) -> bytes:
    """G lines with a blank before each word. (Replacing letter by letter is four times as fast as an expression.)"""
    text = moves[0]
    for letter, word in _WORDS:
        text = text.replace(letter, word)
    return text.replace(b"  ", b" ")
