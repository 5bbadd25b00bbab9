"""No endpoint answers a stranger, unless it stands in the list of those that may."""

from __future__ import annotations

import re

import pytest

from moonraker_lite.api.endpoint import Endpoint, Via
from moonraker_lite.host import Host
from tests.support.api_client import ApiClient, RpcError, client_of

# What is open, and why: the welcome page, how to log in, and doing so.
OPEN_PATHS = {("GET", "/"), ("GET", "/access/info"), ("POST", "/access/login"), ("POST", "/access/refresh_jwt")}
OPEN_METHODS = {"access.info", "access.login", "access.refresh_jwt", "server.connection.identify"}
# Answer inside the body: each call in it is authorised by itself.
ENVELOPES = {"/server/jsonrpc"}
# Pictures are open, because <img> cannot send a key; everything else below it is not.
PICTURES = ("GET", "/server/files/{root}/{path:rest}")
OUTSIDE = {"X-Real-IP": "8.8.8.8"}


def filled(path: str) -> str:
    """A path with something in its placeholders."""
    return re.sub(r"\{[^}]*\}", "x", path)


async def refused(client: ApiClient, endpoint: Endpoint, headers: dict[str, str]) -> bool:
    assert endpoint.path is not None
    answer = await client.http(endpoint.verb, filled(endpoint.path), headers=headers)
    return answer.status == 401


async def test_http(host: Host) -> None:
    reachable = [e for e in host.table.endpoints if e.path is not None and Via.HTTP in e.via]
    assert len(reachable) > 30
    open_ones = {(e.verb, e.path) for e in reachable if not e.auth and e.path not in ENVELOPES}
    assert open_ones <= OPEN_PATHS | {PICTURES}
    async with client_of(host.port) as client:
        for endpoint in reachable:
            if endpoint.auth or (endpoint.verb, endpoint.path) == PICTURES:
                assert await refused(client, endpoint, OUTSIDE), endpoint.path
                assert await refused(client, endpoint, {"X-Api-Key": "bad"}), endpoint.path
            elif endpoint.path in ENVELOPES:
                assert await refused(client, endpoint, {"X-Api-Key": "bad"}), endpoint.path
        for path in ("config/moonraker.conf", "logs/moonraker.log", "gcodes/x.gcode", "config/x.png/../moonraker.conf"):
            assert (await client.get(f"/server/files/{path}", X_Real_IP="8.8.8.8")).status == 401, path


async def test_websocket(host: Host) -> None:
    methods = [e.rpc for e in host.table.endpoints if e.rpc is not None and Via.WEBSOCKET & e.via]
    assert {e.rpc for e in host.table.endpoints if e.rpc and not e.auth} <= OPEN_METHODS
    async with client_of(host.port) as client:
        await client.connect(headers=OUTSIDE)
        for method in methods:
            if method in OPEN_METHODS:
                continue
            with pytest.raises(RpcError) as error:
                await client.rpc(method)
            assert (error.value.code, error.value.message) == (-32602, "Unauthorized"), method


async def test_json_rpc_over_http(host: Host) -> None:
    async with client_of(host.port) as client:
        for method in ("server.info", "printer.info", "access.get_api_key"):
            message = {"jsonrpc": "2.0", "method": method, "id": 1}
            answer = await client.http("POST", "/server/jsonrpc", message, headers=OUTSIDE)
            assert answer.status == 401 or answer.json["error"]["message"] == "Unauthorized"
            assert "result" not in answer.json
