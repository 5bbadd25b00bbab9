"""The console's lines and the temperatures of the last minutes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from moonraker_lite.components import data_store as module
from moonraker_lite.components.data_store import Series
from tests.conftest import MakeHost
from tests.fakes.klippy import FakeKlippy
from tests.support.api_client import ApiClient, connected


@pytest.fixture
async def small(fake: FakeKlippy, make_host: MakeHost, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiClient]:
    """A host that samples fast and keeps little."""
    monkeypatch.setattr(module, "INTERVAL", 0.05)
    host = await make_host("[data_store]\ntemperature_store_size: 5\ngcode_store_size: 3\n")
    async with connected(host.port) as client:
        await client.until(lambda: client.of("notify_klippy_ready"))
        yield client


async def until_full(client: ApiClient) -> dict[str, dict[str, list[float | None]]]:
    """Wait until five values of every sensor and monitor are there, and return them."""
    async with asyncio.timeout(8):
        while True:
            store: dict[str, dict[str, list[float | None]]]
            store = await client.call("server.temperature_store", include_monitors=True)
            if all(len(values) >= 5 for sensor in store.values() for values in sensor.values()):
                return store
            await asyncio.sleep(0.02)


async def test_commands_and_responses_are_kept_in_order(fake: FakeKlippy, client: ApiClient) -> None:
    before = time.time()
    await client.call("printer.gcode.script", script="M118 a\nM118 b")
    await client.error("printer.gcode.script", script="G1 X999")
    await client.call("printer.gcode.script", script="  ")
    entries = (await client.call("server.gcode_store"))["gcode_store"]
    assert [(entry["type"], entry["message"]) for entry in entries] == [
        ("command", "M118 a\nM118 b"),
        ("response", "echo: a"),
        ("response", "echo: b"),
        ("command", "G1 X999"),
        ("response", "!! Must home axis first: 999.000 0.000 0.000 [0.000]"),
    ]
    assert list(entries[0]) == ["message", "time", "type"]
    assert all(before <= entry["time"] <= time.time() for entry in entries)


async def test_count_is_read_as_moonraker_reads_it(fake: FakeKlippy, client: ApiClient) -> None:
    await client.call("printer.gcode.script", script="M118 a\nM118 b")

    async def messages(count: object) -> list[str]:
        entries = (await client.call("server.gcode_store", count=count))["gcode_store"]
        return [entry["message"] for entry in entries]

    assert await messages(1) == ["echo: b"]
    assert await messages("2") == ["echo: a", "echo: b"]
    assert await messages(1.5) == ["echo: b"]
    assert len(await messages(0)) == len(await messages(99)) == 3
    assert await messages(-1) == ["echo: a", "echo: b"]
    assert (await client.error("server.gcode_store", count="x"))["code"] == 400


async def test_the_stores_are_bounded(small: ApiClient) -> None:
    await small.call("printer.gcode.script", script="M118 a\nM118 b\nM118 c\nM118 d")
    entries = (await small.call("server.gcode_store"))["gcode_store"]
    assert [entry["message"] for entry in entries] == ["echo: b", "echo: c", "echo: d"]
    store = await until_full(small)
    assert all(len(values) == 5 for sensor in store.values() for values in sensor.values())


async def test_temperatures_of_all_sensors(small: ApiClient, fake: FakeKlippy) -> None:
    store = await small.call("server.temperature_store")
    assert {name: list(lists) for name, lists in store.items()} == {
        "heater_bed": ["temperatures", "targets", "powers"],
        "temperature_sensor chamber": ["temperatures"],
        "extruder": ["temperatures", "targets", "powers"],
    }
    await small.call("printer.gcode.script", script="M140 S60")
    async with asyncio.timeout(8):
        while (bed := (await small.call("server.temperature_store"))["heater_bed"])["temperatures"][-1:] < [25.5]:
            await asyncio.sleep(0.02)
    assert bed["targets"][-1] == 60.0
    assert bed["temperatures"] == sorted(bed["temperatures"])


async def test_time_goes_on_in_the_store_while_the_printer_restarts(small: ApiClient, fake: FakeKlippy) -> None:
    await until_full(small)
    await small.call("printer.restart")
    await small.until(lambda: len(small.of("notify_klippy_ready")) == 2)
    store = await small.call("server.temperature_store")
    assert list(store) == ["heater_bed", "temperature_sensor chamber", "extruder"]
    assert len(store["extruder"]["temperatures"]) == 5


async def test_a_sensor_that_is_gone_after_a_restart_is_dropped(small: ApiClient, fake: FakeKlippy) -> None:
    new_printer = fake._new_printer

    def without_chamber() -> None:
        new_printer()
        fake.set_status("heaters", available_sensors=["heater_bed", "extruder"], available_monitors=["tmc x"])
        fake.set_status("tmc x", temperature=None)

    fake._new_printer = without_chamber  # type: ignore[method-assign]
    await small.call("printer.restart")
    await small.until(lambda: len(small.of("notify_klippy_ready")) == 2)
    assert set(await small.call("server.temperature_store")) == {"heater_bed", "extruder"}
    full = await until_full(small)
    assert set(full) == {"heater_bed", "extruder", "tmc x"}
    assert set(full["tmc x"]["temperatures"]) == {None}


async def test_over_http(client: ApiClient) -> None:
    found = (await client.get("/server/temperature_store?include_monitors=true")).result
    assert set(found) == {"heater_bed", "temperature_sensor chamber", "extruder"}
    assert (await client.get("/server/gcode_store?count=2")).status == 200
    assert (await client.get("/server/gcode_store?count=abc")).status == 400
    assert (await client.get("/server/gcode_store?count=nan")).status == 200


def test_a_series_keeps_what_it_knows() -> None:
    series = Series({"temperature": 20.126, "target": 0}, 3, monitor=False)
    series.sample()
    series.update({"target": 50.0})
    series.sample()
    series.update({"temperature": None})
    series.update({"temperature": float("nan"), "power": 1.0})
    series.sample()
    assert series.answer() == {"temperatures": [20.13, 20.13, 20.13], "targets": [0, 50.0, 50.0]}
