"""Facts about G-code files: a pure library that needs no server.

    from moonraker_lite.gcode_metadata import scan
    print(scan("benchy.gcode").estimated_time)

Importing the package loads the wire types only. The scanner with its tables comes with the first use of `scan`, zipfile
with that of `extract_ufp`, and Pillow when a picture has to be resized or converted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moonraker_lite.gcode_metadata.model import (
    GCODE_EXTENSIONS,
    SCANNER_VERSION,
    Box,
    Metadata,
    PrintObject,
    Thumbnail,
    is_gcode_name,
)

if TYPE_CHECKING:
    from moonraker_lite.gcode_metadata.containers import extract_ufp
    from moonraker_lite.gcode_metadata.moves_pass import scan_moves
    from moonraker_lite.gcode_metadata.scanner import scan
    from moonraker_lite.gcode_metadata.user_tables import check_tables, load_tables

__all__ = [
    "GCODE_EXTENSIONS",
    "SCANNER_VERSION",
    "Box",
    "Metadata",
    "PrintObject",
    "Thumbnail",
    "check_tables",
    "extract_ufp",
    "is_gcode_name",
    "load_tables",
    "scan",
    "scan_moves",
]


def __getattr__(name: str) -> Any:
    """Import the working parts on first use: a host that leaves scanning to a worker process never needs them."""
    if name == "scan":
        from moonraker_lite.gcode_metadata.scanner import scan

        return scan
    if name == "extract_ufp":
        from moonraker_lite.gcode_metadata.containers import extract_ufp

        return extract_ufp
    if name in ("check_tables", "load_tables"):
        from moonraker_lite.gcode_metadata import user_tables

        return getattr(user_tables, name)
    if name == "scan_moves":
        from moonraker_lite.gcode_metadata.moves_pass import scan_moves

        return scan_moves
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
