"""Client of Klipper's API socket: framing, requests, reconnecting, printer state, status cache and fan-out."""

from __future__ import annotations

from moonraker_lite.klippy.client import KlippyClient
from moonraker_lite.klippy.errors import KlippyError
from moonraker_lite.klippy.hub import StatusHub
from moonraker_lite.klippy.listener import KlippyListener
from moonraker_lite.klippy.state import KlippyInfo, KlippyState

__all__ = ["KlippyClient", "KlippyError", "KlippyInfo", "KlippyListener", "KlippyState", "StatusHub"]
