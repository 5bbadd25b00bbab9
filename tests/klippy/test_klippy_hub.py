"""Status: one subscription at the back end, each update encoded once per distinct subscription, nothing lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.errors import Unavailable
from moonraker_lite.klippy import KlippyClient, KlippyError, KlippyState, StatusHub
from moonraker_lite.klippy import hub as hub_module
from moonraker_lite.klippy.selection import canonical, changes, covers, parse_selection, pick_changed, pick_full, union
from tests.fakes.klippy import FakeKlippy
from tests.fakes.klippy_listener import RecordingListener

READY, DISCONNECTED = KlippyState.READY, KlippyState.DISCONNECTED


class Rig:
    def __init__(self, fake: FakeKlippy) -> None:
        self.fake = fake
        self.listener = RecordingListener()
        self.client = KlippyClient(fake.socket, listener=self.listener)
        self.hub = StatusHub(self.client)
        self.listener.forward = self.hub

    def subscriptions(self) -> list[dict[str, Any]]:
        return [params["objects"] for method, params in self.fake.requests if method == "objects/subscribe"]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    (tmp_path / "gcodes").mkdir()
    async with FakeKlippy(tmp_path / "sock", tmp_path / "gcodes", speed=20, grid=0.03) as fake:
        rig = Rig(fake)
        await rig.client.start()
        await rig.listener.until_state(READY)
        yield rig
        await rig.hub.close()
        await rig.client.close()


class Client:
    """A websocket's side of a subscription."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []

    def __call__(self, message: bytes) -> None:
        self.raw.append(message)

    @property
    def updates(self) -> list[dict[str, Any]]:
        return [json.loads(raw)["params"][0] for raw in self.raw]

    def folded(self, start: dict[str, Any]) -> dict[str, Any]:
        """What the client knows: the answer and all updates after it."""
        known = {name: dict(values) for name, values in start.items()}
        for update in self.updates:
            for name, values in update.items():
                known[name].update(values)
        return known


async def test_the_answer_is_the_full_status_and_unknown_objects_are_empty(rig: Rig) -> None:
    objects = {"toolhead": ["position", "nosuch"], "nosuch": None, "pause_resume": None, "fan": []}
    answer = await rig.hub.subscribe(1, objects, Client())
    assert answer["status"] == {
        "toolhead": {"position": [0.0, 0.0, 0.0, 0.0], "nosuch": None},
        "nosuch": {},
        "pause_resume": {"is_paused": False},
        "fan": {},
    }
    assert answer["eventtime"] == pytest.approx(rig.fake.printer.clock(), abs=1)


async def test_an_unknown_field_is_left_out_when_somebody_watches_all_of_the_object(rig: Rig) -> None:
    rig.hub.watch({"extruder": None}, lambda _changed, _eventtime: None)
    answer = await rig.hub.subscribe(1, {"extruder": ["nosuch", "target"]}, Client())
    assert answer["status"] == {"extruder": {"target": 0.0}}


async def test_updates_have_moonraker_s_form_and_only_what_changed(rig: Rig) -> None:
    client = Client()
    await rig.hub.subscribe(1, {"output_pin caselight": None, "fan": ["speed"]}, client)
    rig.fake.set_status("output_pin caselight", value=1.0)
    await rig.listener.until(lambda: client.raw)
    message = json.loads(client.raw[0])
    assert list(message) == ["jsonrpc", "method", "params"]
    assert message["method"] == "notify_status_update"
    assert message["params"][0] == {"output_pin caselight": {"value": 1.0}}
    assert message["params"][1] == pytest.approx(rig.fake.printer.clock(), abs=1)
    assert rig.hub.value("output_pin caselight", "value") == 1.0
    assert rig.hub.value("output_pin caselight", "nosuch", 5) == 5


