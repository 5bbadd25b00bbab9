"""Every endpoint with every odd argument; `scripts/fuzz` does the same for as long as one likes."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.security.conftest import unharmed
from tests.security.fuzz import Fault, Fuzzer
from tests.security.target import VIRTUAL, Target


@pytest.fixture(scope="module")
def own_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server of its own: some of these calls are right, and remove or replace what other tests count on."""
    made = Target(tmp_path_factory.mktemp("fuzzed"), VIRTUAL)
    yield made.start()
    made.stop()


@pytest.fixture
def fuzzer(own_target: Target) -> Iterator[Fuzzer]:
    for target in unharmed(own_target):
        made = Fuzzer(target, random.Random(20))
        yield made
        made.close()


def test_each_odd_value_for_each_argument(fuzzer: Fuzzer) -> None:
    faults = []
    for way, given in fuzzer.systematic():
        try:
            fuzzer.run(way, given)
        except Fault as fault:
            faults.append(str(fault))
    assert faults == []
    assert sum(fuzzer.statuses.values()) > 5000
    assert fuzzer.statuses[400] > fuzzer.statuses[200], "most of it must be refused"


def test_odd_values_together(fuzzer: Fuzzer) -> None:
    faults = []
    for _, (way, given) in zip(range(3000), fuzzer.random(), strict=False):
        try:
            fuzzer.run(way, given)
        except Fault as fault:
            faults.append(str(fault))
    assert faults == []
