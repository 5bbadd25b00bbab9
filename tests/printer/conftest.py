from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from moonraker_lite.host import Host
from tests.support.api_client import ApiClient, connected


@pytest.fixture
async def client(ready_host: Host) -> AsyncIterator[ApiClient]:
    """Hears every notification of a host with a printer."""
    async with connected(ready_host.port) as client:
        yield client
