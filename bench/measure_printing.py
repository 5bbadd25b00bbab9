"""CPU of the server while the printer prints and clients watch it."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from bench import ws_client
from bench.gcode import long_print
from bench.http_client import HttpClient
from bench.readings import cpu_seconds
from bench.report import Report
from bench.servers import Server

NAME = "bench_print.gcode"
CLIENTS = (0, 1, 20)
MINUTES = 8
SETTLE_SECONDS = 1.0
OBJECTS = (
    "print_stats", "virtual_sdcard", "display_status", "toolhead", "gcode_move", "extruder", "heater_bed",
    "motion_report", "fan", "webhooks", "idle_timeout", "system_stats", "mcu",
)  # fmt: skip


def measure_printing(report: Report, servers: Sequence[Server], rounds: int, seconds: float) -> None:
    """Let all print at the same time, each behind its own fake Klipper, and read each one's CPU time over a while.

    They idle at one per cent, so they do not disturb each other, and each sees the same load of the machine.
    """
    for server in servers:
        (server.gcodes / NAME).write_bytes(long_print(MINUTES))
    time.sleep(2)
    for server in servers:
        with HttpClient(server.port) as client:
            client.call("POST", f"/printer/print/start?filename={NAME}").result()
    time.sleep(6)  # homing
    for _ in range(rounds):
        for count in CLIENTS:
            _watch(report, servers, count, seconds)
    for server in servers:
        with HttpClient(server.port) as client:
            client.call("POST", "/printer/print/cancel").result()


def _watch(report: Report, servers: Sequence[Server], count: int, seconds: float) -> None:
    groups = [[_subscribed(server) for _ in range(count)] for server in servers]
    try:
        ws_client.listen(groups, b"notify_status_update", SETTLE_SECONDS)
        before = [cpu_seconds(server.pid) for server in servers]
        begin = time.perf_counter()
        updates = ws_client.listen(groups, b"notify_status_update", seconds)
        taken = time.perf_counter() - begin
        for server, cpu, seen in zip(servers, before, updates, strict=True):
            if count and seen < count * seconds:
                raise OSError(
                    f"{server.name}: {seen} status updates for {count} clients in {seconds:.0f} s; not printing?"
                )
            report.add(f"cpu_{count}", server.name, (cpu_seconds(server.pid) - cpu) / taken * 100)
    finally:
        for group in groups:
            for connection in group:
                connection.close()


def _subscribed(server: Server) -> socket.socket:
    connection = ws_client.connect(server.port)
    ws_client.call(connection, "printer.objects.subscribe", {"objects": dict.fromkeys(OBJECTS)})
    return connection
