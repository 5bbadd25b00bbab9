"""Nobody gets out of a root, nor into a reserved place (advisories T01, T30, T31; promise 2)."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from tests.security.target import Answer, Target, form

SECRET = "nobody-may-read-this-74c1"
PLACES = (
    "database", "certs", "backup", "comms", "systemd", "..", ".", "", "gcodes/..", "config/../database",
    "gcodes/d/../..", "gcodes/to_database", "gcodes/to_certs", "gcodes/to_key", "gcodes/to_secrets",
    "gcodes/to_data/database", "gcodes/to_data/certs", "gcodes/to_data", "gcodes/relative", "gcodes/to_proc", "/etc",
)  # fmt: skip
NAMES = (
    "", "/api_key", "/secret.txt", "/moonraker.key", "/moonraker.secrets", "/../secret.txt", "/../../secret.txt",
    "/..%2f..%2fsecret.txt", "/%2e%2e/secret.txt", "/%252e%252e/secret.txt", "/..\\secret.txt", "/..%5csecret.txt",
    "/..%c0%afsecret.txt", "/%c0%ae%c0%ae/secret.txt", "/..%ef%bc%8fsecret.txt", "/%ef%bc%8e%ef%bc%8e/secret.txt",
    "/..%00/secret.txt", "/a.gcode%00.png", "/....//secret.txt", "/ ../secret.txt", "//etc/passwd", "/~/secret.txt",
    "/moonraker-lite.db", "/environ", "/.git/config",
)  # fmt: skip


@pytest.fixture
def trapped(target: Target) -> Iterator[Target]:
    """A server with secrets in every reserved place, and with links to them that only the owner could make."""
    root = target.root
    (root / "backup").mkdir(exist_ok=True)
    secrets = [root / place / "secret.txt" for place in ("database", "certs", "backup", "comms")]
    secrets += [root / "certs" / "moonraker.key", root / "moonraker.secrets", root.parent / "secret.txt"]
    for path in secrets:
        path.write_text(SECRET)
    (target.gcodes / "a.gcode").write_text("G28\n")
    (target.gcodes / "d").mkdir(exist_ok=True)
    links: dict[str, Path | str] = {
        "to_database": root / "database",
        "to_certs": root / "certs",
        "to_key": root / "database" / "api_key",
        "to_secrets": root / "moonraker.secrets",
        "to_data": root,
        "relative": "../database",
        "to_proc": "/proc/self",
    }
    for name, place in links.items():
        os.symlink(place, target.gcodes / name)
    yield target
    assert [path.read_text() for path in secrets] == [SECRET] * len(secrets)
    for path in (*secrets, *(target.gcodes / name for name in links)):
        path.unlink()


def assert_tight(target: Target, answer: Answer, what: object) -> None:
    """An answer gives away no secret, and no path of the server when it is an error."""
    assert answer.status not in (0, 500), (what, answer)
    for secret in (SECRET, target.key, "root:x:0", "SQLite format", "PATH="):
        assert secret.encode() not in answer.raw, (what, answer)
    if answer.status >= 400 and answer.body:
        assert str(target.root) not in answer.message, (what, answer)


def spellings(path: str) -> set[str]:
    """A path as it may stand in a request line."""
    plain = unquote(path, errors="replace")
    return {quote(path, safe="/%\\~"), quote(plain, safe="/"), quote(plain, safe="")}


def test_nothing_is_read_that_is_not_in_a_root(trapped: Target) -> None:
    for place, name in itertools.product(PLACES, NAMES):
        for path in spellings(place + name):
            assert_tight(trapped, trapped.request("GET", f"/server/files/{path}"), path)
        plain = unquote(place + name, errors="replace")
        for endpoint, argument in (
            ("/server/files/list", "root"),
            ("/server/files/directory", "path"),
            ("/server/files/metadata", "filename"),
            ("/server/files/thumbnails", "filename"),
        ):
            assert_tight(trapped, trapped.get(endpoint, **{argument: plain}), (endpoint, plain))


def test_nothing_is_carried_out_of_a_reserved_place(trapped: Target) -> None:
    loot = trapped.gcodes / "loot"
    for place, name in itertools.product(PLACES, NAMES):
        source = unquote(place + name, errors="replace")
        for endpoint, arguments in (
            ("/server/files/copy", {"source": source, "dest": "gcodes/loot"}),
            ("/server/files/move", {"source": source, "dest": "gcodes/loot"}),
            ("/server/files/zip", {"items": [source], "dest": "gcodes/loot", "store_only": True}),
        ):
            assert_tight(trapped, trapped.post(endpoint, **arguments), (endpoint, source))
            files = [path for path in (loot, *loot.rglob("*")) if path.is_file()]
            # The folder above the data path is the owner's to link to; the data path's own secrets never are.
            assert not [path for path in files if SECRET.encode() in path.read_bytes()], source
            assert not [path for path in files if trapped.key.encode() in path.read_bytes()], source
            if loot.exists():
                trapped.rpc("server.files.delete_directory", path="gcodes/loot", force=True)
                trapped.rpc("server.files.delete_file", path="gcodes/loot")


def test_nothing_is_put_into_a_reserved_place_nor_taken_away(trapped: Target) -> None:
    places = ("database", "certs", "backup", "comms")
    before = {place: sorted(os.listdir(trapped.root / place)) for place in places}
    for place, name in itertools.product(PLACES[5:], ("", "/secret.txt", "/api_key", "/new", "/moonraker.secrets")):
        path = place + name
        if path in ("gcodes/to_data/new", "gcodes/to_proc"):
            continue
        folder, _, leaf = path.rpartition("/")
        root, _, below = folder.partition("/")
        fields = [(b"root", root.encode()), (b"path", below.encode())]
        for answer in (
            trapped.upload(form(leaf.encode(), fields=fields)),
            trapped.upload(form(path.removeprefix("gcodes/").encode())),
            trapped.post("/server/files/copy", source="gcodes/a.gcode", dest=path),
            trapped.post("/server/files/zip", items=["gcodes/a.gcode"], dest=path),
            trapped.post("/server/files/directory", path=path),
            trapped.request("DELETE", f"/server/files/directory?force=true&path={quote(path, safe='')}"),
        ):
            assert_tight(trapped, answer, path)
        if not (trapped.gcodes / path.removeprefix("gcodes/")).is_symlink():
            assert_tight(trapped, trapped.request("DELETE", f"/server/files/{quote(path)}"), path)
    after = {place: sorted(os.listdir(trapped.root / place)) for place in places}
    noise = {"moonraker-lite.db-wal", "moonraker-lite.db-shm"}
    assert {place: set(names) - noise for place, names in after.items()} == {
        place: set(names) - noise for place, names in before.items()
    }


def test_what_holds_a_reserved_place_stays_where_it_is(trapped: Target) -> None:
    os.symlink(trapped.root.parent, trapped.gcodes / "above")
    try:
        path = f"gcodes/above/{trapped.root.name}"
        for answer in (
            trapped.request("DELETE", f"/server/files/directory?force=true&path={path}"),
            trapped.post("/server/files/move", source=path, dest="gcodes/above/elsewhere"),
        ):
            assert answer.status == 403
    finally:
        (trapped.gcodes / "above").unlink()


def test_links_are_followed_as_the_owner_made_them_only(target: Target) -> None:
    """No call makes a link, whatever a client uploads, copies or moves."""
    outside = target.root.parent / "stick"
    outside.mkdir(exist_ok=True)
    (outside / "b.gcode").write_text("G28\n")
    os.symlink(outside, target.gcodes / "stick")
    try:
        assert target.request("GET", "/server/files/gcodes/stick/b.gcode").status == 200
        assert target.post("/server/files/copy", source="gcodes/stick", dest="gcodes/copied").status == 200
        assert not (target.gcodes / "copied").is_symlink()
        assert not [path for path in (target.gcodes / "copied").rglob("*") if path.is_symlink()]
    finally:
        (target.gcodes / "stick").unlink()


def exchange(one: Path, other: Path) -> None:
    """Let two names change places in one step."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2):
        raise OSError(ctypes.get_errno(), "renameat2")


