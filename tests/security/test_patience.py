"""Clients that stop in the middle: they are waited for, but not for ever. (The times are shortened.)"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from moonraker_lite.host import Host
from moonraker_lite.transports import files, http, patience
from tests.security.target import form

MakeHost = Callable[..., Awaitable[Host]]
STALL = 1.0
UPLOAD = b"POST /server/files/upload HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (patience, files):
        monkeypatch.setattr(module, "STALL_SECONDS", STALL)
    monkeypatch.setattr(http, "DISCARD_SECONDS", STALL)


async def test_an_upload_that_stops_is_given_up(host: Host, tmp_path: Path) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    body = form(b"stopped.gcode", b"G1\n" * 100_000)
    writer.write(UPLOAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[:200_000])
    assert await asyncio.wait_for(reader.read(), 10) == b""
    gcodes = host.places.data.gcodes
    async with asyncio.timeout(5):
        while list(gcodes.iterdir()):
            await asyncio.sleep(0.02)
    writer.close()


async def test_an_upload_that_is_only_slow_is_stored(host: Host) -> None:
    """Each piece comes before the patience ends, all together take much longer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    body = form(b"slow.gcode", b"G1\n" * 1000)
    writer.write(UPLOAD + b"Content-Length: %d\r\n\r\n" % len(body))
    for start in range(0, len(body), 200):
        writer.write(body[start : start + 200])
        await writer.drain()
        await asyncio.sleep(0.1)
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 201")
    assert (host.places.data.gcodes / "slow.gcode").read_bytes() == b"G1\n" * 1000
    writer.close()


async def test_a_download_that_is_not_taken_is_ended(host: Host) -> None:
    with (host.places.data.gcodes / "large.gcode").open("wb") as file:
        file.truncate(200_000_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port, limit=1000)
    writer.write(b"GET /server/files/gcodes/large.gcode HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(STALL * 2)
    received = 0
    with_end = asyncio.timeout(20)
    try:
        async with with_end:
            while piece := await reader.read(1 << 20):
                received += len(piece)
    except ConnectionError:
        pass
    assert 0 < received < 200_000_000
    writer.close()


async def test_a_refused_body_that_never_comes_is_not_waited_for(host: Host) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(b"POST /printer/gcode/script HTTP/1.1\r\nHost: a\r\nX-Api-Key: no\r\nContent-Length: 1000\r\n\r\nabc")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_patience_is_with_the_client_only() -> None:
    """While it is our turn, no time passes for the client."""
    given_up = 0

    def give_up() -> None:
        nonlocal given_up
        given_up += 1

    waiting = patience.Patience(give_up)
    waiting.wait()
    waiting.pause()
    await asyncio.sleep(STALL * 1.5)
    assert given_up == 0
    for _ in range(6):
        waiting.wait()
        await asyncio.sleep(STALL / 5)
    assert given_up == 0
    async with asyncio.timeout(30):
        while given_up == 0:
            await asyncio.sleep(0.02)
    waiting.stop()
    again = patience.Patience(give_up)
    again.wait()
    again.stop()
    await asyncio.sleep(STALL * 1.5)
    assert given_up == 1


async def test_turns_are_shared() -> None:
    turns = patience.Turns()
    assert [turns.breathe() for _ in range(patience.BURST - 1)] == [None] * (patience.BURST - 1)
    later = turns.breathe()
    assert later is not None
    await later
    assert turns.breathe() is None


@pytest.mark.parametrize("count", [1, 2, 10, 1000])
def test_the_memory_of_downloads_is_shared(count: int) -> None:
    assert files.block_size(count) >= 16 * 1024
    assert count * files.block_size(count) <= max(1024 * 1024, count * 16 * 1024)
