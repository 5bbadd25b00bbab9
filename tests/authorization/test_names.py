"""Host names among the trusted clients."""

from __future__ import annotations

import asyncio
import socket

import pytest

from moonraker_lite.components.authorization import names
from moonraker_lite.components.authorization.addresses import AddressList
from moonraker_lite.components.authorization.names import NameWatcher


async def test_a_name_that_cannot_be_looked_up_trusts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)  # no question leaves this machine
    addresses = AddressList(["no-such-host.invalid"])
    changes: list[int] = []
    await NameWatcher(addresses, lambda: changes.append(1)).refresh()
    assert addresses.resolved == frozenset()
    assert changes == []


async def test_an_unknown_caller_causes_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "SOONEST", 0.01)
    addresses = AddressList(["localhost"])
    changes: list[int] = []
    watcher = NameWatcher(addresses, lambda: changes.append(1))
    task = asyncio.create_task(watcher.run())
    async with asyncio.timeout(5):
        while not changes:
            await asyncio.sleep(0.01)
        assert addresses.resolved & {"127.0.0.1", "::1"}
        addresses.resolved = frozenset()
        await asyncio.sleep(0.1)
        assert len(changes) == 1
        watcher.hurry()
        while len(changes) < 2:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])


async def test_names_are_looked_up_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "SOONEST", 0.01)
    monkeypatch.setattr(names, "REFRESH", 0.05)
    addresses = AddressList(["localhost"])
    changes: list[int] = []
    task = asyncio.create_task(NameWatcher(addresses, lambda: changes.append(1)).run())
    async with asyncio.timeout(5):
        while not changes:
            await asyncio.sleep(0.01)
        addresses.resolved = frozenset()
        while len(changes) < 2:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
