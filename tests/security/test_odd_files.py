"""What others may put into the folders: names and files that break lists, scanners and clients (promise 5)."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from moonraker_lite.components.file_manager.removing import remove_tree
from tests.security.target import Target, form

ODD_NAMES = (
    b"line\nfeed.gcode", b"carriage\rreturn.gcode", b"\xff\xfe.gcode", b"\xed\xa0\x80.gcode", b"esc\x1b[31m.gcode",
    b"tab\t.gcode", b"a" * 249 + b".gcode", b"quotes\"'.gcode", b"<svg onload=alert(1)>.gcode", b"del\x7f.gcode",
    b"%0d%0aX-Evil: 1.gcode", b"\xc2\x85.gcode", b" .gcode", b".gcode", b"..gcode", b"-rf.gcode", b"\xe2\x80\xae.gcode",
    b"semi;\r\nX-Evil: 1.png", b"\\.gcode", b"~.gcode",
)  # fmt: skip


@pytest.fixture
def folder(target: Target) -> Iterator[Path]:
    made = target.gcodes / "odd"
    made.mkdir()
    yield made
    parent = os.open(target.gcodes, os.O_DIRECTORY)
    remove_tree("odd", parent)
    os.close(parent)
    end = time.monotonic() + 10
    while any(path.startswith("odd/") for path in listed(target)) and time.monotonic() < end:
        time.sleep(0.05)


def listed(target: Target) -> list[str]:
    return [file["path"] for file in target.get("/server/files/list").json["result"]]


def until_listed(target: Target, count: int) -> list[str]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = [path for path in listed(target) if path.startswith("odd/")]
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{len(found)} of {count} files are listed")


def test_names_that_break_lists(target: Target, folder: Path) -> None:
    for name in ODD_NAMES:
        (Path(os.fsdecode(os.fsencode(folder) + b"/" + name))).write_bytes(b"G28\n")
    os.mkdir(os.fsencode(folder) + b"/dir\nwith line")
    os.mkdir(os.fsencode(folder) + b"/dir\xff")
    with open(os.fsencode(folder) + b"/dir\xff/in.gcode", "wb"):
        pass
    for path in until_listed(target, 17):
        quoted = quote(path, safe="")
        for verb, endpoint in (
            ("GET", f"/server/files/metadata?filename={quoted}"),
            ("POST", f"/server/files/metascan?filename={quoted}"),
            ("GET", f"/server/files/thumbnails?filename={quoted}"),
            ("GET", f"/server/files/gcodes/{quoted}"),
        ):
            answer = target.request(verb, endpoint)
            assert answer.status in (200, 400, 404), (path, answer)
            assert "x-evil" not in answer.headers
    for extended in ("false", "true"):
        answer = target.get("/server/files/directory", path="gcodes/odd", extended=extended)
        assert len(answer.json["result"]["files"]) >= 17
        assert [entry["dirname"] for entry in answer.json["result"]["dirs"]] == ["dir\nwith line"]
    for endpoint, arguments in (
        ("/server/files/zip", {"items": ["gcodes/odd"], "dest": "config/odd.zip"}),
        ("/server/files/copy", {"source": "gcodes/odd", "dest": "gcodes/odd_copy"}),
    ):
        assert target.post(endpoint, **arguments).status in (200, 400)
    target.request("DELETE", "/server/files/directory?path=gcodes/odd_copy&force=true")
    target.request("DELETE", "/server/files/config/odd.zip")


def test_files_that_are_none(target: Target, folder: Path) -> None:
    """Pipes, sockets, devices and links to them hang nothing and are opened by nobody."""
    os.mkfifo(folder / "pipe.gcode")
    os.symlink("/dev/zero", folder / "zero.gcode")
    os.symlink("/dev/tty", folder / "terminal.gcode")
    os.symlink(folder / "pipe.gcode", folder / "to_pipe.gcode")
    os.symlink(folder / "self.gcode", folder / "self.gcode")
    with suppress(PermissionError):
        os.mknod(folder / "null.gcode", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(folder)
        try:
            bound.bind("socket.gcode")
        finally:
            os.chdir("/")
    (folder / "real.gcode").write_text("G28\n")
    # Links to devices are shown as what may not be touched.
    assert until_listed(target, 3) == ["odd/real.gcode", "odd/terminal.gcode", "odd/zero.gcode"]
    for path in sorted(folder.iterdir()):
        if path.name == "real.gcode":
            continue
        name = f"odd/{path.name}"
        for answer in (
            target.request("GET", f"/server/files/gcodes/{name}"),
            target.get("/server/files/metadata", filename=name),
            target.request("POST", f"/server/files/metascan?filename={name}"),
            target.post("/printer/print/start", filename=name),
            target.post("/server/files/copy", source=f"gcodes/{name}", dest="gcodes/copied.gcode"),
            target.post("/server/files/zip", items=[f"gcodes/{name}"], dest="config/odd.zip"),
        ):
            assert answer.status in (400, 403, 404), (name, answer)
    assert target.upload(form(b"odd/pipe.gcode")).status == 201
    assert (folder / "pipe.gcode").is_file()
    assert target.post("/server/files/zip", items=["gcodes/odd"], dest="config/odd.zip").status == 200
    target.request("DELETE", "/server/files/config/odd.zip")


def test_files_of_absurd_content(target: Target, folder: Path) -> None:
    with (folder / "sparse.gcode").open("wb") as file:
        file.truncate(2**40)
    (folder / "zeros.gcode").write_bytes(b"\0" * 1_000_000)
    (folder / "line.gcode").write_bytes(b"; a" * 3_000_000)
    (folder / "bytes.gcode").write_bytes(bytes(range(256)) * 10_000)
    (folder / "pictures.gcode").write_bytes(
        b"; thumbnail begin 99999x99999 99999999\n; AAAA\n; thumbnail end\n" * 20_000
    )
    (folder / "numbers.gcode").write_bytes(
        b"; estimated printing time = 9e999d\n; layer_height = 1e999\n;TIME:-1e308\n"
    )
    for name in until_listed(target, 6):
        answer = target.request("POST", f"/server/files/metascan?filename={name}", seconds=30)
        assert answer.status in (200, 400), answer
        json.loads(answer.body)
    sparse = target.request("GET", "/server/files/gcodes/odd/sparse.gcode", headers={"Range": "bytes=1099511627770-"})
    assert sparse.body == b"\0" * 6
    answer = target.post("/server/files/copy", source="gcodes/odd/sparse.gcode", dest="gcodes/odd/copy.gcode")
    assert answer.status == 507


def test_folders_deeper_than_any_path(target: Target, folder: Path) -> None:
    """They are made by other programs; they can be listed, packed, copied, moved or refused, and removed."""
    here = os.open(folder, os.O_DIRECTORY)
    for _ in range(600):  # not so many that pytest could not tidy up after a failure
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(os.open("x.gcode", os.O_CREAT, dir_fd=here))
    os.close(here)
    assert target.get("/server/files/list").status == 200
    assert target.get("/server/files/directory", path="gcodes/odd/d").status == 200
    assert target.get("/server/files/directory", path="gcodes/odd" + "/d" * 200).status == 400
    for endpoint, arguments in (
        ("/server/files/copy", {"source": "gcodes/odd", "dest": "gcodes/deep_copy"}),
        ("/server/files/zip", {"items": ["gcodes/odd"], "dest": "config/deep.zip"}),
        ("/server/files/directory", {"path": "gcodes/odd" + "/d" * 63 + "/new"}),
    ):
        answer = target.post(endpoint, **arguments)
        assert answer.status == 400
        assert "deeper than" in answer.message
    assert target.post("/server/files/move", source="gcodes/odd/d", dest="gcodes/odd/e").status == 200
    assert target.request("DELETE", "/server/files/directory?path=gcodes/odd/e").status == 400
    assert target.request("DELETE", "/server/files/directory?path=gcodes/odd/e&force=true").status == 200
    assert list(folder.iterdir()) == []


def test_a_scanner_that_is_killed_again_and_again(target: Target, folder: Path) -> None:
    (folder / "a.gcode").write_text("; generated by nobody\nG28\n")
    until_listed(target, 1)
    for _ in range(5):
        for pid in target.children("gcode_metadata"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        answer = target.request("POST", "/server/files/metascan?filename=odd/a.gcode")
        assert answer.status in (200, 400)
    assert target.request("POST", "/server/files/metascan?filename=odd/a.gcode").status == 200


def test_a_scanner_that_hangs_hangs_nothing_else(target: Target, folder: Path) -> None:
    (folder / "a.gcode").write_text("G28\n")
    until_listed(target, 1)
    target.request("POST", "/server/files/metascan?filename=odd/a.gcode")
    stopped = target.children("gcode_metadata")
    assert stopped
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        (folder / "b.gcode").write_text("G28\n")
        until_listed(target, 2)
        for path in ("/server/info", "/server/files/list", "/server/files/metadata?filename=odd/a.gcode"):
            assert target.request("GET", path, seconds=10).status == 200
        assert target.request("GET", "/server/files/metadata?filename=odd/b.gcode", seconds=10).status == 404
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def test_a_flood_of_files_while_clients_ask(target: Target, folder: Path) -> None:
    before = target.memory
    for count in range(4000):
        (folder / f"f{count}.gcode").write_bytes(b"")
        if count % 400 == 0:
            assert target.request("GET", "/server/info", seconds=10).status == 200
            assert target.request("GET", "/server/files/list", seconds=10).status == 200
    assert len(until_listed(target, 4000)) == 4000
    assert target.memory - before < 80
    for count in range(4000):
        (folder / f"f{count}.gcode").unlink()
    assert target.request("GET", "/server/info", seconds=10).status == 200
