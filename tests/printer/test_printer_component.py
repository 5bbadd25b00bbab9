"""What clients are told of the printer, and what they can do with it, in every state."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.components.printer import Printer, PrintRequested
from moonraker_lite.components.printer.arguments import print_script
from moonraker_lite.errors import BadRequest
from moonraker_lite.host import Host
from tests.conftest import MakeHost
from tests.fakes.klippy import FakeKlippy
from tests.support.api_client import ApiClient, connected

LIFE = ("notify_klippy_ready", "notify_klippy_shutdown", "notify_klippy_disconnected")


def printer_of(host: Host) -> Printer:
    built = host.registry.get(Printer)
    assert built is not None
    assert isinstance(built.instance, Printer)
    return built.instance


def life(client: ApiClient) -> list[tuple[str, Any]]:
    return [note for note in client.notes if note[0] in LIFE or note[0] == "notify_gcode_response"]


async def test_a_restart_is_told_as_moonraker_tells_it(fake: FakeKlippy, client: ApiClient) -> None:
    assert await client.call("printer.restart") == "ok"
    await client.until(lambda: client.of("notify_klippy_ready"))
    assert life(client) == [
        ("notify_gcode_response", ["// Klipper state: Disconnect"]),
        ("notify_klippy_disconnected", None),
        ("notify_klippy_ready", None),
    ]
    assert await client.call("printer.firmware_restart") == "ok"
    await client.until(lambda: len(client.of("notify_klippy_ready")) == 2)


async def test_emergency_stop(fake: FakeKlippy, client: ApiClient) -> None:
    assert await client.call("printer.emergency_stop") == "ok"
    assert await client.call("printer.emergency_stop") == "ok"
    await client.until(lambda: client.of("notify_klippy_shutdown"))
    assert life(client) == [
        ("notify_gcode_response", ["// Klipper state: Shutdown"]),
        ("notify_klippy_shutdown", None),
    ]
    info = await client.call("printer.info")
    assert (info["state"], info["state_message"][:32]) == ("shutdown", "Shutdown due to webhooks request")
    error = await client.error("printer.print.start", filename="x.gcode")
    assert error["code"] == 400
    assert error["message"].startswith("Shutdown due to webhooks request\n")
    assert (await client.call("server.info"))["klippy_state"] == "shutdown"


async def test_a_fault_of_the_configuration_is_a_state_without_notification(
    fake: FakeKlippy, client: ApiClient
) -> None:
    fake.config_error = "Section 'bogus_section' is not a valid config section"
    await client.call("printer.gcode.script", script="RESTART")

    async def state() -> str:
        return str((await client.call("server.info"))["klippy_state"])

    async with asyncio.timeout(5):
        while await state() != "error":
            await asyncio.sleep(0.02)
    assert [name for name, _ in life(client) if name in LIFE] == ["notify_klippy_disconnected"]
    status = await client.call("printer.objects.subscribe", objects={"webhooks": ["state"]})
    assert status["status"] == {"webhooks": {"state": "error"}}


async def test_without_a_printer_everything_is_503_and_what_is_unknown_stays_unknown(
    fake: FakeKlippy, client: ApiClient, ready_host: Host
) -> None:
    await fake.stop()
    await client.until(lambda: client.of("notify_klippy_disconnected"))
    calls: list[tuple[str, dict[str, Any]]] = [
        ("info", {}),
        ("objects.list", {}),
        ("objects.query", {"objects": {}}),
        ("objects.subscribe", {"objects": {"toolhead": None}}),
        ("gcode.script", {"script": "G28"}),
        ("gcode.help", {}),
        ("print.start", {"filename": "x"}),
        ("print.pause", {}),
        ("print.resume", {}),
        ("print.cancel", {}),
        ("restart", {}),
        ("firmware_restart", {}),
        ("emergency_stop", {}),
        ("query_endstops.status", {}),
        ("bed_mesh.dump_mesh", {}),
        ("pause_resume.pause", {}),
    ]
    for method, params in calls:
        error = await client.error(f"printer.{method}", **params)
        assert error == {"code": 503, "message": "Klippy Host not connected"}, method
    assert (await client.error("printer.bogus"))["code"] == -32601
    assert (await client.get("/printer/bed_mesh/dump_mesh")).status == 503
    info = await client.call("server.info")
    assert (info["klippy_connected"], info["klippy_state"]) == (False, "disconnected")


async def test_status_updates_come_to_those_who_subscribed_until_they_go(
    fake: FakeKlippy, client: ApiClient, ready_host: Host
) -> None:
    async with connected(ready_host.port) as other:
        answer = await client.call("printer.objects.subscribe", objects={"fan": ["speed"], "nosuch": None})
        assert answer["status"] == {"fan": {"speed": 0.0}, "nosuch": {}}
        await other.call("printer.objects.subscribe", objects={"output_pin caselight": None})
        await client.call("printer.gcode.script", script="M106 S255\nSET_PIN PIN=caselight VALUE=1")
        await client.until(lambda: client.of("notify_status_update") and other.of("notify_status_update"))
        assert [params[0] for params in client.of("notify_status_update")] == [{"fan": {"speed": 1.0}}]
        assert [params[0] for params in other.of("notify_status_update")] == [{"output_pin caselight": {"value": 1.0}}]
        assert isinstance(client.of("notify_status_update")[0][1], float)
        subscribed = (await other.call("server.websocket.id"))["websocket_id"]
        assert ready_host.hub.subscribed(subscribed)
    await client.until(lambda: not ready_host.hub.subscribed(subscribed))


async def test_a_restart_ends_the_subscriptions_of_clients(fake: FakeKlippy, client: ApiClient) -> None:
    await client.call("printer.objects.subscribe", objects={"fan": None})
    await client.call("printer.restart")
    await client.until(lambda: client.of("notify_klippy_ready"))
    client.notes.clear()
    fake.set_status("fan", speed=0.5)
    await asyncio.sleep(0.15)
    assert client.of("notify_status_update") == []
    answer = await client.call("printer.objects.subscribe", objects={"fan": None})
    assert answer["status"]["fan"]["speed"] == 0.5


async def test_an_http_subscription_is_for_a_named_websocket(
    fake: FakeKlippy, client: ApiClient, ready_host: Host
) -> None:
    number = (await client.call("server.websocket.id"))["websocket_id"]
    path = f"/printer/objects/subscribe?connection_id={number}&fan=speed"
    assert (await client.post(path)).result["status"] == {"fan": {"speed": 0.0}}
    fake.set_status("fan", speed=0.3)
    await client.until(lambda: client.of("notify_status_update"))
    for bad in ("", "?connection_id=abc", "?connection_id=999999", "?connection_id=1e999"):
        answer = await client.post(f"/printer/objects/subscribe{bad}")
        assert (answer.status, answer.error) == (400, "No connection associated with subscription request")
    answer = await client.post("/server/jsonrpc", {"jsonrpc": "2.0", "id": 1, "method": "printer.objects.subscribe"})
    assert (answer.status, answer.json["error"]["code"]) == (200, -32601)


async def test_a_print_from_start_to_complete(fake: FakeKlippy, client: ApiClient, ready_host: Host) -> None:
    requested: list[PrintRequested] = []
    ready_host.events.subscribe(PrintRequested, requested.append)
    fake.gcodes.joinpath('odd "name" \\ ü.gcode').write_text("M118 hello\nG28\n")
    await client.call("printer.objects.subscribe", objects={"print_stats": ["state"]})
    assert await client.call("printer.print.start", filename='odd "name" \\ ü.gcode') == "ok"
    states: list[str] = []

    def complete() -> bool:
        states[:] = [params[0]["print_stats"]["state"] for params in client.of("notify_status_update")]
        return states[-1:] == ["complete"]

    await client.until(complete)
    assert states == ["printing", "complete"]
    assert client.of("notify_gcode_response")[0] == ['File opened:odd "name" \\ ü.gcode Size:15']
    assert client.of("notify_gcode_response")[-1] == ["Done printing file"]
    assert requested == [PrintRequested('odd "name" \\ ü.gcode', "_TRUSTED_USER_")]


@pytest.mark.parametrize("name", ["", "/", "a\nM112", "a\r.gcode", "a\x00b", "\x7f"])
def test_no_file_name_is_a_command(name: str) -> None:
    with pytest.raises(BadRequest):
        print_script(name)


async def test_a_file_name_with_a_line_break_is_refused(fake: FakeKlippy, client: ApiClient) -> None:
    error = await client.error("printer.print.start", filename='x"\nM112\n"')
    assert error["code"] == 400
    assert (await client.call("printer.info"))["state"] == "ready"


async def test_announced_endpoints_cannot_take_the_host_s_streams(fake: FakeKlippy, client: ApiClient) -> None:
    template = {"method": "process_status_update"}
    await client.call("printer.motion_report.dump_trapq", name="toolhead", response_template=template)
    assert fake.requests[-1] == ("motion_report/dump_trapq", {"name": "toolhead", "response_template": {}})
    for name in ("objects.subscribe", "gcode.subscribe_output", "register_remote_method", "list_endpoints"):
        if name != "objects.subscribe":
            assert (await client.error(f"printer.{name}"))["code"] == -32601


async def test_clients_hear_of_ready_after_the_components_have_prepared_themselves(
    fake: FakeKlippy, make_host: MakeHost, tmp_path: Path
) -> None:
    host = await make_host()
    gate = asyncio.Event()

    async def fail() -> None:
        raise RuntimeError("bug")

    printer_of(host).before_ready(gate.wait)  # type: ignore[arg-type]
    printer_of(host).before_ready(fail)
    async with connected(host.port) as client:
        await client.until(lambda: host.klippy.state.text == "ready")
        await asyncio.sleep(0.2)
        assert client.of("notify_klippy_ready") == []
        gate.set()
        await client.until(lambda: client.of("notify_klippy_ready"))


async def test_a_printer_that_looks_for_its_files_elsewhere_is_warned_of(
    fake: FakeKlippy, client: ApiClient, ready_host: Host
) -> None:
    new_printer = fake._new_printer

    def elsewhere() -> None:
        new_printer()
        fake.printer.status["configfile"]["settings"]["virtual_sdcard"]["path"] = "/elsewhere/gcodes"

    fake._new_printer = elsewhere  # type: ignore[method-assign]
    assert ready_host.facts.warnings == []
    await client.call("printer.restart")
    await client.until(lambda: ready_host.facts.warnings)
    assert ready_host.facts.warnings[0].startswith("The printer prints files of /elsewhere/gcodes")
    fake._new_printer = new_printer  # type: ignore[method-assign]
    await client.call("printer.restart")
    await client.until(lambda: not ready_host.facts.warnings)
