"""How many calls are answered in a second, over HTTP and websocket, against bare Tornado as well."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from bench import ws_client
from bench.goals import BARE
from bench.http_client import HttpClient, call_bytes
from bench.loader import Rate, Whole, http_whole, run_calls, websocket_whole
from bench.readings import cpu_seconds
from bench.report import Report
from bench.servers import Server

SECONDS = 1.5


class Target(msgspec.Struct, frozen=True):
    """Something that answers calls. `path` is the one of the HTTP call."""

    name: str
    port: int
    pid: int
    path: str = "/server/info"


def targets_of(servers: Sequence[Server], bare: tuple[int, int]) -> list[Target]:
    """The servers and bare Tornado given as (port, pid)."""
    return [*(Target(server.name, server.port, server.pid) for server in servers), Target(BARE, *bare, path="/")]


def measure_calls(report: Report, targets: Sequence[Target], rounds: int) -> None:
    """Rates with few and many connections, and the CPU time of one call."""
    for _ in range(rounds):
        for kind, counts, measure in (("http", (1, 10), _http), ("ws", (1, 50), _websocket)):
            for count in counts:
                for target in targets:
                    before = cpu_seconds(target.pid)
                    rate = measure(target, count)
                    report.add(f"{kind}_{count}", target.name, rate.per_second)
                    report.client_share = max(report.client_share, rate.client_share)
                    if count == counts[-1]:
                        report.add(f"op_{kind}", target.name, (cpu_seconds(target.pid) - before) / rate.calls * 1000)


def _http(target: Target, count: int) -> Rate:
    def connect() -> socket.socket:
        return HttpClient(target.port).socket

    return _rate(connect, count, call_bytes(target.path, target.port), http_whole)


def _websocket(target: Target, count: int) -> Rate:
    connect = partial(ws_client.connect, target.port, identify=target.name != BARE)
    return _rate(connect, count, ws_client.request("server.info"), websocket_whole)


def _rate(connect: Callable[[], socket.socket], count: int, call: bytes, whole: Whole) -> Rate:
    sockets = [connect() for _ in range(count)]
    try:
        run_calls(sockets, call, whole, 0.2)  # warm
        return run_calls(sockets, call, whole, SECONDS)
    finally:
        for connection in sockets:
            connection.close()
