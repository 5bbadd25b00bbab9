"""The process that `test_crash` kills: writes without end and says which writes were acknowledged.

Run as `python crash_writer.py DATABASE START`: writes number START, START + 1, ... in bursts of 1 to 8.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from moonraker_lite.storage import Database, Namespaces


async def main(path: Path, number: int) -> None:
    db = Database(path)
    await db.open()
    store = Namespaces(db)
    os.write(1, b"open\n")

    async def one(key: int) -> None:
        await store.insert("n", [f"k{key % 50}", f"x{key}"], "y" * random.randrange(2000))
        os.write(1, b"%d\n" % key)

    while True:
        burst = random.randrange(1, 9)
        await asyncio.gather(*(one(number + i) for i in range(burst)))
        number += burst


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
