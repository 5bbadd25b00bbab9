"""Fixtures for every test: nothing is left running, and a real host on a real port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from moonraker_lite.config import load_config
from moonraker_lite.datapath import DataPath
from moonraker_lite.host import Host, Places

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


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def make_host(tmp_path: Path) -> AsyncIterator[MakeHost]:
    """Make and start hosts in `tmp_path`; `config` is added to the configuration. The printer type is `klipper` unless
    the configuration says otherwise, so that no firmware process is started unasked."""
    hosts: list[Host] = []

    async def make(config: str = "", data: Path | None = None) -> Host:
        root = data or tmp_path / "printer_data"
        path = root / "config" / "moonraker.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        printer = "" if "[printer]" in config else "[printer]\ntype: klipper\n"
        # Never the real one: a test must not be able to reboot the machine it runs on.
        printer += "" if "[machine]" in config else "[machine]\nprovider: none\n"
        path.write_text(f"[server]\nhost: 127.0.0.1\nport: {free_port()}\n{printer}{config}\n")
        host = Host(load_config(path, data_path=root), Places(DataPath(root), root / "comms" / "moonraker.sock"))
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
