"""A printer's machine for one recording: data path, Klipper's own folders, the fake Klipper, and the server before it.

It has what the machine of the reference recordings had, as far as the scenarios ask for it; the contents are our own.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
PRINTING = ("15", "16", "17", "18")
STOP_SECONDS = 15
SETTLE_SECONDS = 2.0  # until a server has seen what was put on its disk

# Read by this server and by a real Moonraker alike.
MOONRAKER_CONF = """\
[server]
host: 127.0.0.1
port: {port}
max_upload_size: 1024
klippy_uds_address: {data}/comms/klippy.sock

[authorization]
trusted_clients:
  127.0.0.1
cors_domains:
  http://localhost:*
  *.local
  http://app.example.org

[file_manager]
enable_object_processing: False

[machine]
provider: none
validate_service: False

[octoprint_compat]
enable_ufp: True

[history]

[job_queue]
load_on_startup: False

[announcements]
dev_mode: False

[data_store]
temperature_store_size: 1200
gcode_store_size: 1000

[webcam conf_cam]
location: printer
service: mjpegstreamer
target_fps: 15
stream_url: /webcam/?action=stream
snapshot_url: /webcam/?action=snapshot
"""
PRINTER_CFG = """\
[printer]
kinematics: cartesian
max_velocity: 300
max_accel: 3000

[virtual_sdcard]
path: {data}/gcodes

[save_variables]
filename: {data}/config/variables.cfg
"""
# A one-pixel picture.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c636000000002000148afa4710000000049454e44ae426082"
)
START = """\
#!/bin/sh
# Starts the fake Klipper and returns once it can be talked to.
[ -S {socket} ] && exit 0
nohup {command} > {log} 2>&1 &
echo $! > {pid}
for _ in $(seq 100); do [ -S {socket} ] && exit 0; sleep 0.1; done
exit 1
"""
STOP = """\
#!/bin/sh
# Kills the fake Klipper, as when its process dies.
kill -9 "$(cat {pid})" && rm -f {pid} {socket}
"""


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Rig:
    """One machine in a folder of its own. `running` starts what is on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "printer_data"
        self.port = free_port()
        self._build()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, path: str, content: str | bytes) -> None:
        """Write a file, below the folder of the rig."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def _build(self) -> None:
        for name in ("config", "gcodes", "logs", "comms"):
            (self.data / name).mkdir(parents=True, exist_ok=True)
        self.put("printer_data/config/moonraker.conf", MOONRAKER_CONF.format(port=self.port, data=self.data))
        self.put("printer_data/config/.moonraker.conf.bkp", "[server]\n")  # Moonraker keeps such a copy
        self.put("printer_data/config/printer.cfg", PRINTER_CFG.format(data=self.data))
        self.put("printer_data/config/variables.cfg", "")
        self.put("printer_data/logs/klippy.log", "".join(f"Stats {second}.0: gcodein=0\n" for second in range(4000)))
        self.put("klipper/config/example-cartesian.cfg", "[printer]\nkinematics: cartesian\n" * 200)
        self.put("klipper/docs/Config_Reference.md", "# Configuration reference\n" * 400)
        self.put("klipper/docs/img/klipper-logo-small.png", PNG)
        klippy = [sys.executable, str(PROJECT / "tests/fakes/klippy.py")]
        klippy += ["--socket", str(self.data / "comms/klippy.sock"), "--gcodes", str(self.data / "gcodes")]
        klippy += ["--klipper", str(self.folder / "klipper")]
        names = {
            "command": shlex.join(klippy),
            "socket": shlex.quote(str(self.data / "comms/klippy.sock")),
            "pid": shlex.quote(str(self.folder / "klippy.pid")),
            "log": shlex.quote(str(self.folder / "klippy.out")),
        }
        for name, text in (("start.sh", START), ("stop.sh", STOP)):
            self.put(name, text.format(**names))
            (self.folder / name).chmod(0o755)

    def prepare(self, scenario: str) -> None:
        """What earlier recordings on the reference machine had left there, as far as a scenario meets it."""
        if scenario == "07":
            self.put("printer_data/gcodes/b.gcode", "G28\nG1 X10 Y10 F6000\n")
        elif scenario in PRINTING:
            # Scenario 08 removes these dangling links; with them, Klipper shuts down when a print begins.
            for name in ("broken.gcode", "outlink"):
                (self.data / "gcodes" / name).unlink(missing_ok=True)
        else:
            return
        time.sleep(SETTLE_SECONDS)

    @contextlib.contextmanager
    def running(self, server: Sequence[str], log: Path) -> Iterator[None]:
        """Klipper and a server (its command, to which the data path is added), until both are ready and for the block.

        Raises:
            RuntimeError: the server did not get ready.
        """
        if any("moonraker_lite" in part for part in server):
            # What it adds is announced by itself, later.
            config = self.data / "config/moonraker.conf"
            config.write_text(
                config.read_text().replace("[file_manager]", "[file_manager]\nenable_move_analysis: False")
            )
        subprocess.run([self.folder / "start.sh"], check=True, timeout=START_SECONDS)
        with log.open("wb") as output:
            process = subprocess.Popen([*server, "-d", str(self.data)], cwd=PROJECT, stdout=output, stderr=output)
        try:
            self._wait_ready(process)
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            subprocess.run([self.folder / "stop.sh"], check=False, stderr=subprocess.DEVNULL)

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + START_SECONDS
        state = "not reached"
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.base}/server/info", timeout=2) as answer:
                state = json.load(answer)["result"]["klippy_state"]
                if state == "ready":
                    return
            time.sleep(0.2)
        raise RuntimeError(f"the server did not get ready: {state}")
