"""Marlin's serial line protocol, sans-IO: usable without a server, an event loop or a port."""

from moonraker_lite.marlin.protocol.engine import LineProtocol, State
from moonraker_lite.marlin.protocol.events import (
    Acknowledged,
    Busy,
    Connected,
    Event,
    Fatal,
    FirmwareReset,
    Line,
    LinkTrouble,
    Resent,
    Resumed,
    Token,
)
from moonraker_lite.marlin.protocol.stats import LinkStats

__all__ = [
    "Acknowledged",
    "Busy",
    "Connected",
    "Event",
    "Fatal",
    "FirmwareReset",
    "Line",
    "LineProtocol",
    "LinkStats",
    "LinkTrouble",
    "Resent",
    "Resumed",
    "State",
    "Token",
]
