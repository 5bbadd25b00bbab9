"""A real Moonraker in a virtual environment of its own, outside of the checkout; made when it is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def cache() -> Path:
    """Where it lives: $XDG_CACHE_HOME/moonraker_lite-bench."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "moonraker_lite-bench"


def moonraker_python() -> Path:
    """The interpreter beside which Moonraker is installed.

    Raises:
        OSError: it cannot be installed.
    """
    venv = cache() / "moonraker"
    python = venv / "bin" / "python"
    if not _version(python):
        print(f"Installing Moonraker into {venv}", file=sys.stderr)
        venv.parent.mkdir(parents=True, exist_ok=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "moonraker"]
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True, timeout=120)
            subprocess.run(install, check=True, timeout=300)
        except subprocess.SubprocessError as error:
            raise OSError(f"Moonraker could not be installed: {error}") from None
    return python


def moonraker_extractor() -> tuple[Path, Path]:
    """The interpreter and the script that Moonraker starts for the metadata of a file.

    Raises:
        OSError: Moonraker cannot be installed.
    """
    python = moonraker_python()
    ask = "import moonraker; print(moonraker.__path__[0])"
    answer = subprocess.run([str(python), "-c", ask], capture_output=True, text=True, timeout=30, check=False)
    return python, Path(answer.stdout.strip()) / "components" / "file_manager" / "metadata.py"


def moonraker_version() -> str:
    """Which one is installed; empty when none is."""
    return _version(cache() / "moonraker" / "bin" / "python")


def _version(python: Path) -> str:
    if not python.exists():
        return ""
    ask = "import importlib.metadata as m, tornado; print(m.version('moonraker'), 'with Tornado', tornado.version)"
    return subprocess.run(
        [str(python), "-c", ask], capture_output=True, text=True, timeout=30, check=False
    ).stdout.strip()
