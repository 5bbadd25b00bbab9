from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.daemon import Daemon

VIRTUAL = "[printer]\ntype: virtual\nvirtual_speed: 0\n"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon on the virtual printer, as fast as the line allows; not started yet."""
    made = Daemon(tmp_path / "data", VIRTUAL)
    yield made
    made.stop()
