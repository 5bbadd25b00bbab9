"""One look per second at how busy the machine and this process are. Shapes and units are Moonraker's."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from moonraker_lite.components.machine.kernel import ROOT, names_in, number_of, text_of

_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
TOO_SHORT = 0.1  # seconds between two looks in which a rate would mean nothing
_COUNTERS = ((0, "rx_bytes"), (8, "tx_bytes"), (1, "rx_packets"), (9, "tx_packets"), (2, "rx_errs"), (10, "tx_errs"))
_CPU_ZONES = ("cpu", "soc", "x86_pkg_temp", "k10temp")


class ProcessUsage(msgspec.Struct, frozen=True):
    """This process: `time` Unix seconds, `cpu_usage` per cent of one core, `memory` resident, in kB."""

    time: float
    cpu_usage: float
    memory: int
    mem_units: str = "kB"


class Traffic(msgspec.Struct, frozen=True):
    """Counters of a network interface since its start; `bandwidth` is bytes per second, both ways."""

    rx_bytes: int
    tx_bytes: int
    rx_packets: int
    tx_packets: int
    rx_errs: int
    tx_errs: int
    rx_drop: int
    tx_drop: int
    bandwidth: float


class MemoryUsage(msgspec.Struct, frozen=True):
    """In kB."""

    total: int
    available: int
    used: int


class Sample(msgspec.Struct, frozen=True):
    """What one look has found. `system_cpu_usage` is per cent for `cpu` (all) and `cpu0`...; `cpu_temp` is °C."""

    moonraker_stats: ProcessUsage
    cpu_temp: float | None
    network: dict[str, Traffic]
    system_cpu_usage: dict[str, float]
    system_memory: MemoryUsage


def parse_cpu_times(stat: str) -> dict[str, tuple[int, int]]:
    """Read /proc/stat: name -> (busy, total) in ticks."""
    times: dict[str, tuple[int, int]] = {}
    for line in stat.splitlines():
        if not line.startswith("cpu"):
            break
        name, *fields = line.split()
        try:
            # user nice system idle iowait irq softirq steal; guest times are part of user already
            ticks = [int(field) for field in fields[:8]]
        except ValueError:
            continue
        if len(ticks) >= 4:
            total = sum(ticks)
            times[name] = (total - ticks[3] - (ticks[4] if len(ticks) > 4 else 0), total)
    return times


def cpu_usage(before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]]) -> dict[str, float]:
    """Per cent between two readings; a core that was not there before is left out."""
    usage = {}
    for name, (busy, total) in now.items():
        if name in before:
            spent = total - before[name][1]
            share = 100 * (busy - before[name][0]) / spent if spent > 0 else 0.0
            usage[name] = round(min(max(share, 0.0), 100.0), 2)
    return usage


def parse_memory(meminfo: str) -> MemoryUsage:
    """Read /proc/meminfo."""
    found: dict[str, int] = {}
    for line in meminfo.splitlines()[:6]:
        name, _, rest = line.partition(":")
        digits = rest.split()
        if digits and digits[0].isdigit():
            found[name] = int(digits[0])
    total, available = found.get("MemTotal", 0), found.get("MemAvailable", found.get("MemFree", 0))
    return MemoryUsage(total, available, max(total - available, 0))


def parse_traffic(dev: str, before: dict[str, Traffic], seconds: float) -> dict[str, Traffic]:
    """Read /proc/net/dev; `before` is the last reading, `seconds` ago."""
    found: dict[str, Traffic] = {}
    for line in dev.splitlines()[2:]:
        name, _, rest = line.partition(":")
        name = name.strip()
        try:
            fields = [int(field) for field in rest.split()]
        except ValueError:
            continue
        if len(fields) < 12:
            continue
        counters = {key: fields[at] for at, key in _COUNTERS}
        last = before.get(name)
        moved = counters["rx_bytes"] + counters["tx_bytes"] - (last.rx_bytes + last.tx_bytes if last else 0)
        bandwidth = round(max(moved, 0) / seconds, 2) if last and seconds > 0 else 0.0
        found[name] = Traffic(**counters, rx_drop=fields[3], tx_drop=fields[11], bandwidth=bandwidth)
    return found


def find_thermometer(root: Path = ROOT) -> Path | None:
    """The file with the processor's temperature in thousandths of a degree; the first zone when none says it is one."""
    zones = [root / "sys/class/thermal" / name for name in names_in(root / "sys/class/thermal")]
    zones = [zone for zone in zones if zone.name.startswith("thermal_zone")]
    for zone in zones:
        if any(word in text_of(zone / "type").lower() for word in _CPU_ZONES):
            return zone / "temp"
    return zones[0] / "temp" if zones else None


class Sampler:
    """Keeps the last readings, from which the next look makes rates. One look costs some 0.2 ms of a PC's time."""

    def __init__(self, root: Path = ROOT) -> None:
        self._stat = root / "proc/stat"
        self._meminfo = root / "proc/meminfo"
        self._dev = root / "proc/net/dev"
        self._statm = root / "proc/self/statm"
        self._thermometer = find_thermometer(root)
        self._cpu = parse_cpu_times(text_of(self._stat))
        self._traffic: dict[str, Traffic] = parse_traffic(text_of(self._dev), {}, 0.0)
        self._process = time.process_time()
        self._when = time.monotonic()

    def look(self) -> Sample:
        """Read everything once."""
        now, process = time.monotonic(), time.process_time()
        seconds = now - self._when
        cpu = parse_cpu_times(text_of(self._stat))
        usage = cpu_usage(self._cpu, cpu)
        share = 100 * (process - self._process) / seconds if seconds else 0.0
        if seconds < TOO_SHORT:
            seconds, share, usage = 0.0, 0.0, dict.fromkeys(usage, 0.0)
        traffic = parse_traffic(text_of(self._dev), self._traffic, seconds)
        self._when, self._process, self._cpu, self._traffic = now, process, cpu, traffic
        return Sample(
            moonraker_stats=ProcessUsage(time.time(), round(share, 2), self._memory()),
            cpu_temp=self._temperature(),
            network=traffic,
            system_cpu_usage=usage,
            system_memory=parse_memory(text_of(self._meminfo)),
        )

    def _memory(self) -> int:
        fields = text_of(self._statm).split()
        return int(fields[1]) * _PAGE_KB if len(fields) > 1 and fields[1].isdigit() else 0

    def _temperature(self) -> float | None:
        if self._thermometer is None:
            return None
        thousandths = number_of(self._thermometer)
        return None if thousandths is None else thousandths / 1000
