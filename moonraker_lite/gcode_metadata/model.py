"""What a scan answers: the wire types of `server.files.metadata`.

Field names, units and JSON types are those of Moonraker's file management document ("Metadata Request Specification")
and of its recorded answers. A field that the file does not state is left out of the encoded object.
"""

from __future__ import annotations

import msgspec

SCANNER_VERSION = 1
"""Raised whenever the same file would yield other metadata, so that stored results can be refreshed."""

GCODE_EXTENSIONS = frozenset({".gcode", ".g", ".gco", ".ufp", ".nc"})
"""Lower-case file name endings that are listed and scanned as G-code (`.ufp` is unpacked first)."""


def is_gcode_name(name: str) -> bool:
    """Whether a file of this name or path counts as G-code. Upper and lower case are the same."""
    stem, dot, extension = name.rpartition("/")[2].rpartition(".")
    return bool(stem) and dot + extension.lower() in GCODE_EXTENSIONS


class Thumbnail(msgspec.Struct, frozen=True):
    """One picture. `size` in bytes of the written file; `relative_path` is relative to the G-code file's folder."""

    width: int
    height: int
    size: int
    relative_path: str


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """Facts about one G-code file, in mm, g, °C and seconds.

    `print_start_time`, `job_id` and `filename` are not known here.
    """

    size: int
    modified: float
    uuid: str
    file_processors: list[str]
    slicer: str
    slicer_version: str
    gcode_start_byte: int | None = None
    gcode_end_byte: int | None = None
    object_height: float | None = None
    estimated_time: int | float | None = None
    nozzle_diameter: float | None = None
    layer_height: float | None = None
    first_layer_height: float | None = None
    first_layer_extr_temp: float | None = None
    first_layer_bed_temp: float | None = None
    chamber_temp: float | None = None
    filament_name: str | None = None
    filament_colors: list[str] | None = None
    extruder_colors: list[str] | None = None
    filament_temps: list[int] | None = None
    filament_type: str | None = None
    filament_total: float | None = None
    filament_change_count: int | None = None
    filament_weight_total: float | None = None
    filament_weights: list[float] | None = None
    printer_vendor: str | None = None
    printer_model: str | None = None
    printer_variant: str | None = None
    profile_version: str | None = None
    mmu_print: int | None = None
    referenced_tools: list[int] | None = None
    layer_count: int | None = None
    thumbnails: list[Thumbnail] | None = None
