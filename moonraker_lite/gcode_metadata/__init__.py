"""Facts about G-code files: a pure library that needs no server.

    from moonraker_lite.gcode_metadata import scan
    print(scan("benchy.gcode").estimated_time)

Importing it loads neither Pillow nor zipfile; they are imported when a picture is resized or a container unpacked.
"""

from __future__ import annotations

from .containers import extract_ufp
from .model import GCODE_EXTENSIONS, SCANNER_VERSION, Metadata, Thumbnail, is_gcode_name
from .scanner import scan

__all__ = [
    "GCODE_EXTENSIONS",
    "SCANNER_VERSION",
    "Metadata",
    "Thumbnail",
    "extract_ufp",
    "is_gcode_name",
    "scan",
]
