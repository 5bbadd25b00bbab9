"""Fixtures of the file manager's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.file_manager.rig import Rig, running


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Announcements wait for things to be quiet; the tests need not wait as long."""
    monkeypatch.setattr("moonraker_lite.components.file_manager.quiet.DELETE_SETTLE", 0.08)
    monkeypatch.setattr("moonraker_lite.components.file_manager.quiet.TREE_SETTLE", 0.08)
    monkeypatch.setattr("moonraker_lite.components.file_manager.thumbs.DISCARD_DELAY", 0.08)


@pytest.fixture
async def rig(tmp_path: Path, short_waits: None) -> AsyncIterator[Rig]:
    """A running host with the file manager, its folders empty but for moonraker.conf."""
    async with running(tmp_path / "printer_data") as rig:
        yield rig
