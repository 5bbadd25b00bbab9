from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.transports.demo import DemoServer


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[DemoServer]:
    """The demo endpoints on a real port, with a file of 100,000 bytes."""
    file = tmp_path / "file.gcode"
    file.write_bytes(bytes(i % 251 for i in range(100_000)))
    server = DemoServer(file)
    yield server
    await server.close()
