"""The folder with the files to print: what is in it, and which file a client means."""

from __future__ import annotations

from pathlib import Path

EXTENSIONS = frozenset({".gcode", ".g", ".gco", ".nc"})


def resolve(folder: Path, name: str) -> Path | None:
    """Return the regular file that a client's name means; None when there is none, it would lie outside, or its ending
    is not one of G-code: what is no text must never get to a printer."""
    parts = name.lstrip("/").split("/")
    if any(ord(char) < 32 or ord(char) == 127 for char in name) or any(part in ("", ".", "..") for part in parts):
        return None
    path = folder.joinpath(*parts)
    try:
        return path if path.suffix.lower() in EXTENSIONS and path.is_file() else None
    except (OSError, ValueError):
        return None  # a name that no file system takes


def file_size(path: Path) -> int | None:
    """Return the bytes of a file, None when it is gone or may not be read."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def list_files(folder: Path) -> list[tuple[str, int]]:
    """Return name and size of what could be printed, by name. Walks the folder: for a thread."""
    files = []
    for path in sorted(folder.rglob("*"), key=lambda path: str(path).lower()):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if hidden or path.suffix.lower() not in EXTENSIONS or not path.is_file():
            continue
        if (size := file_size(path)) is not None:
            files.append((relative.as_posix(), size))
    return files
