"""What a scan answers: the wire types of `server.files.metadata`.

Field names, units and JSON types are those of Moonraker's file management document ("Metadata Request Specification")
and of its recorded answers. A field that the file does not state is left out of the encoded object.
"""

from __future__ import annotations

import msgspec

SCANNER_VERSION = 5
"""Raised whenever the same file would yield other metadata, so that stored results can be refreshed."""

CONTAINER_EXTENSIONS = frozenset({".bgcode", ".gcode.3mf", ".gx", ".ufp"})
GCODE_EXTENSIONS = frozenset({".gcode", ".g", ".gco", ".nc"}) | CONTAINER_EXTENSIONS
"""Lower-case file name endings that are listed and scanned as G-code (containers are unpacked to be printed)."""
_ENDINGS = tuple(GCODE_EXTENSIONS)


def is_gcode_name(name: str) -> bool:
    """Whether a file of this name or path counts as G-code. Upper and lower case are the same."""
    lower = name.rpartition("/")[2].lower()
    return lower.endswith(_ENDINGS) and lower not in GCODE_EXTENSIONS


class Thumbnail(msgspec.Struct, frozen=True):
    """One picture. `size` in bytes of the written file; `relative_path` is relative to the G-code file's folder."""

    width: int
    height: int
    size: int
    relative_path: str


class PrintObject(msgspec.Struct, frozen=True, omit_defaults=True):
    """One labelled object: its name as the file spells it, and where it stands on the bed (mm), when that is stated."""

    name: str
    center: tuple[float, float] | None = None
    polygon: list[tuple[float, float]] | None = None


class Box(msgspec.Struct, frozen=True):
    """A rectangle on the bed (mm)."""

    min_x: float
    min_y: float
    max_x: float
    max_y: float


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """Facts about one G-code file, in mm, g, °C and seconds.

    The fields up to `referenced_tools` are Moonraker's. Those behind are additions: clients that do not know them pass
    them over. `print_start_time`, `job_id` and `filename` are not known here.
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
    filament_lengths: list[float] | None = None
    """mm for each tool, 0 for one that is not used."""
    filament_cost: float | None = None
    """In whatever money the slicer was told."""
    filament_diameters: list[float] | None = None
    filament_densities: list[float] | None = None
    """g/cm³ for each filament."""
    nozzle_diameters: list[float] | None = None
    """mm for each tool."""
    first_layer_time: int | float | None = None
    estimated_time_silent: int | float | None = None
    """In the printer's silent mode."""
    progress_time: int | float | None = None
    """What remains according to the first `M73` of the file."""
    print_settings_id: str | None = None
    printer_settings_id: str | None = None
    infill_density: float | None = None
    """Percent."""
    infill_pattern: str | None = None
    support: bool | None = None
    objects: list[PrintObject] | None = None
    bounding_box: Box | None = None
    """Where filament is fed, or what the slicer states."""
    problem: str | None = None
    """Why a container cannot be printed: a sentence. Then the rest is not known."""
    computed: list[str] | None = None
    """Names of the fields that the file does not state and that were computed from all of its moves."""
