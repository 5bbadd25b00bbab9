"""The log of the Marlin process: one file with rollover, what Moonraker shows as klippy.log."""

from __future__ import annotations

import logging
import os
from pathlib import Path

MAX_SIZE = 2 * 1024 * 1024
KEEP = 2


class RollingHandler(logging.FileHandler):
    """Appends to a file; when it is full it becomes `FILE.1`, and so on. (logging.handlers would cost half a MiB.)"""

    def __init__(self, path: Path, max_size: int = MAX_SIZE, keep: int = KEEP) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self._max_size = max_size
        self._keep = keep

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        try:
            if self.stream is not None and self.stream.tell() > self._max_size:
                self._roll()
        except OSError:
            self.handleError(record)

    def _roll(self) -> None:
        self.close()
        for index in range(self._keep, 0, -1):
            older = f"{self.baseFilename}.{index}"
            newer = f"{self.baseFilename}.{index - 1}" if index > 1 else self.baseFilename
            if os.path.exists(newer):
                os.replace(newer, older)
        self.stream = self._open()


def set_up(path: Path | None, *, verbose: bool = False) -> None:
    """Log to a file, or to stderr without one."""
    handler: logging.Handler = RollingHandler(path) if path else logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
