"""Byte pipes: real ptys and sockets."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from moonraker_lite.marlin.link import MAX_UNSENT, Link, LinkError, open_link


class Ear:
    """What a link told."""

    def __init__(self) -> None:
        self.data = b""
        self.lost: list[str] = []

    def on_data(self, data: bytes) -> None:
        self.data += data

    def on_lost(self, message: str) -> None:
        self.lost.append(message)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.002)


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
async def pty() -> AsyncIterator[tuple[int, str]]:
    """The printer's end of a pty and the path of the other."""
    master, slave = os.openpty()
    tty.setraw(slave)
    path = os.ttyname(slave)
    os.close(slave)
    os.set_blocking(master, False)
    yield master, path
    try:
        os.close(master)
    except OSError:
        pass


async def opened(path: str, ear: Ear, baud: int = 115200) -> Link:
    return await open_link(path, baud, on_data=ear.on_data, on_lost=ear.on_lost)


@pytest.mark.parametrize("baud", [115200, 250000, 500000])
async def test_bytes_go_both_ways(pty: tuple[int, str], ear: Ear, baud: int) -> None:
    master, path = pty
    link = await opened(path, ear, baud)
    os.write(master, b"start\n\xff\x00")
    await ear.until(lambda: ear.data == b"start\n\xff\x00")
    link.write(b"M105\n")
    assert os.read(master, 100) == b"M105\n"
    assert link.unsent == 0
    link.close()
    link.close()
    assert ear.lost == []
    with pytest.raises(LinkError, match="closed"):
        link.write(b"x")


async def test_a_printer_that_does_not_read(pty: tuple[int, str], ear: Ear) -> None:
    master, path = pty
    link = await opened(path, ear)
    written = 0
    with pytest.raises(LinkError, match="takes no more"):
        while written < 10 * MAX_UNSENT:
            link.write(b"x" * 1000)
            written += 1000
    assert 0 < link.unsent <= MAX_UNSENT
    read = 0
    while read < written:
        try:
            read += len(os.read(master, 65536))
        except BlockingIOError:
            await asyncio.sleep(0.002)
    assert read == written
    assert link.unsent == 0
    link.close()


async def test_unplugging_is_told_once(pty: tuple[int, str], ear: Ear) -> None:
    master, path = pty
    link = await opened(path, ear)
    os.close(master)
    await ear.until(lambda: bool(ear.lost))
    await asyncio.sleep(0.02)
    (message,) = ear.lost
    assert path in message
    with pytest.raises(LinkError):
        link.write(b"x")
    link.close()


async def test_a_port_that_is_not_there(ear: Ear, tmp_path: Path) -> None:
    with pytest.raises(LinkError, match=r"cannot be opened.*lists those"):
        await opened(str(tmp_path / "ttyUSB9"), ear)
    plain = tmp_path / "file"
    plain.write_text("no port")
    with pytest.raises(LinkError, match="cannot be opened"):
        await opened(str(plain), ear)


async def test_a_port_that_is_in_use(pty: tuple[int, str], ear: Ear) -> None:
    _, path = pty
    link = await opened(path, ear)
    with pytest.raises(LinkError, match=r"cannot be opened.*Another program has it"):
        await opened(path, Ear())
    link.close()
    again = await opened(path, ear)
    again.close()


async def test_a_cancelled_opening_leaves_nothing_open(pty: tuple[int, str], ear: Ear) -> None:
    _, path = pty
    opening = asyncio.ensure_future(opened(path, ear))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await asyncio.sleep(0.1)
    link = await opened(path, ear)
    link.close()


async def test_a_socket(ear: Ear) -> None:
    peers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer)
        writer.write((await reader.readline()).upper())
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = await opened(f"socket://127.0.0.1:{port}", ear)
    link.write(b"m105\n")
    await ear.until(lambda: ear.data == b"M105\n")
    peers[0].close()
    await ear.until(lambda: bool(ear.lost))
    assert "closed by the other side" in ear.lost[0]
    with pytest.raises(LinkError):
        link.write(b"x")
    silent = Ear()
    link = await opened(f"socket://127.0.0.1:{port}", silent)
    await ear.until(lambda: len(peers) == 2)
    link.close()
    await asyncio.sleep(0.02)
    assert silent.lost == []
    for peer in peers:
        peer.close()
    server.close()
    await server.wait_closed()
    with pytest.raises(LinkError, match="cannot be opened"):
        await opened(f"socket://127.0.0.1:{port}", ear)


@pytest.mark.parametrize(
    "url", ["socket://", "socket://host", "socket://127.0.0.1:notaport", "socket://127.0.0.1:99999"]
)
async def test_wrong_urls(ear: Ear, url: str) -> None:
    with pytest.raises(LinkError, match="cannot be opened"):
        await opened(url, ear)
