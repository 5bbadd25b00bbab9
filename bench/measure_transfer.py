"""Uploading and downloading a big file."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from bench.http_client import HttpClient
from bench.readings import cpu_seconds, memory_mib, peak_mib, reset_peak, tree_cpu_seconds
from bench.report import Report
from bench.servers import Server

NAME = "bench_big.gcode"
SETTLE_SECONDS = 1.0


def measure_transfer(report: Report, servers: Sequence[Server], big: Path, rounds: int) -> None:
    """Upload until the answer (fsync and metadata included where the server does them) and download, in turn."""
    size = big.stat().st_size
    resting = {server.name: memory_mib([server.pid])[0] for server in servers}
    for number in range(rounds + 1):
        for server in servers:
            counted = number > 0  # the first one is to warm up: imports, buffers, the file in the page cache
            _upload(report, server, big, size, counted)
            # against the time before the first one: what it makes the server keep counts, too
            report.add("upload_memory", server.name, max(0.0, peak_mib(server.pid) - resting[server.name]))
            _download(report, server, size, counted)
    for server in servers:
        with HttpClient(server.port) as client:
            client.call("DELETE", f"/server/files/gcodes/{NAME}")


def _upload(report: Report, server: Server, big: Path, size: int, counted: bool) -> None:
    with HttpClient(server.port) as client:
        client.call("DELETE", f"/server/files/gcodes/{NAME}")
    os.sync()  # what others left to write must not count against this one
    time.sleep(SETTLE_SECONDS)
    reset_peak(server.pid)
    cpu = tree_cpu_seconds(server.pid)
    with HttpClient(server.port, timeout=60) as client:
        seconds = client.upload(big, NAME)
        client.get(f"/server/files/metadata?filename={NAME}")  # it is there with the answer
    if counted:
        report.add("upload", server.name, size / 1e6 / seconds)
        report.add("op_upload", server.name, (tree_cpu_seconds(server.pid) - cpu) * 1000)


def _download(report: Report, server: Server, size: int, counted: bool) -> None:
    with HttpClient(server.port, timeout=60) as client:
        cpu = cpu_seconds(server.pid)
        seconds = client.download(f"/server/files/gcodes/{NAME}", size)
        if counted:
            report.add("download", server.name, size / 1e6 / seconds)
            report.add("op_download", server.name, (cpu_seconds(server.pid) - cpu) * 1000)
