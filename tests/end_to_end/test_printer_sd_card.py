"""The printer's own SD card as a root of the file manager, over real processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.components.printer_sd_card import CardFile, _is_path, _make_stand_ins
from tests.end_to_end.daemon import Daemon
from tests.support.api_client import client_of, connected

pytestmark = pytest.mark.timeout(120)
FILES = "/server/files/directory?path=sdcard"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path / "data", "[printer]\ntype: virtual\nvirtual_speed: 0\nvirtual_sd_card: True\n")
    yield made
    made.stop()


async def until_listed(daemon: Daemon, *names: str) -> list[dict[str, Any]]:
    async with asyncio.timeout(60):
        while True:
            roots = [root["name"] for root in await daemon.get("/server/files/roots")]
            if "sdcard" in roots:
                files: list[dict[str, Any]] = (await daemon.get(FILES))["files"]
                if [file["filename"] for file in files] == list(names):
                    return files
            await asyncio.sleep(0.05)


async def test_files_go_to_the_card_are_printed_and_deleted(daemon: Daemon) -> None:
    await daemon.start()
    await until_listed(daemon)
    content = b"; a comment\nG28\nG90\nM83\n" + b"".join(b"G1 X%d E0.1 F3000\n" % (n % 99) for n in range(300))
    async with connected(daemon.port) as client:
        answer = await daemon.upload("on the card.gcode", content, root="sdcard")
        assert answer.status == 201
        # First the file that was uploaded, then the stand-in of what the printer has stored of it.
        async with asyncio.timeout(60):
            while (await until_listed(daemon, "on the card.gcode"))[0]["size"] == len(content):
                await asyncio.sleep(0.05)
        stored = (await until_listed(daemon, "on the card.gcode"))[0]["size"]
        # Without the comment, and with the line ends that firmwares write.
        assert stored == len(content) - len(b"; a comment\n") + content.count(b"\n") - 1
        await client.until(
            lambda: any(n["item"]["path"] == "on the card.gcode" for (n,) in client.of("notify_filelist_changed"))
        )
        async with client_of(daemon.port) as http:
            refused = await http.http("GET", "/server/files/sdcard/on%20the%20card.gcode")
        assert refused.status == 403
        await client.call("printer.print.start", filename="sdcard/on the card.gcode")
        stats = await daemon.until(lambda stats: stats["state"] in ("complete", "error"), 60)
        assert (stats["state"], stats["filename"]) == ("complete", "sdcard/on the card.gcode")
        assert (await client.call("server.sdcard.refresh")) == {"files": 1}
        await client.call("server.files.delete_file", path="sdcard/on the card.gcode")
        await until_listed(daemon)
        async with asyncio.timeout(60):
            while (await client.call("server.sdcard.refresh")) != {"files": 0}:
                await asyncio.sleep(0.05)


def test_stand_ins(tmp_path: Path) -> None:
    files = {file.name: file for file in (CardFile("A.GCO", 10, 0x28210800), CardFile("sub/b.gco", 0))}
    _make_stand_ins(tmp_path, files)
    (tmp_path / "new.gcode").write_text("G28")
    assert (tmp_path / "A.GCO").stat().st_size == 10
    assert files["A.GCO"].modified == (tmp_path / "A.GCO").stat().st_mtime
    del files["sub/b.gco"]
    _make_stand_ins(tmp_path, files)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["A.GCO", "new.gcode"]
    for name in ("../x", "/x", "a//b", ".hidden", "a/.b", "a\nb"):
        assert not _is_path(name)
