"""Reading the small text files of /proc, /sys and /etc below a root, which tests may set up themselves."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/")


def text_of(path: Path) -> str:
    """The text of a file without white space and NUL at its ends; empty when it cannot be read."""
    try:
        with path.open("rb", buffering=0) as file:
            return file.read().decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return ""


def number_of(path: Path, base: int = 10) -> int | None:
    """The whole number that a file holds; None when there is none."""
    try:
        return int(text_of(path), base)
    except ValueError:
        return None


def link_name(path: Path) -> str | None:
    """The last part of what a symbolic link points to; None when there is no link."""
    try:
        return path.readlink().name
    except OSError:
        return None


def names_in(path: Path) -> list[str]:
    """The sorted names in a folder; empty when there is none."""
    try:
        return sorted(entry.name for entry in path.iterdir())
    except OSError:
        return []
