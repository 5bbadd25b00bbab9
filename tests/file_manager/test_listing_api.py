"""Listings and metadata through the API: what clients see of the roots."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from moonraker_lite.components.file_manager import browsing as browsing_module
from moonraker_lite.components.file_manager.types import FileChanged, MetadataChanged
from tests.file_manager.rig import GCODE, Rig, running


async def test_roots(rig: Rig) -> None:
    roots = await rig.call("server.files.roots")
    assert [(root["name"], root["permissions"]) for root in roots] == [
        ("config", "rw"),
        ("logs", "r"),
        ("gcodes", "rw"),
    ]
    assert roots[2]["path"] == str(rig.gcodes())
    assert rig.host.facts.directories == ["config", "logs", "gcodes"]


async def test_files_list(rig: Rig) -> None:
    for name in ("b.gcode", "A.GCODE", ".hidden.gcode", "notes.txt", "empty.gcode"):
        rig.put(rig.gcodes(name), "" if name.startswith("empty") else GCODE)
    rig.put(rig.gcodes("sub", "dir", "c.nc"))
    rig.gcodes("link.gcode").symlink_to(rig.gcodes("b.gcode"))
    rig.gcodes("broken.gcode").symlink_to("/nonexistent.gcode")
    rig.gcodes("aa").symlink_to(rig.gcodes("sub"))
    await rig.library.settle()
    rows = await rig.call("server.files.list")
    assert [row["path"] for row in rows] == [
        ".hidden.gcode", "A.GCODE", "b.gcode", "empty.gcode", "link.gcode", "sub/dir/c.nc"
    ]  # fmt: skip
    found = os.stat(rig.gcodes("b.gcode"))
    assert rows[2] == {
        "path": "b.gcode",
        "modified": found.st_mtime,
        "size": found.st_size,
        "permissions": "rw",
    }
    assert rows[4]["permissions"] == "r"
    assert [row["path"] for row in await rig.call("server.files.list", root="config")] == ["moonraker.conf"]
    for root in ("nosuch", ""):
        assert (await rig.refused("server.files.list", root=root))[0] == 400


async def test_a_list_is_as_new_as_the_last_change(rig: Rig) -> None:
    for number in range(5):
        await rig.upload(f"{number}.gcode", GCODE)
        assert len(await rig.call("server.files.list")) == number + 1
        assert len((await rig.call("server.files.get_directory"))["files"]) == number + 1
    await rig.call("server.files.delete_file", path="gcodes/0.gcode")
    assert len(await rig.call("server.files.list")) == 4


async def test_get_directory(rig: Rig) -> None:
    rig.put(rig.gcodes("a.gcode"))
    rig.put(rig.gcodes("t.txt"), "text")
    rig.put(rig.gcodes("sub", "b.gcode"))
    rig.gcodes("linkdir").symlink_to(rig.gcodes("sub"))
    await rig.until(3)
    plain = await rig.call("server.files.get_directory")
    assert {row["dirname"]: row["permissions"] for row in plain["dirs"]} == {"sub": "rw", "linkdir": "rw"}
    assert plain["dirs"][0]["size"] == os.stat(rig.gcodes("sub")).st_size
    assert {row["filename"] for row in plain["files"]} == {"a.gcode", "t.txt"}
    assert plain["root_info"] == {"name": "gcodes", "permissions": "rw"}
    assert plain["disk_usage"]["total"] >= plain["disk_usage"]["free"] > 0
    extended = await rig.call("server.files.get_directory", path="gcodes", extended=True)
    row = next(row for row in extended["files"] if row["filename"] == "a.gcode")
    assert row["slicer"] == "PrusaSlicer"
    assert list(row)[:4] == ["modified", "size", "permissions", "filename"]
    assert row["job_id"] is None
    linked = await rig.call("server.files.get_directory", path="gcodes/linkdir", extended="true")
    assert [row["filename"] for row in linked["files"]] == ["b.gcode"]
    logs = await rig.call("server.files.get_directory", path="logs")
    assert logs["root_info"]["permissions"] == "r"
    for path in (
        "gcodes/nosuch",
        "gcodes/a.gcode",
        "nosuch",
        "",
        "/",
        ".",
        "..",
        "gcodes/..",
        "gcodes/../config",
        "database",
    ):
        assert (await rig.refused("server.files.get_directory", path=path))[0] == 400
    for path in ("gcodes/.git", "config/.git/x"):
        assert (await rig.refused("server.files.get_directory", path=path))[0] == 403


async def test_roots_that_are_not_watched_are_read_when_asked(rig: Rig) -> None:
    rig.put(rig.data / "logs" / "klippy.log", "one")
    assert [row["path"] for row in await rig.call("server.files.list", root="logs")] == ["klippy.log"]
    rig.put(rig.data / "logs" / "klippy.log", "one and two")
    rig.put(rig.data / "logs" / "other.log", "x")
    listed = await rig.call("server.files.get_directory", path="logs")
    assert {row["filename"]: row["size"] for row in listed["files"]} == {"klippy.log": 11, "other.log": 1}
    assert await rig.told(0.1) == []


async def test_growing_files_are_listed_as_they_grow(rig: Rig) -> None:
    with rig.gcodes("slow.gcode").open("w") as file:
        file.write("G28\n")
        file.flush()
        await rig.library.settle()
        assert (await rig.call("server.files.list"))[0]["size"] == 4
        file.write("G28\n")
        file.flush()
        await rig.library.settle()
        assert (await rig.call("server.files.list"))[0]["size"] == 8
        assert await rig.told(0.1) == []
    assert await rig.until(1) == ["create_file slow.gcode"]


async def test_what_the_kernel_does_not_tell_is_found_when_listed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with file systems that others change: the index is wrong until somebody looks."""
    monkeypatch.setattr(browsing_module, "FRESH_SECONDS", 0.0)
    rig.gcodes("usb").symlink_to(rig.data / "media")
    await rig.library.settle()
    assert (await rig.call("server.files.get_directory"))["dirs"] == []
    rig.put(rig.data / "media" / "x.gcode")
    assert [row["dirname"] for row in (await rig.call("server.files.get_directory"))["dirs"]] == ["usb"]
    assert [row["path"] for row in await rig.call("server.files.list")] == ["usb/x.gcode"]
    kernel = rig.library.follower._kernel
    assert kernel is not None
    monkeypatch.setattr(kernel, "read", list)
    rig.put(rig.gcodes("unheard.txt"))
    files = (await rig.call("server.files.get_directory"))["files"]
    assert [row["filename"] for row in files] == ["unheard.txt"]


