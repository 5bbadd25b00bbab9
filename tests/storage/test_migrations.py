"""Files of every older schema, written down as SQL, become today's and keep what is in them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from moonraker_lite.storage import Database, StorageError
from moonraker_lite.storage.schema import VERSION

SCHEMAS = Path(__file__).parent / "schemas"


def shape(path: Path) -> dict[str, str]:
    with sqlite3.connect(path) as conn:
        rows = dict(conn.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"))
    conn.close()
    return rows


def dump(path: Path) -> dict[str, list[tuple[object, ...]]]:
    conn = sqlite3.connect(path)
    try:
        return {
            name: sorted(conn.execute(f"SELECT * FROM {name}"), key=repr)
            for name in shape(path)
            if "_autoindex_" not in name
        }
    finally:
        conn.close()


def make(path: Path, version: int) -> None:
    conn = sqlite3.connect(path, isolation_level=None)
    conn.executescript((SCHEMAS / f"v{version}.sql").read_text(encoding="utf-8"))
    conn.close()


def test_every_schema_is_written_down() -> None:
    assert sorted(path.name for path in SCHEMAS.iterdir()) == [f"v{n}.sql" for n in range(1, VERSION + 1)]


@pytest.mark.parametrize("version", range(VERSION + 1))
async def test_an_old_file_becomes_todays_and_keeps_its_rows(tmp_path: Path, version: int) -> None:
    fresh = Database(tmp_path / "fresh.db")
    await fresh.open()
    await fresh.close()
    path = tmp_path / "old.db"
    if version:
        make(path, version)
        rows = dump(path)
        assert any(rows.values()), "a schema without rows shows nothing"
    else:
        path.touch()
        rows = {}

    old = Database(path)
    await old.open()
    assert old.warnings == []
    assert (await old.fetch("PRAGMA user_version"))[0][0] == VERSION
    await old.close()
    assert shape(path) == shape(fresh.path)
    after = dump(path)
    for table, content in rows.items():
        assert after[table] == content


async def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    make(path, 1)
    with sqlite3.connect(path) as conn:
        conn.execute("CREATE TABLE job_history (surprise)")
    conn.close()
    before = shape(path)
    with pytest.raises(StorageError, match="cannot be opened"):
        await Database(path).open()
    assert shape(path) == before
