from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moonraker_lite.host import Host
from moonraker_lite.klippy import client as client_module
from tests.conftest import MakeHost
from tests.fakes.klippy import FakeKlippy
from tests.fakes.rpc_client import RpcClient


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds beside a real Klipper takes some hundredths beside the fake one."""
    monkeypatch.setattr(client_module, "STARTUP_POLL", 0.02)
    monkeypatch.setattr(client_module, "RETRY_MIN", 0.02)


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeKlippy]:
    """A Klipper, twenty times faster than the real one, on the socket where `host` looks for it."""
    root = tmp_path / "printer_data"
    for folder in ("comms", "gcodes"):
        (root / folder).mkdir(parents=True)
    async with FakeKlippy(root / "comms" / "klippy.sock", root / "gcodes", speed=20, grid=0.03) as klippy:
        await klippy.until("ready")
        yield klippy


@pytest.fixture
async def ready_host(fake: FakeKlippy, make_host: MakeHost) -> Host:
    """A host that has found the printer and told its clients so."""
    host = await make_host()
    async with RpcClient(host.port) as client:
        await client.until(lambda: host.klippy.state.text == "ready")
        await client.until(lambda: client.of("notify_klippy_ready"))
    return host


@pytest.fixture
async def client(ready_host: Host) -> AsyncIterator[RpcClient]:
    async with RpcClient(ready_host.port) as client:
        yield client
