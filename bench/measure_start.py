"""Start-up time, and memory after the start."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from bench.goals import MOONRAKER, OURS
from bench.readings import memory_mib
from bench.report import Report
from bench.servers import Server, running
from bench.subjects import FEATURES, VIRTUAL, Subject

SETTLE_SECONDS = 3.0


def measure_start(report: Report, servers: Sequence[Server], rounds: int, suffix: str = "") -> None:
    """Start each in turn, several times; the first time (new database, cold cache) is not counted. Leaves them up."""
    for number in range(rounds + 1):
        for server in servers:
            server.stop()
            seconds = server.start()
            if number:
                report.add(f"start{suffix}", server.name, seconds)
            server.wait_ready()
            if number < rounds:
                server.stop()  # so that the other one starts on an idle machine


def measure_memory(report: Report, servers: Sequence[Server], suffix: str = "") -> None:
    """Memory a while after the printer was ready, before any load."""
    time.sleep(SETTLE_SECONDS)
    for server in servers:
        rss, pss = memory_mib([server.pid])
        report.add(f"rss{suffix}", server.name, rss)
        report.add(f"pss{suffix}", server.name, pss)
        if server.name == MOONRAKER:
            report.add(f"rss_marlin{suffix}", server.name, rss)
            report.add(f"pss_marlin{suffix}", server.name, pss)


def measure_with_features(report: Report, subjects: Sequence[Subject], rig: Path, rounds: int) -> None:
    """The same with the larger configuration."""
    with contextlib.ExitStack() as stack:
        more = [subject.with_config(FEATURES) for subject in subjects]
        servers = [stack.enter_context(running(subject, rig / subject.name)) for subject in more]
        measure_start(report, servers, rounds, "_full")
        measure_memory(report, servers, "_full")


def measure_with_marlin(report: Report, subject: Subject, rig: Path) -> None:
    """Memory of our host together with its Marlin process (and the virtual printer in it), by both configurations."""
    for suffix, more in (("", VIRTUAL), ("_full", FEATURES + VIRTUAL)):
        with running(subject.with_config(more), rig / f"virtual{suffix}", klipper=False) as server:
            server.start()
            server.wait_ready()
            time.sleep(SETTLE_SECONDS)
            pids = server.pids()
            if len(pids) < 2:
                raise OSError("no Marlin process was found beside the host")
            rss, pss = memory_mib(pids)
            report.add(f"rss_marlin{suffix}", OURS, rss)
            report.add(f"pss_marlin{suffix}", OURS, pss)
