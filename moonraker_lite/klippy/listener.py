"""What the connection to the printer back end reports, and to whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from moonraker_lite.klippy.state import KlippyState

Objects = Mapping[str, Sequence[str] | None]
"""What is wanted: object name -> fields, or None for all of them."""

Status = dict[str, dict[str, Any]]
"""Object name -> field -> value."""

RemoteMethod = Callable[..., Any]
"""A function that Klipper macros may call; keyword arguments as the macro gave them. May be a coroutine function."""


class KlippyListener(Protocol):
    """Receives what the back end does, in order, each event once. All methods are called on the event loop."""

    def on_state(self, state: KlippyState, message: str) -> None:
        """A change of state. READY, ERROR and SHUTDOWN come only when output and subscriptions work."""

    def on_gcode_command(self, script: str) -> None:
        """G-code (perhaps several lines) that is about to be sent, whoever asked for it."""

    def on_gcode_response(self, text: str) -> None:
        """One line (or block) of G-code output."""

    def on_status(self, status: Status, eventtime: float) -> None:
        """Changed fields of subscribed objects; `eventtime` in seconds of the back end's clock."""
