"""The part of OctoPrint's API that slicers use to upload and start prints, as Moonraker emulates it."""

from __future__ import annotations

from .component import OctoPrintCompat
from .settings import OctoPrintSettings

__all__ = ["OctoPrintCompat", "OctoPrintSettings"]
