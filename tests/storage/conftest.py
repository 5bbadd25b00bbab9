from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moonraker_lite.storage import Database


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    """An open, empty database."""
    database = Database(tmp_path / "database" / "test.db")
    await database.open()
    yield database
    await database.close()
