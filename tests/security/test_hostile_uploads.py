"""Forms that nobody sends by accident (advisories T15, T16, T17, T26; promise 1)."""

from __future__ import annotations

import hashlib
import os
import resource
import socket
import struct
import threading
import time
from urllib.parse import quote

import pytest

from tests.security.target import HEADERS_END, Target, form, read_answer

END = b"--x--\r\n"
PART = b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'


def everything(target: Target) -> set[str]:
    """All files and folders of the writable roots."""
    return {
        str(path.relative_to(target.root)) for root in ("gcodes", "config") for path in (target.root / root).rglob("*")
    }


@pytest.mark.parametrize("endpoint", ["/server/files/upload", "/api/files/local"])
def test_no_field_makes_the_server_take_a_file_of_its_own(target: Target, endpoint: str) -> None:
    """CVE-2025-48067 and CVE-2026-54134 of OctoPrint: internal fields that name a file on the server."""
    bait = target.root.parent / "bait.txt"
    bait.write_text("bait")
    before = everything(target)
    names = (
        "file.path",
        "file.name",
        "file[path]",
        "file",
        "tmp_file_path",
        "temp_path",
        "path.file",
        "source",
        "user",
    )
    for name in names:
        field = PART % (name.encode(), str(bait).encode())
        query = f"{endpoint}?{quote(name)}={quote(str(bait), safe='')}&file.name=stolen.gcode"
        for body in (field + END, field + field + END, field + PART % (b"file.name", b"stolen.gcode") + END):
            assert target.upload(body, path=endpoint).status == 400
            assert target.upload(body, path=query).status == 400
            kind = f"multipart/form-data; boundary=x; {name}={bait}"
            assert target.upload(body, kind, path=endpoint).status == 400
        assert target.upload(f"{name}={bait}".encode(), "application/x-www-form-urlencoded", endpoint).status == 415
    assert everything(target) == before
    answer = target.upload(form(b"honest.gcode", fields=[(name.encode(), str(bait).encode()) for name in names[:3]]))
    assert answer.status == 201
    assert (target.gcodes / "honest.gcode").read_bytes() == b"G28\n"
    assert bait.read_text() == "bait"


BROKEN = {
    "nothing": b"",
    "only the end": END,
    "no end": form(b"b.gcode")[: -len(END)],
    "end cut": form(b"b.gcode")[:-4],
    "two files": form(b"b.gcode")[: -len(END)] + form(b"c.gcode"),
    "no disposition": b"--x\r\nContent-Type: text/plain\r\n\r\nG28\r\n" + END,
    "line feeds alone": form(b"b.gcode").replace(b"\r\n", b"\n"),
    "name not UTF-8": form(b"\xe4.gcode"),
    "overlong UTF-8": form(b"..\xc0\xafb.gcode"),
    "surrogate": form(b"\xed\xa0\x80.gcode"),
    "field not UTF-8": form(b"b.gcode", fields=[(b"path", b"\xff")]),
    "NUL in name": form(b"b\0.gcode"),
    "control in path": form(b"b.gcode", fields=[(b"path", b"a\x1bb")]),
    "no name": form(b""),
    "a blank name": form(b"   "),
    "a dot": form(b"."),
    "up": form(b"../b.gcode"),
    "path up": form(b"b.gcode", fields=[(b"path", b"../config")]),
    "deep": form(b"a/" * 3000 + b"b.gcode"),
    "long": form(b"a" * 300 + b".gcode"),
    "a name of ours": form(b".upload-0123456789abcdef.part"),
    "git": form(b".git/config"),
    "wrong root": form(b"b.gcode", fields=[(b"root", b"database")]),
    "root up": form(b"b.gcode", fields=[(b"root", b"..")]),
    "checksum": form(b"b.gcode", fields=[(b"checksum", b"zz")]),
    "field without end": form(b"b.gcode", fields=[(b"path", b"a" * 100_000)]),
    "100,000 parts": PART % (b"a", b"b") * 100_000 + form(b"b.gcode"),
    "header of 200 KB": form(b"a" * 200_000),
    "100,000 headers": b"--x\r\n" + b"X: y\r\n" * 100_000 + HEADERS_END + END,
    "header without end": b"--x\r\n" + b"X" * 3_000_000,
    "1 MB before the form": b"junk\r\n" * 170_000 + form(b"b.gcode"),
    "boundaries only": b"--x\r\n" * 5000 + END,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_form_is_refused_and_leaves_nothing(target: Target, name: str) -> None:
    before = everything(target)
    answer = target.upload(BROKEN[name])
    assert answer.status in (400, 403, 413, 422)
    assert len(answer.message) > 10
    assert everything(target) == before


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ("multipart/form-data; boundary=" + "x" * 300, 400),
        ("multipart/mixed; boundary=x", 415),
        ("text/plain", 415),
        ("", 415),
        ("multipart/form-data; charset=utf-7; boundary=x", 201),
        ('multipart/form-data; boundary="x"', 201),
    ],
)
def test_kinds_of_content(target: Target, kind: str, status: int) -> None:
    assert target.upload(form(b"kind.gcode"), kind).status == status


def test_the_first_wrong_byte_is_answered_without_the_rest(target: Target) -> None:
    """CVE-2025-48879 of OctoPrint: a form without an end must neither be waited for nor spun on."""
    with target.connect() as wire:
        head = "POST /server/files/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n"
        wire.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode() + b"junk" * 50_000)
        assert read_answer(wire, 10).startswith(b"HTTP/1.1 400")


