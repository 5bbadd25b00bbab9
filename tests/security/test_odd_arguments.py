"""Every endpoint with every odd argument; `scripts/fuzz` does the same for as long as one likes."""

from __future__ import annotations

import random

import pytest

from tests.security.fuzz import Fault, Fuzzer
from tests.security.target import Target


@pytest.fixture
def fuzzer(target: Target) -> Fuzzer:
    return Fuzzer(target, random.Random(20))


def test_each_odd_value_for_each_argument(target: Target, fuzzer: Fuzzer) -> None:
    faults = []
    for way, given in fuzzer.systematic():
        try:
            fuzzer.run(way, given)
        except Fault as fault:
            faults.append(str(fault))
    fuzzer.close()
    assert faults == []
    assert sum(fuzzer.statuses.values()) > 5000
    assert fuzzer.statuses[400] > fuzzer.statuses[200], "most of it must be refused"


def test_odd_values_together(target: Target, fuzzer: Fuzzer) -> None:
    faults = []
    for _, (way, given) in zip(range(3000), fuzzer.random(), strict=False):
        try:
            fuzzer.run(way, given)
        except Fault as fault:
            faults.append(str(fault))
    fuzzer.close()
    assert faults == []
