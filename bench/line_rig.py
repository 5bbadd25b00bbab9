"""A firmware on a pty, and our Marlin process at it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.servers import PROJECT, end

PATIENCE = 240.0
"""Seconds within which every print must have ended."""


class Run(msgspec.Struct, frozen=True):
    """What the firmware counted while one file was printed."""

    lines: int
    moves: int
    bytes: int
    refused: int
    lost_bytes: int
    starved: int
    peak: int
    seconds: float
    """From the first move to the last."""
    wire_share: float


class Firmware:
    """The compiled firmware on a pty at `tty`."""

    def __init__(self, program: Path, tty: Path, *options: str) -> None:
        self.tty = tty
        command = [str(program), str(tty), *options]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        # It stands for a board with a processor of its own.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self._process.pid, -15)
            Path(f"/proc/{self._process.pid}/autogroup").write_text("-15")
        self._read()

    def count(self) -> Run:
        """What was counted since the last call; begins anew."""
        self._process.send_signal(signal.SIGUSR1)
        return msgspec.json.decode(self._read(), type=Run)

    def _read(self) -> str:
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        if not line:
            raise OSError("the firmware on the pty has ended")
        return line

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate()


def compile_firmware(folder: Path) -> Path:
    """OSError: there is no C compiler, or it does not like the source."""
    program = folder / "firmware"
    source = Path(__file__).with_name("firmware.c")
    try:
        subprocess.run(["cc", "-O2", "-o", str(program), str(source)], check=True, capture_output=True, timeout=60)
    except subprocess.CalledProcessError as error:
        raise OSError(f"cc: {error.stderr.decode(errors='replace')[-300:]}") from None
    return program


class MarlinProcess:
    """Our Marlin process behind its API socket."""

    def __init__(self, rig: Path, tty: Path) -> None:
        self.gcodes = rig / "gcodes"
        self.gcodes.mkdir(parents=True)
        self._socket = rig / "marlin.sock"
        command = [sys.executable, "-m", "moonraker_lite.marlin", "--socket", str(self._socket)]
        command += ["--gcodes", str(self.gcodes), "--serial", str(tty), "--state-dir", str(rig / "state")]
        with (rig / "marlin.log").open("ab") as log:
            # A session of its own, as the host starts it.
            self._process = subprocess.Popen(
                command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.pid = self._process.pid
        limit = time.monotonic() + 60.0
        while self._state() != "ready":
            if self._process.poll() is not None or time.monotonic() > limit:
                self.close()
                raise OSError("the Marlin process is not ready")
            time.sleep(0.05)

    def start_print(self, path: Path) -> None:
        """Print, and do not wait for the end."""
        (self.gcodes / path.name).write_bytes(path.read_bytes())
        self.call("gcode/script", script=f"SDCARD_PRINT_FILE FILENAME={path.name}")

    def print_file(self, path: Path, seconds: float) -> None:
        """Print; returns when it is done. OSError: it did not end well."""
        self.start_print(path)
        limit = time.monotonic() + seconds
        while (stats := self.status("print_stats"))["state"] == "printing":
            if time.monotonic() > limit:
                raise OSError(f"the print did not end within {seconds:.0f} s")
            time.sleep(0.1)
        if stats["state"] != "complete":
            raise OSError(f"the print ended: {stats['message']}")

    def status(self, name: str) -> Any:
        return self.call("objects/query", objects={name: None})["status"][name]

    def call(self, method: str, **params: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self._socket))
            connection.sendall(json.dumps({"id": 1, "method": method, "params": params}).encode() + b"\x03")
            rest = b""
            while True:
                data = connection.recv(65536)
                if not data:
                    raise OSError(f"no answer to {method}")
                *frames, rest = (rest + data).split(b"\x03")
                for frame in map(json.loads, frames):
                    if frame.get("id") == 1:
                        if "error" in frame:
                            raise OSError(f"{method}: {frame['error']}")
                        return frame["result"]

    def _state(self) -> str:
        try:
            return str(self.call("info")["state"])
        except OSError:
            return ""

    def close(self) -> None:
        end(self._process)


@contextlib.contextmanager
def printer(program: Path, rig: Path, *options: str) -> Iterator[tuple[Firmware, MarlinProcess]]:
    """Our process at a firmware of its own."""
    rig.mkdir(parents=True)
    firmware = Firmware(program, rig / "tty", *options)
    try:
        process = MarlinProcess(rig, firmware.tty)
        try:
            yield firmware, process
        finally:
            process.close()
    finally:
        firmware.close()
