"""Metadata: what one file costs, what a start with many known files costs, and what goes on while many are scanned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.gcode import small_file, write_big_file
from bench.goals import MOONRAKER, OURS
from bench.http_client import HttpClient
from bench.metadata import best, one_pass
from bench.moonraker_venv import moonraker_extractor
from bench.readings import cpu_seconds
from bench.report import Report
from bench.servers import Server, running
from bench.subjects import VIRTUAL, Subject
from moonraker_lite.gcode_metadata import scan

SIZES = (1, 20, 200)
SCANS = 20
FOLDER = "bench_known"
PING_SECONDS = 0.002
IDLE_SECONDS = 3.0
PRINT = "bench_lines.gcode"
SEGMENT = 0.2  # mm, at 60 mm/s: 300 lines per second
WARM_UP_SECONDS = 4.0


def measure_one_file(report: Report, rig: Path, rounds: int, beside_moonraker: bool) -> None:
    """CPU of the metadata and pictures of one file: as Moonraker starts its extractor, and as our warm worker scans."""
    rig.mkdir(parents=True)
    extractor = moonraker_extractor() if beside_moonraker else None
    with _Worker() as worker:
        for size in SIZES:
            path = rig / f"print_{size}.gcode"
            write_big_file(path, size)
            worker.scan(path)
            for _ in range(rounds):
                if extractor is not None:
                    report.add(f"meta_{size}", MOONRAKER, _extract(*extractor, path) * 1000)
                begin = cpu_seconds(worker.pid)
                for _ in range(SCANS):
                    worker.scan(path)
                report.add(f"meta_{size}", OURS, (cpu_seconds(worker.pid) - begin) / SCANS * 1000)
            limit = best(partial(one_pass, path), SCANS)
            report.add(f"meta_over_{size}", OURS, best(partial(scan, path), SCANS) / limit)
            path.unlink()


def _extract(python: Path, script: Path, path: Path) -> float:
    """CPU seconds (own and the kernel's) of Moonraker's extractor, started with a configuration as Moonraker does."""
    config = path.with_suffix(".json")
    fields = {"filename": path.name, "gcode_dir": str(path.parent), "check_objects": False, "ufp_path": None}
    config.write_text(json.dumps(fields | {"processors": []}))
    process = subprocess.Popen(
        [str(python), str(script), "-c", str(config)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    with process.stdout:
        answer = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if json.loads(answer)["metadata"]["slicer"] != "PrusaSlicer":
        raise OSError(f"Moonraker's extractor answers {answer[:200]!r}")
    return usage.ru_utime + usage.ru_stime


class _Worker:
    """Our scanner's process, asked as the host asks it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "moonraker_lite.gcode_metadata.worker"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=10)

    @property
    def pid(self) -> int:
        return self._process.pid

    def scan(self, path: Path) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"id": 1, "path": str(path), "thumbs_dir": str(path.parent / ".thumbs")}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if answer.get("metadata", {}).get("slicer") != "PrusaSlicer":
            raise OSError(f"the scanner answers {str(answer)[:200]}")
        return answer


def measure_warm_start(report: Report, subject: Subject, rig: Path, files: int, rounds: int) -> None:
    """Start with many files of which the database knows everything, and with none. What is counted ends when the list
    has all files and the metadata of the last is served."""
    with running(subject, rig / "none") as empty, running(subject, rig / "many") as full:
        folder = full.gcodes / FOLDER
        folder.mkdir()
        content = small_file(4000, thumbnails=False)
        for number in range(files):
            (folder / f"part_{number:05}.gcode").write_bytes(b"%b; part %d\n" % (content, number))
        full.start()
        with HttpClient(full.port) as client:
            _wait_for_all(client, files, time.perf_counter() + 120)
        full.stop()
        for _ in range(rounds):
            seconds = {}
            for server, count in ((empty, 0), (full, files)):
                begin = time.perf_counter()
                server.start()
                with HttpClient(server.port) as client:
                    _wait_for_all(client, count, begin + 60)
                seconds[server] = time.perf_counter() - begin
                server.stop()
            report.add("start_known", OURS, seconds[full] - seconds[empty])


def _wait_for_all(client: HttpClient, files: int, limit: float) -> None:
    """Wait until the list is complete and the last file of it has its metadata. Raises TimeoutError."""
    while client.call("GET", "/server/files/list?root=gcodes").body.count(b"/part_") < files:
        _not_after(limit)
    last = f"/server/files/metadata?filename={FOLDER}/part_{files - 1:05}.gcode"
    while files and client.call("GET", last).status != 200:
        _not_after(limit)


