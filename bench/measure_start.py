"""Start-up time, and memory after the start."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from bench.goals import MOONRAKER, OURS
from bench.readings import memory_mib
from bench.report import Report
from bench.servers import Server, ours_with_virtual_printer, running

SETTLE_SECONDS = 3.0


def measure_start(report: Report, servers: Sequence[Server], rounds: int) -> None:
    """Start each in turn, several times; the first time (new database, cold cache) is not counted. Leaves them up."""
    for number in range(rounds + 1):
        for server in servers:
            server.stop()
            seconds = server.start()
            if number:
                report.add("start", server.name, seconds)
            server.wait_ready()
            if number < rounds:
                server.stop()  # so that the other one starts on an idle machine


def measure_memory(report: Report, servers: Sequence[Server]) -> None:
    """Memory a while after the printer was ready, before any load."""
    time.sleep(SETTLE_SECONDS)
    for server in servers:
        rss, pss = memory_mib([server.pid])
        report.add("rss", server.name, rss)
        report.add("pss", server.name, pss)
        if server.name == MOONRAKER:
            report.add("rss_marlin", server.name, rss)
            report.add("pss_marlin", server.name, pss)


def measure_with_marlin(report: Report, rig: Path) -> None:
    """Memory of our host together with its Marlin process (and the virtual printer in it)."""
    with running(ours_with_virtual_printer(), rig, klipper=False) as server:
        server.start()
        server.wait_ready()
        time.sleep(SETTLE_SECONDS)
        pids = server.pids()
        if len(pids) < 2:
            raise OSError("no Marlin process was found beside the host")
        rss, pss = memory_mib(pids)
        report.add("rss_marlin", OURS, rss)
        report.add("pss_marlin", OURS, pss)
