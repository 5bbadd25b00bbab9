"""Results that are more than JSON: only HTTP transports them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec


class Reply(msgspec.Struct, frozen=True):
    """A JSON result with its own status and headers (for example 201 with Location, 204 without a body)."""

    body: Any
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class RawReply(msgspec.Struct, frozen=True):
    """A small body that is not JSON."""

    body: bytes
    content_type: str
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class FileReply(msgspec.Struct, frozen=True):
    """A file to be sent with range and conditional requests. `name` is what the client shall call it."""

    path: Path
    name: str
    content_type: str | None = None
