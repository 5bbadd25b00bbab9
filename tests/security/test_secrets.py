"""What must not come out: keys, passwords, paths and tracebacks; and what must not come into the log (T19, T37)."""

from __future__ import annotations

import ast
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.security.fuzz import ways
from tests.security.target import VIRTUAL, Target, answer_of, form, frame, read_answer

PACKAGE = Path(__file__).resolve().parents[2] / "moonraker_lite"
PASSWORDS = ("hunter2-of-the-camera", "hunter2-of-the-broker", "hunter2-in-plain-sight")
CONFIG = f"""{VIRTUAL}
[webcam yard]
stream_url: http://user:{{secrets.camera.password}}@127.0.0.1:1/
snapshot_url: http://127.0.0.1:1/{{secrets.camera.password}}

[mqtt]
address: 127.0.0.1
username: me
password: {{secrets.broker.password}}

[notifier me]
url: tgram://{PASSWORDS[2]}/1
"""
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARNING|ERROR) [\w.]+: |    |$")


@pytest.fixture(scope="module")
def confided(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server whose configuration has secrets, in the file for them and in plain sight."""
    made = Target(tmp_path_factory.mktemp("confided"), CONFIG)
    secrets = {"camera": {"password": PASSWORDS[0]}, "broker": {"password": PASSWORDS[1]}}
    (made.root / "moonraker.secrets").write_text(json.dumps(secrets))
    yield made.start()
    made.stop()


def test_no_answer_and_no_log_holds_a_secret(confided: Target) -> None:
    """Of all that can be read without asking for the very secret."""
    document = confided.request("GET", "/server/openapi.json").json
    hidden = (PASSWORDS[1], confided.key)
    for way in ways(document):
        if way.verb == "GET" and way.path not in ("/access/api_key", "/printer/emergency_stop"):
            answer = confided.request("GET", way.path.replace("{root}", "logs").replace("{path}", "moonraker.log"))
            found = [secret for secret in hidden if secret.encode() in answer.raw]
            assert not found, way.path
    for path in ("moonraker.secrets", "database/api_key"):
        for root in ("config", "logs", "gcodes", "config/..", "gcodes/../.."):
            assert confided.request("GET", f"/server/files/{root}/{path}").status in (403, 404)
    for secret in (*PASSWORDS[:2], confided.key):
        assert secret not in confided.log
        assert secret not in (confided.root / "host.out").read_text()


def test_a_failing_call_quotes_no_secret_to_the_log(confided: Target) -> None:
    key = confided.key
    for credential in (
        {"X-Api-Key": f"{key}x"},
        {"Authorization": f"Bearer {key}x"},
        {"X-Access-Token": f"{key}.{key}.{key}"},
        {"X-Api-Key": key, "Content-Length": "abc"},
    ):
        confided.request("GET", "/server/info", headers=credential)
    confided.request("GET", f"/server/info?access_token={key}&token={key}&api_key={key}")
    confided.request("GET", f"/server/files/list?root={key}&password={key}")
    wire, _ = confided.websocket()
    with wire:
        who = {"client_name": "a", "version": "1", "type": "web", "url": "", "api_key": f"{key}y", "access_token": key}
        call = {"jsonrpc": "2.0", "method": "server.connection.identify", "params": who, "id": 1}
        wire.sendall(frame(json.dumps(call).encode()))
        read_answer(wire, 0.5)
    login = json.dumps({"username": "u", "password": PASSWORDS[2]}).encode()
    confided.request("POST", "/access/login", login, {"Content-Type": "application/json"})
    time.sleep(0.2)
    assert key not in confided.log
    assert confided.log.count(PASSWORDS[2]) == confided.log.count(f"tgram://{PASSWORDS[2]}")


def test_no_error_tells_of_the_inside(target: Target) -> None:
    """Absolute paths, tracebacks, names of modules: whatever goes wrong, the sentence is for the client.

    Restoring from a backup that is missing names its path, as Moonraker does, and as making one does.
    """
    telling = re.compile(rf"Traceback|File \"|moonraker_lite[./]\w|Errno|{re.escape(str(target.root))}|0x[0-9a-f]{{8}}")
    (target.gcodes / "file").write_text("x")
    calls: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("POST", "/server/files/move", {"source": "gcodes/file", "dest": "gcodes/file/below"}),
        ("POST", "/server/files/copy", {"source": "gcodes/file", "dest": "gcodes/no/such/folder/file"}),
        ("POST", "/server/files/copy", {"source": "gcodes/file", "dest": "gcodes/" + "ä" * 127 + "x"}),
        ("POST", "/server/files/zip", {"items": ["gcodes/file"], "dest": "gcodes/file/a.zip"}),
        ("POST", "/server/files/directory", {"path": "gcodes/file/below"}),
        ("POST", "/server/database/item", {"namespace": "a" * 1_000_000, "key": "b", "value": 1}),
        ("POST", "/server/webcams/item", {"name": "x", "stream_url": "\x00", "location": {"a": 1}}),
        ("POST", "/server/history/job", {}),
        ("POST", "/printer/gcode/script", {"script": "SDCARD_PRINT_FILE FILENAME=/etc/passwd"}),
        ("POST", "/printer/gcode/script", {"script": 'SET_HEATER_TEMPERATURE HEATER="'}),
        ("POST", "/machine/services/restart", {"service": "../../bin/sh"}),
    )
    for verb, path, arguments in calls:
        answer = target.request(verb, path, json.dumps(arguments).encode(), {"Content-Type": "application/json"})
        if answer.status >= 400:
            assert not telling.search(answer.body.decode()), answer
    with target.unix() as wire:
        for number, (_, path, arguments) in enumerate(calls):
            method = path.removeprefix("/").replace("/", ".")
            call = {"jsonrpc": "2.0", "method": method, "params": arguments, "id": number}
            wire.sendall(json.dumps(call).encode() + b"\x03")
            assert not telling.search(str(answer_of(wire, number).get("error", "")))
    (target.gcodes / "file").unlink()


def test_nobody_writes_lines_into_the_log(target: Target) -> None:
    """Not by names, headers, messages of the printer, nor by what an error quotes."""
    before = target.log_sizes()
    evil = "\r\n2026-01-01 00:00:00,000 ERROR host: forged\x1b[2J\x07\u2028\u202e\x85"
    target.post("/printer/gcode/script", script=f"M118 {evil}")
    target.post("/printer/gcode/script", script=f"NO_SUCH_COMMAND A='{evil}")
    target.post("/printer/print/start", filename=evil)
    target.post("/server/database/item", namespace=evil, key=evil, value=1)
    target.post("/server/webcams/item", name=evil, stream_url="/x")
    target.upload(form(evil.encode()))
    target.get("/server/files/metadata", filename=evil)
    (target.gcodes / "evil\r\n2026-01-01 00:00:00,000 ERROR host: forged.gcode").write_bytes(b"\0")
    wire, _ = target.websocket({"User-Agent": "a\tb"})
    with wire:
        who = {"client_name": evil, "version": evil, "type": evil, "url": evil}
        call = {"jsonrpc": "2.0", "method": "server.connection.identify", "params": who, "id": 1}
        wire.sendall(frame(json.dumps(call).encode()))
    with target.unix("klippy.sock") as printer:
        printer.sendall(evil.encode() + b"\x03" + json.dumps({"method": evil, "id": 1}).encode() + b"\x03")
        printer.recv(1000)
    time.sleep(0.5)
    (target.gcodes / "evil\r\n2026-01-01 00:00:00,000 ERROR host: forged.gcode").unlink()
    for line in target.log_since(before).split("\n"):
        assert LOG_LINE.match(line), line
        assert not line.startswith("2026-01-01 00:00:00,000"), line
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", line), line
    target.rpc("server.webcams.delete_item", name=evil)


def test_nothing_is_run_by_a_shell_or_made_from_text() -> None:
    """CVE-2025-58180 of OctoPrint, for the whole of the package."""
    forbidden = {"eval", "exec", "os.system", "os.popen", "getoutput", "getstatusoutput", "create_subprocess_shell"}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert not {name.name for name in node.names} & {"pickle", "marshal", "shelve"}, path
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            assert name not in forbidden, (path, node.lineno)
            assert name.rpartition(".")[2] not in forbidden - {"eval", "exec"}, (path, node.lineno)
            shell = [word for word in node.keywords if word.arg == "shell"]
            assert not shell, (path, node.lineno)
