"""The program that unpacks containers for a server."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from moonraker_lite.gcode_metadata.containers import unpack
from moonraker_lite.gcode_metadata.kinds import Unpacked
from moonraker_lite.gcode_metadata.unpacking import LARGE
from tests.support import containers as make

COMMAND = (sys.executable, "-m", "moonraker_lite.gcode_metadata.unpacking")
LINES = "".join(f"G1 X{n % 251}.{n % 10} Y{n * 7 % 249} E{n % 5}.{n % 89}\n" for n in range(90_000))


@pytest.fixture(scope="module")
def large() -> bytes:
    """Binary G-code in many blocks, enough for several processes."""
    data = make.bgcode(LINES, compression=make.RAW, encoding=make.PLAIN, per_block=1500)
    assert len(data) > LARGE
    return data


def run(path: Path, folder: Path, limit: int = 10**9) -> Unpacked:
    folder.mkdir(exist_ok=True)
    arguments = (str(path), path.name, str(folder), str(limit))
    done = subprocess.run((*COMMAND, *arguments), stdout=subprocess.PIPE, check=True, timeout=120)
    return msgspec.json.decode(done.stdout, type=Unpacked)


def test_several_processes_make_the_same_text(large: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.bgcode"
    path.write_bytes(large)
    assert run(path, tmp_path / "out") == Unpacked(("a.gcode",))
    unpack(path, tmp_path / "b.gcode")
    text = (tmp_path / "out/a.gcode").read_bytes()
    assert text == (tmp_path / "b.gcode").read_bytes()
    assert LINES.encode() in text


def test_damage_in_one_of_many_blocks(large: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.bgcode"
    whole = bytearray(large)
    whole[-40_000] ^= 1
    path.write_bytes(whole)
    assert "checksum" in (run(path, tmp_path / "out").error or "")
    path.write_bytes(large + make.block(1, b"\7\0", b"G1"))
    assert "not known here" in (run(path, tmp_path / "out").error or "")
    path.write_bytes(large)
    assert "allowed" in (run(path, tmp_path / "out", 100_000).error or "")
    assert os.listdir(tmp_path / "out") == []


def test_many_plates_together_are_bounded(tmp_path: Path) -> None:
    bomb = make.three_mf(dict.fromkeys(range(1, 7), b"G1 X1 Y1 E1\n" * 1200000), small=False)
    found = run(_written(tmp_path / "a.gcode.3mf", bomb), tmp_path / "out")
    assert "allowed" in (found.error or "")


def test_errors_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "a.gx"
    assert run(path, tmp_path).errno == errno.ENOENT
    path.write_bytes(make.gx())
    (tmp_path / "out").write_text("no folder")
    done = subprocess.run(
        (*COMMAND, str(path), "a.gx", str(tmp_path / "out"), "999"), stdout=subprocess.PIPE, check=True
    )
    assert msgspec.json.decode(done.stdout, type=Unpacked).errno == errno.ENOTDIR
    assert run(_written(tmp_path / "b.gcode", b"G28\n"), tmp_path / "o").error == "This is no container of G-code."


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


_SPREAD = r"""
import os, sys, time
from moonraker_lite.gcode_metadata.spread import spread

def work(item):
    if item == "wait":
        os.write(1, b"%d\n" % os.getpid())
        time.sleep(600)
    if item == "fail":
        raise ValueError("it failed")
    return item * 2

if sys.argv[1] == "wait":
    list(spread(work, ["wait"] * 2, 2))
assert list(spread(work, range(100), 2)) == list(range(0, 200, 2))
try:
    list(spread(work, [1, "fail", 3], 2))
except ValueError as error:
    print(error)
"""


def test_order_and_errors() -> None:
    done = subprocess.run((sys.executable, "-c", _SPREAD, "work"), stdout=subprocess.PIPE, check=True, timeout=120)
    assert done.stdout == b"it failed\n"


def test_no_process_stays_behind() -> None:
    process = subprocess.Popen((sys.executable, "-c", _SPREAD, "wait"), stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        try:
            workers = [int(process.stdout.readline()) for _ in range(2)]
        finally:
            process.send_signal(signal.SIGKILL)
        end = time.monotonic() + 60
        while any(_runs(pid) for pid in workers):
            assert time.monotonic() < end
            time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
