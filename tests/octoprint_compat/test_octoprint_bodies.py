"""The fixed answers, as recorded from Moonraker's emulation."""

from __future__ import annotations

import pytest

from tests.conftest import MakeHost
from tests.support.api_client import ApiClient, client_of
from tests.support.recordings import records, shape_differences

VARYING = ("/api/printer", "/api/job", "/api/files")


NEED_A_PRINTER = ("/api/printer", "/api/printer/command", "/api/server")


async def test_every_plain_request_as_recorded(client: ApiClient) -> None:
    compared = 0
    for row in records("15_octoprint_compat"):
        request = row["request"]
        if row["kind"] != "http" or "body" in request or request["path"] in NEED_A_PRINTER:
            continue
        if request["path"].startswith("/api/files/") and row["response"]["status"] not in (404, 405):
            continue
        answer = await client.http(request["method"], request["path"], request.get("json"))
        assert answer.status == row["response"]["status"], row["name"]
        assert shape_differences(without_traceback(row["response"]["json"]), answer.json) == [], row["name"]
        if answer.status == 200 and request["path"] not in ("/api/version", "/api/job"):
            assert answer.json == row["response"]["json"], row["name"]
        compared += 1
    assert compared > 20


def without_traceback(body: dict[str, object]) -> dict[str, object]:
    error = body.get("error")
    if isinstance(error, dict):
        error.pop("traceback", None)
    return body


async def test_slicers_recognise_us(client: ApiClient) -> None:
    assert (await client.get("/api/version")).json["text"].startswith("OctoPrint")


async def test_without_a_printer(client: ApiClient) -> None:
    assert (await client.get("/api/job")).json["state"] == "Offline"
    assert (await client.get("/api/printer")).json["state"]["flags"]["closedOrError"] is True
    assert (await client.get("/api/server")).json["safemode"] == "settings"
    assert (await client.post("/api/printer/command", {"commands": ["M105"]})).json == {}


async def test_options(make_host: MakeHost) -> None:
    host = await make_host(
        "[octoprint_compat]\nenable_ufp: False\nflip_h: True\nstream_url: /cam\nwebcam_enabled: no\n"
    )
    async with client_of(host.port) as client:
        body = (await client.get("/api/settings")).json
    assert body["plugins"] == {}
    assert body["webcam"] == {
        "flipH": True,
        "flipV": False,
        "rotate90": False,
        "streamUrl": "/cam",
        "webcamEnabled": False,
    }


@pytest.mark.parametrize("path", ["/api/version", "/api/settings", "/api/printer", "/api/job"])
async def test_strangers_get_nothing(client: ApiClient, path: str) -> None:
    assert (await client.get(path, X_Real_IP="8.8.8.8")).status == 401
    assert (await client.get(path, X_Api_Key="bad")).status == 401


async def test_cura_sends_basic_authorization_too(client: ApiClient) -> None:
    key = await client.rpc("access.get_api_key")
    headers = {"X-Api-Key": key, "Authorization": "Basic Zm9vOmJhcg==", "X-Real-IP": "8.8.8.8"}
    assert (await client.http("GET", "/api/settings", headers=headers)).status == 200
