"""What reaches the printer, and the process that drives it (advisories T17, T35, T38)."""

from __future__ import annotations

import json
import os
import random
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest

from tests.security.target import VIRTUAL, Target

EVIL = "M117 PWNED"
JSON = {"Content-Type": "application/json"}


def status(target: Target, **objects: str) -> dict[str, Any]:
    """The printer's status, of objects and their fields."""
    return dict(target.get("/printer/objects/query", **objects).json["result"]["status"])


NAMES = (
    f"a\n{EVIL}.gcode", f"a\r{EVIL}.gcode", f"a\u0085{EVIL}.gcode", f"a\u2028{EVIL}.gcode", f"a\x0b{EVIL}.gcode",
    f"a\x1c{EVIL}.gcode", f'a" {EVIL}.gcode', f'a"\n{EVIL}\n"', "a\\", f'a\\"\u2028{EVIL}', 'x" FILENAME="other.gcode',
    'x\\" FILENAME=\\"other.gcode', "a;b.gcode", "a#b.gcode", "a*99", "*", "(a).gcode", "'a'.gcode", "N1 M112*36",
    "{printer.toolhead}.gcode", "%s%n", "../config/moonraker.conf", "/etc/passwd", "d/../../config/moonraker.conf",
    "", ".", "..", "d", " ", "a" * 300, "\x00", "a\tb.gcode",
)  # fmt: skip


def test_file_names_are_never_commands(target: Target) -> None:
    """None of these files exists: each is refused, and nothing of its name is executed."""
    (target.gcodes / "other.gcode").write_text(f"{EVIL}\n")
    (target.gcodes / "d").mkdir(exist_ok=True)
    for name in NAMES:
        assert target.post("/printer/print/start", filename=name).status == 400, name
        path = f"/api/files/moonraker/gcodes/{quote(name, safe='')}"
        answer = target.request("POST", path, b'{"command":"select","print":true}', JSON)
        assert answer.status in (400, 404, 409), (name, answer)
        answer = target.post("/server/job_queue/job", filenames=[name])
        assert answer.status == 400, (name, answer)
    found = status(target, display_status="message", print_stats="filename,state")
    assert found["display_status"]["message"] != "PWNED"
    assert found["print_stats"]["filename"] != "other.gcode"
    (target.gcodes / "other.gcode").unlink()


PRINTABLE = (
    'with "quotes".gcode', "it's.gcode", "back\\slash.gcode", 'both\\".gcode', "a;b.gcode", "a#b.gcode", "a*99.gcode",
    "*.gcode", "(a).gcode", "N1 M112*36.gcode", "\u3000\u00a0wide.gcode", "\u202egcode.gcode", "line\u2028end.gcode",
    "\U0001f468\u200d\U0001f469.gcode", "{printer}.gcode", "%s.gcode", " lead.gcode", "a=b c=d.gcode", "~$HOME.gcode",
)  # fmt: skip


@pytest.mark.parametrize("name", PRINTABLE)
def test_any_name_that_a_file_has_can_be_printed(target: Target, name: str) -> None:
    (target.gcodes / name).write_text("M117 inside\n")
    assert target.post("/printer/print/start", filename=name).status == 200
    end = time.monotonic() + 10
    stats: dict[str, str] = {}
    while time.monotonic() < end and stats.get("state") != "complete":
        stats = status(target, print_stats="filename,state")["print_stats"]
    assert stats == {"filename": name, "state": "complete"}
    (target.gcodes / name).unlink()


def test_only_the_owner_may_open_the_sockets(target: Target) -> None:
    for name in ("klippy.sock", "moonraker.sock"):
        found = os.stat(target.root / "comms" / name)
        assert stat.S_IMODE(found.st_mode) == 0o600
        assert found.st_uid == os.getuid()
    for name in ("database", "comms", "certs"):
        assert stat.S_IMODE(os.stat(target.root / name).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(target.root / "database" / "api_key").st_mode) == 0o600


@pytest.fixture
def printer(target: Target) -> Iterator[Target]:
    """The target, whose Marlin process must live on and whose host must not lose it."""
    pid = target.marlin_pid
    yield target
    assert target.marlin_pid == pid
    assert target.rpc("printer.info")["result"]["state"] == "ready"


