"""Compare this server's answers with the recordings of a real Moonraker, scenario by scenario.

    python tests/conformance/run.py [--material DIR] [--out DIR] [scenario ...]

Starts the fake Klipper and the host as processes of their own, drives them with the recorder of the material, and
judges the result with its compare.py and the stated deviations beside this file. Without the material (it is not part
of the project) it says so and exits 0.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
SCENARIOS = ("s01", "s02", "s03", "s04", "s05", "s06", "s07", "s08", "s15")
NUMBERS = ("01", "02", "03", "04", "05", "06", "07", "08", "15")
START_SECONDS = 30.0

CONFIG = """\
[server]
host: 127.0.0.1
port: {port}

[printer]
type: klipper

[authorization]
trusted_clients:
  127.0.0.0/8
cors_domains:
  *.local
  *://localhost
  *://localhost:*
  http://app.example.org

[octoprint_compat]

[history]
"""


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours, ended with SIGTERM."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=PROJECT, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_ready(base: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the printer is ready behind the server."""
    end = time.monotonic() + START_SECONDS
    state = "not reached"
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{base}/server/info", timeout=2) as answer:
            state = json.load(answer)["result"]["klippy_state"]
            if state == "ready":
                return
        time.sleep(0.2)
    raise SystemExit(f"the server did not get ready: {state}")


def record(material: Path, rig: Path, out: Path, scenarios: Sequence[str]) -> None:
    """Start fake Klipper and host in `rig` and record the scenarios to `out`."""
    data = rig / "printer_data"
    for name in ("config", "gcodes", "logs", "comms"):
        (data / name).mkdir(parents=True, exist_ok=True)
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    (data / "config" / "moonraker.conf").write_text(CONFIG.format(port=port))
    (data / "config" / "printer.cfg").write_text("[printer]\nkinematics: cartesian\n")
    (data / "logs" / "klippy.log").write_text("a log\n")
    for name in ("klipper/config", "klipper/docs"):
        (rig / name).mkdir(parents=True, exist_ok=True)
    klippy = [sys.executable, str(PROJECT / "tests/fakes/klippy.py"), "--socket", str(data / "comms/klippy.sock")]
    klippy += ["--gcodes", str(data / "gcodes")]
    host = [sys.executable, "-m", "moonraker_lite", "-d", str(data)]
    recorder = [sys.executable, str(material / "recorder.py"), "--base", base, "--data", str(data), "--rig", str(rig)]
    with running(klippy, out / "klippy.log"), running(host, out / "host.log") as process:
        wait_ready(base, process)
        # recorder.py keeps beside its working directory what it makes
        subprocess.run([*recorder, "--out", str(out), *scenarios], cwd=rig, check=True, env=os.environ | {"TZ": "UTC"})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--material", type=Path, default=PROJECT.parent / "shared", help="folder of the recordings")
    parser.add_argument("--out", type=Path, help="keep the recordings here")
    parser.add_argument("--verbose", action="store_true", help="show differing values, too")
    parser.add_argument("scenario", nargs="*", help="for example s03 (default: all that are judged)")
    args = parser.parse_args()
    conformance = args.material / "conformance"
    if not (conformance / "recorder.py").is_file():
        print(f"conformance: no recordings at {args.material}; nothing was compared")
        return 0
    rig = Path(tempfile.mkdtemp(prefix="conformance-"))
    out = args.out or rig / "out"
    out.mkdir(parents=True, exist_ok=True)
    try:
        record(conformance, rig, out, args.scenario or SCENARIOS)
        numbers = [name.removeprefix("s") for name in args.scenario] or list(NUMBERS)
        compare = [sys.executable, str(conformance / "compare.py"), *(["--verbose"] if args.verbose else [])]
        compare += ["--deviations", str(HERE / "deviations.json")]
        folders = [str(args.material / "golden/moonraker"), str(out)]
        return subprocess.run([*compare, *folders, *numbers], check=False).returncode
    finally:
        shutil.rmtree(rig, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
