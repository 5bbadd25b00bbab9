"""The composed host: starts with anything, says what failed, stops clean."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.component import Component
from moonraker_lite.components.authorization import Authorization
from moonraker_lite.components.server import Server
from moonraker_lite.host import Host, run_once
from tests.conftest import MakeHost
from tests.support.api_client import client_of
from tests.support.hosts import new_host, write_config


async def get(host: Host, path: str, **headers: str) -> Any:
    async with client_of(host.port) as client:
        return (await client.get(path, **headers)).json


class FailsToStart(Component, section="fails"):
    stopped = 0

    async def start(self) -> None:
        raise RuntimeError("no way")

    async def stop(self) -> None:
        type(self).stopped += 1


async def test_every_component_starts(host: Host) -> None:
    assert host.facts.failed_components == []
    answer = await get(host, "/server/info")
    assert answer["result"]["klippy_state"] == "disconnected"


async def test_failed_component_is_listed_and_the_rest_runs(tmp_path: Path) -> None:
    host = new_host(tmp_path, kinds=[Authorization, Server, FailsToStart])
    await host.start()
    result = (await get(host, "/server/info"))["result"]
    assert result["failed_components"] == ["fails"]
    assert any("'fails'" in warning for warning in result["warnings"])
    await host.stop()
    assert FailsToStart.stopped == 1


async def test_without_authorization_only_loopback_may_call(tmp_path: Path) -> None:
    host = new_host(tmp_path, kinds=[Server])
    await host.start()
    assert "result" in await get(host, "/server/info")
    assert "error" in await get(host, "/server/info", X_Real_IP="10.0.0.5")
    await host.stop()


async def test_broken_configuration_starts_degraded_and_says_so(make_host: MakeHost) -> None:
    host = await make_host("[nonsense\nmax_upload_size: lots\n[nosuch_section]\nx: 1\n")
    warnings = (await get(host, "/server/info"))["result"]["warnings"]
    assert any("nosuch_section" in warning for warning in warnings)


async def test_openapi_lists_every_http_endpoint(host: Host) -> None:
    document = await get(host, "/server/openapi.json")
    declared = {entry.path for entry in host.table.endpoints if entry.path and "{" not in entry.path}
    assert declared <= document["paths"].keys()


async def test_nothing_but_the_open_endpoints_answers_a_stranger(host: Host) -> None:
    """Every route of the table, without a credential, from an address that is not trusted."""
    async with client_of(host.port) as client:
        for entry in host.table.endpoints:
            if entry.path is not None and entry.auth:
                path = entry.path.replace("{root}", "gcodes").replace("{path:rest}", "x.gcode").replace("{path}", "x")
                answer = await client.http(entry.verb, path, headers={"X-Forwarded-For": "8.8.8.8"})
                assert answer.status == 401, entry.path


async def test_unix_socket(host: Host) -> None:
    reader, writer = await asyncio.open_unix_connection(host.places.socket)
    writer.write(b'{"jsonrpc":"2.0","method":"server.info","id":1}\x03{"jsonrpc":"2.0","method":"nosuch","id":2}\x03')
    answers: dict[int, Any] = {}
    while len(answers) < 2:
        message = json.loads((await asyncio.wait_for(reader.readuntil(b"\x03"), 5))[:-1])
        if "id" in message:
            answers[message["id"]] = message
    assert "klippy_state" in answers[1]["result"]
    assert answers[2]["error"]["code"] == -32601
    assert host.places.socket.stat().st_mode & 0o777 == 0o600
    writer.close()
    await writer.wait_closed()


async def test_restart_is_asked_for_by_a_client(tmp_path: Path) -> None:
    host = new_host(tmp_path, kinds=[Authorization, Server])
    running = asyncio.ensure_future(run_once(host, asyncio.Event()))
    while host.port == 0:
        await asyncio.sleep(0.01)
    assert host.facts.restart is not None
    host.facts.restart()
    assert await asyncio.wait_for(running, 10) is True


async def test_port_in_use_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    host = new_host(tmp_path, kinds=[Server])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", host.server.port))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            await run_once(host, asyncio.Event())


@pytest.mark.timeout(60)
def test_process_starts_from_nothing_and_stops_on_sigterm(tmp_path: Path) -> None:
    port = write_config(tmp_path / "data")
    command = [sys.executable, "-m", "moonraker_lite", "-d", str(tmp_path / "data")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
            except OSError:
                time.sleep(0.05)
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    log = (tmp_path / "data" / "logs" / "moonraker.log").read_text()
    assert f"port {port}" in log
