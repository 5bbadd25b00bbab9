from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonraker_lite.storage import Database, Namespaces

PAGE = 4096


async def filled(path: Path) -> dict[str, str]:
    """A database with a namespace of 300 values on many pages; returns them."""
    db = Database(path)
    await db.open()
    store = Namespaces(db)
    values = {f"k{number:03}": f"{number} " * 100 for number in range(300)}
    await db.run(lambda conn: conn.execute("INSERT INTO job_totals VALUES ('total_jobs', 7.0)"))
    await asyncio.gather(*(store.insert("n", key, value) for key, value in values.items()))
    await db.close()
    return values


async def test_what_lies_before_and_behind_the_damage_is_rescued(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    values = await filled(path)
    content = bytearray(path.read_bytes())
    needle = content.index(values["k150"].encode())
    page = needle - needle % PAGE
    content[page : page + PAGE] = os.urandom(PAGE)
    path.write_bytes(content)

    db = Database(path)
    await db.open()
    assert "could be rescued" in db.warnings[0]
    rescued = await Namespaces(db).get("n")
    assert await db.fetch("SELECT value FROM job_totals") == [(7.0,)]
    await db.close()
    assert rescued.items() <= values.items()
    assert len(rescued) >= 280
    assert {"k000", "k299"} <= rescued.keys()
    assert f"{len(rescued) + 1} entries" in db.warnings[0]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
async def test_any_damage_leaves_a_database_that_works(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    dice = random.Random(seed)
    folder = tmp_path_factory.mktemp("damage")
    path = folder / "x.db"
    values = await filled(path)
    content = bytearray(path.read_bytes())
    for _ in range(dice.randrange(1, 5)):
        start = dice.randrange(len(content))
        length = dice.randrange(1, PAGE * 3)
        content[start : start + length] = dice.randbytes(min(length, len(content) - start))
    if dice.random() < 0.3:
        del content[dice.randrange(len(content)) :]
    path.write_bytes(content)

    db = Database(path)
    await db.open()
    store = Namespaces(db)
    if "n" in await store.list() and db.warnings:
        found = await store.get("n")
        assert sum(values.get(key) == value for key, value in found.items()) >= len(found) * 0.9
    await store.insert("new", "k", 1)
    await db.close()
    await db.open()
    assert await store.get("new") == {"k": 1}
    await db.close()
