"""What can go wrong when Klipper is asked something."""

from __future__ import annotations

from ..errors import BadRequest


class KlippyError(BadRequest):
    """Klipper understood the request and refused it; the message is Klipper's own sentence, perhaps of several lines."""