async def test_twenty_equal_subscriptions_cost_one_subscription_and_one_encoding(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = 0
    encode = hub_module.encode_update

    def count(status: dict[str, dict[str, Any]], eventtime: float) -> bytes:
        nonlocal encoded
        encoded += 1
        return encode(status, eventtime)

    monkeypatch.setattr(hub_module, "encode_update", count)
    clients = [Client() for _ in range(20)]
    for number, client in enumerate(clients):
        fields = ["value", "other"] if number % 2 else ["other", "value", "value"]
        await rig.hub.subscribe(number, {"output_pin caselight": fields, "fan": None}, client)
    assert len(rig.subscriptions()) == 2  # the set-up's, and one for all of them
    rig.fake.set_status("output_pin caselight", value=0.5)
    await rig.listener.until(lambda: all(client.raw for client in clients))
    assert encoded == 1
    assert len({id(client.raw[0]) for client in clients}) == 1


async def test_many_who_ask_at_once_are_answered_by_one_subscription(rig: Rig) -> None:
    names = ["fan", "toolhead", "extruder", "heater_bed", "print_stats", "gcode_move"]
    answers = await asyncio.gather(*(rig.hub.subscribe(i, {name: None}, Client()) for i, name in enumerate(names)))
    assert [list(answer["status"]) for answer in answers] == [[name] for name in names]
    assert len(rig.subscriptions()) <= 3


async def test_what_changes_while_somebody_else_subscribes_is_not_lost(rig: Rig) -> None:
    """Klipper sends no update for the moment of a new subscription: the difference is in its answer."""
    first = Client()
    start = (await rig.hub.subscribe(1, {"fan": None, "output_pin caselight": None}, first))["status"]
    for round_ in range(1, 9):
        rig.fake.set_status("fan", speed=round_ / 10)
        rig.fake.set_status("output_pin caselight", value=float(round_))
        # each round asks for something new, so each has to subscribe at the back end
        await rig.hub.subscribe(10 + round_, {"gcode_move": [f"new{round_}"]}, Client())
        await rig.listener.until(lambda: first.folded(start)["fan"]["speed"] == round_ / 10)  # noqa: B023
    assert first.folded(start)["output_pin caselight"]["value"] == 8.0
    speeds = [update["fan"]["speed"] for update in first.updates if "speed" in update.get("fan", {})]
    assert speeds == [round_ / 10 for round_ in range(1, 9)]


async def test_a_new_subscription_replaces_the_old_one_and_an_empty_one_ends_it(rig: Rig) -> None:
    client = Client()
    await rig.hub.subscribe(1, {"fan": None}, client)
    await rig.hub.subscribe(1, {"output_pin caselight": None}, client)
    rig.fake.set_status("fan", speed=0.9)
    rig.fake.set_status("output_pin caselight", value=0.1)
    await rig.listener.until(lambda: client.raw)
    assert all(list(update) == ["output_pin caselight"] for update in client.updates)
    assert (await rig.hub.subscribe(1, {}, client))["status"] == {}
    assert not rig.hub.subscribed(1)
    rig.hub.unsubscribe(1)
    rig.hub.unsubscribe(99)


async def test_what_nobody_wants_any_more_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "SHRINK_DELAY", 0.05)
    await rig.hub.subscribe(1, {"fan": None, "toolhead": None}, Client())
    await rig.hub.subscribe(2, {"fan": ["speed"]}, Client())
    rig.hub.unsubscribe(1)
    await rig.listener.until(lambda: rig.subscriptions()[-1] == {"webhooks": None, "fan": ["speed"]})


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (["toolhead"], r"^Invalid Argument Type \[objects\]$"),
        (None, r"^Invalid Argument Type \[objects\]$"),
        ({"toolhead": "position"}, "^Invalid argument$"),
        ({"toolhead": [1]}, "^Invalid argument$"),
    ],
)
async def test_malformed_subscriptions_are_refused_as_klipper_does(rig: Rig, objects: Any, message: str) -> None:
    client = Client()
    await rig.hub.subscribe(1, {"fan": None}, client)
    with pytest.raises(KlippyError, match=message):
        await rig.hub.subscribe(1, objects, client)
    assert rig.hub.subscribed(1)


async def test_a_watch_gets_all_first_then_changes_and_all_again_after_a_restart(rig: Rig) -> None:
    seen: list[dict[str, Any]] = []
    client = Client()
    end = rig.hub.watch(
        {"output_pin caselight": None, "nosuch": None}, lambda changed, _eventtime: seen.append(changed)
    )
    await rig.hub.subscribe(1, {"fan": None}, client)
    await rig.listener.until(lambda: seen)
    assert seen == [{"output_pin caselight": {"value": 0.0}, "nosuch": {}}]
    rig.fake.set_status("output_pin caselight", value=1.0)
    await rig.listener.until(lambda: len(seen) == 2)
    assert seen[1] == {"output_pin caselight": {"value": 1.0}}
    await rig.client.gcode("RESTART")
    await rig.listener.until_state(DISCONNECTED)
    assert not rig.hub.subscribed(1)  # clients have to ask again
    assert rig.hub.value("output_pin caselight", "value") is None
    await rig.listener.until_state(READY)
    await rig.listener.until(lambda: len(seen) == 3)
    assert seen[2] == {"output_pin caselight": {"value": 0.0}, "nosuch": {}}
    end()
    end()
    client.raw.clear()
    rig.fake.set_status("output_pin caselight", value=0.7)
    rig.fake.set_status("fan", speed=0.7)
    await asyncio.sleep(0.15)
    assert len(seen) == 3
    assert client.raw == []


