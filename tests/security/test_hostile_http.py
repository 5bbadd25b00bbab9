"""Requests that are no proper HTTP, and what comes back of them (advisories T02, T07, T14, T25)."""

from __future__ import annotations

import json
import os
from urllib.parse import quote

import pytest

from tests.security.target import HEADERS_END, Target, frame, parse, read_answer

HOST = b"Host: a\r\n"
LONG = b"9" * 5000


@pytest.mark.parametrize(
    "data",
    [
        b"POST /server/info HTTP/1.1\r\n" + HOST + b"Content-Length: abc\r\n\r\n",
        b"POST /server/info HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
        b"POST /server/info HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n\r\nabcde",
        b"POST /server/info HTTP/1.1\r\n" + HOST + b"Content-Length: 1_0\r\n\r\nabcdeabcde",
        b"POST /server/info HTTP/1.1\r\n" + HOST + b"Content-Length: " + LONG + b"\r\n\r\n",
        b"GET /server/info HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /server/info HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /server/info HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /server/info HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"GET /server/info\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /server/info HTTP/1.1\r\nHost: a\rX-Real-IP: 127.0.0.1\r\n\r\n",
        b"GET /server/info HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /server/info HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        b"GET /server/info HTTP/1.1\r\n\r\n",
        b"GET /server/info HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /server/info HTTP/2.0\r\n" + HOST + b"\r\n",
        b"GET /server/info\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + HEADERS_END,
        os.urandom(400).replace(b"\n", b"") + HEADERS_END,
        b"GET /server/files/directory?path=gcodes%ff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /server/files/gcodes/%ff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"OPTIONS /server/files/gcodes/%ff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /server/history/list?limit:int=" + LONG + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /server/info?" + b"&".join(b"a%d" % count for count in range(2000)) + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
)
def test_what_is_malformed_is_refused(target: Target, data: bytes) -> None:
    with target.connect() as wire:
        wire.sendall(data + b"GET /access/api_key HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := wire.recv(65536):
            answer += piece
    first, *others = answer.split(b"HTTP/1.1 ")[1:]
    assert first.startswith((b"400 ", b"405 "))
    # Either it is known where the request ends, or what follows is not read.
    assert (first.startswith(b"400 ") and b"Server:" in first) or b"result" not in b"".join(others)


def test_a_body_is_not_taken_for_a_request(target: Target) -> None:
    """What stands behind a refused request is thrown away with its connection or read as its body."""
    inner = b"GET /server/database/list HTTP/1.1\r\nHost: a\r\n\r\n"
    for head in (
        b"POST /server/info HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(inner),
        b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(inner),
        b"GET /server/info HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(inner),
    ):
        with target.connect() as wire:
            wire.sendall(head + inner + b"GET /nowhere/else HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            data = b""
            while piece := wire.recv(65536):
                data += piece
        assert b"namespaces" not in data
        assert data.count(b"HTTP/1.1 ") == 2, data


def test_nothing_follows_an_early_answer(target: Target) -> None:
    """No "100 Continue" after the answer: whoever forwards requests would take it for that to the next one."""
    head = b"POST /server/files/upload HTTP/1.1\r\nHost: a\r\nX-Api-Key: wrong\r\n"
    data = target.raw(head + b"Expect: 100-continue\r\nContent-Length: 5000000\r\n\r\n", 1)
    assert data.count(b"HTTP/1.1") == 1
    assert parse(data).status == 401
    assert parse(data).headers["connection"] == "close"


EVIL = "<svg onload=alert(1)>"
LINES = "a\r\nX-Evil: 1\r\n\r\n<script>"


@pytest.mark.parametrize("text", [EVIL, LINES, "\x1b[31m", '"><img src=x>', "'\"\\", "\u2028", "a" * 3000])
def test_errors_are_data_for_no_browser_to_render(target: Target, text: str) -> None:
    """CVE-2021-32561 and CVE-2025-67724: what a client sends comes back in JSON only, never in headers."""
    quoted = quote(text, safe="")
    for verb, path in (
        ("GET", f"/{quoted}"),
        ("GET", f"/server/files/{quoted}/x"),
        ("GET", f"/server/files/gcodes/{quoted}"),
        ("GET", f"/server/files/list?root={quoted}"),
        ("GET", f"/server/files/directory?path={quoted}"),
        ("GET", f"/server/files/metadata?filename={quoted}"),
        ("GET", f"/server/history/list?limit={quoted}"),
        ("GET", f"/server/database/item?namespace={quoted}&key={quoted}"),
        ("GET", f"/server/history/job?uid={quoted}"),
        ("DELETE", f"/server/files/gcodes/{quoted}"),
        ("POST", f"/server/webcams/test?name={quoted}"),
        ("POST", f"/printer/print/start?filename={quoted}"),
        ("POST", f"/printer/gcode/script?script={quoted}"),
        ("POST", f"/machine/services/restart?service={quoted}"),
    ):
        answer = target.request(verb, path)
        assert answer.status in (200, 400, 403, 404, 405, 503), (path, answer)
        assert answer.headers["content-type"] == "application/json; charset=UTF-8", path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert "x-evil" not in answer.headers
        assert b"<" not in answer.raw.partition(HEADERS_END)[0]
        json.loads(answer.body)
    wire, answer = target.websocket({"Origin": "http://evil.example"})
    wire.close()
    assert answer.status == 403
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "header", ["Origin", "Host", "Range", "If-None-Match", "If-Modified-Since", "X-Forwarded-Proto"]
)
@pytest.mark.parametrize("value", [EVIL, "\xff\xfe", "a" * 5000, "null", "*", "bytes=0-0,9-1", ",", "file://"])
def test_odd_headers(target: Target, header: str, value: str) -> None:
    """No header sets anything that only the server should (GHSA-qw93-h6pf-226x), or is echoed as it came."""
    for path in ("/server/info", "/server/files/config/moonraker.conf"):
        answer = target.request("GET", path, headers={header: value})
        assert answer.status in (200, 206, 304, 400, 416)
        assert EVIL.encode() not in answer.raw.partition(HEADERS_END)[0] + answer.raw.partition(HEADERS_END)[2][:100]
        assert "access-control-allow-origin" not in answer.headers


def test_what_is_uploaded_is_never_shown_as_a_page(target: Target) -> None:
    """CVE-2022-2872, CVE-2022-3607: also not after a rename to another type."""
    for name in ("page.html", "picture.svg", "page.xhtml", "script.js", "page.htm", "a.xml", "a.gcode.html", "A.HTML"):
        (target.gcodes / "plain.gcode").write_text("<script>alert(1)</script>")
        moved = target.post("/server/files/move", source="gcodes/plain.gcode", dest=f"config/{name}")
        assert moved.status == 200
        answer = target.request("GET", f"/server/files/config/{name}")
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["x-content-type-options"] == "nosniff"
        target.request("DELETE", f"/server/files/config/{name}")


WEBSOCKET = {
    "binary garbage": frame(os.urandom(300), 2),
    "not UTF-8": frame(b"\xff\xfe"),
    "reserved bits": b"\xf1\x85\0\0\0\0hello",
    "unknown opcode": frame(b"x", 3),
    "long ping": frame(b"x" * 126, 9),
    "continuation of nothing": frame(b"x", 0),
    "2^63 bytes": frame(b"", 1, 2**63 - 1),
    "100 MB announced": frame(b"", 1, 100_000_000),
    "half a frame": frame(b"{}", 1, 5000),
    "close with one byte": frame(b"x", 8),
}


@pytest.mark.parametrize("name", WEBSOCKET)
def test_frames_that_are_none(target: Target, name: str) -> None:
    wire, answer = target.websocket()
    assert answer.status == 101
    with wire:
        wire.sendall(WEBSOCKET[name])
        read_answer(wire, 0.2)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upgrade": "h2c"}, 400),
        ({"Sec-WebSocket-Version": "99"}, 426),
        ({"Sec-WebSocket-Key": ""}, 400),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1.evil.example"}, 403),
    ],
)
def test_handshakes_that_are_none(target: Target, headers: dict[str, str], status: int) -> None:
    wire, answer = target.websocket(headers)
    wire.close()
    assert answer.status == status
    assert target.request("POST", "/websocket", b"abcd").status == 405
    assert target.request("POST", "/klippysocket", b"abcd").json["error"]["code"] == 405
