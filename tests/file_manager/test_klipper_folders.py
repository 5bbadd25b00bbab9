"""The roots config_examples and docs, with the fake Klipper behind a whole host."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from moonraker_lite.host import Host
from tests.conftest import MakeHost
from tests.fakes.klippy import FakeKlippy
from tests.support.api_client import client_of

ROOTS = ["config", "logs", "gcodes", "config_examples", "docs"]


def install(folder: Path) -> Path:
    for name in ("config/example.cfg", "docs/Overview.md"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("x")
    return folder


async def until_roots(host: Host, wanted: list[str]) -> list[dict[str, Any]]:
    async with client_of(host.port) as client, asyncio.timeout(10):
        while True:
            roots: list[dict[str, Any]] = await client.rpc("server.files.roots")
            if [root["name"] for root in roots] == wanted:
                return roots
            await asyncio.sleep(0.02)


async def test_they_are_there_also_when_klipper_has_gone(make_host: MakeHost, tmp_path: Path) -> None:
    data, klipper = tmp_path / "printer_data", install(tmp_path / "klipper")
    for name in ("comms", "gcodes"):
        (data / name).mkdir(parents=True)
    async with FakeKlippy(data / "comms" / "klippy.sock", data / "gcodes", speed=50, klipper=klipper):
        host = await make_host(data=data)
        roots = await until_roots(host, ROOTS)
        assert [(root["path"], root["permissions"]) for root in roots[3:]] == [
            (str(klipper / "config"), "r"),
            (str(klipper / "docs"), "r"),
        ]
        async with client_of(host.port) as client:
            assert (await client.get("/server/files/docs/Overview.md")).body == b"x"
            known = await client.rpc("server.database.get_item", {"namespace": "moonraker", "key": "klippy_connection"})
            assert known["value"] == {"path": str(klipper), "executable": "/printer/kvenv/bin/python"}
        await host.stop()
    await until_roots(await make_host(data=data), ROOTS)


async def test_without_klipper_there_are_none(host: Host) -> None:
    await until_roots(host, ROOTS[:3])


async def test_logs_are_not_deleted(host: Host) -> None:
    async with client_of(host.port) as client:
        for name in ("klippy.log", "moonraker.log"):
            assert (await client.http("DELETE", f"/server/files/{name}")).status == 400
