"""The daemon as a user has it: processes of their own, spoken to over sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.api_client import Answer, client_of
from tests.support.forms import KIND, form
from tests.support.hosts import write_config

START_SECONDS = 30.0


class Daemon:
    """One data path with its host process; the Marlin process is the host's doing."""

    def __init__(self, root: Path, config: str = "") -> None:
        self.root = root
        self.port = write_config(root, config)
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self, state: str = "ready") -> None:
        """Start the host and wait for this state of the printer."""
        with (self.root / "host.out").open("ab") as output:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - starting does not block
                [sys.executable, "-m", "moonraker_lite", "-d", str(self.root)], stdout=output, stderr=output
            )
        end = asyncio.get_running_loop().time() + START_SECONDS
        seen = "nothing"
        while asyncio.get_running_loop().time() < end:
            with contextlib.suppress(OSError):
                seen = (await self.get("/server/info"))["klippy_state"]
                if seen == state:
                    return
            await asyncio.sleep(0.05)
        raise AssertionError(f"the printer is {seen}, not {state}; {(self.root / 'host.out').read_text()[-2000:]}")

    def kill(self) -> None:
        """Kill the host with SIGKILL; the Marlin process goes on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End the host, then the Marlin process."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        for pid in self.marlin_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def marlin_pids(self) -> list[int]:
        """Marlin processes of this data path."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if b"moonraker_lite.marlin" in words and any(str(self.root).encode() in word for word in words):
                    found.append(int(folder.name))
        return found

    async def get(self, path: str) -> Any:
        """The result of a GET; OSError while the server is not there."""
        async with client_of(self.port) as client:
            return (await client.get(path)).result

    async def post(self, path: str, **arguments: Any) -> Any:
        async with client_of(self.port) as client:
            return (await client.post(path, arguments)).result

    async def upload(self, name: str, content: bytes, **fields: str) -> Answer:
        async with client_of(self.port) as client:
            body = form(name, content, fields)
            return await client.http("POST", "/server/files/upload", headers={"Content-Type": KIND}, body=body)

    async def closed_jobs(self, seconds: float = 10) -> list[dict[str, Any]]:
        """The history when no job of it is in progress."""
        async with asyncio.timeout(seconds):
            while True:
                jobs: list[dict[str, Any]] = (await self.get("/server/history/list"))["jobs"]
                if all(job["status"] != "in_progress" for job in jobs):
                    return jobs
                await asyncio.sleep(0.05)

    async def until(self, what: Callable[[dict[str, Any]], bool], seconds: float = 30) -> dict[str, Any]:
        """Wait until print_stats satisfies `what`; returns it."""
        end = asyncio.get_running_loop().time() + seconds
        stats: dict[str, Any] = {}
        while asyncio.get_running_loop().time() < end:
            with contextlib.suppress(OSError, KeyError):
                stats = (await self.get("/printer/objects/query?print_stats"))["status"]["print_stats"]
                if what(stats):
                    return stats
            await asyncio.sleep(0.1)
        raise AssertionError(f"waited in vain: {stats}")
