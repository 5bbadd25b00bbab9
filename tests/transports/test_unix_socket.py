"""The unix socket: messages ended by 0x03, and clients that do not behave."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moonraker_lite.api.endpoint import Via
from moonraker_lite.api.jsonrpc import JsonRpc
from moonraker_lite.transports import unix_socket
from moonraker_lite.transports.unix_socket import UnixSocketServer
from tests.transports.demo import DemoServer

CALL = b'{"jsonrpc":"2.0","method":"demo.add","params":{"a":1},"id":5}\x03'


@pytest.fixture
async def path(server: DemoServer, tmp_path: Path) -> AsyncIterator[Path]:
    """The socket beside the demo server's port."""
    path = tmp_path / "moonraker.sock"
    listening = UnixSocketServer(path, JsonRpc(server.table, Via.SOCKET), server.connections)
    await listening.start()
    yield path
    await listening.stop()
    assert not path.exists()


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def until_gone(server: DemoServer) -> None:
    async with asyncio.timeout(5):
        while len(server.connections):
            await asyncio.sleep(0.01)


async def test_calls_of_one_client_in_pieces(path: Path, server: DemoServer) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    for piece in (CALL[:10], CALL[10:] + CALL[:-1], b"\x03"):
        writer.write(piece)
        await writer.drain()
    for _ in range(2):
        answer = json.loads((await reader.readuntil(b"\x03"))[:-1])
        assert (answer["id"], answer["result"]["sum"]) == (5, 2)
    assert path.stat().st_mode & 0o777 == 0o600
    await close(writer)
    await until_gone(server)


async def test_a_client_that_does_not_read_is_cut_off(
    path: Path, server: DemoServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    reader, writer = await asyncio.open_unix_connection(path, limit=1024)
    writer.write(CALL)
    await reader.readuntil(b"\x03")
    message = b'{"text":"%b"}' % (b"x" * 100_000)
    for _ in range(120):
        server.connections.broadcast(message)
        await asyncio.sleep(0)
    await until_gone(server)
    assert caplog.text.count("client does not read") == 1
    await close(writer)


async def test_a_message_without_end_is_cut_off(path: Path, server: DemoServer) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"x" * (unix_socket.MAX_MESSAGE + 1))
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readuntil(b"\x03")
    await until_gone(server)
    await close(writer)


async def test_a_socket_file_that_was_left_behind_is_replaced(tmp_path: Path, server: DemoServer) -> None:
    left = tmp_path / "left.sock"
    left.write_text("")
    listening = UnixSocketServer(left, JsonRpc(server.table, Via.SOCKET), server.connections)
    await listening.start()
    _, writer = await asyncio.open_unix_connection(left)
    await close(writer)
    await listening.stop()
