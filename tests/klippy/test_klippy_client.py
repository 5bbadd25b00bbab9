"""The connection: set-up, requests, loss, restart, states; against the fake Klipper over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.errors import BadRequest, TooManyRequests, Unavailable
from moonraker_lite.klippy import KlippyClient, KlippyError, KlippyState
from moonraker_lite.klippy.pending import PendingRequests
from tests.fakes.klippy import FakeKlippy
from tests.fakes.klippy_listener import RecordingListener

READY, STARTUP, DISCONNECTED = KlippyState.READY, KlippyState.STARTUP, KlippyState.DISCONNECTED


def make_fake(tmp_path: Path) -> FakeKlippy:
    (tmp_path / "gcodes").mkdir(exist_ok=True)
    return FakeKlippy(tmp_path / "klippy.sock", tmp_path / "gcodes", speed=20, grid=0.02)


@asynccontextmanager
async def connected(socket: Path) -> AsyncIterator[tuple[KlippyClient, RecordingListener]]:
    listener = RecordingListener()
    client = KlippyClient(socket, listener=listener)
    await client.start()
    try:
        yield client, listener
    finally:
        await client.close()
    assert [task for task in asyncio.all_tasks() if "klippy" in task.get_name()] == []


async def test_set_up_asks_what_moonraker_asks_in_its_order(tmp_path: Path) -> None:
    async with make_fake(tmp_path) as fake:
        await fake.until("ready")
        async with connected(fake.socket) as (client, listener):
            await listener.until_state(READY)
            assert [method for method, _params in fake.requests] == [
                "info",
                "list_endpoints",
                "objects/subscribe",
                "gcode/subscribe_output",
                "list_endpoints",
                "objects/list",
            ]
            assert fake.requests[0][1]["client_info"]["program"] == "moonraker_lite"
            assert fake.requests[2][1]["objects"] == {"webhooks": None}
            assert listener.states == [STARTUP, READY]
            assert client.connected
            assert client.info is not None
            assert client.info.software_version == "v0.13.0-730-g84104bbbd-dirty"
            assert "bed_mesh/dump_mesh" in client.endpoints
            assert client.missing_requirements == []
            assert client.state_message == "Printer is ready"


async def test_a_printer_that_starts_is_waited_for(tmp_path: Path) -> None:
    async with make_fake(tmp_path) as fake:
        fake.printer.speed = 0.5
        async with connected(fake.socket) as (client, listener):
            await listener.until_state(STARTUP)
            assert "motion_report/dump_trapq" not in client.endpoints
            with pytest.raises(Unavailable, match="starting"):
                await client.subscribe({}, lambda _status, _eventtime: None)
            await listener.until_state(READY)
            assert "motion_report/dump_trapq" in client.endpoints
            assert [method for method, _ in fake.requests].count("info") > 2


async def test_results_errors_and_output(tmp_path: Path) -> None:
    async with make_fake(tmp_path) as fake, connected(fake.socket) as (client, listener):
        await listener.until_state(READY)
        assert (await client.request("info"))["state"] == "ready"
        assert await client.gcode("M118 one\nNOSUCH") == "ok"
        assert listener.of("response") == ["echo: one", '// Unknown command:"NOSUCH"']
        assert listener.of("command") == ["M118 one\nNOSUCH"]
        with pytest.raises(KlippyError, match=r"^Must home axis first: 99999\.000 0\.000 0\.000 \[0\.000\]$") as caught:
            await client.gcode("G1 X99999")
        assert caught.value.status == 400
        with pytest.raises(KlippyError, match="No registered callback for path 'no/such'"):
            await client.request("no/such")
        kinds = [event[0] for event in listener.events if event[0] != "status"]
        assert kinds == ["state", "state", "command", "response", "response", "command", "response"]


async def test_answers_find_their_askers_when_they_come_out_of_order(tmp_path: Path) -> None:
    async with make_fake(tmp_path) as fake, connected(fake.socket) as (client, listener):
        await listener.until_state(READY)
        done: list[str] = []

        async def ask(name: str, script: str | None) -> None:
            await (client.gcode(script) if script is not None else client.request("info"))
            done.append(name)

        await asyncio.gather(ask("long", "G4 P6000"), ask("next", "M118 x"), ask("info", None))
        assert done == ["info", "long", "next"]


async def test_without_a_printer_requests_are_refused_at_once(tmp_path: Path) -> None:
    async with connected(tmp_path / "nobody") as (client, listener):
        await asyncio.sleep(0.05)
        assert not client.connected
        with pytest.raises(Unavailable, match=r"^Klippy Host not connected$"):
            await client.request("info")
        assert listener.events == []


async def test_a_printer_that_comes_later_is_found(tmp_path: Path) -> None:
    async with connected(tmp_path / "klippy.sock") as (_client, listener):
        await asyncio.sleep(0.1)
        async with make_fake(tmp_path):
            await listener.until_state(READY)


async def test_a_lost_connection_fails_all_that_wait(tmp_path: Path) -> None:
    async with make_fake(tmp_path) as fake, connected(fake.socket) as (client, listener):
        await listener.until_state(READY)
        waiting = [asyncio.create_task(client.gcode("G4 P90000")) for _ in range(5)]
        await asyncio.sleep(0.05)
        fake.disconnect()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(result) for result in results] == ["Klippy Disconnected"] * 5
        assert all(isinstance(result, Unavailable) and result.status == 503 for result in results)
        assert len(client._pending) == 0
        await listener.until(lambda: listener.states[2:] == [DISCONNECTED, STARTUP, READY])
        assert (await client.request("info"))["state"] == "ready"


async def test_restart_is_survived_and_told_once_in_order(tmp_path: Path) -> None:
    async with make_fake(tmp_path) as fake, connected(fake.socket) as (client, listener):
        await listener.until_state(READY)
        for _ in range(2):
            listener.events.clear()
            assert await client.gcode("RESTART") == "ok"
            await listener.until_state(DISCONNECTED)
            with pytest.raises(Unavailable):
                await client.request("info")
            await listener.until_state(READY)
            assert [event for event in listener.events if event[0] != "status"] == [
                ("command", "RESTART"),
                ("response", "// Klipper state: Disconnect"),
                ("state", DISCONNECTED),
                ("state", STARTUP),
                ("state", READY),
            ]


async def test_emergency_stop_is_a_change_to_shutdown(tmp_path: Path) -> None:
    async with make_fake(tmp_path) as fake, connected(fake.socket) as (client, listener):
        await listener.until_state(READY)
        await client.request("emergency_stop")
        await client.request("emergency_stop")
        await listener.until_state(KlippyState.SHUTDOWN)
        assert listener.states == [STARTUP, READY, KlippyState.SHUTDOWN]
        assert client.state_message.startswith("Shutdown due to webhooks request\n")
        with pytest.raises(KlippyError, match=r"^Shutdown due to webhooks request\n"):
            await client.gcode("G28")
        assert listener.of("response")[-1] == "!! Shutdown due to webhooks request"
        await client.request("gcode/firmware_restart")
        await listener.until_state(READY)


async def test_a_shutdown_while_setting_up_is_not_lost(tmp_path: Path) -> None:
    async with make_fake(tmp_path) as fake:
        await fake.until("ready")
        listing = fake._endpoints["objects/list"]

        def shut_down_meanwhile(connection: Any, params: dict[str, Any]) -> Any:
            fake.shutdown("broken")
            fake._look()
            return listing(connection, params)

        fake._endpoints["objects/list"] = shut_down_meanwhile
        async with connected(fake.socket) as (_client, listener):
            await listener.until_state(KlippyState.SHUTDOWN)
            assert listener.states == [STARTUP, KlippyState.SHUTDOWN]


async def test_a_fault_of_the_configuration(tmp_path: Path) -> None:
    fake = make_fake(tmp_path)
    fake.config_error = "Option 'x' is not valid in section 'printer'"
    async with fake, connected(fake.socket) as (client, listener):
        await listener.until_state(KlippyState.ERROR)
        assert client.connected
        assert client.state_message.startswith("Option 'x' is not valid")
        assert client.state.text == "error"
        fake.config_error = ""
        await client.gcode("RESTART")
        await listener.until_state(READY)


async def test_rubbish_and_unknown_messages_harm_nothing(tmp_path: Path) -> None:
    async with make_fake(tmp_path) as fake, connected(fake.socket) as (client, listener):
        await listener.until_state(READY)
        fake.send_raw(
            b'garbage\x03\x03[1]\x03{"id":9999,"result":{}}\x03{"id":"x","error":{}}\x03{"method":"nobody"}\x03'
            b'{"method":"process_status_update","params":[1]}\x03{"method":"process_status_update","params":'
            b'{"status":{"webhooks":5},"eventtime":"x"}}\x03{"method":"process_gcode_response"}\x03'
        )
        assert (await client.request("info"))["state"] == "ready"
        assert client.state is READY


async def test_a_request_may_have_a_time_limit(tmp_path: Path) -> None:
    async with make_fake(tmp_path) as fake, connected(fake.socket) as (client, listener):
        await listener.until_state(READY)
        with pytest.raises(Unavailable, match=r"did not answer gcode/script within 0\.05 seconds"):
            await client.request("gcode/script", {"script": "G4 P8000"}, timeout=0.05)
        assert len(client._pending) == 0
        await asyncio.sleep(0.5)  # the late answer is ignored
        assert client.state is READY


async def test_a_cancelled_request_is_forgotten(tmp_path: Path) -> None:
    async with make_fake(tmp_path) as fake, connected(fake.socket) as (client, listener):
        await listener.until_state(READY)
        task = asyncio.create_task(client.gcode("G4 P8000"))
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(client._pending) == 0


async def test_parameters_that_are_no_json_are_refused(tmp_path: Path) -> None:
    async with make_fake(tmp_path) as fake, connected(fake.socket) as (client, listener):
        await listener.until_state(READY)
        with pytest.raises(BadRequest):
            await client.request("objects/query", {"objects": object()})
        assert len(client._pending) == 0


async def test_the_number_of_waiting_requests_is_bounded() -> None:
    pending = PendingRequests(limit=2)
    ids = [pending.open()[0] for _ in range(2)]
    with pytest.raises(TooManyRequests):
        pending.open()
    pending.forget(ids[0])
    pending.open()
    pending.fail_all("over")


async def test_a_set_up_that_is_refused_is_tried_again(tmp_path: Path) -> None:
    async with make_fake(tmp_path) as fake:
        subscribe = fake._endpoints.pop("gcode/subscribe_output")
        async with connected(fake.socket) as (_client, listener):
            await listener.until_state(DISCONNECTED)
            assert READY not in listener.states
            fake._endpoints["gcode/subscribe_output"] = subscribe
            await listener.until_state(READY)


async def test_macros_call_our_methods_also_after_a_restart(tmp_path: Path) -> None:
    called: list[Any] = []

    async def beep(**params: Any) -> None:
        called.append(params)

    async with make_fake(tmp_path) as fake:
        listener = RecordingListener()
        client = KlippyClient(fake.socket, listener=listener)
        client.register_remote_method("beep", beep)
        with pytest.raises(ValueError, match="beep"):
            client.register_remote_method("beep", beep)
        await client.start()
        try:
            await listener.until_state(READY)
            fake.call_remote("beep", times=2)
            await listener.until(lambda: called == [{"times": 2}])
            client.register_remote_method("late", lambda: called.append("late"))
            await listener.until(lambda: "late" in fake.remote_methods)
            await client.gcode("RESTART")
            await listener.until_state(DISCONNECTED)
            await listener.until_state(READY)
            fake.call_remote("late", unexpected=1)  # a wrong call is logged and harms nothing
            fake.call_remote("late")
            await listener.until(lambda: called == [{"times": 2}, "late"])
        finally:
            await client.close()


async def test_a_fault_in_the_listener_does_not_cost_the_connection(tmp_path: Path) -> None:
    class Faulty(RecordingListener):
        def on_gcode_response(self, text: str) -> None:
            super().on_gcode_response(text)
            raise RuntimeError("bug")

    async with make_fake(tmp_path) as fake:
        listener = Faulty()
        client = KlippyClient(fake.socket, listener=listener)
        await client.start()
        try:
            await listener.until_state(READY)
            await client.gcode("M118 a\nM118 b")
            assert listener.of("response") == ["echo: a", "echo: b"]
        finally:
            await client.close()


async def test_a_back_end_that_does_not_read_does_not_fill_the_memory(tmp_path: Path) -> None:
    async with make_fake(tmp_path) as fake, connected(fake.socket) as (client, listener):
        await listener.until_state(READY)
        fake.connections[0].pause()
        script = "M118 " + "x" * 200_000
        waiting = [asyncio.create_task(client.gcode(script)) for _ in range(60)]
        await listener.until(lambda: any(task.done() for task in waiting))
        refused = [task for task in waiting if task.done()]
        assert all("does not take requests now" in str(task.exception()) for task in refused)
        fake.disconnect()
        await asyncio.gather(*waiting, return_exceptions=True)
        await listener.until(lambda: listener.states[-2:] == [STARTUP, READY])
