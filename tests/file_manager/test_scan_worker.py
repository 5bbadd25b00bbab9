"""The scanner's process, played by a script that can misbehave, and the queue before it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moonraker_lite.components.file_manager import scans as scans_module
from moonraker_lite.components.file_manager import worker as worker_module
from moonraker_lite.components.file_manager.scans import ScanQueue, Urgency
from moonraker_lite.components.file_manager.worker import ScanFailed, ScanWorker

SCRIPT = """
import json, os, sys, time
for line in sys.stdin:
    request = json.loads(line)
    path = request["path"]
    if "hang" in path: time.sleep(60)
    if "crash" in path: os._exit(3)
    if "garbage" in path: print("not json", flush=True); continue
    if "huge" in path: print("x" * 5_000_000, flush=True); continue
    if "bad" in path: print(json.dumps({"id": request["id"], "error": "no G-code"}), flush=True); continue
    found = {"size": 1, "path": path, "pid": os.getpid(), "nice": os.getpriority(os.PRIO_PROCESS, 0)}
    print(json.dumps({"id": request["id"], "metadata": found}), flush=True)
"""


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ScanWorker]:
    script = tmp_path / "worker.py"
    script.write_text(SCRIPT)
    worker = ScanWorker(0.5, (sys.executable, "-S", str(script)))
    yield worker
    await worker.close()


async def test_answers_come_to_whoever_asked(worker: ScanWorker) -> None:
    found = await asyncio.gather(*(worker.scan(f"/f{number}", "/t") for number in range(50)))
    assert [one["path"] for one in found] == [f"/f{number}" for number in range(50)]
    assert len({one["pid"] for one in found}) == 1
    assert found[0]["nice"] >= 10


async def test_a_file_that_cannot_be_scanned(worker: ScanWorker) -> None:
    with pytest.raises(ScanFailed, match="no G-code"):
        await worker.scan("/bad", "/t")
    assert (await worker.scan("/good", "/t"))["path"] == "/good"


@pytest.mark.parametrize("trouble", ["hang", "crash", "garbage", "huge"])
async def test_trouble_with_one_file_leaves_the_others_alone(worker: ScanWorker, trouble: str) -> None:
    await worker.scan("/before", "/t")
    first = worker.pid
    jobs = [asyncio.ensure_future(worker.scan(path, "/t")) for path in ("/a", f"/{trouble}", "/b", "/c")]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert [isinstance(result, dict) for result in results] == [True, False, True, True]
    assert isinstance(results[1], ScanFailed)
    assert worker.pid != first


async def test_a_process_of_no_use_is_not_started_for_ever(tmp_path: Path) -> None:
    counter = tmp_path / "starts"
    script = tmp_path / "worker.py"
    script.write_text(f"open({str(counter)!r}, 'a').write('x')")
    worker = ScanWorker(1.0, (sys.executable, "-S", str(script)))
    results = await asyncio.gather(*(worker.scan(f"/{n}", "/t") for n in range(20)), return_exceptions=True)
    assert all(isinstance(result, ScanFailed) for result in results)
    with pytest.raises(ScanFailed):
        await worker.scan("/later", "/t")
    assert len(counter.read_text()) == worker_module.FRUITLESS
    await worker.close()


async def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    worker = ScanWorker(1.0, (str(tmp_path / "nothing"),))
    with pytest.raises(ScanFailed):
        await worker.scan("/a", "/t")
    await worker.close()


async def test_it_goes_when_idle_and_comes_back(worker: ScanWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "IDLE_SECONDS", 0.05)
    pid = (await worker.scan("/a", "/t"))["pid"]
    async with asyncio.timeout(5):
        while worker.pid is not None or Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)
    assert (await worker.scan("/b", "/t"))["pid"] != pid


async def test_warming_starts_it_ahead(worker: ScanWorker) -> None:
    worker.warm()
    async with asyncio.timeout(5):
        while worker.pid is None:
            await asyncio.sleep(0.01)
    pid = worker.pid
    assert (await worker.scan("/a", "/t"))["pid"] == pid


async def test_closing_ends_what_is_under_way(worker: ScanWorker) -> None:
    job = asyncio.ensure_future(worker.scan("/hang", "/t"))
    await asyncio.sleep(0.1)
    pid = worker.pid
    await worker.close()
    with pytest.raises(ScanFailed):
        await job
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


class Hand:
    """Scans that end when the test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.more = 0
        self.queue = ScanQueue(self.scan, self.count)

    async def scan(self, path: str) -> None:
        self.begun.append(path)
        await self.ends.setdefault(path, asyncio.Event()).wait()

    def count(self) -> None:
        self.more += 1

    async def end(self, *paths: str) -> None:
        for path in paths:
            self.ends.setdefault(path, asyncio.Event()).set()
        for _ in range(5):
            await asyncio.sleep(0)


async def test_the_urgent_come_first_and_each_once() -> None:
    hand = Hand()
    for number in range(scans_module.AHEAD):
        hand.queue.add(f"busy{number}", Urgency.OLD)
    hand.queue.add("old", Urgency.OLD)
    hand.queue.add("new", Urgency.NEW)
    hand.queue.add("old", Urgency.OLD)
    waiting = asyncio.ensure_future(hand.queue.wait("old"))
    await asyncio.sleep(0)
    assert "old" in hand.queue
    for number in range(scans_module.AHEAD):
        await hand.end(f"busy{number}")
    assert hand.begun[scans_module.AHEAD :] == ["old", "new"]
    await hand.end("old", "new")
    await waiting
    assert "old" not in hand.queue
    await hand.queue.close()


async def test_what_changes_while_it_is_scanned_is_scanned_again() -> None:
    hand = Hand()
    hand.queue.add("a", Urgency.NEW)
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(hand.queue.wait("a"))
    await hand.end("a")
    await waiting
    assert hand.begun == ["a", "a"]
    await hand.queue.close()


async def test_the_queue_is_bounded_and_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans_module, "MAX_WAITING", 5)
    hand = Hand()
    for number in range(20):
        hand.queue.add(str(number), Urgency.NEW)
    await asyncio.sleep(0)
    await hand.end(*map(str, range(20)))
    await asyncio.sleep(0.01)
    assert len(hand.begun) == scans_module.AHEAD + 5
    assert hand.more == 1
    await hand.queue.close()


async def test_closing_tells_those_who_wait() -> None:
    hand = Hand()
    waiting = asyncio.ensure_future(hand.queue.wait("a"))
    await asyncio.sleep(0)
    await hand.queue.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
