from __future__ import annotations

import pytest

from moonraker_lite.klippy import client


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds beside a real Klipper takes some hundredths beside the fake one."""
    monkeypatch.setattr(client, "STARTUP_POLL", 0.02)
    monkeypatch.setattr(client, "RETRY_MIN", 0.02)
