"""/machine over real HTTP and websockets."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from moonraker_lite.components.machine.monitor import HISTORY, TICK, TICKS_PER_LOOK, Monitor
from moonraker_lite.components.machine.samples import Sample, Sampler
from moonraker_lite.host import Host
from tests.support.api_client import ApiClient
from tests.support.recordings import record, shape_differences


async def test_system_info(client: ApiClient) -> None:
    answer = (await client.get("/machine/system_info")).result
    want = record("10_misc", "GET /machine/system_info")["result"]
    want["system_info"]["network"] = {}
    assert shape_differences(want, answer) == []
    assert list(answer["system_info"]) == list(want["system_info"])
    assert await client.rpc("machine.system_info") == answer


async def test_proc_stats(client: ApiClient) -> None:
    answer = (await client.get("/machine/proc_stats")).result
    want = record("10_misc", "GET /machine/proc_stats")["result"]
    for varying in ("network", "system_cpu_usage", "cpu_temp", "throttled_state"):
        want.pop(varying)
    assert shape_differences(want, answer) == []
    assert answer["network"]["lo"]["bandwidth"] >= 0
    assert answer["event_loop"]["worst"] >= answer["event_loop"]["last"] >= 0
    assert answer["system_uptime"] > 0


async def test_an_update_every_second(client: ApiClient) -> None:
    await client.rpc("server.info")
    times = [(await client.notification("notify_proc_stat_update"))["moonraker_stats"]["time"] for _ in range(3)]
    assert all(later - earlier > 0.5 for earlier, later in itertools.pairwise(times))
    update = await client.notification("notify_proc_stat_update")
    assert set(update) == {
        "moonraker_stats",
        "cpu_temp",
        "network",
        "system_cpu_usage",
        "system_memory",
        "websocket_connections",
    }
    assert update["websocket_connections"] == 1


async def test_the_history_is_bounded_and_a_held_up_loop_is_seen() -> None:
    seen: list[Sample] = []
    monitor = Monitor(Sampler(), seen.append)
    for _ in range(HISTORY + 5):
        monitor._look()
    assert len(monitor.history) == HISTORY
    seen.clear()
    monitor.start()
    await asyncio.sleep(TICK / 2)
    time.sleep(2 * TICK)  # noqa: ASYNC251 - what is measured is just this
    async with asyncio.timeout(10):
        while len(seen) < 2:
            await asyncio.sleep(TICK)
    monitor.stop()
    assert monitor.lag.worst > TICK
    count = len(seen)
    await asyncio.sleep(TICK * (TICKS_PER_LOOK + 1))
    assert len(seen) == count


@pytest.mark.parametrize("kind", ["serial", "usb", "video"])
async def test_peripherals(client: ApiClient, kind: str) -> None:
    answer = (await client.get(f"/machine/peripherals/{kind}")).result
    assert shape_differences(record("10_misc", f"GET /machine/peripherals/{kind}")["result"], answer) == []


async def test_canbus(client: ApiClient) -> None:
    answer = await client.get("/machine/peripherals/canbus?interface=can9")
    assert answer.status == 400
    assert "can9" in answer.error


@pytest.mark.parametrize(
    ("verb", "path", "data", "status", "message"),
    [
        ("POST", "/machine/services/restart", {"service": "nosuch"}, 400, "Service 'nosuch' not allowed"),
        ("POST", "/machine/services/stop?service=klipper", None, 400, "Service 'klipper' not allowed"),
        ("POST", "/machine/services/start", None, 400, "No data for argument: service"),
        ("POST", "/machine/services/stop", {"service": "moonraker"}, 400, "Service action 'stop' not available"),
        ("POST", "/machine/services/start", {"service": "moonraker"}, 400, "Service action 'start' not available"),
        ("POST", "/machine/reboot", None, 400, "cannot reboot"),
        ("POST", "/machine/shutdown", None, 400, "cannot poweroff"),
        ("POST", "/machine/sudo/password", {}, 400, "No data for argument: password"),
        ("POST", "/machine/sudo/password", {"password": "x"}, 400, "does not use sudo"),
    ],
)
async def test_what_is_not_possible_says_why(
    client: ApiClient, host: Host, verb: str, path: str, data: dict[str, str] | None, status: int, message: str
) -> None:
    answer = await client.http(verb, path, data)
    assert answer.status == status
    assert message in answer.error


async def test_restarting_moonraker_restarts_the_host(client: ApiClient, host: Host) -> None:
    asked = asyncio.Event()
    host.facts.restart = asked.set
    assert await client.rpc("machine.services.restart", {"service": "moonraker"}) == "ok"
    assert asked.is_set()


async def test_sudo_info(client: ApiClient) -> None:
    want = record("10_misc", "machine.sudo.info", "ws")
    assert shape_differences(want, await client.rpc("machine.sudo.info")) == []
    assert (await client.get("/machine/sudo/info?check_access=true")).result["sudo_access"] is False
