"""A real OctoPrint in a virtual environment of its own, driven over its API; installed when it is missing."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.moonraker_venv import cache
from bench.servers import end, free_port

KEY = "0123456789ABCDEF0123456789ABCDEF"
START_SECONDS = 90.0

# Nothing that looks for updates, asks the internet or analyses files on the side.
CONFIG = """\
api:
  key: {key}
gcodeAnalysis:
  runAt: never
plugins:
  _disabled:
    [softwareupdate, announcements, tracking, errortracking, discovery, pluginmanager, health_check, achievements]
serial:
  port: {tty}
  baudrate: 115200
  autoconnect: false
  log: false
  additionalPorts: ['{tty}']
server:
  host: 127.0.0.1
  port: {port}
  firstRun: false
  onlineCheck: {{enabled: false}}
  pluginBlacklist: {{enabled: false}}
  seenWizards: {{corewizard: 4, backup: null, classicwebcam: 1}}
  secretKey: 0123456789abcdef
"""


def octoprint_python() -> Path:
    """The interpreter beside which OctoPrint is installed.

    Raises:
        OSError: it cannot be installed.
    """
    venv = cache() / "octoprint"
    python = venv / "bin" / "python"
    if not octoprint_version():
        print(f"Installing OctoPrint into {venv}", file=sys.stderr)
        venv.parent.mkdir(parents=True, exist_ok=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "octoprint"]
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True, timeout=120)
            subprocess.run(install, check=True, timeout=600)
        except subprocess.SubprocessError as error:
            raise OSError(f"OctoPrint could not be installed: {error}") from None
    return python


def octoprint_version() -> str:
    """Which one is installed; empty when none is."""
    python = cache() / "octoprint" / "bin" / "python"
    if not python.exists():
        return ""
    ask = "import importlib.metadata as m; print(m.version('octoprint'))"
    return subprocess.run(
        [str(python), "-c", ask], capture_output=True, text=True, timeout=30, check=False
    ).stdout.strip()


class OctoPrint:
    """One running OctoPrint. Raises OSError where it does not do what it is asked for."""

    def __init__(self, rig: Path, tty: Path) -> None:
        self._tty = str(tty)
        self._base = f"http://127.0.0.1:{free_port()}"
        rig.mkdir(parents=True, exist_ok=True)
        port = int(self._base.rpartition(":")[2])
        (rig / "config.yaml").write_text(CONFIG.format(key=KEY, tty=tty, port=port))
        command = [str(octoprint_python()), "-m", "octoprint", "serve", "--iknowwhatimdoing", "--basedir", str(rig)]
        with (rig / "output.log").open("ab") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.pid = self._process.pid
        try:
            self._wait_for(self._answers, START_SECONDS, "start")
        except OSError:
            self.close()
            raise

    def connect(self) -> None:
        """Open the port and wait until the printer is operational."""
        self._call("/api/connection", {"command": "connect", "port": self._tty, "baudrate": 115200})
        self._wait_for(lambda: self._state() == "Operational", 60.0, "connect")

    def disconnect(self) -> None:
        """Close the port."""
        self._call("/api/connection", {"command": "disconnect"})
        self._wait_for(lambda: self._state() in ("Offline", "Closed"), 30.0, "disconnect")

    def print_file(self, path: Path, seconds: float) -> None:
        """Upload and print; returns when it is done."""
        boundary = "bench"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
        tail = f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="print"\r\n\r\ntrue\r\n--{boundary}--\r\n'
        body = head.encode() + path.read_bytes() + tail.encode()
        self._request("/api/files/local", body, f"multipart/form-data; boundary={boundary}")
        self._wait_for(lambda: self._state() == "Operational" and self._done(), seconds, "print")

    def close(self) -> None:
        end(self._process)

    def _answers(self) -> bool:
        try:
            return "server" in self._call("/api/version")
        except (OSError, ValueError):
            return False

    def _state(self) -> str:
        return str(self._call("/api/connection")["current"]["state"])

    def _done(self) -> bool:
        return (self._call("/api/job")["progress"]["completion"] or 0) >= 100

    def _wait_for(self, condition: Any, seconds: float, what: str) -> None:
        limit = time.monotonic() + seconds
        while not condition():
            if self._process.poll() is not None or time.monotonic() > limit:
                raise OSError(f"OctoPrint did not {what} within {seconds:.0f} s")
            time.sleep(0.1)

    def _call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = json.dumps(body).encode() if body is not None else None
        answer = self._request(path, data, "application/json")
        return dict(json.loads(answer)) if answer else {}

    def _request(self, path: str, data: bytes | None, kind: str) -> bytes:
        request = urllib.request.Request(self._base + path, data, {"X-Api-Key": KEY, "Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            raise OSError(f"OctoPrint answers {path} with {error.code}: {error.read()[:200]!r}") from None
        except http.client.HTTPException as error:
            # While it starts, something simpler owns the port.
            raise OSError(f"OctoPrint does not answer {path} properly: {error!r}") from None


@contextlib.contextmanager
def octoprint(rig: Path, tty: Path) -> Iterator[OctoPrint]:
    """A running OctoPrint; ended at the end."""
    server = OctoPrint(rig, tty)
    try:
        yield server
    finally:
        server.close()
