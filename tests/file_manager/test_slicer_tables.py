"""The owner's slicer tables: read by the scanner, part of what records depend on, warned of when broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.components.file_manager.slicer_tables import version_of
from moonraker_lite.gcode_metadata.model import SCANNER_VERSION
from tests.file_manager.rig import Rig, running

TABLE = """\
name = "Home Slicer"
marks = ['sliced at home ([\\d.]+)']
[fields]
filament_total = {{ key = "{key}", as = "length" }}
"""
FILE = "; sliced at home 1.2\n; spaghetti = 12 mm\n; noodles = 34 mm\nG28\nG1 X1 Y1 E1\n"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonraker_lite.components.file_manager.slicer_tables.SETTLE", 0.02)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def known(rig: Rig, field: str = "filament_total") -> Any:
    record = rig.library.book.get("a.gcode")
    return record.fields().get(field) if record is not None else None


def warnings(rig: Rig) -> list[str]:
    return [text for text in rig.files._facts.warnings if "slicer table" in text]


async def test_tables_that_come_change_and_go(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.upload("a.gcode", FILE)
        assert known(rig, "slicer") == "Unknown"
        table = rig.put(rig.config("slicers.d", "home.toml"), TABLE.format(key="spaghetti"))
        await until(lambda: known(rig) == 12)
        assert known(rig, "slicer") == "Home Slicer"
        table.write_text(TABLE.format(key="noodles"))
        await until(lambda: known(rig) == 34)
        broken = rig.put(rig.config("slicers.d", "broken.toml"), "name = 7\n")
        await until(lambda: len(warnings(rig)) == 1)
        assert "slicers.d/broken.toml: " in warnings(rig)[0]
        broken.unlink()
        await until(lambda: not warnings(rig))
        table.unlink()
        await until(lambda: known(rig, "slicer") == "Unknown")


async def test_tables_that_were_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "config" / "slicers.d"
    folder.mkdir(parents=True)
    (folder / "home.toml").write_text(TABLE.format(key="spaghetti"))
    (folder / "broken.toml").write_text("[[[")
    async with running(tmp_path) as rig:
        await until(lambda: len(warnings(rig)) == 1)
        await rig.upload("a.gcode", FILE)
        assert known(rig) == 12
    (folder / "home.toml").write_text(TABLE.format(key="noodles"))
    async with running(tmp_path) as rig:
        answer = await rig.call("server.files.metadata", filename="a.gcode")
        assert answer["filament_total"] in (12, 34)  # the old one is served until the new one is there
        await until(lambda: known(rig) == 34)
    async with running(tmp_path) as rig:
        record = rig.library.book.get("a.gcode")
        assert record is not None
        assert not record.stale
        assert not rig.library.scanning.under_way("a.gcode")


def test_the_version_is_that_of_all_tables(tmp_path: Path) -> None:
    assert version_of(tmp_path / "nothing") == SCANNER_VERSION
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.toml").write_text("x")
    assert version_of(tmp_path) == SCANNER_VERSION
    seen = {SCANNER_VERSION}
    for name, text in (("a.toml", ""), ("a.toml", "b"), ("b.toml", "b"), ("b.toml", "c")):
        (tmp_path / name).write_text(text)
        seen.add(version_of(tmp_path))
    (tmp_path / "a.toml").unlink()
    seen.add(version_of(tmp_path))
    assert len(seen) == 6
    assert all(0 < version < 2**63 for version in seen)
