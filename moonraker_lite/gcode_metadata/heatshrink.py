"""Heatshrink: the LZSS of small machines, in which binary G-code files are compressed.

A set bit and eight bits are a byte; a clear bit, an index and a count repeat `count + 1` bytes that stand `index + 1`
bytes back, where before the beginning there are zeros. The package heatshrink2 does this in C; without it the decoder
here does the same, some seven times more slowly.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

LOOKAHEAD = 4
_BYTES = {f"{value:08b}": value for value in range(256)}


def decompress(data: bytes, window: int) -> bytes:
    """`window` bits of index. A file compressed so grows eightfold at most; damaged data give other bytes, no error."""
    decode = fast_decoder()
    return slowly(data, window) if decode is None else decode(data, window)


@lru_cache(maxsize=1)
def fast_decoder() -> Callable[[bytes, int], bytes] | None:
    """heatshrink2's decoder; None where it is not installed."""
    try:
        import heatshrink2
    except ImportError:
        return None

    def decode(data: bytes, window: int) -> bytes:
        result: bytes = heatshrink2.decompress(data, window_sz2=window, lookahead_sz2=LOOKAHEAD)
        return result

    return decode


@lru_cache(maxsize=4)
def _token(window: int) -> re.Pattern[str]:
    return re.compile(f"1([01]{{8}})|0([01]{{{window}}})([01]{{{LOOKAHEAD}}})")


def slowly(data: bytes, window: int) -> bytes:
    """The decoder in Python."""
    bits = bin(int.from_bytes(b"\1" + data, "big"))[3:]
    known = bytearray(1 << window)
    append = known.append
    for byte, index, count in _token(window).findall(bits):
        if byte:
            append(_BYTES[byte])
            continue
        back, length = int(index, 2) + 1, int(count, 2) + 1
        start = len(known) - back
        if back >= length:
            known += known[start : start + length]
        else:
            known += (known[start:] * (length // back + 1))[:length]
    return bytes(known[1 << window :])
