"""The connection to the printer back end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from .state import KlippyInfo, KlippyState

RemoteMethod = Callable[..., Any]
"""A function that Klipper macros may call; keyword arguments as the macro gave them. May be a coroutine function."""


class KlippyListener(Protocol):
    """Receives what the back end does, in order, each event once. All methods are called on the event loop."""

    def on_state(self, state: KlippyState, message: str) -> None:
        """A change of state. READY comes only when requests, output and subscriptions work."""

    def on_gcode_response(self, text: str) -> None:
        """One line (or block) of G-code output."""

    def on_status(self, status: dict[str, dict[str, Any]], eventtime: float) -> None:
        """Changed fields of subscribed objects."""


class KlippyClient:
    """One connection to Klipper's API socket, renewed for ever."""

    def __init__(self, socket_path: Path, *, listener: KlippyListener) -> None:
        self.socket_path = socket_path
        self.state = KlippyState.DISCONNECTED
        self.state_message = "Klippy Disconnected"
        self.info: KlippyInfo | None = None
        self.endpoints: frozenset[str] = frozenset()
        self._listener = listener

    @property
    def connected(self) -> bool:
        """True while requests can be sent."""
        return False

    async def start(self) -> None:
        """Begin connecting in the background; returns at once."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close the connection, fail what is pending, and end the background task."""
        raise NotImplementedError

    async def request(self, method: str, params: dict[str, Any] | None = None, *, timeout: float | None = None) -> Any:
        """Ask `method` and return its result. Raises KlippyError for an error answer and Unavailable when there is no
        connection, it is lost meanwhile, or no answer came within `timeout` seconds."""
        raise NotImplementedError

    async def gcode(self, script: str) -> str:
        """Run G-code (several lines allowed) and wait for its end. Returns "ok". Raises as `request`."""
        raise NotImplementedError

    def register_remote_method(self, name: str, handler: RemoteMethod) -> None:
        """Let Klipper macros call `handler(**params)`; announced now and after every reconnect."""
        raise NotImplementedError
