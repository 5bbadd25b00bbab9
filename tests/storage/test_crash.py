"""kill -9 at random moments: the database opens, and nothing that was acknowledged is missing."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from moonraker_lite.storage import Database, Namespaces

WRITER = Path(__file__).with_name("crash_writer.py")
ROUNDS = 12


def write_until_killed(path: Path, start: int, seconds: float) -> list[int]:
    """Let the writer run for `seconds` after it has opened, kill it, and return what it said it has written."""
    with subprocess.Popen([sys.executable, str(WRITER), str(path), str(start)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        time.sleep(seconds)
        process.kill()
        rest = process.stdout.read()
    return [int(line) for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]


async def test_no_acknowledged_write_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    acknowledged: set[int] = set()
    seed = random.randrange(1 << 30)
    dice = random.Random(seed)
    for _ in range(ROUNDS):
        start = max(acknowledged, default=0) + 100
        acknowledged.update(write_until_killed(path, start, dice.uniform(0, 0.15)))
        db = Database(path)
        await db.open()
        assert db.warnings == [], f"seed {seed}"
        assert (await db.fetch("PRAGMA integrity_check"))[0][0] == "ok"
        names = await Namespaces(db).list()
        records = (await Namespaces(db).get("n")).values() if names else []
        await db.close()
        there = {int(key[1:]) for record in records for key in record}
        assert acknowledged <= there, f"seed {seed}"
    assert acknowledged, "the writers never wrote anything"
