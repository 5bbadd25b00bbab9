"""Events between components, and notifications to clients.

Inside the host, an event is a value of its own type (a frozen Struct); whoever wants it subscribes to that type. What
clients shall see goes out through `Events.notify`, which is encoded once for all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

_LOGGER = logging.getLogger(__name__)

E = TypeVar("E", bound=msgspec.Struct)
Broadcast = Callable[[bytes, str | None], None]
_ENCODER = msgspec.json.Encoder()


class Events:
    """Synchronous, ordered delivery on the event loop's thread."""

    def __init__(self) -> None:
        self._handlers: dict[type[Any], list[Callable[[Any], None]]] = {}
        self._broadcast: Broadcast | None = None

    def subscribe(self, kind: type[E], handler: Callable[[E], None]) -> Callable[[], None]:
        """Call `handler` for every event of exactly this type. Returns a function that ends the subscription."""
        handlers = self._handlers.setdefault(kind, [])
        handlers.append(handler)

        def unsubscribe() -> None:
            if handler in handlers:
                handlers.remove(handler)

        return unsubscribe

    def publish(self, event: msgspec.Struct) -> None:
        """Deliver `event` to its subscribers in the order of their subscription."""
        for handler in tuple(self._handlers.get(type(event), ())):
            try:
                handler(event)
            except Exception:  # boundary: one subscriber's fault must not keep the event from the others
                _LOGGER.exception("handler of %s failed", type(event).__name__)

    def connect_clients(self, broadcast: Broadcast) -> None:
        """Give the function that sends one encoded message to every connected client."""
        self._broadcast = broadcast

    def notify(self, name: str, *params: Any, latest: bool = False) -> None:
        """Send JSON-RPC notification `notify_<name>` to every client.

        Without params the key is left out, as Moonraker does. `latest` says that only the newest value is of interest:
        for a client that is behind, it replaces one of the same name that still waits.
        """
        if self._broadcast is None:
            return
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": f"notify_{name}"}
        if params:
            message["params"] = params
        self._broadcast(_ENCODER.encode(message), name if latest else None)
