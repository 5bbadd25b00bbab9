"""Client of Klipper's API socket: framing, requests, reconnecting, printer state, status cache and fan-out."""

from __future__ import annotations

from .client import KlippyClient
from .errors import KlippyError
from .hub import StatusHub
from .listener import KlippyListener
from .state import KlippyInfo, KlippyState

__all__ = ["KlippyClient", "KlippyError", "KlippyInfo", "KlippyListener", "KlippyState", "StatusHub"]
