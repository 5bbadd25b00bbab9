"""Queries and subscriptions on the 0.25 s grid."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from moonraker_lite.marlin.subscriptions import INTERVAL, StatusFeed, Subscription


class World:
    """Objects that the test changes, and what a subscriber was told."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {"a": {"x": 1, "y": 2}, "b": {"z": [1]}}
        self.asked: list[str] = []
        self.told: list[tuple[str, Any]] = []
        self.feed = StatusFeed(self.snapshot, time.monotonic)

    def snapshot(self, name: str, now: float) -> dict[str, Any] | None:
        self.asked.append(name)
        found = self.objects.get(name)
        return None if found is None else dict(found)

    def query(self, fields: dict[str, list[str] | None], owner: object = None) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.feed.query(owner, fields, lambda data: answer.set_result(json.loads(data)))
        return answer

    def subscribe(
        self, owner: str, fields: dict[str, list[str] | None], template: dict[str, Any] | None = None
    ) -> None:
        subscription = Subscription(fields, template or {}, lambda data: self.told.append((owner, json.loads(data))))
        self.feed.subscribe(
            owner, subscription, lambda data: self.told.append((f"{owner} full", json.loads(data)["status"]))
        )

    async def ticks(self, number: int) -> None:
        await asyncio.sleep(number * INTERVAL + 0.05)


async def test_a_first_query_is_answered_at_once_and_the_next_on_the_grid() -> None:
    world = World()
    begin = time.monotonic()
    assert (await world.query({"a": ["x", "none"], "nosuch": None}))["status"] == {
        "a": {"x": 1, "none": None},
        "nosuch": {},
    }
    assert time.monotonic() - begin < INTERVAL / 2
    answer = await world.query({"a": None})
    assert answer["status"] == {"a": {"x": 1, "y": 2}}
    assert time.monotonic() - begin >= INTERVAL - 0.01


async def test_only_what_changed_is_told() -> None:
    world = World()
    world.subscribe("one", {"a": None, "b": ["z"]}, {"method": "up"})
    await world.ticks(1)
    world.objects["a"] = {"x": 1, "y": 3}
    await world.ticks(2)
    world.feed.close()
    assert world.told[0] == ("one full", {"a": {"x": 1, "y": 2}, "b": {"z": [1]}})
    (owner, update), *rest = world.told[1:]
    assert rest == []
    assert owner == "one"
    assert update["method"] == "up"
    assert update["params"]["status"] == {"a": {"y": 3}}


async def test_a_subscription_begins_with_its_full_status_and_replaces_the_old_one() -> None:
    world = World()
    world.subscribe("one", {"a": None})
    await world.ticks(1)
    world.objects = {"a": {"x": 9, "y": 9}, "b": {"z": [9]}}
    world.subscribe("one", {"b": None})
    world.subscribe("two", {"a": None})
    await world.ticks(2)
    world.objects = {"a": {"x": 10, "y": 9}, "b": {"z": [10]}}
    await world.ticks(1)
    world.feed.close()
    assert [(owner, update if "full" in owner else update["params"]["status"]) for owner, update in world.told[1:]] == [
        ("one full", {"b": {"z": [9]}}),
        ("two full", {"a": {"x": 9, "y": 9}}),
        ("one", {"b": {"z": [10]}}),
        ("two", {"a": {"x": 10}}),
    ]


async def test_an_object_is_asked_once_for_all() -> None:
    world = World()
    for owner in ("one", "two", "three"):
        world.subscribe(owner, {"a": None})
    await world.query({"a": ["x"]})
    assert world.asked == ["a"]
    world.feed.close()


async def test_without_subscribers_nothing_is_done() -> None:
    world = World()
    world.subscribe("one", {"a": None})
    await world.ticks(1)
    world.subscribe("one", {})
    await world.ticks(1)
    world.asked.clear()
    await world.ticks(2)
    assert world.asked == []


async def test_a_connection_that_is_gone_is_told_nothing() -> None:
    world = World()
    await world.query({})
    world.subscribe("one", {"a": None})
    answer = world.query({"a": None}, owner="one")
    world.feed.drop("one")
    await world.ticks(1)
    assert world.told == []
    assert not answer.done()
