"""Containers of G-code in the gcodes root: uploaded, put there by others, listed, and unpacked for a print."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from pathlib import Path

import pytest

from moonraker_lite.components.file_manager import unpacker
from moonraker_lite.errors import Forbidden, HostError, InsufficientStorage, UnprocessableContent
from tests.file_manager.rig import GCODE, Rig, running
from tests.support import containers as make

TEXT = make.GCODE


async def until_file(path: Path, *, there: bool = True) -> None:
    async with asyncio.timeout(30):
        while path.exists() is not there:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("part.gcode.3mf", make.three_mf()),
        ("part.gx", make.gx()),
        ("part.UFP", make.ufp()),
        ("part.bgcode", make.bgcode(encoding=make.PLAIN)),
        ("part.gcode", make.bgcode(encoding=make.PLAIN)),
    ],
)
async def test_upload_becomes_the_print_in_it(rig: Rig, name: str, data: bytes) -> None:
    answer = await rig.upload(name, data, {"path": "d", "checksum": ""})
    assert answer.status == 201, answer.body
    assert answer.json["item"]["path"] == "d/part.gcode"
    assert answer.headers["Location"].endswith("/gcodes/d/part.gcode")
    assert TEXT in rig.gcodes("d/part.gcode").read_bytes()
    assert sorted(os.listdir(rig.gcodes("d"))) in (["part.gcode"], [".thumbs", "part.gcode"])
    metadata = await rig.call("server.files.metadata", filename="d/part.gcode")
    assert metadata["slicer"] in ("OrcaSlicer", "PrusaSlicer")
    assert await rig.told(0.2) == ["create_dir d", "create_file d/part.gcode"]
    assert rig.leftovers() == []


async def test_upload_over_the_octoprint_form_and_print(rig: Rig) -> None:
    class Starter:
        def __init__(self) -> None:
            self.started: list[str] = []

        async def start_print(self, filename: str, user: object) -> None:
            self.started.append(filename)

    starter = Starter()
    rig.files.set_print_starter(starter)
    answer = await rig.upload("cube.bgcode", make.bgcode(), {"print": "true"})
    assert (answer.status, answer.json["print_started"]) == (201, True)
    assert starter.started == ["cube.gcode"]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.bgcode", b"G28\n", "no binary G-code"),
        ("a.bgcode", make.bgcode()[:-3], "ends within"),
        ("a.gcode", make.bgcode()[:-3], "ends within"),
        ("a.gx", b"", "no GX"),
        ("a.gcode.3mf", b"PK\x05\x06" + bytes(18), "no G-code"),
        ("a.gcode.3mf", make.three_mf({1: bytes(70 * 1024 * 1024)}), "allowed"),
    ],
)
async def test_a_damaged_upload_leaves_nothing(rig: Rig, name: str, data: bytes, sentence: str) -> None:
    rig.put(rig.gcodes("a.gcode"))
    await rig.told(0.3)
    answer = await rig.upload(name, data, {"path": "new"})
    assert answer.status == 422
    assert sentence in answer.json["error"]["message"]
    answer = await rig.upload(name, data)
    assert answer.status == 422
    assert os.listdir(rig.gcodes()) == ["a.gcode"]
    assert rig.gcodes("a.gcode").read_text() == GCODE
    assert rig.leftovers() == []


async def test_several_plates_are_several_files(rig: Rig) -> None:
    other = TEXT.replace(b"2.1.1", b"2.2.2")
    answer = await rig.upload("p.gcode.3mf", make.three_mf({2: TEXT, 5: other}))
    assert answer.json["item"]["path"] == "p.gcode"
    assert rig.gcodes("p.gcode").read_bytes() == TEXT
    assert rig.gcodes("p_plate_5.gcode").read_bytes() == other
    assert set(await rig.until(2)) == {"create_file p.gcode", "create_file p_plate_5.gcode"}
    listed = await rig.call("server.files.list", root="gcodes")
    assert sorted(item["path"] for item in listed) == ["p.gcode", "p_plate_5.gcode"]
    # OrcaSlicer says which one it means.
    await rig.upload("q.gcode.3mf", make.three_mf({2: TEXT, 5: other}), {"plateindex": "5"})
    assert rig.gcodes("q.gcode").read_bytes() == other
    assert rig.gcodes("q_plate_2.gcode").read_bytes() == TEXT
    await rig.upload("r.gcode.3mf", make.three_mf({2: TEXT}), {"plateindex": "-7"})
    assert rig.gcodes("r.gcode").read_bytes() == TEXT


async def test_no_room_for_the_text(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacker, "disk_usage", lambda path: (10**9, 0, 5 * 10**7 + 100))
    for name, data in {"a.bgcode": make.bgcode(), "a.gx": make.gx()}.items():
        answer = await rig.upload(name, data)
        assert answer.status == 422
        assert "allowed" in answer.json["error"]["message"]
    assert os.listdir(rig.gcodes()) == []


async def test_what_the_disk_refuses(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("moonraker_lite.gcode_metadata.unpacking.unpack_all", full)
    answer = await rig.upload("a.gx", make.gx())
    assert answer.status == InsufficientStorage.status
    assert rig.leftovers() == []


async def test_a_large_one_says_what_makes_it_faster(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(unpacker, "LARGE", 100)
    for there in (True, False):
        monkeypatch.setattr(unpacker, "find_spec", lambda name, there=there: name if there else None)
        with caplog.at_level("INFO"):
            assert (await rig.upload("a.bgcode", make.bgcode())).status == 201
        assert ("pip install heatshrink2" in caplog.text) is not there


async def test_errors_of_the_process(rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = make.bgcode()
    script = tmp_path / "child.py"
    monkeypatch.setattr(unpacker, "COMMAND", (unpacker.COMMAND[0], str(script)))
    for code, status in {
        "print('{\"errno\": 28}')": 507,
        "print('nonsense')": 422,
        "raise SystemExit(1)": 422,
        "import os; os.kill(os.getpid(), 9)": 422,
    }.items():
        script.write_text(code)
        assert (await rig.upload("a.bgcode", data)).status == status
    monkeypatch.setattr(unpacker, "LIMIT_SECONDS", 0.3)
    script.write_text("import time; time.sleep(60)")
    assert (await rig.upload("a.bgcode", data)).status == 422
    assert os.listdir(rig.gcodes()) == []


async def test_the_host_stops_while_something_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, sign = tmp_path / "child.py", tmp_path / "sign"
    script.write_text(f"import time, pathlib; pathlib.Path({str(sign)!r}).touch(); time.sleep(600)")
    monkeypatch.setattr(unpacker, "COMMAND", (unpacker.COMMAND[0], str(script)))
    async with asyncio.timeout(50):
        async with running(tmp_path / "data") as rig:
            upload = asyncio.ensure_future(rig.upload("a.bgcode", make.bgcode()))
            await until_file(sign)
        await asyncio.wait([upload])
    assert rig.leftovers() == []
    assert os.listdir(rig.gcodes()) == []


# -- on the disk -------------------------------------------------------------------------------------------------------


async def test_ufp_from_another_program_is_replaced(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(make.ufp(picture=make.png(64, 64)))
    rig.gcodes("d").mkdir()
    await rig.told(0.3)
    shutil.copyfile(tmp_path / "x", rig.gcodes("d/part.ufp"))
    await until_file(rig.gcodes("d/part.ufp"), there=False)
    assert await rig.until(1) == ["create_file d/part.gcode"]
    assert rig.gcodes("d/part.gcode").read_bytes() == TEXT
    metadata = await rig.call("server.files.metadata", filename="d/part.gcode")
    assert ".thumbs/part.png" in [picture["relative_path"] for picture in metadata["thumbnails"]]
    assert rig.leftovers() == []


async def test_a_damaged_ufp_stays_and_says_why(rig: Rig) -> None:
    rig.gcodes("part.ufp").write_bytes(make.ufp()[:-20])
    assert await rig.until(1) == ["create_file part.ufp"]
    metadata = await rig.call("server.files.metadata", filename="part.ufp")
    assert metadata["metadata_state"] == "failed"
    assert "damaged" in metadata["metadata_error"]
    rows = await rig.call("server.files.get_directory", path="gcodes", extended=True)
    assert rows["files"][0]["metadata_state"] == "failed"
    assert os.listdir(rig.gcodes()) == ["part.ufp"]


async def test_ufp_stays_while_its_print_is_printing(rig: Rig) -> None:
    path = rig.put(rig.gcodes("part.gcode"))
    await rig.until(1)
    rig.print_file(path)
    rig.gcodes("part.ufp").write_bytes(make.ufp())
    assert await rig.until(1) == ["create_file part.ufp"]
    assert path.read_text() == GCODE


async def test_ufp_that_was_there_before_the_start(tmp_path: Path) -> None:
    path = tmp_path / "gcodes" / "part.ufp"
    path.parent.mkdir()
    path.write_bytes(make.ufp())
    async with running(tmp_path) as rig:
        await until_file(path, there=False)
        assert (await rig.call("server.files.metascan", filename="part.gcode"))["slicer"] == "OrcaSlicer"


async def test_others_stay_as_they_are(rig: Rig) -> None:
    for name, data in {"a.bgcode": make.bgcode(), "b.gcode.3mf": make.three_mf(), "c.gx": make.gx()}.items():
        rig.gcodes(name).write_bytes(data)
    rows = await rig.until(3)
    assert sorted(rows) == ["create_file a.bgcode", "create_file b.gcode.3mf", "create_file c.gx"]
    listed = await rig.call("server.files.list", root="gcodes")
    assert sorted(item["path"] for item in listed) == ["a.bgcode", "b.gcode.3mf", "c.gx"]
    for name, slicer in {"a.bgcode": "PrusaSlicer", "b.gcode.3mf": "OrcaSlicer", "c.gx": "OrcaSlicer"}.items():
        metadata = await rig.call("server.files.metadata", filename=name)
        assert (metadata["slicer"], metadata["filename"]) == (slicer, name)
    pictures = await rig.call("server.files.thumbnails", filename="b.gcode.3mf")
    assert {picture["thumbnail_path"] for picture in pictures} >= {".thumbs/b.gcode-64x64.png"}
    await rig.call("server.files.delete_file", path="gcodes/b.gcode.3mf")
    await until_file(rig.gcodes(".thumbs/b.gcode-64x64.png"), there=False)


# -- printing ----------------------------------------------------------------------------------------------------------


async def test_text_is_made_once_for_a_print(rig: Rig) -> None:
    rig.gcodes("a.bgcode").write_bytes(make.bgcode())
    await rig.until(1)
    assert await rig.files.printable("a.bgcode") == "a.gcode"
    assert b"G1 X-20.25 Y30 E.61774" in rig.gcodes("a.gcode").read_bytes()
    assert await rig.told(0.2) == ["create_file a.gcode"]
    assert rig.files.metadata("a.gcode") is not None
    inode = rig.gcodes("a.gcode").stat().st_ino
    assert await rig.files.printable("/a.bgcode") == "a.gcode"
    assert rig.gcodes("a.gcode").stat().st_ino == inode
    assert await rig.told(0.2) == []
    assert await rig.files.printable("a.gcode") == "a.gcode"
    assert await rig.files.printable("none.bgcode") == "none.bgcode"


async def test_text_is_made_where_nobody_watches(tmp_path: Path) -> None:
    async with running(tmp_path, "[file_manager]\nfile_system_observer: none\n") as rig:
        rig.gcodes("d").mkdir()
        rig.gcodes("d/a.gx").write_bytes(make.gx())
        assert await rig.files.printable("d//a.gx") == "d/a.gcode"
        assert rig.gcodes("d/a.gcode").read_bytes() == TEXT


async def test_text_of_another_origin_stays(rig: Rig) -> None:
    mine = rig.put(rig.gcodes("a.gcode"))
    os.utime(mine, (10**9, 10**9))
    rig.gcodes("a.gx").write_bytes(make.gx())
    await rig.until(2)
    assert await rig.files.printable("a.gx") == "a.gx.gcode"
    assert mine.read_text() == GCODE
    assert rig.gcodes("a.gx.gcode").read_bytes() == TEXT
    # The container is replaced: so is its text.
    changed = TEXT.replace(b"2.1.1", b"2.2.2")
    rig.gcodes("a.gx").write_bytes(make.gx(changed))
    os.utime(rig.gcodes("a.gx"), (2 * 10**9, 2 * 10**9))
    await rig.library.settle()
    assert await rig.files.printable("a.gx") == "a.gx.gcode"
    assert rig.gcodes("a.gx.gcode").read_bytes() == changed


async def test_binary_gcode_under_the_name_of_text(rig: Rig) -> None:
    rig.gcodes("a.gcode").write_bytes(make.bgcode())
    await rig.until(1)
    assert await rig.files.printable("a.gcode") == "a.gcode.gcode"
    assert b"G1 X-20.25 Y30 E.61774" in rig.gcodes("a.gcode.gcode").read_bytes()


async def test_what_cannot_be_made_ready(rig: Rig) -> None:
    rig.gcodes("a.bgcode").write_bytes(make.bgcode()[:-3])
    rig.gcodes("b.gx").write_bytes(make.gx())
    rig.gcodes("b.gcode").mkdir()
    rig.gcodes("b.gx.gcode").mkdir()
    rig.gcodes("c.gx").write_bytes(make.gx())
    printing = rig.put(rig.gcodes("c.gx.gcode"))
    await rig.library.settle()
    with pytest.raises(UnprocessableContent, match="ends within"):
        await rig.files.printable("a.bgcode")
    with pytest.raises(HostError, match="in the way"):
        await rig.files.printable("b.gx")
    rig.print_file(printing)
    rig.put(rig.gcodes("c.gcode"))
    os.utime(rig.gcodes("c.gcode"), (10**9, 10**9))
    os.utime(printing, (10**9, 10**9))
    with pytest.raises(Forbidden):
        await rig.files.printable("c.gx")
    assert rig.leftovers() == []


# -- pictures ----------------------------------------------------------------------------------------------------------


def pictures(rig: Rig, filename: str) -> dict[str, bytes]:
    """The pictures of a file by their names, as they are on disk."""
    found = (rig.files.metadata(filename) or {}).get("thumbnails", [])
    folder = rig.gcodes(filename).parent
    return {item["relative_path"]: (folder / item["relative_path"]).read_bytes() for item in found}


async def test_pictures_of_a_container_go_with_its_print(rig: Rig) -> None:
    picture = make.png(64, 64)
    await rig.upload("a.ufp", make.ufp(picture=picture))
    assert pictures(rig, "a.gcode")[".thumbs/a.png"] == picture
    await rig.call("server.files.copy", source="gcodes/a.gcode", dest="gcodes/b.gcode")
    assert pictures(rig, "b.gcode")[".thumbs/b.png"] == picture
    rig.gcodes("d").mkdir()
    await rig.call("server.files.move", source="gcodes/a.gcode", dest="gcodes/d/c.gcode")
    await until_file(rig.gcodes("d/.thumbs/c.png"))
    await until_file(rig.gcodes(".thumbs/a.png"), there=False)
    assert pictures(rig, "d/c.gcode")[".thumbs/c.png"] == picture
    await rig.call("server.files.delete_file", path="gcodes/d/c.gcode")
    await until_file(rig.gcodes("d/.thumbs/c.png"), there=False)
    assert rig.leftovers() == []


async def test_pictures_are_replaced_with_the_file(rig: Rig) -> None:
    await rig.upload("a.ufp", make.ufp(picture=make.png(64, 64)))
    other = make.thumbnail_block(make.png(48, 48), 48, 48) + TEXT
    await rig.upload("a.gcode", other)
    assert set(pictures(rig, "a.gcode")) == {".thumbs/a-32x32.png", ".thumbs/a-48x48.png"}
    await until_file(rig.gcodes(".thumbs/a.png"), there=False)
    await rig.upload("a.gcode", TEXT)
    assert pictures(rig, "a.gcode") == {}
    await until_file(rig.gcodes(".thumbs/a-48x48.png"), there=False)
    await rig.upload("a.ufp", make.ufp(picture=make.png(64, 64)))
    assert ".thumbs/a.png" in pictures(rig, "a.gcode")
    await rig.upload("a.ufp", make.ufp())
    assert pictures(rig, "a.gcode") == {}
