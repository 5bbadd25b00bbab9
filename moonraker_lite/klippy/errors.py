"""What can go wrong when Klipper is asked something."""

from __future__ import annotations

from moonraker_lite.errors import BadRequest


class KlippyError(BadRequest):
    """Klipper understood the request and refused it. The message is Klipper's own text, perhaps of several lines."""
