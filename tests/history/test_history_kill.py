"""A host that is killed with -9 while a print runs; the printer goes on. Real processes, a real database."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.klippy import FakeKlippy
from tests.support.api_client import client_of
from tests.support.hosts import write_config


class HostProcess:
    """`python -m moonraker_lite` on the data path of the fake Klipper."""

    def __init__(self, root: Path) -> None:
        self.port = write_config(root)
        self._root = root
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "moonraker_lite", "-d", str(self._root), stdout=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(20):
            while not await self._ready():
                await asyncio.sleep(0.02)

    async def _ready(self) -> bool:
        try:
            return bool((await self.get("/server/info"))["klippy_state"] == "ready")
        except OSError:
            return False

    async def end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            await self._process.wait()
            self._process = None

    async def get(self, path: str) -> Any:
        async with client_of(self.port) as client:
            return (await client.get(path)).result

    async def post(self, path: str, **arguments: str) -> None:
        async with client_of(self.port) as client:
            await client.post(path, arguments)

    async def jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get("/server/history/list"))["jobs"]
        return found

    async def until_status(self, status: str) -> dict[str, Any]:
        async with asyncio.timeout(8):
            while True:
                jobs = await self.jobs()
                if jobs and jobs[0]["status"] == status:
                    return jobs[0]
                await asyncio.sleep(0.02)


@pytest.fixture
async def process(fake: FakeKlippy, tmp_path: Path) -> AsyncIterator[HostProcess]:
    host = HostProcess(tmp_path / "printer_data")
    await host.start()
    yield host
    await host.end(signal.SIGKILL)


async def test_a_print_that_still_runs_keeps_its_row(process: HostProcess) -> None:
    await process.post("/printer/print/start", filename="slow.gcode")
    before = await process.until_status("in_progress")
    await process.end(signal.SIGKILL)
    await asyncio.sleep(0.3)
    await process.start()
    row = await process.until_status("in_progress")
    assert (row["job_id"], row["start_time"]) == (before["job_id"], before["start_time"])
    await process.post("/printer/print/cancel")
    row = await process.until_status("cancelled")
    assert row["total_duration"] == pytest.approx(row["end_time"] - before["start_time"], abs=0.5)
    assert len(await process.jobs()) == 1
    totals = (await process.get("/server/history/totals"))["job_totals"]
    assert totals["total_jobs"] == 1
    assert totals["total_time"] == row["total_duration"]


async def test_a_print_that_ends_meanwhile_is_closed_as_it_ended(process: HostProcess, fake: FakeKlippy) -> None:
    await process.post("/printer/print/start", filename="slow.gcode")
    before = await process.until_status("in_progress")
    await process.end(signal.SIGKILL)
    await asyncio.sleep(0.2)
    await fake.gcode.job.cancel()
    await asyncio.sleep(0.5)
    await process.start()
    row = await process.until_status("cancelled")
    assert row["job_id"] == before["job_id"]
    assert row["end_time"] == pytest.approx(before["start_time"] + row["total_duration"], abs=0.01)
    assert len(await process.jobs()) == 1


async def test_every_print_has_one_row_however_often_the_host_dies(process: HostProcess, fake: FakeKlippy) -> None:
    for number in range(1, 4):
        await process.post("/printer/print/start", filename="fast.gcode")
        await asyncio.sleep(0.03 * number)
        await process.end(signal.SIGKILL)
        while fake.gcode.job.active:
            await asyncio.sleep(0.02)
        await process.start()
        async with asyncio.timeout(8):
            while [job["status"] for job in await process.jobs()] != ["completed"] * number:
                await asyncio.sleep(0.05)
    assert [job["status"] for job in await process.jobs()] == ["completed"] * 3
