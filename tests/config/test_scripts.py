"""scripts/run on machines where something is missing: a clear word, nothing touched. No network is used."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for PATH that has no Python, only what the script itself calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "env", "dirname", "ls", "mkdir", "readlink", "sha256sum", "flock"):
        found = next((path for path in (Path("/usr/bin") / name, Path("/bin") / name) if path.exists()), None)
        if found is not None:
            (folder / name).symlink_to(found)
    return folder


def fake_python(tools: Path, script: str) -> None:
    path = tools / "python3"
    path.write_text(f"#!{tools}/bash\n{script}\n")
    path.chmod(0o755)


def run(tools: Path, venv: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(tools), "HOME": str(tools), "MOONRAKER_LITE_VENV": str(venv)}
    command = [str(tools / "bash"), str(ROOT / "scripts" / "run"), "--version"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_no_python(tools: Path, tmp_path: Path) -> None:
    done = run(tools, tmp_path / "venv")
    assert done.returncode == 1
    assert "needs Python 3.11 or newer, and there is none here" in done.stderr
    assert "sudo apt install python3 python3-venv" in done.stderr


def test_a_python_that_is_too_old(tools: Path, tmp_path: Path) -> None:
    fake_python(tools, '[[ "$2" == *version_info* ]] && exit 1; echo 3.9.2')
    done = run(tools, tmp_path / "venv")
    assert done.returncode == 1
    assert "python3 here is 3.9.2" in done.stderr


def test_a_python_without_venv(tools: Path, tmp_path: Path) -> None:
    fake_python(tools, '[[ "$2" == *ensurepip* ]] && exit 1; exit 0')
    done = run(tools, tmp_path / "venv")
    assert done.returncode == 1
    assert "sudo apt install python3-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_folder_of_somebody_else_is_not_touched(tools: Path, tmp_path: Path) -> None:
    fake_python(tools, "exit 0")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "letter").write_text("dear")
    done = run(tools, folder)
    assert done.returncode == 1
    assert "is no virtual environment; nothing was touched" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["letter"]


def test_an_installed_environment_starts_at_once(tools: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    python = venv / "bin" / "python"
    python.write_text(f'#!{tools}/bash\n[[ "$2" == pip || "$3" == pip ]] && exit 9\necho "$@"\n')
    python.chmod(0o755)
    command = f'source "{ROOT}/scripts/environment.sh"; fingerprint fast,images > "$venv/.moonraker_lite.run"'
    environment = {"PATH": str(tools), "MOONRAKER_LITE_VENV": str(venv)}
    subprocess.run([str(tools / "bash"), "-c", command], env=environment, timeout=30, check=True)
    done = run(tools, venv)
    assert (done.returncode, done.stdout, done.stderr) == (0, "-P -m moonraker_lite --version\n", "")


@pytest.mark.parametrize("name", ["scripts/run", "scripts/test", ".ci/run"])
def test_scripts_can_be_called(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    assert (ROOT / name).read_text().startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in (ROOT / name).read_text()


def test_the_service_file_is_what_the_manual_s_commands_expect() -> None:
    unit = (ROOT / "systemd" / "moonraker-lite.service").read_text()
    assert "User=pi\n" in unit
    assert "EnvironmentFile=/home/pi/printer_data/systemd/moonraker-lite.env" in unit
    assert "$MOONRAKER_LITE_ARGS" in unit
    assert "KillMode=process" in unit
    arguments = (ROOT / "systemd" / "moonraker-lite.env").read_text()
    assert 'MOONRAKER_LITE_ARGS="-P -m moonraker_lite -d /home/pi/printer_data"' in arguments
