"""Downloads over real sockets; ranges and conditions as pure functions."""

from __future__ import annotations

import os
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.api.replies import FileReply
from moonraker_lite.transports.files import content_disposition, content_type
from moonraker_lite.transports.ranges import Unsatisfiable, not_modified, parse_range
from tests.transports.demo import DemoServer
from tests.transports.test_http import ask

SIZE = 100_000


@pytest.mark.parametrize(
    ("header", "status", "sent"),
    [
        (None, 200, (0, SIZE)),
        ("bytes=0-99", 206, (0, 100)),
        ("bytes=99990-", 206, (99_990, SIZE)),
        ("bytes=-10", 206, (SIZE - 10, SIZE)),
        ("bytes=0-", 200, (0, SIZE)),
        ("bytes=-999999", 200, (0, SIZE)),
        ("bytes=0-1,5-6", 200, (0, SIZE)),
        ("lines=0-1", 200, (0, SIZE)),
    ],
)
async def test_ranges(server: DemoServer, header: str | None, status: int, sent: tuple[int, int]) -> None:
    response = await ask(server, "GET", "/demo/file/a.gcode", headers={"Range": header} if header else {})
    whole = server.demo.file.read_bytes()
    assert response.code == status
    assert response.body == whole[slice(*sent)]
    if status == 206:
        assert response.headers["Content-Range"] == f"bytes {sent[0]}-{sent[1] - 1}/{SIZE}"


@pytest.mark.parametrize("header", [f"bytes={SIZE}-", "bytes=10-5", "bytes=-0"])
async def test_range_outside(server: DemoServer, header: str) -> None:
    response = await ask(server, "GET", "/demo/file/a.gcode", headers={"Range": header})
    assert (response.code, response.headers["Content-Range"]) == (416, f"bytes */{SIZE}")


async def test_if_modified_since(server: DemoServer) -> None:
    first = await ask(server, "GET", "/demo/file/a.gcode")
    again = await ask(server, "GET", "/demo/file/a", headers={"If-Modified-Since": first.headers["Last-Modified"]})
    assert (again.code, again.body) == (304, b"")


async def test_name_and_type(server: DemoServer) -> None:
    response = await ask(server, "GET", "/demo/file/%C3%BC%20a%22b.gcode")
    assert response.headers["Content-Type"] == "text/plain"
    assert response.headers["Content-Disposition"] == (
        "attachment; filename=\"? a_b.gcode\"; filename*=UTF-8''%C3%BC%20a%22b.gcode"
    )


async def test_missing_directory_and_fifo(server: DemoServer) -> None:
    file = server.demo.file
    file.unlink()
    assert (await ask(server, "GET", "/demo/file/a")).code == 404
    file.mkdir()
    assert (await ask(server, "GET", "/demo/file/a")).code == 403
    file.rmdir()
    os.mkfifo(file)
    assert (await ask(server, "GET", "/demo/file/a")).code == 403


async def test_empty_file(server: DemoServer) -> None:
    server.demo.file.write_bytes(b"")
    response = await ask(server, "GET", "/demo/file/a", headers={"Range": "bytes=0-5"})
    assert response.code == 416
    assert (await ask(server, "GET", "/demo/file/a")).body == b""


@given(st.text(max_size=60), st.integers(0, 2**40))
def test_any_range_header_is_safe(header: str, size: int) -> None:
    try:
        interval = parse_range(header, size)
    except Unsatisfiable:
        return
    assert interval is None or 0 <= interval[0] < interval[1] <= size


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6))
def test_well_formed_ranges(first: int, last: int, size: int) -> None:
    try:
        interval = parse_range(f"bytes={first}-{last}", size)
    except Unsatisfiable:
        assert first >= size or last < first
        return
    if interval is not None:
        assert interval == (first, min(size, last + 1))


@given(st.text(max_size=60), st.floats(0, 2e9))
def test_any_date_is_safe(header: str, modified: float) -> None:
    not_modified(header, modified)


def test_dates() -> None:
    assert not_modified(formatdate(1000, usegmt=True), 1000.9)
    assert not not_modified(formatdate(1000, usegmt=True), 1001)


@given(st.text(max_size=100))
def test_disposition_is_one_header_line(name: str) -> None:
    try:
        header = content_disposition(name)
    except UnicodeEncodeError:
        return  # surrogates never come out of a decoded path
    assert header.isascii()
    assert all(ord(char) >= 32 for char in header)
    assert header.count('"') == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.gcode", "text/plain"),
        ("a.NC", "text/plain"),
        ("a.png", "image/png"),
        ("a.gcode.gz", "application/gzip"),
        ("a.tar.gz", "application/gzip"),
        ("a.txt.xz", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_content_types(name: str, expected: str) -> None:
    assert content_type(FileReply(Path(name), name)) == expected
