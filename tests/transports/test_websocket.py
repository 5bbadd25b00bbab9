"""The websocket over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from moonraker_lite.api.connections import Outbox
from moonraker_lite.transports.websocket import MAX_CALLS, text_frame
from tests.transports.demo import DemoServer


async def connect(server: DemoServer, **headers: str) -> WebSocketClientConnection:
    return await websocket_connect(HTTPRequest(f"ws://127.0.0.1:{server.port}/websocket", headers=headers))


async def read(client: WebSocketClientConnection) -> Any:
    message = await asyncio.wait_for(client.read_message(), 5)
    return None if message is None else json.loads(message)


def call(method: str, request_id: Any = 1, **params: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": request_id})


async def test_call(server: DemoServer) -> None:
    client = await connect(server)
    await client.write_message(call("demo.add", 0, a=1))
    assert await read(client) == {
        "jsonrpc": "2.0",
        "result": {"sum": 2, "loud": False, "names": [], "text": ""},
        "id": 0,
    }
    client.close()


async def test_slow_call_does_not_hold_up_others(server: DemoServer) -> None:
    client = await connect(server)
    await client.write_message(call("demo.wait", 1))
    await client.write_message(call("demo.post_add", 2, a=1))
    assert (await read(client))["id"] == 2
    server.demo.gate.set()
    assert (await read(client))["id"] == 1
    client.close()


async def test_messages_of_every_size_arrive_whole(server: DemoServer) -> None:
    client = await connect(server)
    for size in (1, 100, 126, 1000, 65_535, 65_536, 1_200_000):
        await client.write_message(call("demo.add", 1, a=1, text="x" * size))
        assert len((await read(client))["result"]["text"]) == size
    client.close()


async def test_broadcast_reaches_everybody_in_order(server: DemoServer) -> None:
    clients = [await connect(server) for _ in range(5)]
    await asyncio.sleep(0.05)
    for number in range(100):
        server.connections.broadcast(b'{"n":%d}' % number)
    for client in clients:
        assert [(await read(client))["n"] for _ in range(100)] == list(range(100))
        client.close()


async def test_strangers_hear_and_do_nothing(server: DemoServer) -> None:
    client = await connect(server, **{"X-Real-IP": "8.8.8.8"})
    server.connections.broadcast(b'{"n":1}')
    await client.write_message(call("demo.add", 1, a=1))
    assert (await read(client))["error"]["code"] == -32602
    client.close()


async def test_foreign_page_is_refused(server: DemoServer) -> None:
    with pytest.raises(HTTPClientError) as caught:
        await connect(server, Origin="http://evil.example")
    assert caught.value.code == 403


async def test_arguments_that_cannot_be_read_are_no_credential(
    server: DemoServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = await websocket_connect(f"ws://127.0.0.1:{server.port}/websocket?a:int=x&b:json={{")
    await client.write_message(call("demo.add", 1, a=1))
    assert (await read(client))["id"] == 1
    assert "Traceback" not in caplog.text
    client.close()


async def test_limit_of_connections(server: DemoServer) -> None:
    clients = [await connect(server) for _ in range(20)]
    with pytest.raises(HTTPClientError) as caught:
        await connect(server)
    assert caught.value.code == 503
    for client in clients:
        client.close()


async def test_connection_leaves_when_it_closes(server: DemoServer) -> None:
    client = await connect(server)
    await client.write_message(call("demo.wait", 1))
    await asyncio.sleep(0.05)
    assert len(server.connections) == 1
    client.close()
    for _ in range(50):
        if not len(server.connections):
            break
        await asyncio.sleep(0.02)
    assert len(server.connections) == 0


async def test_client_that_does_not_read_is_cut_off_and_harms_nobody(server: DemoServer) -> None:
    deaf = socket.create_connection(("127.0.0.1", server.port))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.sendall(
        b"GET /websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    client = await connect(server)
    await asyncio.sleep(0.05)
    message = b'{"text":"%b"}' % (b"x" * 100_000)
    for _ in range(120):
        server.connections.broadcast(message)
        assert len((await read(client))["text"]) == 100_000
    assert len(server.connections) == 1
    deaf.close()
    client.close()


async def test_too_many_calls_at_once_stop_the_reading(server: DemoServer) -> None:
    client = await connect(server)
    for number in range(MAX_CALLS + 50):
        await client.write_message(call("demo.wait", number))
    await asyncio.sleep(0.2)
    assert sum(getattr(connection, "calls", 0) for connection in server.connections) == MAX_CALLS
    server.demo.gate.set()
    assert sorted([(await read(client))["id"] for _ in range(MAX_CALLS + 50)]) == list(range(MAX_CALLS + 50))
    client.close()


@given(st.lists(st.tuples(st.sampled_from([None, None, "a", "b"]), st.binary(max_size=20)), max_size=30))
def test_outbox_keeps_order_and_the_newest_of_a_key(puts: list[tuple[str | None, bytes]]) -> None:
    outbox = Outbox()
    expected: list[tuple[str | None, bytes]] = []
    for key, message in puts:
        assert outbox.put(message, key)
        known = next((i for i, (other, _) in enumerate(expected) if key is not None and other == key), None)
        if known is None:
            expected.append((key, message))
        else:
            expected[known] = (key, message)
    assert outbox.size == sum(len(message) for _, message in expected)
    assert outbox.take() == [message for _, message in expected]
    assert not outbox
    assert outbox.size == 0


def test_outbox_is_bounded() -> None:
    outbox = Outbox(limit=10)
    assert outbox.put(b"x" * 10)
    assert not outbox.put(b"y")


def test_frame_lengths() -> None:
    assert text_frame(b"x" * 125)[:2] == bytes((0x81, 125))
    assert text_frame(b"x" * 126)[:4] == bytes((0x81, 126, 0, 126))
    assert text_frame(b"x" * 65_536)[:10] == bytes((0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0))
