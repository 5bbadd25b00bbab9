"""What happens to uploads when things break: clients that leave, disks that fill up, processes that are killed."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.api.request import Request
from moonraker_lite.components.file_manager import room as room_module
from moonraker_lite.components.file_manager.names import part_name
from moonraker_lite.components.file_manager.parts import Part, sweep
from moonraker_lite.components.file_manager.roots import Folder, Reserved
from moonraker_lite.errors import HostError
from tests.file_manager.rig import GCODE, Rig, running
from tests.support.forms import KIND, form


async def test_a_client_that_goes_away_leaves_nothing(rig: Rig) -> None:
    body = form("a.gcode", b"x" * 5_000_000)
    for sent in (0, 10, 200, 100_000, 3_000_000, len(body) - 5):
        _, writer = await asyncio.open_connection("127.0.0.1", rig.host.port)
        head = (
            f"POST /server/files/upload HTTP/1.1\r\nHost: x\r\nContent-Type: {KIND}\r\nContent-Length: {len(body)}\r\n"
        )
        writer.write(head.encode() + b"\r\n" + body[:sent])
        await writer.drain()
        await asyncio.sleep(0.05)
        if sent > 100_000:
            assert rig.leftovers() != []
        writer.close()
    async with asyncio.timeout(5):
        while rig.leftovers():
            await asyncio.sleep(0.01)
    assert list(rig.gcodes().iterdir()) == []
    assert await rig.told(0.1) == []


async def test_aborting_at_any_moment_leaves_nothing(rig: Rig) -> None:
    request = Request(transport="http", headers={"Content-Type": KIND})
    body = form("a.gcode", b"y" * 3_000_000, {"path": "p"}, file_first=True)
    for _ in range(20):
        sink = await rig.files.open_upload(request, str)
        work = asyncio.ensure_future(sink.write(body))
        await asyncio.sleep(0.0005 * _)
        await sink.abort()
        await asyncio.gather(work, return_exceptions=True)
        await sink.abort()
        with pytest.raises(HostError):
            await sink.finish()
    assert rig.leftovers() == []


async def test_a_host_that_stops_leaves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as rig:
        _, writer = await asyncio.open_connection("127.0.0.1", rig.host.port)
        body = form("a.gcode", b"x" * 3_000_000)
        head = (
            f"POST /server/files/upload HTTP/1.1\r\nHost: x\r\nContent-Type: {KIND}\r\nContent-Length: {len(body)}\r\n"
        )
        writer.write(head.encode() + b"\r\n" + body[:2_000_000])
        await writer.drain()
        async with asyncio.timeout(5):
            while not rig.leftovers():
                await asyncio.sleep(0.01)
    writer.close()
    async with running(tmp_path / "data") as rig:
        assert rig.leftovers() == []


@pytest.fixture
async def small_disk(tmp_path: Path, short_waits: None) -> AsyncIterator[Rig]:
    """A host whose gcodes are on a file system of 4 MiB."""
    folder = tmp_path / "data" / "gcodes"
    folder.mkdir(parents=True)
    mounted = await asyncio.to_thread(
        subprocess.run,
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("no file system may be mounted here")
    try:
        async with running(tmp_path / "data") as rig:
            yield rig
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", "-l", str(folder)], check=True)


async def test_what_has_no_room_is_refused_before_it_is_sent(small_disk: Rig) -> None:
    answer = await small_disk.upload("big.gcode", b"x" * 5_000_000)
    assert answer.status == 507
    assert "room" in answer.json["error"]["message"]
    assert list(small_disk.gcodes().iterdir()) == []


async def test_a_disk_that_fills_up_during_the_upload(small_disk: Rig) -> None:
    body = form("big.gcode", b"x" * 6_000_000)
    sink = await small_disk.files.open_upload(Request(transport="http", headers={"Content-Type": KIND}), str)
    with pytest.raises(HostError) as error:
        for start in range(0, len(body), 65536):
            await sink.write(body[start : start + 65536])
        await sink.finish()
    assert error.value.status == 507
    assert list(small_disk.gcodes().iterdir()) == []
    assert (await small_disk.upload("small.gcode", GCODE)).status == 201


async def test_a_full_disk_stops_copies_and_archives(small_disk: Rig) -> None:
    assert (await small_disk.upload("a.gcode", os.urandom(2_500_000))).status == 201
    asked: dict[str, dict[str, Any]] = {
        "server.files.copy": {"source": "gcodes/a.gcode", "dest": "gcodes/b.gcode"},
        "server.files.zip": {"items": ["gcodes/a.gcode"], "dest": "gcodes/a.zip"},
    }
    for method, params in asked.items():
        status, message = await small_disk.refused(method, **params)
        assert (status, "room" in message) == (507, True)
    assert [path.name for path in small_disk.gcodes().iterdir()] == ["a.gcode"]


async def test_moving_across_file_systems(small_disk: Rig) -> None:
    await small_disk.upload("a.gcode", GCODE, {"path": "d"})
    small_disk.gcodes("d", "link").symlink_to("a.gcode")
    os.utime(small_disk.gcodes("d", "a.gcode"), (1000, 1000))
    await small_disk.library.settle()
    await small_disk.told(0.2)
    await small_disk.call("server.files.move", source="gcodes/d/a.gcode", dest="config/a.gcode")
    assert small_disk.config("a.gcode").read_text() == GCODE
    assert os.stat(small_disk.config("a.gcode")).st_mtime == 1000
    assert await small_disk.told(0.2) == ["move_file d/a.gcode->config/a.gcode"]
    assert (await small_disk.refused("server.files.move", source="gcodes/d/link", dest="config/l"))[0] == 400
    await small_disk.call("server.files.move", source="config/a.gcode", dest="gcodes/d/a.gcode")
    assert (await small_disk.refused("server.files.move", source="gcodes/d/link", dest="config/l"))[0] == 400
    small_disk.gcodes("d", "link").unlink()
    await small_disk.told(0.2)
    await small_disk.call("server.files.move", source="gcodes/d", dest="config/d")
    assert await small_disk.told(0.2) == ["move_dir d->config/d"]
    assert small_disk.config("d", "a.gcode").read_text() == GCODE
    assert small_disk.leftovers() == []


async def test_an_upload_is_copied_when_it_was_staged_elsewhere(small_disk: Rig) -> None:
    answer = await small_disk.upload("x.cfg", "[a]\n" * 1000, {"root": "config"}, file_first=True)
    assert answer.status == 201
    assert small_disk.config("x.cfg").read_text() == "[a]\n" * 1000
    assert small_disk.leftovers() == []


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Every file of this process may have so many bytes at most: what a full disk looks like to one file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("size", [1_100_000, 2_000_000, 3_000_000])
async def test_a_write_that_fails_anywhere_leaves_nothing(rig: Rig, size: int) -> None:
    body = form("a.gcode", b"z" * 3_000_001)
    sink = await rig.files.open_upload(Request(transport="http", headers={"Content-Type": KIND}), str)
    with file_size_limit(size), pytest.raises(HostError) as error:
        for start in range(0, len(body), 100_000):
            await sink.write(body[start : start + 100_000])
        await sink.finish()
    assert error.value.status == 507
    assert list(rig.gcodes().iterdir()) == []


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from typing import Any
from tests.file_manager.rig import GCODE, running
from tests.support.forms import KIND, form
from moonraker_lite.api.request import Request

async def main():
    async with running(Path(sys.argv[1])) as rig:
        request = Request(transport="http", headers={"Content-Type": KIND})
        for number in range(1000):
            sink = await rig.files.open_upload(request, str)
            body = form(f"f{number}.gcode", GCODE * 2000, {"path": f"d{number % 3}"})
            for start in range(0, len(body), 20_000):
                await sink.write(body[start:start + 20_000])
            await sink.finish()
            print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("count", [1, 4, 9])
async def test_kill_9_leaves_whole_files_and_nothing_else(tmp_path: Path, count: int) -> None:
    data = tmp_path / "data"
    script = tmp_path / "uploader.py"
    script.write_text(textwrap.dedent(KILLED))
    root = Path(__file__).resolve().parents[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(data), cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    for _ in range(count):
        await process.stdout.readline()
    await asyncio.sleep(0.003 * count)
    process.kill()
    answered = count + len((await process.stdout.read()).split())
    await process.wait()
    async with running(data) as rig:
        rows = await rig.call("server.files.list")
        assert len(rows) >= answered
        for row in rows:
            assert rig.gcodes(row["path"]).read_text() == GCODE * 2000
        assert rig.leftovers() == []
        for row in rows:
            await rig.call("server.files.metadata", filename=row["path"])


async def test_leftovers_are_swept_at_the_start_but_not_what_is_in_use(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "gcodes" / "sub"
    folder.mkdir(parents=True)
    dead, dead_folder = folder / part_name(), folder / part_name()
    dead.write_text("half")
    dead_folder.mkdir()
    (dead_folder / "x").write_text("half")
    with Folder(str(folder), Reserved()) as opened:
        live = Part(opened)
    async with running(tmp_path / "data") as rig:
        assert [path.name for path in rig.leftovers()] == [live.name]
        assert await rig.call("server.files.list") == []
    live.discard()
    sweep(str(folder / "gone"))


async def test_the_folder_is_swapped_for_a_link_while_the_upload_runs(rig: Rig) -> None:
    """What stands at the path when the file is placed counts, and a reserved place is refused even then."""
    rig.gcodes("d").mkdir()
    secret = rig.data / "database"
    await rig.library.settle()
    sink = await rig.files.open_upload(Request(transport="http", headers={"Content-Type": KIND}), str)
    body = form("evil.db", b"x" * 100_000, {"path": "d"})
    await sink.write(body[:50_000])
    rig.gcodes("d").rename(rig.gcodes("was-d"))
    rig.gcodes("d").symlink_to(secret)
    await sink.write(body[50_000:])
    with pytest.raises(HostError) as error:
        await sink.finish()
    assert error.value.status == 403
    assert not (secret / "evil.db").exists()
    assert rig.leftovers() == []


async def test_memory_does_not_grow_with_the_file(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "ROOM", 0)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    body = form("a.gcode", b"")
    cut = body.index(b"\r\n\r\n") + 4
    block = b"G1 X1 Y1 E1\n" * 5000
    sink = await rig.files.open_upload(Request(transport="http", headers={"Content-Type": KIND}), str)
    await sink.write(body[:cut])
    for _ in range(50):
        await sink.write(block)
    before = resident()
    for _ in range(1000):
        await sink.write(block)
    assert resident() - before < 4 * 1024 * 1024
    await sink.write(body[cut:])
    reply = await sink.finish()
    assert reply.status == 201
    assert os.stat(rig.gcodes("a.gcode")).st_size == 1050 * len(block)


async def test_a_host_that_stops_while_uploads_are_stored(tmp_path: Path) -> None:
    """What is being stored when the host stops is either whole or not there, and answered accordingly."""
    data = tmp_path / "data"
    async with running(data) as rig:
        sinks = []
        for number in range(8):
            sink = await rig.files.open_upload(Request(transport="http", headers={"Content-Type": KIND}), str)
            await sink.write(form(f"{number}.gcode", GCODE * 1000))
            sinks.append(sink)
        work = [asyncio.ensure_future(sink.finish()) for sink in sinks]
        await asyncio.sleep(0.003)
        await rig.files.stop()
        answers = await asyncio.gather(*work, return_exceptions=True)
    stored = [number for number, answer in enumerate(answers) if not isinstance(answer, BaseException)]
    async with running(data) as rig:
        names = {row["path"] for row in await rig.call("server.files.list")}
        assert {f"{number}.gcode" for number in stored} <= names
        assert all(rig.gcodes(name).read_text() == GCODE * 1000 for name in names)
        assert rig.leftovers() == []
