"""server.info, server.config, identification, restart, log rollover, the welcome page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from moonraker_lite.components.welcome import welcome_page
from moonraker_lite.host import Host
from tests.conftest import MakeHost
from tests.fakes.klippy import FakeKlippy
from tests.support.api_client import ApiClient, RpcError, client_of
from tests.support.recordings import record, records, shape_differences

IDENTIFY = {"client_name": "a", "version": "1", "type": "web", "url": "http://x"}


async def test_info_without_a_printer(client: ApiClient, host: Host) -> None:
    info = (await client.get("/server/info")).result
    assert info["klippy_connected"] is False
    assert info["klippy_state"] == "disconnected"
    assert info["failed_components"] == host.facts.failed_components
    assert {"authorization", "machine", "server", "webcam", "announcements"} <= set(info["components"])
    assert info["missing_klippy_requirements"] == []
    assert info["api_version"] == [1, 5, 0]
    assert info["api_version_string"] == "1.5.0"
    assert info["moonraker_version"].startswith("v0.11.")
    assert info["websocket_count"] == 0
    assert (await client.rpc("server.info"))["websocket_count"] == 1


async def test_info_has_moonrakers_fields_in_their_order(client: ApiClient) -> None:
    answer = await client.rpc("server.info")
    want = record("01_server", "server.info", "ws")
    assert shape_differences(want, answer) == []
    assert list(answer)[: len(want)] == list(want)


async def test_info_follows_the_printer(make_host: MakeHost, tmp_path: Path) -> None:
    host = await make_host()
    fake = FakeKlippy(Path(host.klippy.socket_path), tmp_path)
    async with fake, client_of(host.port) as client, asyncio.timeout(10):
        while (info := await client.rpc("server.info"))["klippy_state"] != "ready":
            await asyncio.sleep(0.05)
        assert info["klippy_connected"] is True
        assert info["missing_klippy_requirements"] == []


async def test_config(client: ApiClient) -> None:
    answer = (await client.get("/server/config")).result
    assert shape_differences({"config": {}, "orig": {"DEFAULT": {}}, "files": []}, answer) == []
    assert answer["config"]["server"]["host"] == "127.0.0.1"
    assert answer["config"]["authorization"]["cors_domains"] == []
    assert answer["config"]["machine"]["shutdown_action"] == "poweroff"
    assert answer["files"][0]["filename"] == "moonraker.conf"


async def test_identify_once(client: ApiClient, host: Host) -> None:
    number = (await client.rpc("server.connection.identify", IDENTIFY))["connection_id"]
    assert await client.rpc("server.websocket.id") == {"websocket_id": number}
    connection = host.connections.get(number)
    assert connection is not None
    assert connection.client is not None
    assert connection.client.name == "a"
    with pytest.raises(RpcError) as refused:
        await client.rpc("server.connection.identify", IDENTIFY)
    assert refused.value.code == 400
    assert refused.value.message == (
        "Connection already identified: {'name': 'a', 'version': '1', 'type': 'web', 'url': 'http://x'}"
    )


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        (("client_name", "version", "type", "url"), "No data for argument: client_name"),
        (("version", "type", "url"), "No data for argument: version"),
        (("type", "url"), "No data for argument: type"),
        (("url",), "No data for argument: url"),
    ],
)
async def test_identify_complains_in_moonrakers_order(
    client: ApiClient, left_out: tuple[str, ...], message: str
) -> None:
    params = {name: value for name, value in IDENTIFY.items() if name not in left_out}
    with pytest.raises(RpcError) as refused:
        await client.rpc("server.connection.identify", params)
    assert (refused.value.code, refused.value.message) == (400, message)


@pytest.mark.parametrize("kind", ["web", "mobile", "desktop", "display", "bot", "agent", "other"])
async def test_identify_knows_all_types(client: ApiClient, kind: str) -> None:
    assert await client.rpc("server.connection.identify", {**IDENTIFY, "type": kind})


async def test_identify_refuses_another_type_and_can_be_repeated_then(client: ApiClient) -> None:
    with pytest.raises(RpcError) as refused:
        await client.rpc("server.connection.identify", {**IDENTIFY, "type": "bogus"})
    assert refused.value.code == 400
    assert refused.value.message.startswith("Invalid Client Type: bogus")
    assert await client.rpc("server.connection.identify", IDENTIFY)


async def test_identify_takes_empty_credentials_for_none(client: ApiClient) -> None:
    assert await client.rpc("server.connection.identify", {**IDENTIFY, "api_key": "", "access_token": None})


async def test_identify_as_recorded(host: Host) -> None:
    """Every conversation of the recordings: the same answers, apart from the words of some errors."""
    for row in records("01_server"):
        if not row["name"].startswith("identify twice"):
            continue
        async with client_of(host.port) as client:
            for message, want in zip(row["request"]["messages"], row["response"], strict=False):
                try:
                    got = {"result": await client.rpc(message["method"], message.get("params"))}
                except RpcError as error:
                    got = {"error": {"code": error.code, "message": error.message}}
                assert shape_differences({key: want[key] for key in want if key in ("result", "error")}, got) == []
                if "error" in want:
                    assert got["error"]["code"] == want["error"]["code"], (row["name"], message)


@pytest.mark.parametrize(("verb", "path"), [("GET", "/server/websocket/id"), ("POST", "/server/connection/identify")])
async def test_what_belongs_to_connections_is_not_on_http(client: ApiClient, verb: str, path: str) -> None:
    assert (await client.http(verb, path)).status == 404


async def test_restart(client: ApiClient, host: Host) -> None:
    asked = asyncio.Event()
    host.facts.restart = asked.set
    assert await client.rpc("server.restart") == "ok"
    assert asked.is_set()
    host.facts.restart = None
    assert (await client.post("/server/restart")).status == 503


async def test_rollover(client: ApiClient, host: Host) -> None:
    rolled: list[bool] = []
    host.facts.rollover = lambda: rolled.append(True)
    assert await client.rpc("server.logs.rollover", {"application": "moonraker"}) == {
        "rolled_over": ["moonraker"],
        "failed": {},
    }
    answer = (await client.post("/server/logs/rollover")).result
    assert answer == record("10_misc", "POST /server/logs/rollover")["result"]
    assert (await client.post("/server/logs/rollover", {"application": "nosuch"})).status == 400
    assert rolled == [True, True]
    host.facts.rollover = None
    answer = await client.rpc("server.logs.rollover", {"application": "moonraker"})
    assert answer == {"rolled_over": [], "failed": {"moonraker": "No log file is written"}}


async def test_welcome_page(client: ApiClient, host: Host) -> None:
    host.facts.warn("<script>alert(1)</script>")
    known = await client.get("/")
    assert known.status == 200
    assert known.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert known.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in known.headers["Content-Security-Policy"]
    assert b"&lt;script&gt;" in known.body
    assert b"<script" not in known.body
    stranger = await client.get("/", X_Real_IP="8.8.8.8")
    assert stranger.status == 200
    assert b"8.8.8.8" in stranger.body
    assert b"alert" not in stranger.body
    assert host.facts.version.encode() not in stranger.body


def test_a_strangers_address_is_escaped() -> None:
    assert b"<b>" not in welcome_page(None, "<b>").body