async def test_watches_of_what_is_subscribed_already_need_no_new_subscription(rig: Rig) -> None:
    await rig.hub.subscribe(1, {"fan": None, "toolhead": None}, Client())
    before = len(rig.subscriptions())
    seen: list[dict[str, Any]] = []
    rig.hub.watch({"fan": ["speed"]}, lambda changed, _eventtime: seen.append(changed))
    await rig.listener.until(lambda: seen)
    assert seen[0] == {"fan": {"speed": 0.0}}
    assert len(rig.subscriptions()) == before


async def test_a_watch_from_before_the_connection(tmp_path: Path) -> None:
    (tmp_path / "gcodes").mkdir()
    async with FakeKlippy(tmp_path / "sock", tmp_path / "gcodes", speed=20, grid=0.03) as fake:
        rig = Rig(fake)
        seen: list[dict[str, Any]] = []
        rig.hub.watch({"print_stats": ["state"]}, lambda changed, _eventtime: seen.append(changed))
        await rig.client.start()
        await rig.listener.until(lambda: seen)
        assert seen == [{"print_stats": {"state": "standby"}}]
        await rig.hub.close()
        await rig.client.close()


async def test_a_faulty_watch_does_not_keep_status_from_the_others(rig: Rig) -> None:
    def fail(_changed: object, _eventtime: float) -> None:
        raise RuntimeError("bug")

    client = Client()
    rig.hub.watch({"fan": None}, fail)
    await rig.hub.subscribe(1, {"fan": None}, client)
    rig.fake.set_status("fan", speed=0.25)
    await rig.listener.until(lambda: client.updates == [{"fan": {"speed": 0.25}}])


async def test_a_client_that_goes_while_it_waits_does_not_spoil_the_others(rig: Rig) -> None:
    first = Client()
    start = (await rig.hub.subscribe(1, {"fan": None}, first))["status"]
    rig.fake.set_status("fan", speed=0.4)
    task = asyncio.create_task(rig.hub.subscribe(2, {"toolhead": None}, Client()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await rig.listener.until(lambda: first.folded(start)["fan"]["speed"] == 0.4)
    assert not rig.hub.subscribed(2)


async def test_without_connection_or_while_starting_there_is_no_subscription(tmp_path: Path) -> None:
    client = KlippyClient(tmp_path / "none", listener=RecordingListener())
    hub = StatusHub(client)
    with pytest.raises(Unavailable, match="Klippy Host not connected"):
        await hub.subscribe(1, {"fan": None}, Client())
    assert not hub.subscribed(1)
    await hub.close()


async def test_a_connection_lost_while_somebody_waits(rig: Rig) -> None:
    rig.fake.grid = 5.0
    await rig.hub.subscribe(1, {"fan": None}, Client())
    task = asyncio.create_task(rig.hub.subscribe(2, {"toolhead": None}, Client()))
    await asyncio.sleep(0.05)
    rig.fake.disconnect()
    with pytest.raises(Unavailable, match="Klippy Disconnected"):
        await task


FIELDS = st.none() | st.lists(st.sampled_from("abcd"), max_size=4)
OBJECTS = st.dictionaries(st.sampled_from(["x", "y", "z"]), FIELDS, max_size=3)
STATUS = st.dictionaries(st.sampled_from(["x", "y", "z"]), st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2)))


@given(st.lists(OBJECTS, max_size=4))
def test_the_union_covers_every_part_and_nothing_more(parts: list[dict[str, list[str] | None]]) -> None:
    selections = [parse_selection(part) for part in parts]
    merged = union(selections)
    assert all(covers(merged, selection) for selection in selections)
    assert covers(union([*selections, merged]), merged)
    for name, fields in merged.items():
        wanted = [selection[name] for selection in selections if name in selection]
        if fields is not None:
            assert fields == frozenset().union(*(part for part in wanted if part is not None))
        else:
            assert None in wanted


@given(OBJECTS, STATUS, STATUS)
def test_answer_plus_changes_is_the_new_status(
    objects: dict[str, list[str] | None], old: dict[str, Any], new: dict[str, Any]
) -> None:
    later = {name: {**old.get(name, {}), **new.get(name, {})} for name in old.keys() | new.keys()}
    selection = parse_selection(objects)
    known = pick_full(old, selection)
    for name, values in pick_changed(changes(old, later), selection).items():
        known[name].update(values)
    assert known == pick_full(later, selection)


@given(OBJECTS, st.randoms())
def test_the_order_of_a_subscription_does_not_matter(objects: dict[str, list[str] | None], random: Any) -> None:
    names = list(objects)
    random.shuffle(names)
    other = {name: fields if (fields := objects[name]) is None else sorted(fields, reverse=True) * 2 for name in names}
    assert canonical(parse_selection(objects)) == canonical(parse_selection(other))
