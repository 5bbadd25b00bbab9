"""kill -9 of the host while files come in: nothing half under its final name, nothing acknowledged lost.

Ten rounds here; KILL_ROUNDS=100 for more.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import sqlite3

import pytest
from tornado.httpclient import HTTPError

from tests.end_to_end.daemon import Daemon

ROUNDS = int(os.environ.get("KILL_ROUNDS", "10"))


@pytest.mark.timeout(60 + 20 * ROUNDS)
async def test_kill_during_uploads(daemon: Daemon) -> None:
    chance = random.Random(7)
    sent: dict[str, str] = {}
    acknowledged: set[str] = set()
    await daemon.start()
    await daemon.upload("print.gcode", b"G90\n" + b"G1 X10 Y10 F3000\nG1 X20 Y20\n" * 500_000, print="true")
    marlin = daemon.marlin_pids()

    async def upload(name: str, content: bytes) -> None:
        sent[name] = hashlib.sha256(content).hexdigest()
        with contextlib.suppress(HTTPError, OSError):  # the host was killed meanwhile
            if (await daemon.upload(name, content)).status == 201:
                acknowledged.add(name)

    for number in range(ROUNDS):
        uploads = [
            asyncio.ensure_future(upload(f"{number}-{index}.gcode", chance.randbytes(chance.randint(1, 3_000_000))))
            for index in range(4)
        ]
        await asyncio.sleep(chance.uniform(0, 0.3))
        daemon.kill()
        await asyncio.wait(uploads)
        await daemon.start()
        listed = {entry["path"] for entry in await daemon.get("/server/files/list")}
        assert acknowledged <= listed
        for name in listed - {"print.gcode"}:
            content = (daemon.root / "gcodes" / name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == sent[name], f"{name} is torn"
        assert daemon.marlin_pids() == marlin
    left = [path.name for path in (daemon.root / "gcodes").rglob("*") if path.name not in {*sent, "print.gcode"}]
    assert [name for name in left if name != ".thumbs"] == []
    assert (await daemon.until(lambda stats: True))["state"] in ("printing", "complete")
    daemon.stop()
    for path in (daemon.root / "database").glob("*.db"):
        with sqlite3.connect(path) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()
