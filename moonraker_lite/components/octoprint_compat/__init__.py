"""The part of OctoPrint's API that slicers use to upload and start prints, as Moonraker emulates it."""

from __future__ import annotations

from moonraker_lite.components.octoprint_compat.component import OctoPrintCompat
from moonraker_lite.components.octoprint_compat.settings import OctoPrintSettings

__all__ = ["OctoPrintCompat", "OctoPrintSettings"]
