"""Reading the two ends of a file, and no more of it than is needed.

Slicers state their facts before the first and after the last move. So 64 KiB from either end are read first, and an end
grows (to a bound) while it has not met the moves yet, for example because of large thumbnails or a long footer.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable
from functools import cached_property, partial

FIRST_WINDOW = 64 * 1024
HEAD_LIMIT = 2 * 1024 * 1024
"""Two million bytes hold several base64 thumbnails of screen size."""
TAIL_LIMIT = 1024 * 1024
GROWTH = 2
SMALL_FILE = 1024 * 1024
"""Up to this size a whole file may be looked at for what stands only between its ends (labels, layer marks)."""
SHORTEST_LINES = 12
"""Mean bytes per line below which a window is no slicer's work and does not grow: every pass costs time per line."""
LONGEST_LINES = 16 * 1024
LONG_WINDOW = 256 * 1024
"""Some slicers write a picture into one line; a window as large as this has more lines besides."""
START_MARGIN = 8 * 1024
"""Some facts (layer count) stand between a priming move in the start code and the first layer."""

_LAST_LINES = 32
_STEP_BACK = 4096
_OVERLAP = 4096
"""Room for a match that begins before the limit of a step."""

EXTRUDING_MOVE = re.compile(rb"\n[Gg]0?[0-3][ \t][^\n;(XY]*+[XY]-?[\d.][^\n;(EA]*+[EA]0*+\.?0*+[1-9]")
"""A move in the plane that feeds filament (axis A in MakerBot's dialect). Retractions are negative or have no X/Y.

Possessive throughout, so that its cost is linear in any input.
"""


Pread = Callable[[int, int], bytes]
"""As os.pread: count and offset in, as many bytes as there are out."""


