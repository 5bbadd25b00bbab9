"""Fixtures for every test: nothing is left running, and a real host on a real port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import settings

from moonraker_lite.host import Host
from moonraker_lite.klippy import client as klippy_client
from tests.fakes.klippy import FakeKlippy
from tests.support.api_client import ApiClient, client_of
from tests.support.hosts import new_host, until_ready

# That a loaded machine takes its time over an example is no fault of the example.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

MakeHost = Callable[..., Awaitable[Host]]


@pytest.fixture(autouse=True)
async def no_lingering_tasks() -> AsyncIterator[None]:
    """Every task has an owner and ends with it: fail a test that leaves one behind."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    left = [task for task in asyncio.all_tasks() - before if task is not asyncio.current_task() and not task.done()]
    if left:
        await asyncio.wait(left, timeout=0.5)
    names = [task.get_name() for task in left if not task.done()]
    assert not names, f"tasks left running: {names}"


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds beside a real Klipper takes some hundredths beside the fake one."""
    monkeypatch.setattr(klippy_client, "STARTUP_POLL", 0.02)
    monkeypatch.setattr(klippy_client, "RETRY_MIN", 0.02)


@pytest.fixture
async def make_host(tmp_path: Path) -> AsyncIterator[MakeHost]:
    """Make and start hosts in `tmp_path`/printer_data; `config` is added to the configuration."""
    hosts: list[Host] = []

    async def make(config: str = "", data: Path | None = None) -> Host:
        host = new_host(data or tmp_path / "printer_data", config)
        hosts.append(host)
        await host.start()
        return host

    yield make
    for host in hosts:
        await host.stop()


@pytest.fixture
async def host(make_host: MakeHost) -> Host:
    """A running host without a printer, on 127.0.0.1:host.port."""
    return await make_host()


@pytest.fixture
async def client(host: Host) -> AsyncIterator[ApiClient]:
    """A client of `host`."""
    async with client_of(host.port) as client:
        yield client


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeKlippy]:
    """A Klipper, twenty times faster than the real one, on the socket where `make_host` looks for it."""
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
    await until_ready(host)
    return host
