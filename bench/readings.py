"""What Linux tells about processes: CPU time, memory, children. All by pid, nothing is sampled."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

_PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")
_CPUCLOCK_SCHED = 2  # the scheduler's own account of a process, in ns (clock_getcpuclockid(3))


def cpu_seconds(pid: int) -> float:
    """CPU time of a process with all its threads, also those that have ended; without children."""
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


def tree_cpu_seconds(pid: int) -> float:
    """CPU time of a process, its living descendants and the ones it has waited for (those in steps of 10 ms)."""
    total = 0.0
    for member in (pid, *descendants(pid)):
        try:
            fields = (_PROC / str(member) / "stat").read_text().rpartition(")")[2].split()
            total += cpu_seconds(member) + (int(fields[13]) + int(fields[14])) / _TICK
        except OSError:
            continue  # it ended just now; its parent's figure has it next time
    return total


def descendants(pid: int) -> list[int]:
    """The living children of a process and theirs."""
    found: list[int] = []
    for task in (_PROC / str(pid) / "task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def find_processes(*words: str) -> list[int]:
    """The processes whose command line has all these words in it, except this one."""
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if line and all(word in line for word in words):
                found.append(int(entry.name))
    return found


def memory_mib(pids: Sequence[int]) -> tuple[float, float]:
    """(RSS, PSS) of some processes together, MiB. PSS counts a page that n processes share as 1/n."""
    rss = pss = 0
    for pid in pids:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                rss += int(line.split()[1])
            elif line.startswith("Pss:"):
                pss += int(line.split()[1])
    return rss / 1024, pss / 1024


def reset_peak(pid: int) -> None:
    """Begin a new account of the peak RSS of a process of ours."""
    (_PROC / str(pid) / "clear_refs").write_text("5")


def peak_mib(pid: int) -> float:
    """The highest RSS of a process since `reset_peak`, MiB."""
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"process {pid} has ended")


def load() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]


def machine() -> str:
    """The machine in one line: CPU, cores, memory, system."""
    model = "unknown CPU"
    for line in (_PROC / "cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = os.uname()
    cores = os.cpu_count() or 1
    return f"{model}, {cores} cores, {memory:.0f} GiB, {system.sysname} {system.release} {system.machine}"
