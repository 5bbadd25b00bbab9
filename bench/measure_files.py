"""Files that appear in gcodes until their metadata is served, and listing many of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.gcode import small_file
from bench.http_client import HttpClient
from bench.readings import cpu_seconds, memory_mib, tree_cpu_seconds
from bench.report import Report
from bench.servers import Server

POLL_SECONDS = 0.002
FOLDER = "bench_many"
CALLS = 5


def measure_drop_one(report: Report, servers: Sequence[Server], rounds: int) -> None:
    """Write one small file into the folder and ask for its metadata until it is there."""
    content = small_file()
    for number in range(rounds + 1):
        for server in servers:
            path = server.gcodes / f"bench_one_{number}.gcode"
            with HttpClient(server.port) as client:
                begin = time.perf_counter()
                path.write_bytes(content)
                _wait_for_metadata(client, path.name, begin + 30)
                if number:
                    report.add("drop_1", server.name, (time.perf_counter() - begin) * 1000)
                path.unlink()
            time.sleep(0.3)


def measure_drop_many(report: Report, server: Server, files: int, limit: float) -> None:
    """Write many files (each its own content) and ask for the metadata of one after the other until all have it.

    Raises:
        TimeoutError: they have not after `limit` seconds.
    """
    folder = server.gcodes / FOLDER
    folder.mkdir()
    time.sleep(0.5)
    content = small_file()
    cpu = tree_cpu_seconds(server.pid)
    begin = time.perf_counter()
    for number in range(files):
        (folder / f"part_{number:04}.gcode").write_bytes(b"%b; part %d\n" % (content, number))
    with HttpClient(server.port) as client:
        for number in range(files):
            _wait_for_metadata(client, f"{FOLDER}/part_{number:04}.gcode", begin + limit)
    report.add("drop_many", server.name, time.perf_counter() - begin)
    report.add("op_drop", server.name, (tree_cpu_seconds(server.pid) - cpu) / files * 1000)


def _wait_for_metadata(client: HttpClient, name: str, end: float) -> None:
    pause = POLL_SECONDS
    while client.call("GET", f"/server/files/metadata?filename={name}").status != 200:
        if time.perf_counter() > end:
            raise TimeoutError(f"no metadata of {name} in time")
        time.sleep(pause)


def measure_lists(report: Report, servers: Sequence[Server], files: int, rounds: int) -> None:
    """List what `measure_drop_many` has left, plain and with metadata; check that all of it is listed."""
    for number in range(rounds + 1):
        for server in servers:
            with HttpClient(server.port) as client:
                for key, call in (("list", _list), ("directory", _directory)):
                    cpu, begin = cpu_seconds(server.pid), time.perf_counter()
                    for _ in range(CALLS):
                        body = call(client)
                    seconds, cpu = time.perf_counter() - begin, cpu_seconds(server.pid) - cpu
                    if body.count(b'"part_' if key == "directory" else b"/part_") < files:
                        raise OSError(f"{server.name}: {key} does not show all {files} files")
                    if number:
                        report.add(key, server.name, seconds / CALLS * 1000)
                        report.add(f"op_{key}", server.name, cpu / CALLS * 1000)
    for server in servers:
        report.add("rss_loaded", server.name, memory_mib([server.pid])[0])


def _list(client: HttpClient) -> bytes:
    return client.call("GET", "/server/files/list?root=gcodes").body


def _directory(client: HttpClient) -> bytes:
    return client.call("GET", f"/server/files/directory?path=gcodes/{FOLDER}&extended=true").body
