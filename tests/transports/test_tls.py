"""HTTPS and secure websockets, with a certificate as users make one."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

from tests.conftest import MakeHost
from tests.support.hosts import free_port

SUBJECT = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate, with its key beside it, in the folder where the host looks."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path / "printer_data" / "certs"
    folder.mkdir(parents=True)
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    files = ("-keyout", folder / "moonraker.key", "-out", folder / "moonraker.cert")
    subprocess.run(["openssl", "req", "-x509", *kind, *SUBJECT, *files], check=True, capture_output=True)
    return folder / "moonraker.cert"


async def ask(url: str, certificate: Path) -> bytes:
    client = AsyncHTTPClient(force_instance=True)
    try:
        return (await client.fetch(HTTPRequest(url, ca_certs=str(certificate)))).body
    finally:
        client.close()


def with_port(port: int) -> str:
    """Lines for the end of a configuration, whose [server] stands there already: its parts are merged."""
    return f"[server]\nssl_port: {port}\n"


async def test_calls_and_messages_of_every_size(make_host: MakeHost, certificate: Path) -> None:
    port = free_port()
    host = await make_host(with_port(port))
    assert b'"failed_components":[]' in await ask(f"https://127.0.0.1:{port}/server/info", certificate)
    request = HTTPRequest(f"wss://127.0.0.1:{port}/websocket", ca_certs=str(certificate))
    socket = await websocket_connect(request, max_message_size=1 << 24)
    try:
        for size in (1, 100_000, 2_000_000):
            message = json.dumps({"text": "x" * size}).encode()
            host.connections.broadcast(message)
            async with asyncio.timeout(10):
                while (got := await socket.read_message()) is not None and "proc_stat" in str(got)[:100]:
                    pass
            assert got == message.decode()
    finally:
        socket.close()


async def test_a_certificate_elsewhere(make_host: MakeHost, certificate: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    certificate.parent.rename(mine)
    port = free_port()
    config = f"ssl_certificate_path: {mine}/moonraker.cert\nssl_key_path: {mine}/moonraker.key\n"
    await make_host(with_port(port) + config)
    assert await ask(f"https://127.0.0.1:{port}/server/info", mine / "moonraker.cert")


async def test_a_certificate_that_is_no_good_is_told_of(make_host: MakeHost, tmp_path: Path) -> None:
    certs = tmp_path / "printer_data" / "certs"
    certs.mkdir(parents=True)
    for name in ("moonraker.cert", "moonraker.key"):
        (certs / name).write_text("nonsense")
    host = await make_host(with_port(free_port()))
    assert any(warning.startswith("HTTPS is off: ") for warning in host.facts.warnings)


async def test_a_certificate_that_is_configured_and_absent_is_told_of(make_host: MakeHost) -> None:
    host = await make_host(with_port(free_port()) + "ssl_certificate_path: /nonexistent/x.cert\n")
    assert any(warning.startswith("HTTPS is off: ") for warning in host.facts.warnings)
