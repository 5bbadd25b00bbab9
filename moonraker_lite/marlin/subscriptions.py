"""Status on the 0.25 s grid: queries, and updates of what changed for those who subscribed.

One tick serves everybody: each object that anybody needs is asked once, compared with the tick before, and an update
is encoded once per distinct subscription. Without a subscriber there is no timer. A query comes at once when the last
tick is 0.25 s old, else it waits for the next one (measured on Klipper: `../golden/klippy`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

INTERVAL = 0.25

Fields = dict[str, list[str] | None]
Status = dict[str, dict[str, Any]]
# Gives the fields of an object at an eventtime, or None if there is no such object. What was returned once is kept for
# comparison: it must not be changed afterwards.
Snapshot = Callable[[str, float], dict[str, Any] | None]


class Subscription:
    """What one connection wants to be told, and how its messages look."""

    __slots__ = ("fields", "key", "prefix", "send")

    def __init__(self, fields: Fields, template: dict[str, Any], send: Callable[[bytes], None]) -> None:
        self.fields = fields
        self.prefix = message_prefix(template)
        self.key = (self.prefix, msgspec.json.encode(fields))
        self.send = send


def message_prefix(template: dict[str, Any]) -> bytes:
    """Return the JSON of a response template, open at its end for the value of `params`."""
    body = {key: value for key, value in template.items() if key != "params"}
    body["params"] = None
    return msgspec.json.encode(body)[: -len(b"null}")]


class _Question:
    """A query that waits for the next tick, and the subscription that begins with its answer."""

    __slots__ = ("answer", "fields", "owner", "subscription")

    def __init__(
        self, owner: object, fields: Fields, answer: Callable[[bytes], None], subscription: Subscription | None = None
    ) -> None:
        self.owner = owner
        self.fields = fields
        self.answer = answer
        self.subscription = subscription


class StatusFeed:
    """Answers queries and feeds subscriptions."""

    def __init__(self, snapshot: Snapshot, clock: Callable[[], float]) -> None:
        self._snapshot = snapshot
        self._clock = clock
        self._subscriptions: dict[object, Subscription] = {}
        self._pending: list[_Question] = []
        self._last: Status = {}
        self._last_tick = -INTERVAL
        self._timer: asyncio.TimerHandle | None = None

    def query(self, owner: object, fields: Fields, answer: Callable[[bytes], None]) -> None:
        """Call `answer` with the encoded `{eventtime, status}` on the next tick."""
        self._pending.append(_Question(owner, fields, answer))
        self._arm()

    def subscribe(self, owner: object, subscription: Subscription, answer: Callable[[bytes], None]) -> None:
        """Replace the owner's subscription; `answer` gets the full status first. No fields means no updates."""
        self._subscriptions.pop(owner, None)
        for question in self._pending:
            if question.owner is owner:
                question.subscription = None
        begins = subscription if subscription.fields else None
        self._pending.append(_Question(owner, subscription.fields, answer, begins))
        self._arm()

    def drop(self, owner: object) -> None:
        """Forget a connection that is gone."""
        self._subscriptions.pop(owner, None)
        self._pending = [question for question in self._pending if question.owner is not owner]
        if not self._subscriptions and not self._pending:
            self.close()

    def close(self) -> None:
        """Stop ticking; what is pending is not answered any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._last = {}

    def _arm(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time(), self._last_tick + INTERVAL), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._last_tick = asyncio.get_running_loop().time()
        pending, self._pending = self._pending, []
        try:
            self._serve(pending, self._clock())
        finally:
            if self._subscriptions or self._pending:
                self._arm()

    def _serve(self, pending: list[_Question], eventtime: float) -> None:
        current = self._collect(pending, eventtime)
        self._send_updates(current, eventtime)
        for question in pending:
            status = {name: _select(current[name], wanted) for name, wanted in question.fields.items()}
            question.answer(msgspec.json.encode({"eventtime": eventtime, "status": status}))
            if question.subscription is not None:
                self._subscriptions[question.owner] = question.subscription
        watched = {name for subscription in self._subscriptions.values() for name in subscription.fields}
        self._last = {name: current[name] for name in watched}

    def _collect(self, pending: list[_Question], eventtime: float) -> Status:
        names = {name for question in pending for name in question.fields}
        for subscription in self._subscriptions.values():
            names.update(subscription.fields)
        return {name: self._snapshot(name, eventtime) or {} for name in names}

    def _send_updates(self, current: Status, eventtime: float) -> None:
        """Send what changed since the last tick. Objects nobody watched then are in their first answer instead."""
        changes: Status = {}
        for name, before in self._last.items():
            now = current.get(name)
            if now is None or now is before:
                continue
            changed = {key: value for key, value in now.items() if key not in before or before[key] != value}
            if changed:
                changes[name] = changed
        if not changes:
            return
        encoded: dict[tuple[bytes, bytes], bytes] = {}
        for subscription in self._subscriptions.values():
            message = encoded.get(subscription.key)
            if message is None:
                message = encoded[subscription.key] = _encode_update(subscription, changes, eventtime)
            if message:
                subscription.send(message)


def _encode_update(subscription: Subscription, changes: Status, eventtime: float) -> bytes:
    status: Status = {}
    for name, wanted in subscription.fields.items():
        changed = changes.get(name)
        if changed is None:
            continue
        if wanted is not None:
            changed = {key: value for key, value in changed.items() if key in wanted}
        if changed:
            status[name] = changed
    if not status:
        return b""
    return subscription.prefix + msgspec.json.encode({"eventtime": eventtime, "status": status}) + b"}"


def _select(values: dict[str, Any], wanted: list[str] | None) -> dict[str, Any]:
    return values if wanted is None else {key: values.get(key) for key in wanted}
