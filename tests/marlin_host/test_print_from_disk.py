"""Files and disks that misbehave while they are printed."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from moonraker_lite.marlin import recorder
from moonraker_lite.marlin.gcode.reader import GcodeFile
from tests.marlin_host.conftest import Rig


def lines_of(number: int) -> list[str]:
    return [f"G1 X{index % 200} Y{index % 100} E0.1" for index in range(number)]


async def begin(rig: Rig, lines: list[str]) -> int:
    client = await rig.ready_client()
    rig.write("a.gcode", *lines)
    mark = len(rig.line.sent)
    rig.line.hold = True
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: bool(rig.line.waiting()))
    return mark


def flow(rig: Rig) -> None:
    rig.line.hold = False
    rig.line._run()


async def test_a_file_that_is_deleted_is_printed_to_its_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GcodeFile.__init__, "__defaults__", (0, 1000))
    lines = lines_of(500)
    mark = await begin(rig, lines)
    (rig.gcodes / "a.gcode").unlink()
    flow(rig)
    assert await rig.job_ends() == "complete"
    assert rig.line.sent[mark:] == lines


async def test_what_is_appended_is_printed_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GcodeFile.__init__, "__defaults__", (0, 1000))
    lines = lines_of(500)
    mark = await begin(rig, lines)
    with (rig.gcodes / "a.gcode").open("a") as file:
        file.write("G1 X7\n")
    flow(rig)
    assert await rig.job_ends() == "complete"
    assert rig.line.sent[mark:] == [*lines, "G1 X7"]
    assert rig.printer.job.progress == 1.0


async def test_a_disk_that_stalls_is_bridged_by_what_was_read_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.gcode"
    path.write_text("".join(f"{line}\n" for line in lines_of(1000)))
    stalled, go_on = threading.Event(), threading.Event()
    plain = os.pread

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        if offset >= 4000:
            stalled.set()
            go_on.wait(60)
        return plain(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    with GcodeFile(path, chunk=2000) as file:
        first = await file.lines()
        await file.lines()
        async with asyncio.timeout(60):
            while not stalled.is_set():
                await asyncio.sleep(0.005)
        # The disk hangs, and what it gave before has been handed out meanwhile.
        third = asyncio.create_task(file.lines())
        await asyncio.sleep(0.05)
        assert not third.done()
        go_on.set()
        assert await third
    assert len(first) > 50


async def test_a_checkpoint_that_hangs_on_the_disk_does_not_hold_the_print(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An SD card may take seconds for an fsync."""
    monkeypatch.setattr(recorder, "INTERVAL", 0.01)
    hanging, go_on = threading.Event(), threading.Event()

    def fsync(descriptor: int) -> None:
        hanging.set()
        go_on.wait(60)

    monkeypatch.setattr(os, "fsync", fsync)
    try:
        lines = lines_of(3000)
        mark = await begin(rig, lines)
        await rig.wait_until(hanging.is_set)
        flow(rig)
        await rig.wait_until(lambda: rig.printer.job.stats.state.value == "complete")
        assert rig.line.sent[mark:] == lines
    finally:
        go_on.set()
    await rig.job_ends()


async def test_the_record_is_of_the_very_line_that_is_acknowledged(rig: Rig) -> None:
    lines = ["G90", "M82", "G1 X10 Y5 Z0.2 E1 F1200", "G91", "G1 X1 E2", *lines_of(40)]
    await begin(rig, lines)
    rig.line.acknowledge(3)
    await rig.wait_until(lambda: rig.printer.job.position == sum(len(line) + 1 for line in lines[:3]))
    record = rig.printer.job._recorder.checkpoint()
    assert (record.line, record.x, record.y, record.z, record.e, record.speed) == (3, 10.0, 5.0, 0.2, 1.0, 1200.0)
    flow(rig)
    await rig.job_ends()