async def test_metadata(rig: Rig) -> None:
    rig.put(rig.gcodes("sub", "a.gcode"))
    rig.put(rig.gcodes("UPPER.GCODE"))
    rig.put(rig.gcodes("empty.gcode"), "")
    await rig.until(3)
    found = await rig.call("server.files.metadata", filename="sub/a.gcode")
    assert found["filename"] == "sub/a.gcode"
    assert found["slicer"] == "PrusaSlicer"
    assert (found["print_start_time"], found["job_id"]) == (None, None)
    assert await rig.call("server.files.thumbnails", filename="sub/a.gcode") == []
    rig.put(rig.gcodes("top.gcode"))
    rig.gcodes("alias").symlink_to(rig.gcodes("sub"))
    await until_known(rig, "top.gcode")
    for name in (
        "",
        "/top.gcode",
        "alias/a.gcode",
        "nosuch.gcode",
        "/sub/a.gcode",
        "gcodes/sub/a.gcode",
        "UPPER.GCODE",
        "empty.gcode",
        "../config/x",
    ):
        assert (await rig.refused("server.files.metadata", filename=name)) == (
            404,
            f"Metadata not available for <{name}>",
        )
        assert await rig.call("server.files.thumbnails", filename=name) == []
    assert (await rig.refused("server.files.metadata"))[0] == 400


async def until_known(rig: Rig, path: str) -> None:
    async with asyncio.timeout(30):
        while path not in rig.library.book:
            await asyncio.sleep(0.01)
    await rig.library.settle()


async def test_metascan(rig: Rig) -> None:
    rig.put(rig.gcodes("a.gcode"))
    rig.put(rig.gcodes("empty.gcode"), "")
    rig.put(rig.gcodes("t.txt"))
    await rig.until(3)
    before = await rig.call("server.files.metadata", filename="a.gcode")
    after = await rig.call("server.files.metascan", filename="a.gcode")
    assert before["uuid"] != after["uuid"]
    assert {**before, "uuid": ""} == {**after, "uuid": ""}
    assert (await rig.call("server.files.metascan", filename="empty.gcode"))["size"] == 0
    assert await rig.told(0.1) == []
    for name, status in {"": 404, "nosuch.gcode": 404, "t.txt": 400, "../config/moonraker.conf": 400}.items():
        assert (await rig.refused("server.files.metascan", filename=name))[0] == status
    assert (await rig.http("GET", "/server/files/metascan?filename=a.gcode")).status == 405


async def test_a_request_for_metadata_waits_for_a_scan_that_is_under_way(rig: Rig) -> None:
    rig.put(rig.gcodes("a.gcode"))
    found = await rig.call("server.files.metadata", filename="a.gcode")
    assert found["slicer"] == "PrusaSlicer"


