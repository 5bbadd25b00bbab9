"""Readers of /proc: what one look finds, with real and invented texts."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.components.machine.samples import (
    Sampler,
    Traffic,
    cpu_usage,
    find_thermometer,
    parse_cpu_times,
    parse_memory,
    parse_traffic,
)

STAT = """cpu  100 0 50 800 50 0 0 0 0 0
cpu0 50 0 25 400 25 0 0 0 0 0
cpu1 50 0 25 400 25 0 0 0 0 0
intr 12345 1 2 3
"""
DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    1000      10    1    2    0     0          0         0     2000      20    3    4    0     0       0          0
  eth0:       5       1    0    0    0     0          0         0        6       1    0    0    0     0       0          0
"""  # noqa: E501 - the kernel's own text


def test_cpu_times() -> None:
    assert parse_cpu_times(STAT) == {"cpu": (150, 1000), "cpu0": (75, 500), "cpu1": (75, 500)}


def test_cpu_usage_is_what_was_spent_between_two_looks() -> None:
    before = {"cpu": (100, 1000), "cpu0": (100, 1000), "cpu2": (5, 5)}
    now = {"cpu": (150, 1200), "cpu0": (100, 1000), "cpu1": (7, 9)}
    assert cpu_usage(before, now) == {"cpu": 25.0, "cpu0": 0.0}


def test_memory() -> None:
    usage = parse_memory("MemTotal:  1000 kB\nMemFree:  200 kB\nMemAvailable:  700 kB\n")
    assert (usage.total, usage.available, usage.used) == (1000, 700, 300)
    assert parse_memory("MemTotal: 1000 kB\nMemFree: 200 kB\n").available == 200


def test_traffic() -> None:
    first = parse_traffic(DEV, {}, 0.0)
    assert first["lo"] == Traffic(1000, 2000, 10, 20, 1, 3, 2, 4, 0.0)
    later = parse_traffic(DEV.replace("1000 ", "3000 "), first, 2.0)
    assert later["lo"].bandwidth == 1000.0
    assert later["eth0"].bandwidth == 0.0
    reset = parse_traffic(DEV.replace("1000 ", "   0 "), first, 2.0)
    assert reset["lo"].bandwidth == 0.0


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    parse_memory(text)
    usage = cpu_usage(parse_cpu_times(text), parse_cpu_times(STAT))
    assert all(0 <= value <= 100 for value in usage.values())
    parse_traffic(text, {}, 1.0)


def test_a_look_at_this_machine() -> None:
    sampler = Sampler()
    end = time.monotonic() + 0.12
    while time.monotonic() < end:
        pass
    sample = sampler.look()
    assert sample.system_memory.total > sample.system_memory.used > 0
    assert sample.moonraker_stats.memory > 5000
    assert sample.moonraker_stats.cpu_usage > 10
    assert abs(sample.moonraker_stats.time - time.time()) < 5
    assert len(sample.system_cpu_usage) >= 2
    assert "lo" in sample.network


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    sample = Sampler(tmp_path).look()
    assert sample.cpu_temp is None
    assert sample.network == {}
    assert sample.system_cpu_usage == {}
    assert sample.system_memory.total == 0


@pytest.mark.parametrize(
    ("zones", "chosen"),
    [
        ([], None),
        (["acpitz", "x86_pkg_temp"], 1),
        (["iwlwifi_1", "other"], 0),
        (["cpu-thermal"], 0),
        (["gpu", "soc_thermal"], 1),
    ],
)
def test_the_thermometer_of_the_processor(tmp_path: Path, zones: list[str], chosen: int | None) -> None:
    for number, kind in enumerate(zones):
        zone = tmp_path / "sys/class/thermal" / f"thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "type").write_text(kind + "\n")
        (zone / "temp").write_text(f"{40000 + number}\n")
    found = find_thermometer(tmp_path)
    assert (None if found is None else found.parent.name) == (None if chosen is None else f"thermal_zone{chosen}")
    expected = None if chosen is None else (40000 + chosen) / 1000
    assert Sampler(tmp_path).look().cpu_temp == expected


def test_a_look_leaves_no_file_open() -> None:
    sampler = Sampler()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        sampler.look()
    assert len(os.listdir("/proc/self/fd")) == before
