"""OctoPrint's view of the printer, with a fake Klipper behind the host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from moonraker_lite.components.octoprint_compat.bodies import state_info
from moonraker_lite.components.octoprint_compat.status import octoprint_name
from moonraker_lite.host import Host
from tests.fakes.klippy import FakeKlippy
from tests.support.api_client import ApiClient, client_of
from tests.support.recordings import record, records, shape_differences


@pytest.fixture
async def client(ready_host: Host) -> AsyncIterator[ApiClient]:
    async with client_of(ready_host.port) as client:
        yield client


async def state_of(client: ApiClient, wanted: str) -> None:
    """Wait until the printer is in this state."""
    async with asyncio.timeout(10):
        while (await client.get("/api/job")).json["state"] != wanted:
            await asyncio.sleep(0.02)


async def warm(client: ApiClient) -> None:
    """Wait until the temperatures are known."""
    async with asyncio.timeout(10):
        while not (await client.get("/api/printer")).json["temperature"]:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("heater", "name"),
    [
        ("heater_bed", "bed"),
        ("extruder", "tool0"),
        ("extruder1", "tool1"),
        ("extruder12", "tool12"),
        ("heater_generic chamber", "chamber"),
        ("extruder_stepper x", "x"),
    ],
)
def test_names_of_heaters(heater: str, name: str) -> None:
    assert octoprint_name(heater) == name


@pytest.mark.parametrize(
    ("text", "set_flags"),
    [
        ("Operational", {"operational", "ready"}),
        ("Printing", {"operational", "printing"}),
        ("Paused", {"operational", "paused"}),
        ("Error", {"error", "closed_or_error"}),
        ("Offline", {"closed_or_error"}),
    ],
)
def test_flags(text: str, set_flags: set[str]) -> None:
    flags = state_info(text).flags
    assert {name for name in flags.__struct_fields__ if getattr(flags, name)} == set_flags


async def test_the_printer_as_recorded(client: ApiClient) -> None:
    await state_of(client, "Operational")
    await warm(client)
    answer = await client.get("/api/printer")
    want = record("15_octoprint_compat", "GET /api/printer")
    assert shape_differences(want, answer.json) == []
    assert answer.json["state"] == want["state"]
    assert set(want["temperature"]) <= set(answer.json["temperature"])


async def test_states_of_a_print(client: ApiClient, ready_host: Host) -> None:
    (ready_host.places.data.gcodes / "a.gcode").write_text("G28\n" + "G4 P2000\n" * 200)
    await state_of(client, "Operational")
    answer = await client.post("/api/files/moonraker/gcodes/a.gcode", {"command": "select", "print": True})
    assert (answer.status, answer.body) == (204, b"")
    await state_of(client, "Printing")
    assert (await client.get("/api/printer")).json["state"]["flags"]["printing"] is True
    again = await client.post("/api/files/moonraker/gcodes/a.gcode", {"command": "select", "print": True})
    assert again.status == 409
    await client.rpc("printer.print.pause")
    await state_of(client, "Paused")
    again = await client.post("/api/files/moonraker/gcodes/a.gcode", {"command": "select", "print": True})
    assert again.status == 409
    await client.rpc("printer.print.cancel")
    await state_of(client, "Error")
    want = [row for row in records("15_octoprint_compat") if row["name"] == "GET /api/printer"][-1]["response"]["json"]
    assert (await client.get("/api/printer")).json["state"] == want["state"]


async def test_a_printer_that_shut_down_and_one_that_is_away(client: ApiClient, fake: FakeKlippy) -> None:
    await state_of(client, "Operational")
    assert (await client.get("/api/server")).json == record("15_octoprint_compat", "GET /api/server")
    await warm(client)
    await client.rpc("printer.emergency_stop")
    await state_of(client, "Error")
    before = (await client.get("/api/printer")).json["temperature"]
    await fake.stop()
    await state_of(client, "Offline")
    assert (await client.get("/api/printer")).json["temperature"].keys() == before.keys()
    answer = await client.post("/api/files/moonraker/gcodes/a.gcode", {"command": "select", "print": True})
    assert answer.status in (400, 409)


async def test_commands(client: ApiClient) -> None:
    await client.rpc("server.info")
    for data in ({"commands": ["M118 one", "NOSUCH", "G1 X99999", "M118 two"]}, {"command": "M118 three"}, {}):
        answer = await client.post("/api/printer/command", data)
        assert (answer.status, answer.json) == (200, {})
    said = [await client.notification("notify_gcode_response") for _ in range(3)]
    while "echo: three" not in said:
        said.append(await client.notification("notify_gcode_response"))
    assert [text for text in said if text.startswith("echo")] == ["echo: one", "echo: two", "echo: three"]
    assert (await client.post("/api/printer/command", {"commands": [5, {}]})).status == 400
