"""How many calls are answered in a second, over HTTP and websocket, against bare Tornado as well."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence

import msgspec

from bench import ws_client
from bench.goals import BARE
from bench.http_client import HttpClient, call_bytes
from bench.loader import Whole, http_whole, run_calls, websocket_whole
from bench.readings import cpu_seconds
from bench.report import Report
from bench.servers import Server

SLICE_SECONDS = 0.3  # short and many: what else the machine does hits all targets alike


class Target(msgspec.Struct, frozen=True):
    """Something that answers calls. `path` is the one of the HTTP call."""

    name: str
    port: int
    pid: int
    path: str = "/server/info"

    def connect(self, kind: str) -> socket.socket:
        """A connection of a new client."""
        if kind == "http":
            return HttpClient(self.port).socket
        return ws_client.connect(self.port, identify=self.name != BARE)

    def call(self, kind: str) -> bytes:
        """What the client sends again and again."""
        return call_bytes(self.path, self.port) if kind == "http" else ws_client.request("server.info")


def targets_of(servers: Sequence[Server], bare: tuple[int, int]) -> list[Target]:
    """The servers and bare Tornado given as (port, pid)."""
    return [*(Target(server.name, server.port, server.pid) for server in servers), Target(BARE, *bare, path="/")]


def measure_calls(report: Report, targets: Sequence[Target], rounds: int) -> None:
    """Rates with few and many connections, and the CPU time of one call."""
    for kind, whole, counts in (("http", http_whole, (1, 10)), ("ws", websocket_whole, (1, 50))):
        for count in counts:
            for number in range(rounds + 1):
                for target in targets:
                    rate, cpu = _slice(report, target, kind, whole, count)
                    if number:
                        report.add(f"{kind}_{count}", target.name, rate)
                        if count > 1:
                            report.add(f"op_{kind}", target.name, cpu)


def _slice(report: Report, target: Target, kind: str, whole: Whole, count: int) -> tuple[float, float]:
    """(calls in a second, ms of the server's CPU for each) over a short while."""
    with _connected(target, kind, count) as sockets:
        before = cpu_seconds(target.pid)
        rate = run_calls(sockets, target.call(kind), whole, SLICE_SECONDS)
        cpu = (cpu_seconds(target.pid) - before) / rate.calls * 1000
    report.client_share = max(report.client_share, rate.client_share)
    return rate.per_second, cpu


@contextlib.contextmanager
def _connected(target: Target, kind: str, count: int) -> Iterator[list[socket.socket]]:
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            sockets.append(target.connect(kind))  # noqa: PERF401 - those made are to be closed if the next fails
        yield sockets
    finally:
        for connection in sockets:
            connection.close()
