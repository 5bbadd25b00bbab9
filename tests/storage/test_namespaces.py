"""The store against a model: a dict of dicts, with the rules of Moonraker written down once more and plainly."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonraker_lite.errors import BadRequest, HostError, NotFound
from moonraker_lite.storage import Database, Namespaces

NAMESPACE = st.sampled_from(["fluidd", "mainsail"])
PATH = st.lists(st.sampled_from("abc"), min_size=1, max_size=3)
VALUE = st.sampled_from([None, 0, False, "", "x", 1.5, -(2**40), [], {}, [1, {"a": None}], {"a": {"b": 1}}, {"b": 2}])
STEP = (
    st.tuples(st.just("insert"), NAMESPACE, PATH, VALUE)
    | st.tuples(st.just("delete"), NAMESPACE, PATH, st.none())
    | st.tuples(st.just("get"), NAMESPACE, PATH, st.none())
)


class Model:
    """What the store should do."""

    def __init__(self) -> None:
        self.spaces: dict[str, dict[str, Any]] = {}

    def get(self, namespace: str, path: list[str]) -> Any:
        value: Any = self.spaces[namespace]
        for part in path:
            if not isinstance(value, dict):
                raise KeyError
            value = value[part]
        return value

    def insert(self, namespace: str, path: list[str], value: Any) -> None:
        space = self.spaces.get(namespace, {})
        if len(path) == 1:
            if value is None:
                space.pop(path[0], None)
            else:
                space[path[0]] = value
        else:
            record = space.get(path[0])
            record = record if isinstance(record, dict) else {}
            changed = parent = json.loads(json.dumps(record))
            for part in path[1:-1]:
                parent = parent.setdefault(part, {})
                if not isinstance(parent, dict):
                    raise TypeError
            parent[path[-1]] = value
            space[path[0]] = changed
        self.spaces[namespace] = space
        self.tidy(namespace)

    def delete(self, namespace: str, path: list[str]) -> Any:
        value = self.get(namespace, path)
        del (self.get(namespace, path[:-1]))[path[-1]]
        if len(path) > 1 and not self.spaces[namespace][path[0]]:
            del self.spaces[namespace][path[0]]
        self.tidy(namespace)
        return value

    def tidy(self, namespace: str) -> None:
        if not self.spaces[namespace]:
            del self.spaces[namespace]


def expected(model: Model, step: tuple[str, str, list[str], Any]) -> Any:
    """What the model does with a step: a value, or the type of the error."""
    action, namespace, path, value = step
    try:
        if action == "insert":
            return model.insert(namespace, path, json.loads(json.dumps(value)))
        return json.loads(json.dumps(getattr(model, action)(namespace, path)))
    except KeyError:
        return NotFound
    except TypeError:
        return NotFound if action == "delete" else BadRequest


async def observed(store: Namespaces, step: tuple[str, str, list[str], Any]) -> Any:
    action, namespace, path, value = step
    key: Any = ".".join(path) if len(path) % 2 else path
    try:
        if action == "insert":
            return await store.insert(namespace, key, value)
        return await getattr(store, action)(namespace, key)
    except HostError as error:
        return type(error)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, max_size=25))
def test_the_store_does_what_the_model_does(steps: list[tuple[str, str, list[str], Any]]) -> None:
    async def play() -> None:
        with tempfile.TemporaryDirectory() as folder:
            db = Database(Path(folder) / "x.db")
            await db.open()
            try:
                model, store = Model(), Namespaces(db)
                for step in steps:
                    assert await observed(store, step) == expected(model, step), step
                assert await store.list() == sorted(model.spaces)
                for namespace, content in model.spaces.items():
                    assert await store.get(namespace) == content
            finally:
                await db.close()

    asyncio.run(play())


async def test_errors_are_worded_as_recorded(db: Database) -> None:
    store = Namespaces(db)
    await store.insert("ns", "o", {"p": None})
    for call, message in (
        (store.get("nosuch"), "Namespace nosuch not found"),
        (store.get("nosuch", "x"), "Key 'x' in namespace 'nosuch' not found"),
        (store.get("ns", "n.b"), "Key 'n.b' in namespace 'ns' not found"),
        (store.delete("ns", "n"), "Key 'n' in namespace 'ns' not found"),
        (store.get("ns", "o..p"), "Invalid Key Format: 'o..p'"),
        (
            store.insert("ns", "o.p.z", 1),
            "Item at key 'o.p' in namespace 'ns' is not a dictionary object, cannot insert",
        ),
    ):
        with pytest.raises(HostError) as error:
            await call
        assert error.value.message == message
    assert await store.get("ns", "o") == {"p": None}


@pytest.mark.parametrize("value", [2**53 + 1, 10**25, 0.1, 1e300, "ü☃😀\x00", {"with.dot": {"": [None, [[]]]}}])
async def test_values_come_back_as_they_were(db: Database, value: Any) -> None:
    store = Namespaces(db)
    await store.insert("ns", ["k", "with.dot"], value)
    found = await store.get("ns", ["k", "with.dot"])
    assert found == value
    assert json.dumps(found) == json.dumps(value)


async def test_what_json_cannot_hold_is_refused_and_nothing_is_written(db: Database) -> None:
    store = Namespaces(db)
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, "\ud800", {"a": object()}):
        with pytest.raises(BadRequest, match="cannot be stored"):
            await store.insert("ns", "k", value)
    with pytest.raises(BadRequest):
        await store.insert("\ud800", "k", 1)
    with pytest.raises(NotFound):
        await store.get("\ud800", "k")
    with pytest.raises(NotFound):
        await store.get("\ud800")
    assert await store.list() == []
