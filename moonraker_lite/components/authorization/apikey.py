"""The API key in its file, readable by the owner alone."""

from __future__ import annotations

import hmac
import os
import re
import secrets
from pathlib import Path

_KEY = re.compile(r"[0-9a-f]{32}")


def new_key() -> str:
    """A fresh key: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def matches(given: str, key: str) -> bool:
    """Compare in a time that does not depend on where the two differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), key.encode())


def load_key(path: Path) -> tuple[str, float] | None:
    """Read the key and the time it was made; None when there is no valid one.

    The mode of a file that others may read is corrected.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            facts = os.fstat(file.fileno())
            if facts.st_mode & 0o077:
                os.fchmod(file.fileno(), 0o600)
            text = file.read(100).decode("ascii", "replace").strip()
    except OSError:
        return None
    return (text, facts.st_mtime) if _KEY.fullmatch(text) else None


def store_key(path: Path, key: str) -> None:
    """Write the key so that a crash leaves the old or the new one. Raises OSError."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(key.encode() + b"\n")
            file.flush()
            os.fsync(fd)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
