"""What goes wrong around the file manager: no watches left, a failing batch, a printer that goes, a host that stops."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.api.request import Request
from moonraker_lite.components.file_manager import follower as follower_module
from moonraker_lite.components.file_manager.disk_errors import as_host_error
from moonraker_lite.components.file_manager.index import Node
from moonraker_lite.errors import Unavailable
from moonraker_lite.klippy import KlippyState
from moonraker_lite.klippy.relay import KlippyStateChanged
from tests.file_manager.rig import GCODE, Rig, running
from tests.support.forms import KIND

FEW_WATCHES = """
import asyncio, sys
from pathlib import Path
from tests.file_manager.rig import GCODE, running
from moonraker_lite.components.file_manager import follower, manager

follower.POLL_SECONDS = manager._CHECK_SECONDS = 0.1

async def main():
    data = Path(sys.argv[1])
    for number in range(20):
        (data / "gcodes" / f"d{number}").mkdir(parents=True)
    async with running(data) as rig:
        for number in range(20):
            rig.put(rig.gcodes(f"d{number}", "a.gcode"))
        told = await rig.until(20)
        assert sorted(told) == sorted(f"create_file d{number}/a.gcode" for number in range(20)), told
        assert len(await rig.call("server.files.list")) == 20
        async with asyncio.timeout(5):
            while not rig.host.facts.warnings:
                await asyncio.sleep(0.05)
        print(rig.host.facts.warnings)

asyncio.run(main())
"""


async def test_when_the_kernel_has_no_watches_left(tmp_path: Path) -> None:
    """In a user namespace of its own, with a limit of its own: the rest of the machine keeps its watches."""
    script = tmp_path / "few.py"
    script.write_text(textwrap.dedent(FEW_WATCHES))
    root = Path(__file__).resolve().parents[2]
    shell = f"echo 8 > /proc/sys/user/max_inotify_watches && exec {sys.executable} {script} {tmp_path / 'data'}"
    process = await asyncio.create_subprocess_exec(
        "unshare", "-Ur", "sh", "-c", shell, cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    if b"unshare" in err or b"max_inotify_watches" in err:
        pytest.skip("no user namespace with limits of its own can be had here")
    assert process.returncode == 0, err.decode()
    assert b"inotify" in out


async def test_a_batch_that_fails_is_made_good(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "RETRY_SECONDS", 0.01)
    mirror = rig.library.follower._mirror
    honest = mirror.looked

    def broken(*args: Any) -> None:
        monkeypatch.setattr(mirror, "looked", honest)
        raise RuntimeError("a bug")

    monkeypatch.setattr(mirror, "looked", broken)
    rig.put(rig.gcodes("a.txt"), "x")
    await rig.library.settle()
    await rig.library.settle()
    rig.put(rig.gcodes("b.txt"), "x")
    names = [row["filename"] for row in (await rig.call("server.files.get_directory"))["files"]]
    assert sorted(names) == ["a.txt", "b.txt"]


async def test_a_root_that_cannot_be_read_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Any, node: Node) -> None:
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(follower_module.Follower, "compare", broken)
    async with running(tmp_path / "data") as rig:
        assert len(await rig.call("server.files.roots")) == 3


async def test_after_the_end_nothing_is_taken(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as rig:
        await rig.upload("a.gcode", GCODE)
    with pytest.raises(Unavailable):
        await rig.library.settle()
    headers = {"Content-Type": KIND}
    with pytest.raises((Unavailable, RuntimeError)):
        await rig.files.open_upload(Request(transport="http", headers=headers), str)


@pytest.fixture
async def printing(rig: Rig) -> Rig:
    await rig.upload("a.gcode", GCODE)
    return rig


async def test_what_is_loaded_is_known_by_name_as_well(printing: Rig) -> None:
    changed = printing.files._printed._changed
    for state, status in {"printing": 403, "paused": 403, "complete": 200}.items():
        changed({"print_stats": {"filename": "a.gcode", "state": state}}, 0.0)
        assert (await printing.upload("a.gcode", GCODE)).status == (201 if status == 200 else status)
    printing.print_file(printing.gcodes("gone.gcode"))
    assert (await printing.upload("a.gcode", GCODE)).status == 201


async def test_a_printer_that_is_gone_prints_nothing(printing: Rig) -> None:
    printing.print_file(printing.gcodes("a.gcode"))
    assert (await printing.refused("server.files.delete_file", path="gcodes/a.gcode"))[0] == 403
    printing.host.events.publish(KlippyStateChanged(KlippyState.SHUTDOWN, ""))
    assert (await printing.refused("server.files.delete_file", path="gcodes/a.gcode"))[0] == 403
    printing.host.events.publish(KlippyStateChanged(KlippyState.DISCONNECTED, ""))
    await printing.call("server.files.delete_file", path="gcodes/a.gcode")


async def test_a_link_that_is_known_before_what_it_leads_to(rig: Rig) -> None:
    outside = rig.data / "outside"
    rig.put(outside / "x.gcode")
    rig.gcodes("link").symlink_to(outside)
    assert await rig.until(1) == ["create_dir link"]
    rig.gcodes("sub").mkdir()
    await rig.until(1)
    await asyncio.to_thread(subprocess.run, ["mv", str(outside), str(rig.gcodes("sub", "real"))], check=True)
    rig.gcodes("link").unlink()
    rig.gcodes("link").symlink_to(rig.gcodes("sub", "real"))
    await rig.told(0.3)
    assert [row["path"] for row in await rig.call("server.files.list")] == ["sub/real/x.gcode"]
    assert [row["filename"] for row in (await rig.call("server.files.get_directory", path="gcodes/link"))["files"]] == [
        "x.gcode"
    ]


@pytest.mark.parametrize(
    ("number", "status"),
    [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EACCES, 400), (errno.ENOTEMPTY, 400), (9999, 400)],
)
def test_errors_of_the_system_are_sentences(number: int, status: int) -> None:
    error = as_host_error(OSError(number, "text", "/secret/path"), "Copying gcodes/a")
    assert error.status == status
    assert error.message.startswith("Copying gcodes/a failed: ")
    assert "/secret" not in error.message
