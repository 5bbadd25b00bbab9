"""Status of the printer's objects: one subscription at the back end, many subscribers here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from moonraker_lite.klippy.client import KlippyClient
from moonraker_lite.klippy.listener import Objects, Status
from moonraker_lite.klippy.selection import (
    Fields,
    canonical,
    changes,
    covers,
    parse_selection,
    pick_changed,
    pick_full,
    union,
)
from moonraker_lite.klippy.state import KlippyState

Sink = Callable[[bytes], None]
"""Takes one encoded `notify_status_update` message. Must not block and must not raise."""

Watcher = Callable[[Status, float], None]
"""Takes changed fields and the event time. The values are shared: look, do not touch."""

SHRINK_DELAY = 5.0  # s after which a subscription that nobody needs any more is given up
WEBHOOKS: dict[str, Fields] = {"webhooks": None}  # the connection itself needs it, so it is always there

_LOGGER = logging.getLogger(__name__)


class _Group:
    """All connections with the same subscription: an update is encoded once for them."""

    def __init__(self, selection: dict[str, Fields]) -> None:
        self.selection = selection
        self.sinks: dict[int, Sink] = {}


class _Watch:
    """A subscriber inside the host. `fresh` until it has had all its values of this connection."""

    def __init__(self, selection: dict[str, Fields], callback: Watcher) -> None:
        self.selection = selection
        self.callback = callback
        self.fresh = True


class StatusHub:
    """Merges all subscriptions into one, keeps the last known values, and spreads updates.

    The listener of `client` feeds it: it must forward `on_status` to `feed` and `on_state` to `on_state`.

    Klipper answers a new subscription with the full status, and what changed in that moment is in no update. So every
    answer is compared with the last known values, and the difference goes to the old subscribers as an update.
    """

    def __init__(self, client: KlippyClient) -> None:
        self._client = client
        self._groups: dict[Any, _Group] = {}
        self._group_of: dict[int, Any] = {}
        self._watches: list[_Watch] = []
        self._wishes: list[dict[str, Fields]] = []  # of those who wait in `subscribe`
        self._active: dict[str, Fields] = {}  # what the back end sends us
        self._cache: Status = {}
        self._eventtime = 0.0
        self._heard = 0.0  # our own clock when _eventtime came in
        self._sync_task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # -- connections -----------------------------------------------------------------------------------------------

    async def subscribe(self, conn_id: int, objects: Objects, sink: Sink) -> dict[str, Any]:
        """Replace the subscription of a connection. An empty one ends it.

        Returns {"eventtime": s, "status": {object: {field: value}}} with the full status of what is subscribed.
        Raises KlippyError for malformed `objects` and what KlippyClient.subscribe raises; the old one stays then.
        Whoever calls `unsubscribe` for a connection that closed must have cancelled its calls of this before.
        """
        selection = parse_selection(objects)
        self._wishes.append(selection)
        try:
            await self._ensure(selection)
        finally:
            self._wishes.remove(selection)
        self.unsubscribe(conn_id)
        if selection:
            key = canonical(selection)
            self._groups.setdefault(key, _Group(selection)).sinks[conn_id] = sink
            self._group_of[conn_id] = key
        return {"eventtime": self._now(), "status": pick_full(self._cache, selection)}

    def unsubscribe(self, conn_id: int) -> None:
        """Forget the subscription of a connection; unknown ones are ignored."""
        key = self._group_of.pop(conn_id, None)
        if key is None:
            return
        group = self._groups[key]
        del group.sinks[conn_id]
        if not group.sinks:
            del self._groups[key]
            self._shrink_later()

    def subscribed(self, conn_id: int) -> bool:
        """True if the connection gets updates."""
        return conn_id in self._group_of

    # -- inside the host -------------------------------------------------------------------------------------------

    def watch(self, objects: Objects, callback: Watcher) -> Callable[[], None]:
        """Call `callback(changed, eventtime)` for these objects from now on, first with all their values, and again so
        after every restart of the back end. Returns a function that ends it."""
        watch = _Watch(parse_selection(objects), callback)
        self._watches.append(watch)
        self._settle()

        def end() -> None:
            if watch in self._watches:
                self._watches.remove(watch)
                self._shrink_later()

        return end

    def value(self, obj: str, field: str, default: Any = None) -> Any:
        """The last known value of a subscribed or watched field."""
        return self._cache.get(obj, {}).get(field, default)

    # -- from the client's listener --------------------------------------------------------------------------------

    def on_state(self, state: KlippyState) -> None:
        """A restart ends the subscriptions of all connections (their clients ask again); watches come back."""
        if state is KlippyState.DISCONNECTED:
            self._groups.clear()
            self._group_of.clear()
            self._active = {}
            self._cache = {}
            for watch in self._watches:
                watch.fresh = True
        elif state is not KlippyState.STARTUP:
            self._settle()

    def feed(self, status: Status, eventtime: float) -> None:
        """An update of the back end."""
        self._hear(eventtime)
        for name, values in status.items():
            self._cache.setdefault(name, {}).update(values)
        self._spread(status, eventtime)

    async def close(self) -> None:
        """End the background work. The client is closed by its owner."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sync_task is not None:
            self._sync_task.cancel()
            await asyncio.wait({self._sync_task})

    # -- the one subscription --------------------------------------------------------------------------------------

    def _wanted(self) -> dict[str, Fields]:
        groups = [group.selection for group in self._groups.values()]
        return union([WEBHOOKS, *(watch.selection for watch in self._watches), *groups, *self._wishes])

    async def _ensure(self, selection: dict[str, Fields]) -> None:
        """Wait until the back end sends all of `selection`.

        The work is a task of its own: if the waiting client goes away meanwhile, the answer must be taken all the same.
        """
        while not (self._active and covers(self._active, selection)):
            await asyncio.shield(self._sync())

    def _sync(self) -> asyncio.Task[None]:
        """The running attempt to subscribe, or a new one."""
        if self._sync_task is None or self._sync_task.done():
            self._sync_task = asyncio.create_task(self._subscribe(self._wanted()), name="status subscription")
            self._sync_task.add_done_callback(self._settle_rest)
        return self._sync_task

    async def _subscribe(self, wanted: dict[str, Fields]) -> None:
        objects = {name: None if fields is None else sorted(fields) for name, fields in wanted.items()}
        await self._client.subscribe(objects, lambda status, eventtime: self._absorb(wanted, status, eventtime))

    def _absorb(self, active: dict[str, Fields], status: Status, eventtime: float) -> None:
        """The answer to our subscription: full status, and the end of all updates of the one before."""
        self._hear(eventtime)
        before, self._cache, self._active = self._cache, status, active
        self._spread(changes(before, status), eventtime)
        self._greet()

    def _settle(self) -> None:
        """Get the watches what they want, now or (not connected) when `on_state` says so."""
        if not self._watches or self._client.state in (KlippyState.DISCONNECTED, KlippyState.STARTUP):
            return
        if self._active and all(covers(self._active, watch.selection) for watch in self._watches):
            asyncio.get_running_loop().call_soon(self._greet)
        else:
            self._sync()

    def _settle_rest(self, task: asyncio.Task[None]) -> None:
        """A watch may have come while the attempt was under way. Clients who wait get its error by themselves."""
        if task.cancelled():
            return
        error = task.exception()
        waiting = any(watch.fresh for watch in self._watches)
        if error is None and waiting:
            self._settle()
        elif waiting and self._client.state is not KlippyState.DISCONNECTED:
            _LOGGER.warning("Cannot watch the printer's status: %s", error)

    def _greet(self) -> None:
        """Give all their values to the watches that have had none yet."""
        for watch in tuple(self._watches):
            if watch.fresh and self._active and covers(self._active, watch.selection):
                watch.fresh = False
                self._tell(watch, pick_full(self._cache, watch.selection), self._eventtime)

    def _shrink_later(self) -> None:
        if self._timer is None and self._client.connected:
            self._timer = asyncio.get_running_loop().call_later(SHRINK_DELAY, self._shrink)

    def _shrink(self) -> None:
        self._timer = None
        if self._client.connected and self._active and not covers(self._wanted(), self._active):
            self._sync()

    # -- spreading -------------------------------------------------------------------------------------------------

    def _spread(self, changed: Status, eventtime: float) -> None:
        for watch in tuple(self._watches):
            if not watch.fresh and (picked := pick_changed(changed, watch.selection)):
                self._tell(watch, picked, eventtime)
        for group in tuple(self._groups.values()):
            if picked := pick_changed(changed, group.selection):
                message = encode_update(picked, eventtime)
                for sink in tuple(group.sinks.values()):
                    sink(message)

    def _tell(self, watch: _Watch, status: Status, eventtime: float) -> None:
        try:
            watch.callback(status, eventtime)
        except Exception:  # boundary: one component's fault must not keep status from the others
            _LOGGER.exception("Fault while handling the printer's status")

    def _hear(self, eventtime: float) -> None:
        self._eventtime = eventtime
        self._heard = asyncio.get_running_loop().time()

    def _now(self) -> float:
        """The back end's clock, which goes on while nothing changes."""
        return self._eventtime + (asyncio.get_running_loop().time() - self._heard)


def encode_update(status: Status, eventtime: float) -> bytes:
    """One notify_status_update message."""
    message = {"jsonrpc": "2.0", "method": "notify_status_update", "params": [status, eventtime]}
    return msgspec.json.encode(message)
