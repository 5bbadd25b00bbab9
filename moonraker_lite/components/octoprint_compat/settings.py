"""Options of `[octoprint_compat]`, named as Moonraker names them."""

from __future__ import annotations

import msgspec


class OctoPrintSettings(msgspec.Struct, frozen=True):
    """`enable_ufp` tells Cura that it may upload UFP packages; the others describe a webcam to OctoPrint's clients."""

    enable_ufp: bool = True
    flip_h: bool = False
    flip_v: bool = False
    rotate_90: bool = False
    stream_url: str = "/webcam/?action=stream"
    webcam_enabled: bool = True
