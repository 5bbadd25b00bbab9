"""Fixtures of the file manager's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.file_manager.rig import Rig, running


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A running host with the file manager, its folders empty but for moonraker.conf."""
    async with running(tmp_path / "printer_data") as rig:
        yield rig
