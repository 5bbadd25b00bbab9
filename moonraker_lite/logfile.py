"""One log file that begins anew each day (and when it has grown too large) and keeps the last few.

Old files are called `<name>.2026-01-31`, with `.1`, `.2`, ... behind when there are several of one day. Trouble with
the disk never raises while logging: the lines are lost, and the next write tries again.
"""

from __future__ import annotations

import os
import re
import time
from io import FileIO
from pathlib import Path

KEEP = 5
MAX_BYTES = 16 << 20
CHECK_SECONDS = 2.0


class RolloverFile:
    """Appends text. `header` is written at the top of each file that a rollover begins."""

    def __init__(self, path: Path, *, keep: int = KEEP, max_bytes: int = MAX_BYTES) -> None:
        """Raises OSError when the file cannot be opened."""
        self._path = path
        self._keep = keep
        self._max_bytes = max_bytes
        self._file: FileIO | None = None
        self._day = ""
        self._checked = 0.0
        self.header = ""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def write(self, text: str) -> None:
        """Append, after a rollover when a new day has begun or the file is full."""
        data = text.encode("utf-8", "backslashreplace")
        try:
            self._prepare(len(data))
            if self._file is not None:
                self._file.write(data)
        except OSError:
            self.close()

    def rollover(self) -> None:
        """Begin a new file now. The old one gets the name of the day on which it was begun."""
        try:
            self._rollover()
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _prepare(self, coming: int) -> None:
        """Have an open file that is today's, is not full, and still stands under its name."""
        now = time.monotonic()
        if self._file is not None and now - self._checked > CHECK_SECONDS:
            self._checked = now
            if not self._is_ours():
                self.close()
        if self._file is None:
            self._open()
        if _today() != self._day or (self._size() and self._size() + coming > self._max_bytes):
            self._rollover()

    def _open(self) -> None:
        self._file = FileIO(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644), "w")
        stat = os.fstat(self._file.fileno())
        self._day = _day(stat.st_mtime) if stat.st_size else _today()

    def _rollover(self) -> None:
        self.close()
        if self._path.exists():
            os.rename(self._path, self._free_name())
        self._prune()
        self._open()
        if self._file is not None and self.header:
            self._file.write(self.header.encode("utf-8", "backslashreplace"))

    def _free_name(self) -> Path:
        """The day, and a number above those of the same day that are kept: names sort by age."""
        same_day = [number for day, number, _ in self._old_files() if day == self._day]
        suffix = f".{max(same_day) + 1}" if same_day else ""
        return self._path.with_name(f"{self._path.name}.{self._day}{suffix}")

    def _prune(self) -> None:
        for _, _, old in self._old_files()[self._keep :]:
            old.unlink(missing_ok=True)

    def _old_files(self) -> list[tuple[str, int, Path]]:
        """Day, number within the day, and path; newest first."""
        pattern = re.compile(re.escape(self._path.name) + r"\.(\d{4}-\d\d-\d\d)(?:\.(\d{1,6}))?")
        matches = [(pattern.fullmatch(path.name), path) for path in self._path.parent.iterdir()]
        return sorted(((m[1], int(m[2] or 0), path) for m, path in matches if m), reverse=True)

    def _is_ours(self) -> bool:
        """False when somebody removed or renamed the file under us."""
        try:
            there = os.stat(self._path)
        except OSError:
            return False
        return self._file is not None and os.path.samestat(there, os.fstat(self._file.fileno()))

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size if self._file is not None else 0


def _today() -> str:
    return _day(time.time())


def _day(stamp: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(stamp))
