"""How much is known of a file: what clients are told, and the passes over the moves that complete it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.components.file_manager.background import Background
from moonraker_lite.components.file_manager.changes import Place
from moonraker_lite.components.file_manager.scans import ScanQueue, Urgency
from moonraker_lite.components.file_manager.worker import NotScanned, ScanFailed
from tests.file_manager.rig import GCODE, Rig, running

PRINT = "G28\nM83\nG1 Z0.2\nG1 X10 Y10\nG1 X20 Y10 E1\nG1 X20 Y20 E1\nG1 Z0.4\nG1 X10 Y10 E1\n"


@pytest.fixture
async def rig(tmp_path: Path, short_waits: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """With the analysis of moves, at once."""
    monkeypatch.setattr("moonraker_lite.components.file_manager.background.SETTLE", 0.02)
    async with running(tmp_path / "printer_data", "") as rig:
        yield rig


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def updates(rig: Rig) -> list[dict[str, Any]]:
    return [notice["params"][0] for notice in rig.notices if notice["method"] == "notify_metadata_update"]


async def state(rig: Rig, name: str) -> str:
    answer: dict[str, Any] = await rig.call("server.files.metadata", filename=name)
    return str(answer["metadata_state"])


class Held:
    """Keeps the scanner's process from answering until it may; what is asked of it is noted."""

    def __init__(self, rig: Rig, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        worker = rig.library.scanning._worker
        self.asked: list[str] = []
        self.failure: Exception | None = None
        self.go = asyncio.Event()
        real = getattr(worker, method)

        async def held(path: str, *rest: Any) -> Any:
            self.asked.append(Path(path).name)
            await self.go.wait()
            if self.failure is not None:
                raise self.failure
            return await real(path, *rest)

        monkeypatch.setattr(worker, method, held)


async def test_what_a_file_does_not_state_is_computed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(rig, monkeypatch, "follow_moves")
    assert (await rig.upload("a.gcode", PRINT)).status == 201
    assert await state(rig, "a.gcode") == "partial"
    listing = await rig.call("server.files.get_directory", path="gcodes", extended=True)
    assert listing["files"][0]["metadata_state"] == "partial"
    await until(lambda: held.asked == ["a.gcode"])
    held.go.set()
    await until(lambda: bool(updates(rig)))
    [told] = updates(rig)
    answer = await rig.call("server.files.metadata", filename="a.gcode")
    assert told == answer
    assert answer["metadata_state"] == "complete"
    assert answer["bounding_box"] == {"min_x": 10, "min_y": 10, "max_x": 20, "max_y": 20}
    assert (answer["layer_count"], answer["filament_total"]) == (2, 3)
    assert {"bounding_box", "filament_total", "layer_count"} <= set(answer["computed"])
    listing = await rig.call("server.files.get_directory", path="gcodes", extended=True)
    assert listing["files"][0]["metadata_state"] == "complete"
    assert list(answer)[-3:] == ["print_start_time", "job_id", "filename"]


async def test_files_that_are_not_scanned_yet(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonraker_lite.components.file_manager.metadata_api.PATIENCE", 0.05)
    held = Held(rig, monkeypatch, "scan")
    rig.put(rig.gcodes("a.gcode"))
    rig.put(rig.gcodes("notes.txt"))
    rig.put(rig.gcodes("empty.gcode"), "")
    await until(lambda: held.asked == ["a.gcode"])
    assert await rig.refused("server.files.metadata", filename="a.gcode") == (
        404,
        "Metadata not available for <a.gcode>: the file is being scanned",
    )
    await until(lambda: len(rig.library.index.roots["gcodes"].entries) == 3)
    await rig.library.settle()
    listing = await rig.call("server.files.get_directory", path="gcodes", extended=True)
    states = {file["filename"]: file.get("metadata_state") for file in listing["files"]}
    assert states == {"a.gcode": "scanning", "notes.txt": None, "empty.gcode": None}
    held.failure = ScanFailed("it is broken")
    held.go.set()
    await until(lambda: any("a.gcode" in str(notice) for notice in rig.notices))
    assert await rig.refused("server.files.metadata", filename="a.gcode") == (
        404,
        "Metadata not available for <a.gcode>: it is broken",
    )
    listing = await rig.call("server.files.get_directory", path="gcodes", extended=True)
    row = next(file for file in listing["files"] if file["filename"] == "a.gcode")
    assert (row["metadata_state"], row["metadata_error"]) == ("failed", "it is broken")
    assert (await rig.refused("server.files.metascan", filename="a.gcode"))[0] == 400


async def test_a_file_that_changes_is_being_scanned_and_keeps_nothing_false(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonraker_lite.components.file_manager.metadata_api.PATIENCE", 0.05)
    await rig.upload("a.gcode", GCODE)
    await rig.told()
    held = Held(rig, monkeypatch, "scan")
    rig.put(rig.gcodes("a.gcode"), GCODE + "; more\n")
    await until(lambda: held.asked == ["a.gcode"])
    assert await state(rig, "a.gcode") == "scanning"
    listing = await rig.call("server.files.get_directory", path="gcodes", extended=True)
    row = next(file for file in listing["files"] if file["filename"] == "a.gcode")
    assert row["metadata_state"] == "scanning"
    held.failure = ScanFailed("no more")
    held.go.set()
    await until(lambda: "a.gcode" not in rig.library.book)
    assert "no more" in (await rig.refused("server.files.metadata", filename="a.gcode"))[1]


async def test_files_that_were_there_and_fail_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    (data / "gcodes").mkdir(parents=True)
    (data / "gcodes" / "a.gcode").write_text(GCODE)

    async def fail(*args: Any) -> Any:
        await asyncio.sleep(0.2)
        raise ScanFailed("cannot be read")

    monkeypatch.setattr("moonraker_lite.components.file_manager.worker.ScanWorker.scan", fail)
    async with running(data) as rig:
        await until(lambda: bool(updates(rig)))
        [told] = updates(rig)
        assert (told["filename"], told["metadata_state"], told["metadata_error"]) == (
            "a.gcode",
            "failed",
            "cannot be read",
        )


async def test_what_is_no_fault_of_the_file_is_tried_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonraker_lite.components.file_manager.scanning.RETRY_SECONDS", 0.05)
    held = Held(rig, monkeypatch, "scan")
    held.failure = NotScanned("the scanner rests")
    held.go.set()
    rig.put(rig.gcodes("a.gcode"))
    await until(lambda: len(held.asked) > 1)
    held.failure = None
    await until(lambda: "a.gcode" in rig.library.book)


async def test_partial_records_outlive_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonraker_lite.components.file_manager.background.SETTLE", 60.0)
    async with running(tmp_path, "") as rig:
        await rig.upload("a.gcode", PRINT)
        await rig.upload("b.gcode", PRINT)
    scans: list[str] = []

    def note(queue: ScanQueue, path: str, urgency: Urgency) -> None:
        scans.append(path)

    monkeypatch.setattr(ScanQueue, "add", note)
    monkeypatch.setattr("moonraker_lite.components.file_manager.background.SETTLE", 0.0)
    async with running(tmp_path, "") as rig:
        await until(lambda: len(updates(rig)) == 2)
        assert await state(rig, "a.gcode") == "complete"
    assert scans == []
    async with running(tmp_path, "") as rig:
        await asyncio.sleep(0.1)
        assert updates(rig) == []
        assert rig.library.scanning._worker.pid is None  # there is nothing to do


async def test_without_the_analysis_what_is_stated_is_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonraker_lite.components.file_manager.background.SETTLE", 60.0)
    async with running(tmp_path, "") as rig:
        await rig.upload("a.gcode", PRINT)
        assert await state(rig, "a.gcode") == "partial"
    async with running(tmp_path) as rig:
        async with asyncio.timeout(30):
            while await state(rig, "a.gcode") != "complete":
                await asyncio.sleep(0.01)
        await rig.upload("b.gcode", PRINT)
        assert await state(rig, "b.gcode") == "complete"


async def test_a_file_that_goes_or_moves_during_its_pass(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(rig, monkeypatch, "follow_moves")
    for name in ("a.gcode", "b.gcode", "c.gcode"):
        await rig.upload(name, PRINT)
    await until(lambda: held.asked == ["a.gcode"])
    await rig.call("server.files.delete_file", path="gcodes/a.gcode")
    await until(lambda: held.asked[-1] == "b.gcode")
    await rig.call("server.files.move", source="gcodes/b.gcode", dest="gcodes/moved.gcode")
    await until(lambda: held.asked[-1] == "c.gcode")
    rig.put(rig.gcodes("c.gcode"), PRINT * 2)
    await until(lambda: rig.library.book.get("c.gcode") is not None)
    held.go.set()
    await until(lambda: {told["filename"] for told in updates(rig)} >= {"moved.gcode", "c.gcode"})
    assert (await rig.call("server.files.metadata", filename="c.gcode"))["filament_total"] == 6
    assert rig.library.scanning._worker._long == {}


async def test_a_folder_takes_its_records_along(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("d/a.gcode", "d/e/b.gcode"):
        rig.put(rig.gcodes(name), PRINT)
    await until(lambda: len(updates(rig)) == 2 or all(
        (record := rig.library.book.get(name)) is not None and b'"computed"' in record.data
        for name in ("d/a.gcode", "d/e/b.gcode")
    ))  # fmt: skip
    scan, follow = Held(rig, monkeypatch, "scan"), Held(rig, monkeypatch, "follow_moves")
    await rig.call("server.files.copy", source="gcodes/d", dest="gcodes/copy")
    await rig.call("server.files.move", source="gcodes/d", dest="gcodes/moved")
    os.rename(rig.gcodes("moved"), rig.gcodes("outside"))
    await rig.told(0.3)
    for name in ("copy/a.gcode", "copy/e/b.gcode", "outside/a.gcode", "outside/e/b.gcode"):
        assert await state(rig, name) == "complete"
    assert (scan.asked, follow.asked) == ([], [])


async def test_a_folder_takes_along_what_is_not_known(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(rig, monkeypatch, "scan")
    held.failure = ScanFailed("it is broken")
    held.go.set()
    rig.put(rig.gcodes("d", "a.gcode"))
    await until(lambda: held.asked == ["a.gcode"])
    await until(lambda: rig.library.scanning.state(Place("gcodes", "d/a.gcode")) is not None)
    await until(lambda: not rig.library.scanning.under_way("d/a.gcode"))
    await rig.told(0.3)
    await rig.call("server.files.move", source="gcodes/d", dest="gcodes/e")
    listing = await rig.call("server.files.get_directory", path="gcodes/e", extended=True)
    assert [file["metadata_state"] for file in listing["files"]] == ["failed"]
    held.go.clear()
    held.failure = None
    rig.put(rig.gcodes("e", "a.gcode"), GCODE + "; other\n")
    await until(lambda: len(held.asked) == 2)
    rig.put(rig.gcodes("e", "b.gcode"))
    await rig.call("server.files.move", source="gcodes/e", dest="gcodes/f")
    held.go.set()
    await until(lambda: {"f/a.gcode", "f/b.gcode"} <= set(rig.library.book.paths()))


async def test_another_file_of_the_same_size_and_time(rig: Rig) -> None:
    await rig.upload("a.gcode", GCODE)
    found = rig.gcodes("a.gcode").stat()
    other = rig.data / "other"
    other.write_text(GCODE.replace("PrusaSlicer 2.7.4", "PrusaSlicer 2.9.9"))
    os.utime(other, ns=(found.st_mtime_ns, found.st_mtime_ns))
    assert other.stat().st_size == found.st_size
    os.replace(other, rig.gcodes("a.gcode"))

    def version() -> object:
        record = rig.library.book.get("a.gcode")
        return record.fields()["slicer_version"] if record is not None else None

    await until(lambda: version() == "2.9.9")


async def test_the_printer_comes_first(rig: Rig) -> None:
    worker = rig.library.scanning._worker
    assert worker._pace == 1.0
    rig.print_file(rig.gcodes("a.gcode"))
    assert worker._pace == 0.1
    rig.library.passes.busy("uploads", is_so=True)
    rig.print_file(None)
    assert worker._pace == 0.1
    rig.library.passes.busy("uploads", is_so=False)
    assert worker._pace == 1.0


async def test_a_newer_scanner_refreshes_quietly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    async with running(data) as rig:
        await rig.upload("a.gcode", GCODE)
        uuid = (await rig.call("server.files.metadata", filename="a.gcode"))["uuid"]
    monkeypatch.setattr("moonraker_lite.components.file_manager.library.SCANNER_VERSION", 1_000_000)
    async with running(data) as rig:
        held = Held(rig, monkeypatch, "scan")
        rig.library.scanning.begin()
        answer = await rig.call("server.files.metadata", filename="a.gcode")
        assert (answer["uuid"], answer["metadata_state"]) == (uuid, "complete")
        held.go.set()
        await until(lambda: (record := rig.library.book.get("a.gcode")) is not None and not record.stale)
        answer = await rig.call("server.files.metadata", filename="a.gcode")
        assert answer["uuid"] == uuid
        assert updates(rig) == []


async def test_background_work_is_done_in_turn() -> None:
    done: list[str] = []
    more = asyncio.Event()

    async def work(path: str) -> None:
        done.append(path)
        await asyncio.sleep(0.01)

    background = Background(work, more.set)
    for name in ("a", "b", "c", "a"):
        background.add(name)
    background.add("c", urgent=True)
    background.drop("b")
    assert "a" in background
    assert "b" not in background
    await until(lambda: len(done) == 2)
    assert done == ["c", "a"]
    await background.close()
    assert json.dumps(done)
