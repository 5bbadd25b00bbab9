"""Uploads over real HTTP: what they answer, what stands on disk after them, and that nothing does after a failure."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.api.request import User
from moonraker_lite.errors import BadRequest
from tests.file_manager.rig import GCODE, Rig, running
from tests.support.forms import KIND, form

SHA = hashlib.sha256(GCODE.encode()).hexdigest()
HEADERS = {"Content-Type": KIND}


async def test_an_upload(rig: Rig) -> None:
    answer = await rig.upload("u 1.gcode", GCODE)
    assert answer.status == 201
    assert answer.headers["Location"] == f"http://127.0.0.1:{rig.host.port}/server/files/gcodes/u%201.gcode"
    found = os.stat(rig.gcodes("u 1.gcode"))
    assert answer.json == {
        "action": "create_file",
        "item": {
            "modified": found.st_mtime,
            "size": len(GCODE),
            "permissions": "rw",
            "path": "u 1.gcode",
            "root": "gcodes",
        },
        "print_started": False,
        "print_queued": False,
    }
    assert rig.gcodes("u 1.gcode").read_text() == GCODE
    assert await rig.told() == ["create_file u 1.gcode"]
    assert (await rig.call("server.files.metadata", filename="u 1.gcode"))["slicer"] == "PrusaSlicer"
    assert await rig.told(0.2) == []


async def test_the_answer_comes_before_the_announcement_and_after_the_metadata(rig: Rig) -> None:
    order: list[str] = []
    rig.host.events.connect_clients(lambda message, *_: order.append("told"))
    sink = await rig.files.open_upload(_request(), lambda path: f"/x/{path}")
    await sink.write(form("a.gcode", GCODE))
    reply = await sink.finish()
    order.append("answer")
    assert rig.files.metadata("a.gcode") is not None
    async with asyncio.timeout(5):
        while len(order) < 2:
            await asyncio.sleep(0.001)
    assert order == ["answer", "told"]
    assert reply.headers == (("Location", "/x/gcodes/a.gcode"),)


def _request() -> Any:
    from moonraker_lite.api.request import Request

    return Request(transport="http", headers=HEADERS, user=User("x"))


async def test_overwriting_is_a_creation_too(rig: Rig) -> None:
    await rig.upload("a.gcode", "old")
    answer = await rig.upload("a.gcode", GCODE)
    assert (answer.status, answer.json["action"]) == (201, "create_file")
    assert rig.gcodes("a.gcode").read_text() == GCODE
    assert await rig.told(0.2) == ["create_file a.gcode"] * 2


async def test_a_path_is_made(rig: Rig) -> None:
    answer = await rig.upload("a.gcode", GCODE, {"root": "gcodes", "path": "up/a/b", "checksum": SHA})
    assert answer.json["item"]["path"] == "up/a/b/a.gcode"
    assert await rig.told(0.2) == ["create_dir up", "create_file up/a/b/a.gcode"]
    for path in ("/up/lead", "up/trail/", "up//x/./y"):
        assert (await rig.upload("b.gcode", GCODE, {"path": path})).status == 201
    assert rig.gcodes("up/lead/b.gcode").exists()
    assert rig.gcodes("up/x/y/b.gcode").exists()


@pytest.mark.parametrize("file_first", [True, False])
async def test_fields_in_any_order(rig: Rig, file_first: bool) -> None:
    fields = {"root": "config", "path": "n", "checksum": SHA.upper()}
    answer = await rig.upload("x.cfg", GCODE, fields, file_first=file_first)
    assert answer.status == 201
    assert "print_started" not in answer.json
    assert rig.config("n", "x.cfg").read_text() == GCODE
    for checksum in ("0" * 64, "xyz"):
        answer = await rig.upload("y.cfg", GCODE, {"root": "config", "checksum": checksum}, file_first=file_first)
        assert answer.status == 422
    assert not rig.config("y.cfg").exists()
    assert rig.leftovers() == []


async def test_names_that_are_not_gcode_have_no_print_keys(rig: Rig) -> None:
    assert set((await rig.upload("t.txt", "x")).json) == {"action", "item"}
    assert "print_started" in (await rig.upload("UPPER.GCODE", GCODE)).json
    assert (await rig.upload("x.gcode", GCODE, {"root": "GCODES"})).status == 201
    assert (await rig.upload("/abs.gcode", GCODE)).json["item"]["path"] == "abs.gcode"
    assert (await rig.upload("up2/", "x")).json["item"]["path"] == "up2"
    assert (await rig.upload(".hid.gcode", GCODE)).status == 201
    assert (await rig.upload("sp ace ü%20 %.gcode", GCODE)).json["item"]["path"] == "sp ace ü%20 %.gcode"


REFUSED: list[tuple[str, dict[str, str], int]] = [
    ("../config/evil.cfg", {}, 400),
    ("x.gcode", {"path": "../config"}, 400),
    ("x.gcode", {"path": "../gcodes2"}, 400),
    ("x.gcode", {"path": "a/../../x"}, 400),
    ("x.gcode", {"root": "nosuch"}, 400),
    ("x.db", {"root": "database"}, 400),
    ("x.log", {"root": "logs"}, 400),
    ("missing/dir/x.gcode", {}, 400),
    ("folder", {}, 400),
    ("x.gcode", {"path": "file.txt"}, 400),
    ("x.gcode", {"path": "file.txt/sub"}, 400),
    ("", {}, 400),
    ("  ", {}, 400),
    ("..", {}, 400),
    (".", {}, 400),
    ("a\tb.gcode", {}, 400),
    ("x" * 300 + ".gcode", {}, 400),
    (".git/config", {"root": "config"}, 403),
    (".upload-0123456789abcdef.part", {}, 403),
    ("x.gcode", {"path": "db"}, 403),
    ("db/x.gcode", {}, 403),
    ("dblink.gcode", {}, 403),
    ("outlink.gcode", {}, 403),
]


@pytest.mark.parametrize("file_first", [True, False])
async def test_uploads_that_are_refused(rig: Rig, file_first: bool) -> None:
    rig.gcodes("folder").mkdir()
    rig.put(rig.gcodes("file.txt"), "x")
    rig.gcodes("db").symlink_to(rig.data / "database")
    rig.put(rig.data / "database" / "secret", "s")
    rig.gcodes("dblink.gcode").symlink_to(rig.data / "database" / "secret")
    rig.put(rig.data / "outside.txt", "s")
    rig.gcodes("outlink.gcode").symlink_to(rig.data / "outside.txt")
    await rig.library.settle()

    def tree() -> list[str]:
        return sorted(str(path) for path in rig.data.rglob("*") if ".db" not in path.name)

    before = tree()
    for filename, fields, status in REFUSED:
        answer = await rig.upload(filename, GCODE, fields, file_first=file_first)
        assert answer.status == status, (filename, fields)
        message = answer.json["error"]["message"]
        assert message
        assert str(rig.data) not in message
        assert tree() == before, (filename, fields)
    assert (rig.data / "database" / "secret").read_text() == "s"
    assert (rig.data / "outside.txt").read_text() == "s"


NO_UPLOADS: list[tuple[bytes, dict[str, str], int]] = [
    (b"{}", {"Content-Type": "application/json"}, 415),
    (b"garbage", HEADERS, 400),
    (b"", {"Content-Type": "multipart/form-data"}, 400),
    (b"", {}, 415),
    (form("f.gcode", GCODE, name="fileX"), HEADERS, 400),
    (form("f.gcode", GCODE)[:-20], HEADERS, 400),
    (form("f.gcode", "x" * 100_000)[:50_000], HEADERS, 400),
]


async def test_bodies_that_are_no_upload(rig: Rig) -> None:
    for body, headers, status in NO_UPLOADS:
        answer = await rig.http("POST", "/server/files/upload", body, headers)
        assert answer.status == status, body[:100]
        assert rig.leftovers() == []
        assert list(rig.gcodes().iterdir()) == []


async def test_upload_over_a_link_writes_what_it_leads_to(rig: Rig) -> None:
    await rig.upload("plain.gcode", "old")
    rig.gcodes("link.gcode").symlink_to(rig.gcodes("plain.gcode"))
    await rig.until(2)
    answer = await rig.upload("link.gcode", GCODE)
    assert answer.json["item"]["permissions"] == "r"
    assert rig.gcodes("link.gcode").is_symlink()
    assert rig.gcodes("plain.gcode").read_text() == GCODE
    assert await rig.told(0.2) == ["create_file link.gcode", "create_file plain.gcode"]


async def test_upload_into_a_linked_folder_goes_by_its_own_name(rig: Rig) -> None:
    rig.put(rig.gcodes("sub", "x.txt"))
    rig.gcodes("linkdir").symlink_to(rig.gcodes("sub"))
    (rig.data / "usb").mkdir()
    rig.gcodes("usb").symlink_to(rig.data / "usb")
    await rig.library.settle()
    assert (await rig.upload("a.gcode", GCODE, {"path": "linkdir"})).json["item"]["path"] == "sub/a.gcode"
    assert (await rig.upload("a.gcode", GCODE, {"path": "usb/new"})).json["item"]["path"] == "usb/new/a.gcode"
    assert (rig.data / "usb" / "new" / "a.gcode").exists()
    assert rig.leftovers() == []


def ufp(member: str = "/3D/model.gcode") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, ";FLAVOR:Marlin\n;TIME:10\n;Generated with Cura_SteamEngine 5.6.0\nG1 X1 E1\n")
        archive.writestr("/Metadata/thumbnail.png", _png())
    return buffer.getvalue()


def _png() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGBA", (64, 64)).save(buffer, "PNG")
    return buffer.getvalue()


async def test_ufp_is_unpacked(rig: Rig) -> None:
    answer = await rig.upload("thing.ufp", ufp())
    assert answer.status == 201
    assert answer.json["item"]["path"] == "thing.gcode"
    assert answer.headers["Location"].endswith("/gcodes/thing.gcode")
    assert not rig.gcodes("thing.ufp").exists()
    metadata = await rig.call("server.files.metadata", filename="thing.gcode")
    assert metadata["slicer"] == "Cura"
    assert ".thumbs/thing.png" in [picture["relative_path"] for picture in metadata["thumbnails"]]
    assert await rig.told(0.2) == ["create_file thing.gcode"]
    for broken in (b"not a zip", ufp("other")):
        answer = await rig.upload("broken.ufp", broken)
        assert answer.status == 422
    assert not rig.gcodes("broken.gcode").exists()
    assert rig.leftovers() == []


class Starter:
    def __init__(self, problem: str | None = None) -> None:
        self.started: list[tuple[str, User | None]] = []
        self.problem = problem

    async def start_print(self, filename: str, user: User | None) -> None:
        if self.problem:
            raise BadRequest(self.problem)
        self.started.append((filename, user))

    async def queue_print(self, filename: str, user: User | None) -> None:
        await self.start_print(filename, user)


async def test_print(rig: Rig) -> None:
    starter = Starter()
    rig.files.set_print_starter(starter)
    for text, started in {"true": True, "True": False, "1": False, "false": False}.items():
        answer = await rig.upload("a.gcode", GCODE, {"print": text, "path": "d"})
        assert answer.json["print_started"] is started
    assert starter.started == [("d/a.gcode", User("_TRUSTED_USER_", "trusted"))]
    assert "print_started" not in (await rig.upload("t.txt", "x", {"print": "true"})).json
    rig.files.set_print_starter(Starter("SD busy"))
    answer = await rig.upload("a.gcode", GCODE, {"print": "true"})
    assert (answer.status, answer.json["print_started"], answer.json["print_queued"]) == (201, False, False)


async def test_print_is_queued_when_configured(tmp_path: Path) -> None:
    async with running(tmp_path / "data", "[file_manager]\nqueue_gcode_uploads: True") as rig:
        queue = Starter()
        rig.files.set_print_starter(Starter("SD busy"))
        rig.files.set_print_queue(queue)
        answer = await rig.upload("a.gcode", GCODE, {"print": "true"})
        assert (answer.json["print_started"], answer.json["print_queued"]) == (False, True)
        assert queue.started[0][0] == "a.gcode"


async def test_the_file_that_is_printed_is_not_replaced(rig: Rig) -> None:
    await rig.upload("a.gcode", GCODE, {"path": "d"})
    rig.print_file(rig.gcodes("d", "a.gcode"))
    for fields in ({"path": "d"}, {"path": "d", "print": "true"}):
        answer = await rig.upload("a.gcode", "other", fields)
        assert answer.status == 403
    assert rig.gcodes("d", "a.gcode").read_text() == GCODE
    assert (await rig.upload("b.gcode", GCODE, {"path": "d"})).status == 201
    rig.print_file(None)
    assert (await rig.upload("a.gcode", "other", {"path": "d"})).status == 201


async def test_size_is_checked_before_the_body(tmp_path: Path) -> None:
    async with running(tmp_path / "data", "max_upload_size: 1") as rig:
        pass
    async with running(tmp_path / "data2") as rig:
        rig.files._uploader.max_size = 1000
        assert (await rig.upload("a.gcode", "x" * 2000)).status == 413
        body = form("a.gcode", "x" * 2000)
        chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        answer = await rig.http(
            "POST", "/server/files/upload", chunked, {**HEADERS, "Transfer-Encoding": "chunked", "Content-Length": ""}
        )
        assert answer.status in (400, 413)
        assert rig.leftovers() == []
        assert not rig.gcodes("a.gcode").exists()


async def test_unauthorized_uploads_are_refused(rig: Rig) -> None:
    body = form("a.gcode", GCODE)
    answer = await rig.http("POST", "/server/files/upload", body, {**HEADERS, "X-Real-IP": "8.8.8.8"})
    assert answer.status == 401
    assert not rig.gcodes("a.gcode").exists()


async def test_many_uploads_at_once(rig: Rig) -> None:
    answers = await asyncio.gather(
        *(rig.upload(f"{number}.gcode", GCODE * 100, {"path": f"d{number % 3}"}) for number in range(30)),
        *(rig.upload("same.gcode", str(number) * 1000) for number in range(10)),
    )
    assert {answer.status for answer in answers} == {201}
    assert len(await rig.call("server.files.list")) == 31
    assert len(set(rig.gcodes("same.gcode").read_text())) == 1
    assert rig.leftovers() == []
    told = await rig.told(0.2)
    assert len(told) == len(set(told)) + 9