def _not_after(limit: float) -> None:
    if time.perf_counter() > limit:
        raise TimeoutError("not all files have metadata in time")
    time.sleep(0.002)


class Pings:
    """Calls a server again and again while something else goes on, and notes how long the slowest answer took."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.seconds: list[float] = []

    def __enter__(self) -> Pings:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        with HttpClient(self._server.port) as client:
            while not self._end.is_set():
                begin = time.perf_counter()
                client.call("GET", "/server/info")
                self.seconds.append(time.perf_counter() - begin)
                time.sleep(PING_SECONDS)


def measure_lag(report: Report, server: Server, files: int, rounds: int) -> None:
    """How late the event loop is at most while files are scanned: by its own account (the worst of four looks per
    second), and by the slowest of all answers to somebody who asks all the time."""
    for number in range(rounds):
        with Pings(server) as pings:
            time.sleep(IDLE_SECONDS)
        report.add("answer_idle", server.name, max(pings.seconds) * 1000)
        with Pings(server) as pings:
            _drop(server, f"bench_lag_{number}", files)
        with HttpClient(server.port) as client:
            time.sleep(1.1)  # its figures are of whole seconds
            lag = client.get("/machine/proc_stats")["event_loop"]["worst"]
        report.add("lag_scan", server.name, lag * 1000)
        report.add("answer_scan", server.name, max(pings.seconds) * 1000)


def _drop(server: Server, name: str, files: int) -> None:
    folder = server.gcodes / name
    folder.mkdir()
    time.sleep(0.3)
    content = small_file()
    for number in range(files):
        (folder / f"part_{number:04}.gcode").write_bytes(b"%b; part %d\n" % (content, number))
    limit = time.perf_counter() + 60
    with HttpClient(server.port) as client:
        for number in range(files):
            while client.call("GET", f"/server/files/metadata?filename={name}/part_{number:04}.gcode").status != 200:
                _not_after(limit)


def measure_line_rate(report: Report, subject: Subject, rig: Path, files: int, rounds: int) -> None:
    """Lines per second of a print on the virtual printer, in turn without and while files are scanned."""
    with running(subject.with_config(VIRTUAL), rig, klipper=False) as server:
        server.start()
        server.wait_ready()
        (server.gcodes / PRINT).write_bytes(_many_lines(120.0))
        with HttpClient(server.port) as client:
            client.call("POST", f"/printer/print/start?filename={PRINT}").result()
            _wait_for_moves(client)
            for number in range(rounds):
                quiet = _rate_while(client, partial(time.sleep, 5))
                busy = _rate_while(client, partial(_drop, server, f"bench_rate_{number}", files))
                report.add("lines_quiet", OURS, quiet)
                report.add("lines_scan", OURS, (1 - busy / quiet) * 100)
            client.call("POST", "/printer/print/cancel").result()


def _many_lines(seconds: float) -> bytes:
    """Short moves to and fro: 300 lines in a second of printing."""
    lines = ["G28", "G90", "G1 Z5 F600", "G1 X40 Y40 F6000", "G1 F3600"]
    steps = int(20 / SEGMENT)
    there = [f"G1 X{40 + step * SEGMENT:.1f} Y40" for step in range(1, steps + 1)]
    back = [f"G1 X{60 - step * SEGMENT:.1f} Y40" for step in range(1, steps + 1)]
    lines += (there + back) * int(seconds * 300 / (2 * steps))
    return ("\n".join(lines) + "\n").encode()


def _wait_for_moves(client: HttpClient) -> None:
    """Until lines flow at the rate of the moves: the planner's queue is full by then."""
    limit = time.perf_counter() + 60
    while _lines(client) < 300 * WARM_UP_SECONDS:
        _not_after(limit)


def _lines(client: HttpClient) -> int:
    """Numbered lines that the firmware has taken."""
    status = client.get("/printer/objects/query?marlin_link=acknowledged")["status"]
    return int(status["marlin_link"]["acknowledged"])


def _lines_now(client: HttpClient) -> tuple[int, float]:
    """The lines, and the time at which they were so many: they are told only now and then."""
    before, limit = _lines(client), time.perf_counter() + 10
    while (lines := _lines(client)) == before:
        _not_after(limit)
    return lines, time.perf_counter()


def _rate_while(client: HttpClient, action: Callable[[], object]) -> float:
    before, begin = _lines_now(client)
    action()
    after, end = _lines_now(client)
    return (after - before) / (end - begin)
