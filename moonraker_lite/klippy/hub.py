"""Status of the printer's objects: one subscription at the back end, many subscribers here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .client import KlippyClient

Objects = Mapping[str, Sequence[str] | None]
"""What is wanted: object name -> fields, or None for all of them."""

Sink = Callable[[bytes], None]
"""Takes one encoded `notify_status_update` message."""

Watcher = Callable[[dict[str, dict[str, Any]], float], None]
"""Takes changed fields and the event time."""


class StatusHub:
    """Merges all subscriptions into one, keeps the last known values, and spreads updates.

    Fed by the listener of `client`: it must forward on_status to `feed` and on_state to `on_state`.
    """

    def __init__(self, client: KlippyClient) -> None:
        self._client = client

    async def subscribe(self, conn_id: int, objects: Objects, sink: Sink) -> dict[str, Any]:
        """Replace the subscription of a connection. Returns {"eventtime": s, "status": {object: {field: value}}} with the
        full status of what is subscribed. Raises KlippyError, Unavailable."""
        raise NotImplementedError

    def unsubscribe(self, conn_id: int) -> None:
        """Forget the subscription of a connection; unknown ones are ignored."""
        raise NotImplementedError

    def watch(self, objects: Objects, callback: Watcher) -> Callable[[], None]:
        """Call `callback(changed, eventtime)` for these objects from now on, first with all their values, and again after
        every restart of the back end. Returns a function that ends it."""
        raise NotImplementedError

    def value(self, obj: str, field: str, default: Any = None) -> Any:
        """The last known value of a subscribed or watched field."""
        raise NotImplementedError
