"""The scanner's process, played by a script that can misbehave, and the queue before it."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.components.file_manager import scans as scans_module
from moonraker_lite.components.file_manager import worker as worker_module
from moonraker_lite.components.file_manager.scans import ScanQueue, Urgency
from moonraker_lite.components.file_manager.worker import ScanFailed, ScanWorker

LIMIT = 2.0  # s for one file; other waits are much longer, as a loaded machine may need them
SCRIPT = """
import json, os, sys, time
for line in sys.stdin:
    request = json.loads(line)
    path = request["path"]
    work = request.get("work", "scan")
    if work in ("pace", "cancel"): continue
    if "hang" in path: time.sleep(60)
    if "crash" in path: os._exit(3)
    if "garbage" in path: print("not json", flush=True); continue
    if "huge" in path: print("x" * 5_000_000, flush=True); continue
    if "bad" in path: print(json.dumps({"id": request["id"], "error": "no G-code"}), flush=True); continue
    if work != "scan":
        print(json.dumps({"id": request["id"], "done": 0.5}), flush=True)
        print(json.dumps({"id": request["id"], "moves": {"layer_count": 3}, "changed": True}), flush=True)
        continue
    found = {"size": 1, "path": path, "pid": os.getpid(), "nice": os.getpriority(os.PRIO_PROCESS, 0)}
    print(json.dumps({"id": request["id"], "metadata": found}), flush=True)
"""


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ScanWorker]:
    script = tmp_path / "worker.py"
    script.write_text(SCRIPT)
    worker = ScanWorker(LIMIT, (sys.executable, "-I", "-S", str(script)))
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
    async with asyncio.timeout(30):
        while worker.pid is not None or Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)
    assert (await worker.scan("/b", "/t"))["pid"] != pid


async def test_warming_starts_it_ahead(worker: ScanWorker) -> None:
    worker.warm()
    async with asyncio.timeout(30):
        while worker.pid is None:
            await asyncio.sleep(0.01)
    pid = worker.pid
    assert (await worker.scan("/a", "/t"))["pid"] == pid


async def test_closing_ends_what_is_under_way(worker: ScanWorker) -> None:
    job = asyncio.ensure_future(worker.scan("/hang", "/t"))
    async with asyncio.timeout(30):
        while worker.pid is None:
            await asyncio.sleep(0.01)
    pid = worker.pid
    await worker.close()
    with pytest.raises(ScanFailed):
        await job
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_long_work(worker: ScanWorker) -> None:
    told: list[float] = []
    moves, changed, found = await asyncio.gather(
        worker.follow_moves("/a"), worker.define_objects("/b", told.append), worker.scan("/c", "/t")
    )
    assert (moves, changed, found["path"], told) == ({"layer_count": 3}, True, "/c", [0.5])
    with pytest.raises(ScanFailed, match="no G-code"):
        await worker.follow_moves("/bad")


@pytest.mark.parametrize("trouble", ["hang", "crash", "garbage", "huge"])
async def test_trouble_with_long_work(worker: ScanWorker, trouble: str) -> None:
    await worker.scan("/first", "/t")
    jobs = [worker.follow_moves(f"/{trouble}"), worker.follow_moves("/a")]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(results[0], ScanFailed)
    assert results[1] == {"layer_count": 3}


async def test_long_work_that_rests_has_no_time_limit(worker: ScanWorker) -> None:
    await worker.scan("/first", "/t")
    worker._limit = 0.3
    worker.set_pace(0)
    job = asyncio.ensure_future(worker.follow_moves("/hang"))
    await asyncio.sleep(0.7)  # longer than the limit
    assert not job.done()
    worker.set_pace(1)
    with pytest.raises(ScanFailed, match="longer"):
        await job


async def test_long_work_ends_with_who_asked(worker: ScanWorker) -> None:
    worker.set_pace(0)
    job = asyncio.ensure_future(worker.follow_moves("/hang"))
    await asyncio.sleep(0)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert not worker._long


LOOPS = [
    pytest.param(asyncio.new_event_loop, id="asyncio"),
    pytest.param(pytest.importorskip("uvloop").new_event_loop, id="uvloop"),
]


def run_strictly(work: Coroutine[Any, Any, None], factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Run on a loop of this kind; whatever the loop or a task would complain of is a failure."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        await work
        gc.collect()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(watched())
    assert not complaints


@pytest.mark.parametrize("factory", LOOPS)
def test_killed_at_any_moment(
    tmp_path: Path,
    factory: Callable[[], asyncio.AbstractEventLoop],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every file gets an answer, and the next one a process that works."""
    monkeypatch.setattr(worker_module, "FRUITLESS", 10_000)
    script = tmp_path / "worker.py"
    script.write_text(SCRIPT)
    moments = random.Random(7)

    async def kill_often() -> None:
        worker = ScanWorker(30.0, (sys.executable, "-I", "-S", str(script)))
        for _ in range(60):
            jobs = [asyncio.ensure_future(worker.scan(f"/f{number}", "/t")) for number in range(moments.randrange(4))]
            worker.warm()
            for _ in range(moments.randrange(3)):
                await asyncio.sleep(moments.choice((0, 0, 0.001, 0.01, 0.02)))
                if worker.pid is not None:
                    with suppress(ProcessLookupError):
                        os.kill(worker.pid, signal.SIGKILL)
            if jobs and moments.random() < 0.3:
                jobs[0].cancel()
            jobs.append(asyncio.ensure_future(worker.scan("/last", "/t")))
            if moments.random() < 0.3:
                jobs.append(asyncio.ensure_future(worker.follow_moves("/long")))
            for result in await asyncio.gather(*jobs, return_exceptions=True):
                assert isinstance(result, (dict, ScanFailed, asyncio.CancelledError))
        assert (await worker.scan("/good", "/t"))["path"] == "/good"
        await worker.close()

    run_strictly(kill_often(), factory)
    assert "failed" not in caplog.text