def test_a_lie_about_the_length(target: Target) -> None:
    before = everything(target)
    body = form(b"lie.gcode")
    head = b"POST /server/files/upload HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    assert target.raw(head + b"Content-Length: 50\r\n\r\n" + body).startswith(b"HTTP/1.1 400")
    assert target.raw(head + b"Content-Length: 5000\r\n\r\n" + body, shut=True) == b""
    assert target.raw(head + b"Content-Length: 99999999999999\r\n\r\n" + body).startswith(b"HTTP/1.1 413")
    chunked = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    head += b"Transfer-Encoding: chunked\r\n"
    assert target.raw(head + b"\r\n" + chunked[:-8], shut=True) == b""
    assert target.raw(head + b"\r\nzz\r\n" + body).startswith(b"HTTP/1.1 400")
    assert target.raw(head + b"Content-Length: 5\r\n\r\n" + chunked).startswith(b"HTTP/1.1 400")
    assert everything(target) == before
    assert target.raw(head + b"\r\n" + chunked + b"0\r\n\r\n").startswith(b"HTTP/1.1 201")
    (target.gcodes / "lie.gcode").unlink()


@pytest.mark.parametrize("reset", [False, True])
def test_going_away_after_any_byte_leaves_nothing(target: Target, reset: bool) -> None:
    before = everything(target)
    body = form(b"away.gcode", b"G28\nG1 X1\n", [(b"path", b"away/sub")])
    head = f"POST /server/files/upload HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
    data = f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode() + body
    for length in range(len(data)):
        with target.connect() as wire:
            wire.sendall(data[:length])
            if length % 5 == 0:
                time.sleep(0.002)  # long enough to be in the middle of it
            if reset:
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # The last of these clients may not have been noticed yet.
    end = time.monotonic() + 5
    calm = 0
    while calm < 5 and time.monotonic() < end:
        time.sleep(0.05)
        calm = calm + 1 if everything(target) == before else 0
    assert everything(target) == before


def test_names_are_never_anything_but_names(target: Target) -> None:
    """Whatever a name would be to a shell, a browser, a header or G-code (OctoPrint's CVE-2025-58180)."""
    names = (
        "$(touch pwned).gcode", "`touch pwned`.gcode", "; touch pwned;.gcode", "| tee pwned.gcode", "-rf.gcode",
        "~.gcode", "%0d%0aX-Evil: 1.gcode", "<svg onload=alert(1)>.gcode", "a' b\u2028c.gcode", "\u202egnp.gcode",
        "{printer}.gcode", "%s%n.gcode", "ä\u20ac\U0001f600.gcode", "a\u0085b.gcode", "a\\b.gcode",
    )  # fmt: skip
    for name in names:
        answer = target.upload(form(name.encode().replace(b"\\", b"\\\\")))
        assert answer.status == 201, name
        assert answer.json["item"]["path"] == name
        assert set(answer.headers) & {"x-evil", "set-cookie"} == set()
        assert answer.headers["location"].isascii()
        answer = target.request("GET", f"/server/files/gcodes/{quote(name)}")
        assert answer.body == b"G28\n"
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert set(answer.headers) & {"x-evil", "set-cookie"} == set()
        assert target.request("DELETE", f"/server/files/gcodes/{quote(name)}").status == 200
    assert not [path for path in target.root.rglob("pwned*") if path.name == "pwned"]


def test_uploads_while_their_folders_are_renamed(target: Target) -> None:
    """Each upload is whole where it was said to be, or where that folder went meanwhile, or was refused."""
    stop = threading.Event()
    for folder in ("one", "two"):
        (target.gcodes / "moving" / folder).mkdir(parents=True)

    def rename() -> None:
        while not stop.is_set():
            for source, dest in (("one", "three"), ("two", "one"), ("three", "two")):
                target.post("/server/files/move", source=f"gcodes/moving/{source}", dest=f"gcodes/moving/{dest}")

    renaming = threading.Thread(target=rename)
    renaming.start()
    stored = 0
    try:
        for count in range(60):
            content = os.urandom(5000)
            digest = hashlib.sha256(content).hexdigest()
            name = f"moving/one/r{count}-{digest}.gcode"
            answer = target.upload(form(name.encode(), content, [(b"checksum", digest.encode())]))
            assert answer.status in (201, 400), answer
            stored += answer.status == 201
    finally:
        stop.set()
        renaming.join()
    files = [path for path in (target.gcodes / "moving").rglob("*") if path.is_file()]
    assert len(files) == stored
    for path in files:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in path.name
    answer = target.request("DELETE", "/server/files/directory?path=gcodes/moving&force=true")
    assert answer.status == 200


def test_a_disk_that_takes_nothing(target: Target) -> None:
    """Every write of the host fails from one moment on; with T36 in tests/file_manager/test_upload_faults.py."""
    before = everything(target)
    limits = resource.prlimit(target.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(target.pid, resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        answers = [
            target.upload(form(b"full.gcode", b"G1 X1\n" * 10_000)),
            target.post("/server/files/copy", source="config/moonraker.conf", dest="config/big/copy.cfg"),
            target.post("/server/database/item", namespace="full", key="a", value="b" * 100_000),
        ]
        assert [answer.status for answer in answers] == [507, 400, answers[2].status]
        assert answers[2].status >= 400
        assert target.request("GET", "/server/files/list").status == 200
    finally:
        resource.prlimit(target.pid, resource.RLIMIT_FSIZE, limits)
    assert everything(target) == before
    assert target.upload(form(b"full.gcode")).status == 201
    assert target.post("/server/database/item", namespace="full", key="a", value="b" * 100_000).status == 200