def test_a_folder_that_turns_into_a_link_while_files_are_sent_there(target: Target) -> None:
    """The race between the look at a path and its use: what is swapped in is a link into a reserved place."""
    folder, link = target.gcodes / "swapped", target.gcodes / "trap"
    folder.mkdir()
    os.symlink(target.root / "certs", link)
    before = sorted(os.listdir(target.root / "certs"))
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            exchange(folder, link)
            time.sleep(0.0002)  # some thousand times a second; at full speed the kernel's news of it take the time

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = Counter[int]()
    try:
        for count in range(120):
            fields = [(b"path", b"swapped")]
            seen[target.upload(form(b"s%d.gcode" % count, fields=fields)).status] += 1
            dest = f"gcodes/swapped/{count}"
            seen[target.post("/server/files/copy", source="config/moonraker.conf", dest=dest).status] += 1
    finally:
        stop.set()
        swapping.join()
        if folder.is_symlink():
            exchange(folder, link)
        link.unlink()
    assert sorted(os.listdir(target.root / "certs")) == before
    assert set(seen) <= {200, 201, 400, 403}, seen
    assert len(seen) > 1, f"the race was not run: {seen}"


def test_only_logs_are_given_out_as_logs(target: Target) -> None:
    logs = target.root / "logs"
    os.symlink(target.root / "database" / "api_key", logs / "key.log")
    os.mkfifo(logs / "pipe.log")
    try:
        assert target.request("GET", "/server/files/logs/key.log").status == 403
        assert target.request("GET", "/server/files/logs/pipe.log").status == 403
        assert target.request("DELETE", "/server/files/logs/moonraker.log").status == 405
        answer = target.post("/server/logs/rollover", application="../../database/api_key")
        assert answer.status == 400, answer
    finally:
        (logs / "key.log").unlink()
        (logs / "pipe.log").unlink()


def test_backups_of_the_database_stay_in_their_folder(target: Target) -> None:
    before = {path for path in target.root.rglob("*") if not path.name.startswith("moonraker-lite.db")}
    for name in ("../x.db", "/tmp/x.db", "..", ".", "", "a/b", "a\0b", "a\nb", "x" * 300, "\ud83d"):
        body = json.dumps({"filename": name}).encode()
        for verb in ("POST", "DELETE"):
            answer = target.request(verb, "/server/database/backup", body, {"Content-Type": "application/json"})
            assert answer.status in (400, 404), (verb, name, answer)
            assert str(target.root) not in answer.message
        answer = target.request("POST", "/server/database/restore", body, {"Content-Type": "application/json"})
        assert answer.status in (400, 404), (name, answer)
    made = {path for path in target.root.rglob("*") if not path.name.startswith("moonraker-lite.db")} - before
    assert {str(path.relative_to(target.root)) for path in made} <= {"backup", "backup/database"}
