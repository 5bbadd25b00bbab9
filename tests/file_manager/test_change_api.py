"""Moving, copying, deleting, making directories, packing: answers, announcements, refusals, the disk after them."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.components.file_manager import operations as operations_module
from tests.file_manager.rig import GCODE, Rig, running


def gone(path: str, root: str = "gcodes") -> dict[str, Any]:
    return {"modified": 0, "size": 0, "permissions": "", "path": path, "root": root}


def item(rig: Rig, path: str, root: str = "gcodes") -> dict[str, Any]:
    found = os.stat(rig.data / root / path)
    return {"modified": found.st_mtime, "size": found.st_size, "permissions": "rw", "path": path, "root": root}


async def test_directories(rig: Rig) -> None:
    made = await rig.call("server.files.post_directory", path="gcodes/d ü")
    assert made == {"action": "create_dir", "item": item(rig, "d ü")}
    assert await rig.told() == ["create_dir d ü"]
    rig.put(rig.gcodes("d ü", "sub", "a.txt"))
    await rig.told(0.2)
    assert (await rig.refused("server.files.delete_directory", path="gcodes/d ü"))[0] == 400
    assert (await rig.refused("server.files.delete_directory", path="gcodes/d ü/sub/a.txt", force=True))[0] == 400
    removed = await rig.call("server.files.delete_directory", path="gcodes/d ü", force=True)
    assert removed == {"action": "delete_dir", "item": gone("d ü")}
    assert await rig.told(0.2) == ["delete_dir d ü"]
    assert not rig.gcodes("d ü").exists()
    await rig.call("server.files.post_directory", path="config/n")
    await rig.call("server.files.delete_directory", path="config/n")
    assert await rig.told(0.2) == ["create_dir config/n", "delete_dir config/n"]


NO_DIRECTORIES: list[tuple[str, int]] = [
    ("gcodes", 400),
    ("nosuch/x", 400),
    ("", 400),
    ("logs/x", 405),
    ("gcodes/../../zz", 400),
    ("gcodes/f.txt", 400),
    ("gcodes/f.txt/x", 400),
    ("gcodes/missing/x", 400),
    ("config/.git/x", 403),
    ("gcodes/db/x", 403),
    ("gcodes/\n", 400),
]


async def test_directories_that_cannot_be_made(rig: Rig) -> None:
    rig.put(rig.gcodes("f.txt"))
    rig.gcodes("db").symlink_to(rig.data / "database")
    await rig.library.settle()
    for path, status in NO_DIRECTORIES:
        assert (await rig.refused("server.files.post_directory", path=path))[0] == status, path
        assert not (rig.data / "database" / "x").exists()
        removal = await rig.refused("server.files.delete_directory", path=path, force=True)
        assert removal[0] in (status, 400), path
        assert rig.gcodes().is_dir()


async def test_roots_and_links_are_not_removed(rig: Rig) -> None:
    rig.put(rig.gcodes("sub", "a.txt"))
    rig.gcodes("linkdir").symlink_to(rig.gcodes("sub"))
    for path in ("gcodes", "gcodes/", "config", "gcodes/linkdir"):
        for force in (True, False):
            assert (await rig.refused("server.files.delete_directory", path=path, force=force))[0] == 400
    assert rig.gcodes("sub", "a.txt").exists()
    assert (await rig.refused("server.files.delete_directory", path="logs", force=True))[0] == 405


async def test_deleting_files(rig: Rig) -> None:
    await rig.upload("a.gcode", GCODE)
    rig.gcodes("link.gcode").symlink_to(rig.gcodes("a.gcode"))
    rig.gcodes("broken.gcode").symlink_to("/nonexistent")
    rig.put(rig.config("x.cfg"))
    await rig.until(3)
    assert await rig.call("server.files.delete_file", path="gcodes/link.gcode") == {
        "action": "delete_file",
        "item": gone("link.gcode"),
    }
    answer = await rig.http("DELETE", "/server/files/gcodes/a.gcode")
    assert answer.json == {"result": {"action": "delete_file", "item": gone("a.gcode")}}
    assert (await rig.http("DELETE", "/server/files/config/x.cfg")).status == 200
    assert await rig.told(0.2) == ["delete_file link.gcode", "delete_file a.gcode", "delete_file config/x.cfg"]
    assert (await rig.refused("server.files.metadata", filename="a.gcode"))[0] == 404
    for path, status in {
        "gcodes/nosuch": 400, "gcodes": 400, "gcodes/broken.gcode": 400, "nosuch/x": 400, "logs/x": 405, "": 400,
        "config/.git/x": 403, "../x": 400, "gcodes/../config/moonraker.conf": 400,
    }.items():  # fmt: skip
        assert (await rig.refused("server.files.delete_file", path=path))[0] == status
    for path, status in {"gcodes/nosuch": 400, "nosuch/x": 404, "logs/x": 405, "config/.git/x": 403}.items():
        assert (await rig.http("DELETE", f"/server/files/{path}")).status == status


async def test_moving_files(rig: Rig) -> None:
    await rig.upload("a.gcode", GCODE, {"path": "m"})
    rig.gcodes("m", "d").mkdir()
    await rig.told(0.2)
    before = await rig.call("server.files.metadata", filename="m/a.gcode")
    moved = await rig.call("server.files.move", source="gcodes/m/a.gcode", dest="gcodes/m/b.gcode")
    assert moved == {
        "action": "move_file",
        "item": item(rig, "m/b.gcode"),
        "source_item": {"path": "m/a.gcode", "root": "gcodes"},
    }
    after = await rig.call("server.files.metadata", filename="m/b.gcode")
    assert after == {**before, "filename": "m/b.gcode"}
    assert (await rig.refused("server.files.metadata", filename="m/a.gcode"))[0] == 404
    await rig.call("server.files.move", source="gcodes/m/b.gcode", dest="gcodes/m/d")
    await rig.call("server.files.move", source="gcodes/m/d/b.gcode", dest="gcodes/m/")
    await rig.call("server.files.move", source="gcodes/m/b.gcode", dest="gcodes/m/b.gcode")
    await rig.call("server.files.move", source="gcodes/m/b.gcode", dest="config/b.gcode")
    await rig.call("server.files.move", source="config/b.gcode", dest="gcodes/m/ü %.gcode")
    assert await rig.told(0.2) == [
        "move_file m/a.gcode->m/b.gcode",
        "move_file m/b.gcode->m/d/b.gcode",
        "move_file m/d/b.gcode->m/b.gcode",
        "move_file m/b.gcode->m/b.gcode",
        "move_file m/b.gcode->config/b.gcode",
        "move_file config/b.gcode->m/ü %.gcode",
    ]
    assert (await rig.call("server.files.metadata", filename="m/ü %.gcode"))["slicer"] == "PrusaSlicer"


async def test_moving_over_a_file_replaces_it(rig: Rig) -> None:
    await rig.upload("a.gcode", GCODE)
    await rig.upload("b.gcode", GCODE + "; b\n")
    await rig.told()
    await rig.call("server.files.move", source="gcodes/b.gcode", dest="gcodes/a.gcode")
    assert rig.gcodes("a.gcode").read_text() == GCODE + "; b\n"
    assert await rig.told(0.2) == ["move_file b.gcode->a.gcode"]
    assert (await rig.call("server.files.metadata", filename="a.gcode"))["size"] == len(GCODE) + 4


async def test_moving_directories(rig: Rig) -> None:
    await rig.upload("in.gcode", GCODE, {"path": "m/d"})
    rig.gcodes("m", "e").mkdir()
    await rig.told(0.2)
    moved = await rig.call("server.files.move", source="gcodes/m/d", dest="gcodes/m/moved")
    assert (moved["action"], moved["item"]["path"]) == ("move_dir", "m/moved")
    assert (await rig.call("server.files.metadata", filename="m/moved/in.gcode"))["slicer"] == "PrusaSlicer"
    await rig.call("server.files.move", source="gcodes/m/moved", dest="gcodes/m/e")
    assert await rig.told(0.2) == ["move_dir m/d->m/moved", "move_dir m/moved->m/e/moved"]
    for source, dest in (
        ("gcodes/m", "gcodes/m/e/moved/x"), ("gcodes/m", "gcodes/m/e"), ("gcodes", "config/gc"), ("config", "gcodes/c"),
    ):  # fmt: skip
        assert (await rig.refused("server.files.move", source=source, dest=dest))[0] == 400
    assert rig.gcodes("m", "e", "moved", "in.gcode").exists()


async def test_copying_files(rig: Rig) -> None:
    await rig.upload("a.gcode", GCODE)
    os.utime(rig.gcodes("a.gcode"), (1000, 1000))
    rig.gcodes("d").mkdir()
    await rig.told(0.2)
    made = await rig.call("server.files.copy", source="gcodes/a.gcode", dest="gcodes/b.gcode")
    assert made == {"action": "create_file", "item": item(rig, "b.gcode")}
    assert made["item"]["modified"] == 1000
    assert (await rig.call("server.files.metadata", filename="b.gcode"))["slicer"] == "PrusaSlicer"
    again = await rig.call("server.files.copy", source="gcodes/a.gcode", dest="gcodes/b.gcode")
    assert again["action"] == "modify_file"
    await rig.call("server.files.copy", source="gcodes/a.gcode", dest="gcodes/d")
    await rig.call("server.files.copy", source="gcodes/a.gcode", dest="gcodes/d")
    rig.put(rig.data / "logs" / "x.log", "log")
    await rig.call("server.files.copy", source="logs/x.log", dest="config/x.log")
    assert await rig.told(0.2) == [
        "create_file b.gcode",
        "modify_file b.gcode",
        "create_file d/a.gcode",
        "modify_file d/a.gcode",
        "create_file config/x.log",
    ]
    rig.gcodes("link.gcode").symlink_to(rig.gcodes("a.gcode"))
    await rig.call("server.files.copy", source="gcodes/link.gcode", dest="gcodes/c.gcode")
    assert not rig.gcodes("c.gcode").is_symlink()
    assert (await rig.refused("server.files.copy", source="gcodes/a.gcode", dest="gcodes/link.gcode"))[0] in (400, 403)
    assert rig.leftovers() == []


async def test_copying_directories(rig: Rig) -> None:
    await rig.upload("a.gcode", GCODE, {"path": "d/e"})
    rig.gcodes("d", "loop").symlink_to(rig.gcodes("d"))
    rig.gcodes("d", "db").symlink_to(rig.data / "database")
    rig.gcodes("d", "broken").symlink_to("/nonexistent")
    os.mkfifo(rig.gcodes("d", "pipe"))
    await rig.told(0.2)
    made = await rig.call("server.files.copy", source="gcodes/d", dest="gcodes/copy")
    assert made == {"action": "create_dir", "item": item(rig, "copy")}
    assert sorted(str(p.relative_to(rig.gcodes("copy"))) for p in rig.gcodes("copy").rglob("*")) == ["e", "e/a.gcode"]
    one = await rig.call("server.files.metadata", filename="d/e/a.gcode")
    two = await rig.call("server.files.metadata", filename="copy/e/a.gcode")
    assert {**one, "uuid": "", "filename": ""} == {**two, "uuid": "", "filename": ""}
    assert one["uuid"] != two["uuid"]
    assert await rig.told(0.2) == ["create_dir copy"]
    for source, dest in (("gcodes/d", "gcodes/copy"), ("gcodes/d", "gcodes/d/x"), ("gcodes/d", "gcodes/d")):
        assert (await rig.refused("server.files.copy", source=source, dest=dest))[0] == 400
    assert rig.leftovers() == []


NO_TRANSFERS: list[tuple[str, str, int]] = [
    ("gcodes/nosuch", "gcodes/z", 400),
    ("nosuch/x", "gcodes/z", 400),
    ("gcodes/a.gcode", "nosuch/z", 400),
    ("gcodes/a.gcode", "gcodes/missing/z", 400),
    ("gcodes/a.gcode", "gcodes/../../z", 400),
    ("gcodes/../config/moonraker.conf", "gcodes/z", 400),
    ("gcodes/a.gcode", "", 400),
    ("", "gcodes/z", 400),
    ("gcodes/a.gcode", "logs/z", 400),
    ("gcodes/a.gcode", "gcodes/t.txt/z", 400),
    ("gcodes/a.gcode", "config/.git/x", 403),
    ("gcodes/db", "gcodes/z", 403),
    ("gcodes/db/x.db", "gcodes/z", 403),
    ("gcodes/a.gcode", "gcodes/db/z", 403),
    ("gcodes/a.gcode", "gcodes/db", 403),
    ("gcodes/a.gcode", "gcodes/a\n.gcode", 400),
    ("gcodes/broken", "gcodes/z", 400),
    ("gcodes/pipe", "gcodes/z", 400),
]


async def test_transfers_that_are_refused(rig: Rig) -> None:
    rig.put(rig.gcodes("a.gcode"))
    rig.put(rig.gcodes("t.txt"))
    rig.put(rig.data / "database" / "x.db", "secret")
    rig.gcodes("db").symlink_to(rig.data / "database")
    rig.gcodes("broken").symlink_to("/nonexistent")
    os.mkfifo(rig.gcodes("pipe"))
    await rig.library.settle()
    for source, dest, status in NO_TRANSFERS:
        for method in ("server.files.move", "server.files.copy"):
            if (method, source) != ("server.files.move", "gcodes/pipe"):
                assert (await rig.refused(method, source=source, dest=dest))[0] == status, (method, source, dest)
        assert rig.gcodes("a.gcode").read_text() == GCODE
        assert (rig.data / "database" / "x.db").read_text() == "secret"
        assert not rig.gcodes("z").exists()


async def test_a_move_out_of_a_read_only_root_is_refused(rig: Rig) -> None:
    rig.put(rig.data / "logs" / "x.log", "log")
    status, message = await rig.refused("server.files.move", source="logs/x.log", dest="config/x.log")
    assert (status, message) == (400, "Source path is read-only, cannot move: logs")
    status, message = await rig.refused("server.files.copy", source="config/moonraker.conf", dest="logs/x")
    assert (status, message) == (400, "Destination path is read-only: logs")


async def test_a_link_moved_onto_its_target_does_not_destroy_it(rig: Rig) -> None:
    rig.put(rig.gcodes("a.gcode"))
    rig.gcodes("link.gcode").symlink_to(rig.gcodes("a.gcode"))
    await rig.library.settle()
    assert (await rig.refused("server.files.move", source="gcodes/link.gcode", dest="gcodes/a.gcode"))[0] == 400
    assert rig.gcodes("a.gcode").read_text() == GCODE
    await rig.call("server.files.move", source="gcodes/link.gcode", dest="gcodes/other.gcode")
    assert rig.gcodes("other.gcode").is_symlink()


async def test_what_is_printed_stays(rig: Rig) -> None:
    await rig.upload("life.gcode", GCODE, {"path": "inuse"})
    rig.put(rig.gcodes("other.gcode"))
    os.link(rig.gcodes("inuse", "life.gcode"), rig.gcodes("hard.gcode"))
    rig.print_file(rig.gcodes("inuse", "life.gcode"))
    refused: list[tuple[str, dict[str, Any]]] = [
        ("server.files.delete_file", {"path": "gcodes/inuse/life.gcode"}),
        ("server.files.delete_file", {"path": "gcodes/hard.gcode"}),
        ("server.files.move", {"source": "gcodes/inuse/life.gcode", "dest": "gcodes/x.gcode"}),
        ("server.files.move", {"source": "gcodes/other.gcode", "dest": "gcodes/inuse/life.gcode"}),
        ("server.files.move", {"source": "gcodes/inuse", "dest": "gcodes/inuse2"}),
        ("server.files.copy", {"source": "gcodes/other.gcode", "dest": "gcodes/inuse/life.gcode"}),
        ("server.files.delete_directory", {"path": "gcodes/inuse", "force": True}),
        ("server.files.zip", {"items": ["config"], "dest": "gcodes/inuse/life.gcode"}),
    ]
    for method, params in refused:
        assert await rig.refused(method, **params) == (403, "File currently in use")
    await rig.call("server.files.copy", source="gcodes/inuse/life.gcode", dest="gcodes/inuse/copy.gcode")
    await rig.call("server.files.metascan", filename="inuse/life.gcode")
    assert rig.gcodes("inuse", "life.gcode").read_text() == GCODE
    rig.print_file(None)
    await rig.call("server.files.delete_directory", path="gcodes/inuse", force=True)


async def test_zip(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.upload("a.gcode", GCODE, {"path": "m"})
    rig.put(rig.gcodes("m", "sub", "b.txt"), "x" * 10_000)
    rig.put(rig.gcodes("m", ".thumbs", "a-32x32.png"), "png")
    rig.gcodes("m", "loop").symlink_to(rig.gcodes("m"))
    rig.gcodes("m", "db").symlink_to(rig.data / "database")
    await rig.told(0.2)
    result = await rig.call("server.files.zip", items=["gcodes/m", "config/moonraker.conf"], dest="config/out.zip")
    assert result == {"destination": item(rig, "out.zip", "config"), "action": "zip_files"}
    with zipfile.ZipFile(rig.config("out.zip")) as archive:
        assert sorted(archive.namelist()) == ["config/moonraker.conf", "gcodes/m/a.gcode", "gcodes/m/sub/b.txt"]
        assert archive.read("gcodes/m/a.gcode").decode() == GCODE
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_DEFLATED}
    await rig.call("server.files.zip", items="gcodes/m, gcodes/m", dest="gcodes/m/o.zip", store_only=True)
    await rig.call("server.files.zip", items=["gcodes"], dest="gcodes/m/o.zip", store_only=True)
    with zipfile.ZipFile(rig.gcodes("m", "o.zip")) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert "gcodes/m/a.gcode" in archive.namelist()
    monkeypatch.setattr("time.strftime", lambda pattern: "config/collection-1.zip")
    assert (await rig.call("server.files.zip", items=["gcodes/m"]))["destination"]["path"] == "collection-1.zip"
    assert await rig.told(0.2) == [
        "create_file config/out.zip",
        "create_file m/o.zip",
        "create_file m/o.zip",
        "create_file config/collection-1.zip",
    ]
    assert rig.leftovers() == []


NO_ARCHIVES: list[tuple[dict[str, Any], int]] = [
    ({}, 400),
    ({"items": []}, 400),
    ({"items": " , "}, 400),
    ({"items": ["gcodes/nosuch"]}, 400),
    ({"items": ["nosuch/x"]}, 400),
    ({"items": ["gcodes/m"], "dest": "logs/x.zip"}, 400),
    ({"items": ["gcodes/m"], "dest": "gcodes/m"}, 400),
    ({"items": ["gcodes/m"], "dest": "gcodes/nodir/x.zip"}, 400),
    ({"items": ["gcodes/m"], "dest": "nosuch/x.zip"}, 400),
    ({"items": ["gcodes/../config"], "dest": "gcodes/q.zip"}, 400),
    ({"items": ["gcodes/db"], "dest": "gcodes/q.zip"}, 403),
    ({"items": ["gcodes/m"], "dest": "gcodes/db/q.zip"}, 403),
    ({"items": ["gcodes/m"], "dest": "gcodes/link.zip"}, 403),
    ({"items": ["config/.git"], "dest": "gcodes/q.zip"}, 403),
]


async def test_archives_that_are_refused(rig: Rig) -> None:
    rig.put(rig.gcodes("m", "a.txt"))
    rig.gcodes("db").symlink_to(rig.data / "database")
    rig.put(rig.gcodes("target.zip"), "keep")
    rig.gcodes("link.zip").symlink_to(rig.gcodes("target.zip"))
    await rig.library.settle()
    for params, status in NO_ARCHIVES:
        assert (await rig.refused("server.files.zip", **params))[0] == status, params
        assert rig.gcodes("target.zip").read_text() == "keep"
        assert rig.leftovers() == []


async def test_a_failed_operation_announces_what_it_left(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(source: str, folder: Any, name: str, reserved: Any) -> None:
        Path(folder.join(name)).mkdir()
        raise PermissionError(13, "no", "/secret/path")

    rig.put(rig.gcodes("d", "a.txt"))
    await rig.told(0.2)
    monkeypatch.setattr(operations_module, "copy_tree", half)
    status, message = await rig.refused("server.files.copy", source="gcodes/d", dest="gcodes/e")
    assert status == 400
    assert "/secret" not in message
    assert await rig.until(1) == ["create_dir e"]


async def test_names_go_to_no_shell(rig: Rig) -> None:
    name = "`touch evil`$(touch evil);&|'\" *?.gcode"
    assert (await rig.upload(name.replace('"', '\\"'), GCODE)).status == 201
    await rig.call("server.files.move", source=f"gcodes/{name}", dest=f"gcodes/{name}2.gcode")
    await rig.call("server.files.copy", source=f"gcodes/{name}2.gcode", dest="gcodes/-rf.gcode")
    await rig.call("server.files.delete_file", path=f"gcodes/{name}2.gcode")
    assert sorted(path.name for path in rig.gcodes().iterdir()) == ["-rf.gcode"]


async def test_downloads(rig: Rig) -> None:
    await rig.upload("ü 1.gcode", GCODE, {"path": "sub"})
    rig.put(rig.gcodes(".thumbs", "a.png"), "png")
    rig.put(rig.gcodes("secret.png.gcode"), "x")
    rig.gcodes("db").symlink_to(rig.data / "database")
    rig.gcodes("fake.png").symlink_to(rig.config("moonraker.conf"))
    rig.put(rig.data / "logs" / "klippy.log", "klippy")
    rig.put(rig.data / "logs" / "moonraker.log", "moonraker")
    answer = await rig.http("GET", "/server/files/gcodes/sub/%C3%BC%201.gcode")
    assert (answer.status, answer.body.decode()) == (200, GCODE)
    assert answer.headers["Content-Disposition"].startswith("attachment")
    head = await rig.http("HEAD", "/server/files/gcodes/sub%2f%C3%BC%201.gcode")
    assert (head.status, head.body) == (200, b"")
    assert (await rig.http("GET", "/server/files/klippy.log")).body == b"klippy"
    assert (await rig.http("GET", "/server/files/moonraker.log")).body == b"moonraker"
    for path, status in {
        "gcodes/nosuch.gcode": 404, "nosuch/x": 404, "database/moonraker.db": 404, "gcodes/sub": 403, "gcodes/.": 403,
        "gcodes/..": 403, "gcodes/../config/moonraker.conf": 403, "gcodes/%2e%2e/config/moonraker.conf": 403,
        "gcodes/..%2fconfig%2fmoonraker.conf": 403, "gcodes///sub/x": 403, "gcodes/a%00": 404, "config/.git/x": 403,
        "gcodes/db/moonraker-lite.db": 403, "gcodes/sub/../.thumbs/a.png": 200, "gcodes/fake.png": 200,
    }.items():  # fmt: skip
        assert (await rig.http("GET", f"/server/files/{path}")).status == status, path
    stranger = {"X-Real-IP": "8.8.8.8"}
    for path, status in {
        "gcodes/.thumbs/a.png": 200, "gcodes/sub/%C3%BC%201.gcode": 401, "gcodes/nosuch.gcode": 401, "klippy.log": 401,
        "config/moonraker.conf": 401, "gcodes/fake.png": 401, "gcodes/secret.png.gcode": 401, "nosuch/x.cfg": 401,
        "gcodes/..%2fx.png": 403, "moonraker.log": 401,
    }.items():  # fmt: skip
        assert (await rig.http("GET", f"/server/files/{path}", headers=stranger)).status == status, path
    assert (await rig.http("DELETE", "/server/files/gcodes/.thumbs/a.png", headers=stranger)).status == 401


async def test_reserved_files_in_a_root(tmp_path: Path) -> None:
    """A secrets file may stand in the config root: it is listed without access, and nothing reaches it."""
    data = tmp_path / "data"
    secret = data / "config" / "sub" / "my.secrets"
    secret.parent.mkdir(parents=True)
    secret.write_text("key: s3cret")
    async with running(data, f"[secrets]\nsecrets_path: {secret}") as rig:
        rig.put(rig.gcodes("a.gcode"))
        rows = (await rig.call("server.files.get_directory", path="config/sub"))["files"]
        assert [(row["filename"], row["size"], row["permissions"]) for row in rows] == [("my.secrets", 0, "")]
        assert (await rig.http("GET", "/server/files/config/sub/my.secrets")).status == 403
        assert (await rig.upload("my.secrets", "x", {"root": "config", "path": "sub"})).status == 403
        refused: list[tuple[str, dict[str, Any]]] = [
            ("server.files.delete_file", {"path": "config/sub/my.secrets"}),
            ("server.files.delete_directory", {"path": "config/sub", "force": True}),
            ("server.files.move", {"source": "config/sub/my.secrets", "dest": "gcodes/x"}),
            ("server.files.move", {"source": "config/sub", "dest": "gcodes/sub"}),
            ("server.files.move", {"source": "gcodes/a.gcode", "dest": "config/sub/my.secrets"}),
            ("server.files.copy", {"source": "config/sub/my.secrets", "dest": "gcodes/x"}),
            ("server.files.copy", {"source": "gcodes/a.gcode", "dest": "config/sub/my.secrets"}),
            ("server.files.zip", {"items": ["config/sub/my.secrets"], "dest": "gcodes/x.zip"}),
            ("server.files.zip", {"items": ["gcodes/a.gcode"], "dest": "config/sub/my.secrets"}),
        ]
        for method, params in refused:
            assert (await rig.refused(method, **params))[0] == 403, (method, params)
        await rig.call("server.files.copy", source="config/sub", dest="gcodes/copy")
        assert list(rig.gcodes("copy").iterdir()) == []
        await rig.call("server.files.zip", items=["config"], dest="gcodes/x.zip")
        with zipfile.ZipFile(rig.gcodes("x.zip")) as archive:
            assert archive.namelist() == ["config/moonraker.conf"]
        secret.write_text("key: s3cret2")
        await rig.library.settle()
        assert (await rig.call("server.files.get_directory", path="config/sub"))["files"][0]["permissions"] == ""
    assert secret.read_text() == "key: s3cret2"
