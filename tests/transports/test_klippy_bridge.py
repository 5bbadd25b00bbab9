"""The raw bridge to Klipper's socket, with the fake Klipper behind a whole host."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from moonraker_lite.host import Host


async def talk(host: Host, *messages: str) -> dict[int, Any]:
    """The answers by the ids of their requests; Klipper answers in any order."""
    socket = await websocket_connect(f"ws://127.0.0.1:{host.port}/klippysocket")
    try:
        for message in messages:
            await socket.write_message(message)
        answers = [json.loads(await socket.read_message() or "null") for _ in messages]
        return {answer["id"]: answer for answer in answers}
    finally:
        socket.close()
        while await socket.read_message() is not None:
            pass


async def test_requests_with_and_without_their_terminator(ready_host: Host) -> None:
    query = {"id": 2, "method": "objects/query", "params": {"objects": {"webhooks": ["state"]}}}
    answers = await talk(
        ready_host, '{"id": 1, "method": "info", "params": {}}\x03', json.dumps(query), '{"id": 3, "method": "nosuch"}'
    )
    assert answers[1]["result"]["state"] == "ready"
    assert answers[2]["result"]["status"] == {"webhooks": {"state": "ready"}}
    assert answers[3]["error"]["error"] == "WebRequestError"


async def test_strangers_stay_outside(ready_host: Host) -> None:
    request = HTTPRequest(f"ws://127.0.0.1:{ready_host.port}/klippysocket", headers={"X-Real-IP": "8.8.8.8"})
    with pytest.raises(HTTPClientError) as error:
        await websocket_connect(request)
    assert error.value.code == 401


async def test_without_klipper_it_closes(host: Host) -> None:
    socket = await websocket_connect(f"ws://127.0.0.1:{host.port}/klippysocket")
    assert await socket.read_message() is None
    socket.close()
    assert socket.close_code == 1011
