"""The log: a file with daily rollover, no secrets in it, and no waiting for the disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class Logs:
    """The running log; `close()` ends it. Made by `setup_logging`."""

    def set_startup_block(self, lines: Sequence[str]) -> None:
        """Write these lines now and at the top of each file that a rollover begins."""

    def rollover(self) -> None:
        """Begin a new file now."""

    def close(self) -> None:
        """Write what is queued, close the file, take the handlers off the root logger."""


def setup_logging(*, log_file: Path | None, verbose: bool = False, debug: bool = False) -> Logs:
    """Log to `log_file` (None: no file) and to stderr. `verbose`: level DEBUG; `debug`: asyncio's own too."""
    return Logs()


def startup_block(*, version: str, config_text: Sequence[str] = (), extra: Sequence[tuple[str, str]] = ()) -> list[str]:
    """Lines for the top of each log file: versions, machine, Python, configuration with secrets redacted."""
    return []
