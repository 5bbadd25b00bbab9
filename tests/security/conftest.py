"""Two servers for all these tests, and after each test the question whether they are unharmed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.security.target import LOCKED, VIRTUAL, Target

_FAULTS = ("Traceback", "internal error", "Internal error", "never retrieved", "was never awaited")


@pytest.fixture(scope="session")
def shared_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    made = Target(tmp_path_factory.mktemp("attacked"), VIRTUAL)
    yield made.start()
    made.stop()


@pytest.fixture(scope="session")
def shared_locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    made = Target(tmp_path_factory.mktemp("locked"), VIRTUAL + LOCKED)
    yield made.start()
    made.stop()


@pytest.fixture
def target(shared_target: Target) -> Iterator[Target]:
    """A server on the virtual printer that trusts the local machine."""
    yield from unharmed(shared_target)


@pytest.fixture
def locked(shared_locked: Target) -> Iterator[Target]:
    """A server that trusts nobody without a credential."""
    yield from unharmed(shared_locked)


def unharmed(server: Target) -> Iterator[Target]:
    """Whatever a test does: the server lives, answers, has left nothing half done, and its log shows no fault."""
    before = server.log_sizes()
    yield server
    assert server.alive
    assert server.request("GET", "/server/info", headers=server.credential).status == 200
    end = time.monotonic() + 60  # the last call may have restarted the printer
    while server.request("GET", "/printer/info", headers=server.credential).status != 200:
        assert time.monotonic() < end
        time.sleep(0.1)
    news = server.log_since(before)
    assert not [line for line in news.split("\n") if any(fault in line for fault in _FAULTS)], news
    assert server.key not in server.log
    end = time.monotonic() + 30  # the end of the last client may not have been noticed yet
    while (left := list(server.gcodes.rglob(".upload-*.part"))) and time.monotonic() < end:
        time.sleep(0.05)
    assert left == []
