from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.host import Host
from moonraker_lite.klippy import client as client_module
from tests.conftest import MakeHost
from tests.fakes.klippy import FakeKlippy
from tests.fakes.rpc_client import RpcClient

FAST = "G28\n" + "G1 X10 F6000\nG1 X20 F6000\n" * 4
SLOW = "G28\nG1 X10 F6000\n" + "G4 P1000\n" * 400


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds beside a real Klipper takes some hundredths beside the fake one."""
    monkeypatch.setattr(client_module, "STARTUP_POLL", 0.02)
    monkeypatch.setattr(client_module, "RETRY_MIN", 0.02)


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeKlippy]:
    """A Klipper on the socket where the host looks for it; its gcodes are a fast file, a slow one, and one with a
    fault."""
    root = tmp_path / "printer_data"
    gcodes = root / "gcodes"
    for folder in (root / "comms", gcodes):
        folder.mkdir(parents=True)
    for name, content in (("fast", FAST), ("slow", SLOW), ("fault", "G28\nG1 X9999\n")):
        (gcodes / f"{name}.gcode").write_text(content)
    async with FakeKlippy(root / "comms" / "klippy.sock", gcodes, speed=20, grid=0.03) as klippy:
        await klippy.until("ready")
        yield klippy


async def until_ready(host: Host) -> None:
    """Wait until clients are told that the printer is ready; called right after the host's start."""
    ready = asyncio.Event()
    plain = host.events.notify

    def notify(name: str, *params: Any, latest: bool = False) -> None:
        plain(name, *params, latest=latest)
        if name == "klippy_ready":
            ready.set()

    host.events.notify = notify  # type: ignore[method-assign]
    async with asyncio.timeout(8):
        await ready.wait()
        while host.hub.value("print_stats", "state") is None:
            await asyncio.sleep(0.01)


@pytest.fixture
async def ready_host(fake: FakeKlippy, make_host: MakeHost) -> Host:
    host = await make_host()
    await until_ready(host)
    return host


@pytest.fixture
async def client(ready_host: Host) -> AsyncIterator[RpcClient]:
    async with RpcClient(ready_host.port) as client:
        yield client