@pytest.mark.parametrize("factory", LOOPS)
def test_closed_at_any_moment(tmp_path: Path, factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """No process stays behind, whether it starts, answers, retires or was killed."""
    script = tmp_path / "worker.py"
    script.write_text(SCRIPT)
    moments = random.Random(8)
    pids: set[int] = set()

    async def close_often() -> None:
        for _ in range(60):
            worker = ScanWorker(30.0, (sys.executable, "-I", "-S", str(script)))
            jobs = [asyncio.ensure_future(worker.scan(f"/f{number}", "/t")) for number in range(moments.randrange(4))]
            worker.warm()
            for _ in range(moments.randrange(4)):
                await asyncio.sleep(moments.choice((0, 0.001, 0.01)))
            if worker.pid is not None:
                pids.add(worker.pid)
                if moments.random() < 0.3:
                    os.kill(worker.pid, signal.SIGKILL)
                elif moments.random() < 0.3 and all(job.done() for job in jobs):
                    worker._retire()
                    await asyncio.sleep(moments.choice((0, 0.001)))
            await worker.close()
            for result in await asyncio.gather(*jobs, return_exceptions=True):
                assert isinstance(result, (dict, ScanFailed))
            with pytest.raises(ScanFailed, match="stops"):
                await worker.scan("/late", "/t")

    run_strictly(close_often(), factory)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


async def test_a_process_that_was_killed_while_idle_costs_no_file_its_metadata(worker: ScanWorker) -> None:
    for number in range(5):
        pid = (await worker.scan(f"/f{number}", "/t"))["pid"]
        os.kill(pid, signal.SIGKILL)
        assert (await worker.scan("/next", "/t"))["pid"] != pid


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


async def test_what_somebody_looks_at_goes_first() -> None:
    hand = Hand()
    for number in range(scans_module.AHEAD):
        hand.queue.add(f"busy{number}", Urgency.OLD)
    for path in ("old", "d/one", "d/e/deep", "d/two"):
        hand.queue.add(path, Urgency.OLD)
    hand.queue.add("new", Urgency.NEW)
    hand.queue.look("d/")
    await asyncio.sleep(0)
    for number in range(scans_module.AHEAD):
        await hand.end(f"busy{number}")
    assert hand.begun[scans_module.AHEAD :] == ["d/one", "d/two", "new"]
    await hand.end("d/one", "d/two", "new", "old", "d/e/deep")
    assert not hand.queue
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
