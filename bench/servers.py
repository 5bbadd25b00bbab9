"""The programs that are measured: each in its own data path, with its own fake Klipper behind it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.http_client import HttpClient
from bench.readings import descendants, find_processes
from bench.subjects import Subject

PROJECT = Path(__file__).resolve().parents[1]
START_SECONDS = 60.0
STOP_SECONDS = 15.0


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spawn(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process of ours in the checkout; its output goes to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process: politely, then by force."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Server:
    """One subject in its data path. Can be started and stopped again and again; close() ends all that is its."""

    def __init__(self, subject: Subject, rig: Path, *, klipper: bool = True) -> None:
        """`rig` is a folder of its own. Without `klipper` no fake Klipper is started."""
        self.subject = subject
        self.name = subject.name
        self.data = rig / "printer_data"
        for name in ("config", "gcodes", "logs", "comms", "database"):
            (self.data / name).mkdir(parents=True, exist_ok=True)
        self.gcodes = self.data / "gcodes"
        self.port = free_port()
        config = subject.config.format(port=self.port, data=self.data)
        (self.data / "config" / "moonraker.conf").write_text(config)
        self._log = rig / "output.log"
        self._klippy: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        if klipper:
            program = [sys.executable, str(PROJECT / "tests/fakes/klippy.py")]
            places = ["--socket", str(self.data / "comms/klippy.sock"), "--gcodes", str(self.gcodes)]
            self._klippy = spawn([*program, *places], rig / "klippy.log")

    @property
    def pid(self) -> int:
        """The process of the server."""
        assert self._process is not None
        return self._process.pid

    def pids(self) -> list[int]:
        """The server, its children, and what it has started in sessions of their own."""
        own = {self.pid, *descendants(self.pid)}
        return sorted(own | (set(find_processes(str(self.data))) - self._fakes()))

    def _fakes(self) -> set[int]:
        return {self._klippy.pid} if self._klippy is not None else set()

    def start(self) -> float:
        """Start and return the seconds until GET /server/info was answered for the first time.

        Raises:
            OSError: it ended, or did not answer in time.
        """
        begin = time.perf_counter()
        self._process = spawn([*self.subject.command, "-d", str(self.data)], self._log)
        while True:
            with contextlib.suppress(OSError), HttpClient(self.port, timeout=5) as client:
                if client.call("GET", "/server/info").status == 200:
                    return time.perf_counter() - begin
            if self._process.poll() is not None or time.perf_counter() - begin > START_SECONDS:
                self.stop()
                raise OSError(f"{self.name} did not start; its last words: {self.last_words()}")
            time.sleep(0.001)

    def wait_ready(self) -> None:
        """Wait until the printer behind it is ready. Raises TimeoutError."""
        begin = time.monotonic()
        state = ""
        with HttpClient(self.port) as client:
            while state != "ready":
                state = client.get("/server/info")["klippy_state"]
                if time.monotonic() - begin > START_SECONDS:
                    raise TimeoutError(f"{self.name}: the printer is {state}, not ready")
                time.sleep(0.05)

    def ensure_ready(self) -> None:
        """Start it unless it runs, and wait until its printer is ready."""
        if self._process is None:
            self.start()
        self.wait_ready()

    def stop(self) -> None:
        """End the server."""
        if self._process is not None:
            end(self._process)
            self._process = None

    def close(self) -> None:
        """End the server and everything that was started for it or by it."""
        self.stop()
        if self._klippy is not None:
            end(self._klippy)
            self._klippy = None
        # A Marlin process outlives the host by design. The data path in its command line makes it ours.
        for pid in find_processes(str(self.data)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def last_words(self) -> str:
        """The end of what it printed."""
        text = self._log.read_text(errors="replace").strip() if self._log.exists() else ""
        return text[-600:] or "(none)"


@contextlib.contextmanager
def running(subject: Subject, rig: Path, *, klipper: bool = True) -> Iterator[Server]:
    """A server that is not started yet; everything of it is ended at the end."""
    rig.mkdir(parents=True)
    server = Server(subject, rig, klipper=klipper)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def bare_tornado(rig: Path, body: bytes, *, uvloop: bool = True) -> Iterator[tuple[int, int]]:
    """Run bare Tornado that answers `body`: gives its (port, pid)."""
    rig.mkdir(parents=True)
    (rig / "body").write_bytes(body)
    port = free_port()
    options = [] if uvloop else ["--asyncio"]
    process = spawn([sys.executable, "-m", "bench.bare", str(port), str(rig / "body"), *options], rig / "output.log")
    try:
        for _ in range(500):
            with contextlib.suppress(OSError), HttpClient(port) as client:
                client.call("GET", "/")
                break
            time.sleep(0.02)
        yield port, process.pid
    finally:
        end(process)


def server_info_body(server: Server) -> bytes:
    """The very bytes of GET /server/info, for the yardstick to answer."""
    with HttpClient(server.port) as client:
        answer = client.call("GET", "/server/info")
    json.loads(answer.body)
    return answer.body
