"""The API socket itself: frames, ids, errors, slow clients, one server per path. Endpoints are small fakes here."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonraker_lite.marlin import server as server_module
from moonraker_lite.marlin.requests import Params, RequestError
from moonraker_lite.marlin.server import AlreadyServed, ApiServer, Client, Reply
from moonraker_lite.marlin.subscriptions import message_prefix
from tests.marlin_host.raw_client import RawClient


def handle(client: Client, method: str, params: Params, reply: Reply) -> object:
    if method == "echo":
        return params.values
    if method == "text":
        return params.text("name")
    if method == "slow":
        return _slow()
    if method == "output":
        client.subscribe_output(params.mapping("response_template", {}))
        return {}
    if method == "broken":
        raise ZeroDivisionError
    raise RequestError(f"no {method}")


async def _slow() -> str:
    await asyncio.sleep(0.05)
    return "done"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    server = ApiServer(tmp_path / "api.sock", handle, lambda client: None)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(server: ApiServer, tmp_path: Path) -> AsyncIterator[RawClient]:
    client = await RawClient.connect(tmp_path / "api.sock")
    yield client
    await client.close()


@pytest.mark.parametrize("identity", [0, -1, 1.5, "abc", True, [1, {"a": 2}], {"x": None}, 2**70, 12345678901234567890])
async def test_ids_of_any_type_are_echoed(client: RawClient, identity: object) -> None:
    client.send({"id": identity, "method": "echo", "params": {"a": 1}})
    assert await client.wait_for(1) == [{"id": identity, "result": {"a": 1}}]


async def test_without_id_nothing_is_answered(client: RawClient) -> None:
    for message in (
        {"method": "echo"},
        {"method": "broken"},
        {"id": None, "method": "none"},
        {"id": 1, "method": "echo"},
    ):
        client.send(message)
    assert await client.wait_for(1) == [{"id": 1, "result": {}}]


@pytest.mark.parametrize(
    "frame",
    [
        *(b"", b"{", b"[1,2]", b"5", b"null", b'"x"', b'{"id":1}', b'{"id":1,"method":5}', b"\xff\xfe", b"[" * 100_000),
        *(b'{"id":1,"method":"echo","params":[1]}', b'{"id":1,"method":"echo","params":null}'),
    ],
)
async def test_malformed_frames_are_dropped_and_the_connection_lives(client: RawClient, frame: bytes) -> None:
    client.send_raw(frame + b"\x03")
    client.send({"id": 2, "method": "echo"})
    assert await client.wait_for(1) == [{"id": 2, "result": {}}]


async def test_errors(client: RawClient) -> None:
    client.send({"id": 1, "method": "nosuch"})
    client.send({"id": 2, "method": "text"})
    client.send({"id": 3, "method": "text", "params": {"name": 5}})
    client.send({"id": 4, "method": "broken"})
    messages = [answer["error"]["message"] for answer in await client.wait_for(4)]
    assert messages == [
        "no nosuch",
        "Missing Argument [name]",
        "Invalid Argument Type [name]",
        "Internal error on request 'broken'",
    ]
    assert {answer["error"]["error"] for answer in client.received} == {"WebRequestError"}


async def test_a_slow_call_does_not_delay_others(client: RawClient) -> None:
    client.send({"id": 1, "method": "slow"})
    client.send({"id": 2, "method": "echo"})
    assert [answer["id"] for answer in await client.wait_for(2)] == [2, 1]


async def test_output_goes_to_those_who_subscribed(server: ApiServer, client: RawClient, tmp_path: Path) -> None:
    other = await RawClient.connect(tmp_path / "api.sock")
    await client.result("output", response_template={"key": 345})
    await other.result("echo")
    server.output('// "quoted" ☃')
    assert (await client.wait_for(2))[1] == {"key": 345, "params": {"response": '// "quoted" ☃'}}
    assert len(other.received) == 1
    await other.close()


async def test_a_client_that_does_not_read_is_cut_off(server: ApiServer, tmp_path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(tmp_path / "api.sock", limit=1)
    writer.write(b'{"id":1,"method":"output"}\x03')
    await reader.read(1)
    for _ in range(100):
        server.output("x" * 100_000)
        await asyncio.sleep(0)
    with pytest.raises(ConnectionError):
        while True:
            if not await reader.read(1_000_000):
                raise ConnectionResetError
    writer.close()


async def test_an_endless_frame_is_cut_off(monkeypatch: pytest.MonkeyPatch, client: RawClient) -> None:
    monkeypatch.setattr(server_module, "MAX_FRAME", 1000)
    client.send_raw(b"x" * 5000)
    async with asyncio.timeout(5):
        await client.closed.wait()


async def test_a_second_server_on_the_same_path_is_refused(server: ApiServer, tmp_path: Path) -> None:
    second = ApiServer(tmp_path / "api.sock", handle, lambda client: None)
    with pytest.raises(AlreadyServed):
        await second.start()
    client = await RawClient.connect(tmp_path / "api.sock")
    assert await client.result("echo") == {}
    await client.close()


async def test_a_stranger_on_the_path_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    stranger = await asyncio.start_unix_server(lambda reader, writer: writer.close(), path)
    with pytest.raises(AlreadyServed):
        await ApiServer(path, handle, lambda client: None).start()
    assert path.is_socket()
    stranger.close()


async def test_the_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    dead = await asyncio.start_unix_server(lambda reader, writer: None, path)
    dead.close()
    if not path.exists():  # newer Pythons remove it
        os.mknod(path, 0o140644)
    server = ApiServer(path, handle, lambda client: None)
    await server.start()
    client = await RawClient.connect(path)
    assert await client.result("echo") == {}
    await client.close()
    await server.stop()
    assert not path.exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_an_update_is_its_template_with_params(template: dict[str, Any]) -> None:
    message = json.loads(message_prefix(template) + b'{"x":1}}')
    assert message == {**template, "params": {"x": 1}}


def test_frames_may_be_split_and_joined_anywhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("split") / "api.sock"
    frames = b"".join(
        json.dumps({"id": index, "method": "echo", "params": {"v": "é" * index}}).encode() + b"\x03"
        for index in range(8)
    )

    @settings(deadline=None, max_examples=25)
    @given(st.lists(st.integers(1, len(frames) - 1), max_size=12).map(sorted))
    def check(cuts: list[int]) -> None:
        asyncio.run(exchange(cuts))

    async def exchange(cuts: list[int]) -> None:
        server = ApiServer(path, handle, lambda client: None)
        await server.start()
        client = await RawClient.connect(path)
        for begin, end in zip([0, *cuts], [*cuts, len(frames)], strict=True):
            client.send_raw(frames[begin:end])
            await asyncio.sleep(0)
        answers = await client.wait_for(8)
        assert [answer["result"]["v"] for answer in answers] == ["é" * index for index in range(8)]
        await client.close()
        await server.stop()

    check()
