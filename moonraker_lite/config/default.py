"""The commented configuration that a first start writes."""

from __future__ import annotations

from pathlib import Path

DEFAULT_CONFIG_TEXT = ""


def write_default_config(path: Path) -> bool:
    """Write the default file unless one is there. True when it was written."""
    return False