async def test_metadata_outlives_a_restart_without_a_scan(tmp_path: Path) -> None:
    data = tmp_path / "printer_data"
    async with running(data) as rig:
        for number in range(3):
            await rig.upload(f"{number}.gcode", GCODE)
        rig.files.set_job("0.gcode", "00000B", 123.5)
        before = [await rig.call("server.files.metadata", filename=f"{number}.gcode") for number in range(3)]
        assert before[0]["job_id"] == "00000B"
    rig.put(data / "gcodes" / "1.gcode", GCODE + "; other\n")
    (data / "gcodes" / "2.gcode").unlink()
    rig.put(data / "gcodes" / "new.gcode")
    async with running(data) as rig:
        assert await rig.call("server.files.metadata", filename="0.gcode") == before[0]
        changed = await rig.call("server.files.metadata", filename="1.gcode")
        assert changed["uuid"] != before[1]["uuid"]
        assert (await rig.refused("server.files.metadata", filename="2.gcode"))[0] == 404
        await rig.call("server.files.metadata", filename="new.gcode")
        await rig.library.settle()
        told = [notice["params"][0]["filename"] for notice in rig.notices if "metadata" in notice["method"]]
        assert sorted(told) == ["1.gcode", "new.gcode"]


async def test_touching_a_file_keeps_its_metadata(rig: Rig) -> None:
    await rig.upload("a.gcode", GCODE)
    before = await rig.call("server.files.metadata", filename="a.gcode")
    os.utime(rig.gcodes("a.gcode"), (1000, 1000))
    await rig.library.settle()
    after = await rig.call("server.files.metadata", filename="a.gcode")
    assert after == {**before, "modified": 1000.0}


async def test_a_file_that_becomes_empty_loses_its_metadata(rig: Rig) -> None:
    await rig.upload("a.gcode", GCODE)
    await rig.upload("a.gcode", "")
    assert (await rig.refused("server.files.metadata", filename="a.gcode"))[0] == 404


async def test_other_components_ask_and_hear(rig: Rig) -> None:
    heard: list[object] = []
    rig.host.events.subscribe(FileChanged, heard.append)
    rig.host.events.subscribe(MetadataChanged, heard.append)
    await rig.upload("a.gcode", GCODE)
    await rig.told()
    assert [type(event).__name__ for event in heard] == ["MetadataChanged", "FileChanged"]
    assert rig.files.exists("a.gcode")
    assert not rig.files.exists("b.gcode")
    metadata = await rig.files.scanned_metadata("a.gcode")
    assert metadata is not None
    assert metadata["slicer"] == "PrusaSlicer"
    assert rig.files.metadata("b.gcode") is None
    rig.files.set_job("nosuch.gcode", "000001", 1.0)
    (rig.data / "timelapse").mkdir()
    await rig.files.register_root("timelapse", rig.data / "timelapse", writable=False)
    assert "timelapse" in rig.host.facts.directories
    assert "root_update timelapse" in await rig.told()
    rig.put(rig.data / "timelapse" / "v.mp4", "x")
    assert await rig.until(1) == ["create_file timelapse/v.mp4"]


async def test_without_an_observer_listings_are_right_all_the_same(tmp_path: Path) -> None:
    async with running(tmp_path / "data", "[file_manager]\nfile_system_observer: none") as rig:
        rig.put(rig.gcodes("a.gcode"))
        assert [row["path"] for row in await rig.call("server.files.list")] == ["a.gcode"]
        answer = await rig.upload("b.gcode", GCODE, {"path": "new/deep"})
        assert answer.json["item"]["path"] == "new/deep/b.gcode"
        assert len(await rig.call("server.files.list")) == 2
        await rig.call("server.files.move", source="gcodes/a.gcode", dest="gcodes/c.gcode")
        assert [row["path"] for row in await rig.call("server.files.list")] == ["c.gcode", "new/deep/b.gcode"]


async def test_a_config_root_that_is_read_only(tmp_path: Path) -> None:
    async with running(tmp_path / "data", "[file_manager]\nenable_config_write_access: False") as rig:
        assert (await rig.call("server.files.roots"))[0]["permissions"] == "r"
        assert (await rig.refused("server.files.delete_file", path="config/moonraker.conf"))[0] == 405


async def test_the_limit_of_watches_is_said(rig: Rig) -> None:
    assert rig.host.facts.warnings == []
    rig.library.follower.exhausted = True
    await rig.files._tasks.close()
    task = asyncio.ensure_future(rig.files._watch_for_trouble())
    await task
    assert "inotify" in rig.host.facts.warnings[0]