def test_garbage_at_the_printer_s_socket(printer: Target) -> None:
    rng = random.Random(38)
    for _ in range(150):
        with printer.unix("klippy.sock") as wire, suppress(OSError):
            wire.sendall(rng.randbytes(rng.randrange(1, 3000)) + b"\x03")


def test_odd_parameters_at_the_printer_s_socket(printer: Target) -> None:
    values: tuple[Any, ...] = (None, 1, "x", [], {}, {"a": 1}, {"a": [1]}, {"a": {"b": 1}}, "G1 X1e999", "a" * 99_999)
    methods = (
        "info", "objects/query", "objects/subscribe", "gcode/script", "gcode/subscribe_output", "bed_mesh/dump_mesh",
        "register_remote_method", "query_endstops/status", "no/such",
    )  # fmt: skip
    received = b""
    for method in methods:
        with printer.unix("klippy.sock") as wire:
            for params in values[:4]:
                wire.sendall(json.dumps({"id": 7, "method": method, "params": params}).encode() + b"\x03")
            for name in ("objects", "script", "response_template", "remote_method"):
                for value in values:
                    call = {"id": 7, "method": method, "params": {name: value}}
                    wire.sendall(json.dumps(call).encode() + b"\x03")
            wire.sendall(b'{"id":"last","method":"info"}\x03')
            while b'"id":"last"' not in received[-1000:]:
                received += wire.recv(1 << 16)
    assert b"Internal error" not in received


@pytest.mark.parametrize("levels", [500, 970, 980, 985, 990, 995, 1000, 100_000])
def test_deep_json_at_the_printer_s_socket(printer: Target, levels: int) -> None:
    deep = b"[" * levels + b"]" * levels
    call = b'{"id":1,"method":"%b","params":{"objects":{"webhooks":null},"response_template":{"a":%b}}}\x03'
    with printer.unix("klippy.sock") as wire:
        wire.sendall(b'{"id":%b,"method":"info"}\x03' % deep)
        for method in (b"gcode/subscribe_output", b"objects/subscribe"):
            wire.sendall(call % (method, deep))
        wire.sendall(b'{"id":"last","method":"info"}\x03')
        received = b""
        while b'"id":"last"' not in received:
            received += wire.recv(1 << 16)


def test_a_message_without_end_at_the_printer_s_socket(printer: Target) -> None:
    with printer.unix("klippy.sock") as wire, pytest.raises(OSError):
        for _ in range(50):
            wire.sendall(b"a" * 1_000_000)


def test_a_crowd_at_the_printer_s_socket(printer: Target) -> None:
    wires = [printer.unix("klippy.sock") for _ in range(60)]
    for wire in wires:
        with suppress(OSError):
            wire.sendall(b'{"method":')
    assert printer.rpc("printer.info")["result"]["state"] == "ready"
    for wire in wires:
        wire.close()


def test_a_client_of_the_printer_that_never_reads(printer: Target) -> None:
    with printer.unix("klippy.sock") as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        with pytest.raises(OSError):
            for _ in range(20_000):
                wire.sendall(b'{"id":1,"method":"objects/query","params":{"objects":{"configfile":null}}}\x03' * 10)


def test_a_second_process_on_the_same_socket_gives_up(printer: Target) -> None:
    path = str(printer.root / "comms" / "klippy.sock")
    command = [sys.executable, "-m", "moonraker_lite.marlin", "--socket", path, "--gcodes", str(printer.gcodes)]
    done = subprocess.run([*command, "--virtual"], capture_output=True, timeout=20, check=False)
    assert done.returncode == 3
    assert b"served by another process" in done.stderr


def test_a_host_that_ends_late_takes_no_socket_from_its_successor(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two hosts on one data path for a moment, as when a service is restarted in a hurry."""
    first = Target(tmp_path_factory.mktemp("twice"), VIRTUAL).start()
    second = Target(first.root, VIRTUAL).start()
    marlin = first.marlin_pid
    first.stop(marlin=False)
    try:
        assert second.rpc("server.info")["result"]["klippy_connected"]
    finally:
        second.stop()
        if marlin is not None:
            os.kill(marlin, 15)
