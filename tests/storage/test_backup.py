from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from moonraker_lite.errors import BadRequest
from moonraker_lite.storage import Database, Namespaces, backup
from moonraker_lite.storage.schema import VERSION

SCHEMAS = Path(__file__).parent / "schemas"


async def test_a_copy_made_in_use_can_be_put_back(db: Database, tmp_path: Path) -> None:
    store = Namespaces(db)
    await store.insert("a", "k", 1)
    writes = [asyncio.create_task(store.insert("a", f"w{i}", i)) for i in range(20)]
    await asyncio.sleep(0)
    await backup.save(db, tmp_path / "copy.db")
    await asyncio.gather(*writes)
    await store.insert("b", "later", 2)
    tables, namespaces = await backup.restore(db, tmp_path / "copy.db")
    assert "namespace_store" in tables
    assert namespaces == ["a"]
    assert await store.list() == ["a"]
    assert (await store.get("a", "k")) == 1
    await store.insert("a", "k", 3)
    await db.close()
    await db.open()
    assert db.warnings == []
    assert await store.get("a", "k") == 3


async def test_saving_replaces_in_one_step_and_leaves_no_part(db: Database, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_bytes(b"old")
    (tmp_path / ".copy.db.part").write_bytes(b"left over from a crash")
    await backup.save(db, target)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["copy.db"]
    assert target.read_bytes().startswith(b"SQLite format 3")


async def test_what_is_no_copy_of_ours_is_refused_and_changes_nothing(db: Database, tmp_path: Path) -> None:
    store = Namespaces(db)
    await store.insert("a", "k", 1)
    (tmp_path / "text.db").write_text("hello " * 500)
    (tmp_path / "empty.db").touch()
    with sqlite3.connect(tmp_path / "foreign.db") as foreign:
        foreign.execute("CREATE TABLE t (x)")
    foreign.close()
    await backup.save(db, tmp_path / "newer.db")
    with sqlite3.connect(tmp_path / "newer.db") as newer:
        newer.execute(f"PRAGMA user_version = {VERSION + 1}")
    newer.close()
    await backup.save(db, tmp_path / "torn.db")
    torn = (tmp_path / "torn.db").read_bytes()
    (tmp_path / "torn.db").write_bytes(torn[: len(torn) // 2])
    for name in ("text", "empty", "foreign", "newer", "torn"):
        with pytest.raises(BadRequest, match=rf"{name}\.db"):
            await backup.restore(db, tmp_path / f"{name}.db")
    assert await store.get("a") == {"k": 1}


@pytest.mark.parametrize("version", range(1, VERSION + 1))
async def test_an_old_copy_is_migrated_when_put_back(db: Database, tmp_path: Path, version: int) -> None:
    conn = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
    conn.executescript((SCHEMAS / f"v{version}.sql").read_text(encoding="utf-8"))
    conn.close()
    _, namespaces = await backup.restore(db, tmp_path / "old.db")
    assert namespaces == ["mainsail"]
    assert (await db.fetch("PRAGMA user_version"))[0][0] == VERSION
    assert await db.fetch("SELECT count(*) FROM last_print") == [(1 if version >= 3 else 0,)]


async def test_compact_gives_space_back(db: Database) -> None:
    store = Namespaces(db)
    await store.insert("a", "big", "x" * 1_000_000)
    await store.insert("a", "small", 1)
    await store.delete("a", "big")
    before, after = await backup.compact(db)
    assert before > 1_000_000 > after
    assert await store.get("a") == {"small": 1}
