"""Credentials, origins, tokens: on the running server (advisories T11, T14, T21, T27, T28)."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tests.security.fuzz import ways
from tests.security.target import Target, answer_of, form, frame, read_answer

CLAIMS = (
    "127.0.0.1", "::1", "192.0.2.1", "localhost", "unknown", "for=127.0.0.1;proto=http", "Bearer x", "Basic YTpi",
    "_TRUSTED_USER_", "", "\xff", "a" * 9000,
)  # fmt: skip
HEADERS = (
    "X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "X-Remote-User", "Remote-User", "X-User", "Via",
    "True-Client-IP", "X-Forwarded-Host", "X-Original-URL", "X-Rewrite-URL", "X-Scheme", "X-Forwarded-Proto", "User",
    "X-Http-Method-Override", "Authorization", "X-Access-Token", "X-Api-Key", "Cookie", "X-Octoprint-User",
)  # fmt: skip
OPEN = {("GET", "/"), ("GET", "/access/info")}


def test_no_header_makes_anybody_known(locked: Target) -> None:
    """CVE-2024-32977, GHSA-qw93-h6pf-226x of OctoPrint."""
    for header in HEADERS:
        for claim in CLAIMS:
            # The local machine is a trusted proxy: it may say that it speaks for 192.0.2.1, which is trusted.
            if header not in ("X-Forwarded-For", "X-Real-IP") or "192.0.2.1" not in claim:
                assert locked.request("GET", "/access/user", headers={header: claim}).status == 401, (header, claim)
    spoken_for = {"X-Forwarded-For": "192.0.2.1, 198.51.100.7"}
    assert locked.request("GET", "/access/user", headers=spoken_for).status == 401
    spoken_for = {"X-Forwarded-For": "198.51.100.7", "X-Real-IP": "192.0.2.1"}
    assert locked.request("GET", "/access/user", headers=spoken_for).status == 401


def test_every_endpoint_asks_who_calls(locked: Target) -> None:
    """CVE-2025-62169: also those that components and the printer have added."""
    document = locked.request("GET", "/server/openapi.json", headers=locked.credential).json
    found = ways(document)
    assert len(found) > 100
    for way in found:
        if not way.path:
            continue
        path = way.path.replace("{root}", "config").replace("{path}", "moonraker.conf").replace("{filename}", "a.gcode")
        for spelling in (path, f"{path}/", f"{path}?"):
            answer = locked.request(way.verb, spelling, b"{}", {"X-Api-Key": ""})
            if (way.verb, way.path) not in OPEN:
                assert answer.status in (400, 401, 404, 405), (way, answer)
                assert b'"result"' not in answer.body


def test_the_body_is_not_read_before_it_is_known_who_sends_it(locked: Target) -> None:
    head = "POST /server/files/upload HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    with locked.connect() as wire:
        wire.sendall(f"{head}Content-Length: 500000000\r\n\r\n".encode())
        assert read_answer(wire, 5).startswith(b"HTTP/1.1 401")
    assert list(locked.gcodes.iterdir()) == []


def test_pictures_are_the_only_files_for_strangers(locked: Target) -> None:
    """Browsers load them without credentials; no name or link makes another file one of them."""
    config = locked.root / "config"
    (config / "real.png").write_bytes(b"\x89PNG")
    (config / "text.cfg").write_text("secret")
    (config / "fake.png").symlink_to(config / "text.cfg")
    try:
        assert locked.request("GET", "/server/files/config/real.png").status == 200
        for path in (
            "text.cfg", "moonraker.conf", "fake.png", "text.cfg%00.png", "text.cfg/.png", "text.cfg%2f.png",
            "text.cfg?.png", "text.cfg?path=real.png", "text.cfg#.png", "real.png/../text.cfg", "text.cfg;.png",
            "real.png%2f..%2ftext.cfg",
        ):  # fmt: skip
            answer = locked.request("GET", f"/server/files/config/{path}")
            assert answer.status in (401, 403, 404), (path, answer)
        body = b'{"path":"text.cfg","root":"config"}'
        answer = locked.request("GET", "/server/files/config/real.png", body, {"Content-Type": "application/json"})
        assert answer.body == b"\x89PNG"
    finally:
        for name in ("real.png", "text.cfg", "fake.png"):
            (config / name).unlink()


JSON = {"Content-Type": "application/json"}
FOREIGN = ("http://evil.example", "null", "https://good.example.evil.example", "http://good.example", "file://", "")
CALLS: tuple[tuple[str, str, bytes, Mapping[str, str]], ...] = (
    ("POST", "/printer/emergency_stop", b"", {}),
    ("POST", "/printer/gcode/script?script=M112", b"", {}),
    ("POST", "/server/database/item", b'{"namespace":"csrf","key":"a","value":1}', {"Content-Type": "text/plain"}),
    ("POST", "/server/jsonrpc", b'{"jsonrpc":"2.0","method":"access.post_api_key","id":1}', JSON),
    ("POST", "/server/files/upload", form(b"csrf.gcode"), {"Content-Type": "multipart/form-data; boundary=x"}),
    ("POST", "/access/api_key", b"", {"Content-Type": "application/x-www-form-urlencoded"}),
    ("DELETE", "/server/files/config/moonraker.conf", b"", {}),
)  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN)
def test_pages_of_others_change_nothing_and_read_nothing(target: Target, origin: str) -> None:
    key = target.key
    for verb, path, body, headers in CALLS:
        answer = target.request(verb, path, body, {**headers, "Origin": origin})
        assert answer.status == 403, (verb, path, answer)
    for path in ("/server/info", "/access/api_key", "/server/files/config/moonraker.conf"):
        answer = target.request("GET", path, headers={"Origin": origin})
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers
    answer = target.request("OPTIONS", "/printer/gcode/script", headers={"Origin": origin})
    assert answer.status == 405
    for path in ("/websocket", "/klippysocket"):
        wire, answer = target.websocket({"Origin": origin}, path)
        wire.close()
        assert answer.status == 403
    assert target.key == key
    assert (target.root / "config" / "moonraker.conf").exists()


def test_reading_changes_nothing(target: Target) -> None:
    """A page may have its visitor's browser GET anything, for example as a picture, and no Origin is sent with that.

    Two of Moonraker's calls act on GET: clients rely on them. The emergency stop is on the safe side.
    """
    acting = {"/printer/emergency_stop", "/printer/gcode/script"}
    document = target.request("GET", "/server/openapi.json").json
    harmless = ("/printer/", "/server/files/{root}")
    before = {path: path.read_bytes() for path in (target.root / "config").iterdir()}
    key = target.key
    for way in ways(document):
        if way.verb == "GET" and way.path not in acting and not way.path.startswith(harmless):
            target.request("GET", way.path)
    assert {path: path.read_bytes() for path in (target.root / "config").iterdir()} == before
    assert target.key == key


def test_tokens_for_one_use(locked: Target) -> None:
    def fresh() -> str:
        return str(locked.request("GET", "/access/oneshot_token", headers=locked.credential).json["result"])

    token = fresh()
    assert locked.request("GET", f"/server/info?token={token}").status == 200
    assert locked.request("GET", f"/server/info?token={token}").status == 401
    token = fresh()
    stolen = locked.request("GET", f"/server/info?token={token}", headers={"X-Forwarded-For": "198.51.100.7"})
    assert stolen.status == 401
    assert locked.request("GET", f"/server/info?token={token}").status == 200
    wire, answer = locked.websocket(path=f"/websocket?token={fresh()}")
    with wire:
        wire.sendall(frame(b'{"jsonrpc":"2.0","method":"server.info","id":1}'))
        assert answer.status == 101
        assert b"klippy_state" in read_answer(wire, 1)
    for wrong in ("", "A" * 32, token.lower(), token[:-1], token + "A", "%00", "\u00e4", "a" * 9000):
        assert locked.request("GET", f"/access/user?token={wrong.encode('utf-8').decode('latin-1')}").status == 401
    for way in ("X-Api-Key", "Authorization", "X-Access-Token"):
        assert locked.request("GET", "/access/user", headers={way: fresh()}).status == 401


def test_a_replaced_key_opens_nothing_more(locked: Target) -> None:
    old = locked.key
    wire, _ = locked.websocket({"X-Api-Key": old})
    try:
        assert locked.request("POST", "/access/api_key", headers=locked.credential).status == 200
        assert locked.key != old
        assert locked.request("GET", "/access/user", headers={"X-Api-Key": old}).status == 401
        read_answer(wire, 2)
        assert wire.recv(1) == b""
    finally:
        wire.close()


def test_a_stranger_on_a_websocket_gets_nothing(locked: Target) -> None:
    calls = [way.method for way in ways(locked.request("GET", "/server/openapi.json", headers=locked.credential).json)]
    wire, _ = locked.websocket()
    with wire:
        for number, method in enumerate(name for name in calls if name):
            if method in ("access.info", "access.login", "access.refresh_jwt", "server.connection.identify"):
                continue
            wire.sendall(frame(json.dumps({"jsonrpc": "2.0", "method": method, "params": {}, "id": number}).encode()))
        received = read_answer(wire, 1.5)
    assert b'"result"' not in received
    assert b"notify_" not in received
    assert received.count(b"-32602") > 80


def test_the_owner_at_the_unix_socket_is_known(locked: Target) -> None:
    with locked.unix() as wire:
        wire.sendall(b'{"jsonrpc":"2.0","method":"access.get_user","id":1}\x03')
        assert answer_of(wire)["result"]["username"] == "_TRUSTED_USER_"