class Windows:
    """Head and tail of one regular file. When they meet, both are the whole file. Use as a context manager.

    Raises OSError when the path is no readable regular file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # O_NONBLOCK: opening a FIFO that somebody left among the prints must not hang.
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(self._fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "Not a regular file", os.fspath(path))
            self.size = status.st_size
            self.modified = status.st_mtime
            self._begin(partial(os.pread, self._fd), self.size)
        except BaseException:
            self.close()
            raise

    def _begin(self, pread: Pread, length: int) -> None:
        """Read the first windows of text of this length."""
        self._moves_at: int | None = None
        self._pread = pread
        self._length = length
        if length <= 2 * FIRST_WINDOW:
            self.head = self.tail = _without_mark(self._read(0, length))
            self.tail_offset = 0
        else:
            self.head = _without_mark(self._read(0, FIRST_WINDOW))
            self.tail_offset = length - FIRST_WINDOW
            self.tail = self._read(self.tail_offset, FIRST_WINDOW)

    @classmethod
    def over(cls, pread: Pread, length: int, *, size: int, modified: float) -> Windows:
        """Windows over text of this length within a container of this size and time. Raises what `pread` raises."""
        self = cls.__new__(cls)
        self._fd = -1
        self.size = size
        self.modified = modified
        self._begin(pread, length)
        return self

    @classmethod
    def of_text(cls, text: bytes, *, size: int, modified: float) -> Windows:
        """One window over text that is in memory, for example unpacked from a container of this size and time."""
        self = cls.over(lambda count, offset: text[offset : offset + count], 0, size=size, modified=modified)
        self.head = self.tail = text
        return self

    def __enter__(self) -> Windows:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read(self, offset: int, count: int) -> bytes:
        """Any part of the text: `count` bytes, fewer at its end."""
        return self._read(offset, count)

    @property
    def whole(self) -> bool:
        """True when head and tail are one and the same buffer, the complete file."""
        return self.tail_offset == 0

    @cached_property
    def small(self) -> bytes | None:
        """The whole file when it is small; None for others, and when it was cut meanwhile."""
        if self.whole:
            return self.head
        if self._length > SMALL_FILE:
            return None
        between = self._read(len(self.head), self.tail_offset - len(self.head))
        complete = len(between) == self.tail_offset - len(self.head)
        return self.head + between + self.tail if complete else None

    def fit(self) -> None:
        """Grow either end until it reaches the moves or its bound."""
        searched = 0
        while not self._find_moves(searched):
            searched = max(0, len(self.head) - START_MARGIN)
            if not self.grow_head():
                break
        while not self.whole and EXTRUDING_MOVE.search(self.tail) is None:
            if not self.grow_tail():
                break

    def grow_head(self) -> bool:
        """Read more of the beginning. False when it is at its bound, or when the file was cut meanwhile."""
        target = min(len(self.head) * GROWTH, HEAD_LIMIT, self._length)
        if self.whole or target <= len(self.head) or _is_dense(self.head):
            return False
        if target >= self.tail_offset:
            return self._join()
        more = self._read(len(self.head), target - len(self.head))
        self.head += more
        return bool(more)

    def grow_tail(self) -> bool:
        """Read more of the end. False when it is at its bound, or when the file was cut meanwhile."""
        target = min(len(self.tail) * GROWTH, TAIL_LIMIT, self._length)
        if self.whole or target <= len(self.tail) or _is_dense(self.tail):
            return False
        offset = self._length - target
        if offset <= len(self.head):
            return self._join()
        more = self._read(offset, self.tail_offset - offset)
        if len(more) < self.tail_offset - offset:
            return False
        self.tail = more + self.tail
        self.tail_offset = offset
        return True

    @property
    def header(self) -> bytes:
        """The head up to its first extruding move."""
        return self.head if self._moves_at is None else self.head[: self._moves_at]

    def _find_moves(self, searched: int) -> bool:
        """Whether the head holds the first extruding move and some room after it."""
        if self._moves_at is None and (found := EXTRUDING_MOVE.search(self.head, searched)):
            self._moves_at = found.start()
        return self._moves_at is not None and self._moves_at + START_MARGIN <= len(self.head)

    def _join(self) -> bool:
        between = self._read(len(self.head), self.tail_offset - len(self.head))
        if len(between) < self.tail_offset - len(self.head):
            return False
        self.head = self.tail = self.head + between + self.tail
        self.tail_offset = 0
        return True

    def _read(self, offset: int, count: int) -> bytes:
        """`count` bytes, fewer only if the file was cut meanwhile."""
        pieces = []
        while count > 0:
            piece = self._pread(count, offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            count -= len(piece)
        return b"".join(pieces)


def last_match(pattern: re.Pattern[bytes], data: bytes, signs: tuple[bytes, ...]) -> re.Match[bytes] | None:
    """The last of the pattern's matches (of one or two lines each). The last lines that begin with one of the signs are
    tried one by one (no match may begin otherwise behind them), then the text is searched backwards in growing steps.
    """
    limit = len(data)
    for _ in range(_LAST_LINES):
        at = max(data.rfind(sign, 0, limit) for sign in signs)
        if at < 0:
            break
        if found := pattern.match(data, at):
            return found
        limit = at
    step = _STEP_BACK
    while limit > 0:
        offset = max(0, limit - step)
        step *= 4
        last = None
        for found in pattern.finditer(data, offset, min(len(data), limit + _OVERLAP)):
            if found.start() >= limit:
                break
            last = found
        if last is not None:
            return last
        limit = offset
    return None


def _is_dense(data: bytes) -> bool:
    """Whether its lines are too short, or too long, for what a slicer writes."""
    lines = data.count(b"\n")
    return lines * SHORTEST_LINES > len(data) or (len(data) >= LONG_WINDOW and lines * LONGEST_LINES < len(data))


def _without_mark(head: bytes) -> bytes:
    """Empty lines in place of the mark that Windows editors put before the first line: offsets stay what they are."""
    return b"\n\n\n" + head[3:] if head.startswith(b"\xef\xbb\xbf") else head
