from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from moonraker_lite.host import Host
from tests.fakes.klippy import FakeKlippy
from tests.support.api_client import ApiClient, connected

FAST = "G28\n" + "G1 X10 F6000\nG1 X20 F6000\n" * 4
SLOW = "G28\nG1 X10 F6000\n" + "G4 P1000\n" * 400


@pytest.fixture
def fake(fake: FakeKlippy) -> FakeKlippy:
    """Its gcodes are a fast file, a slow one, and one with a fault."""
    for name, content in (("fast", FAST), ("slow", SLOW), ("fault", "G28\nG1 X9999\n")):
        (fake.gcodes / f"{name}.gcode").write_text(content)
    return fake


@pytest.fixture
async def client(ready_host: Host) -> AsyncIterator[ApiClient]:
    """Hears every notification of a host with a printer."""
    async with connected(ready_host.port) as client:
        yield client
