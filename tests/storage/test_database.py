from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from moonraker_lite.errors import InsufficientStorage, NotFound
from moonraker_lite.storage import Database, SchemaTooNew, StorageError
from moonraker_lite.storage import database as database_module
from moonraker_lite.storage.schema import VERSION

PUT = "INSERT INTO namespace_store VALUES ('ns', ?, x'31')"
KEYS = "SELECT key FROM namespace_store ORDER BY key"


async def keys(db: Database) -> list[str]:
    return [row[0] for row in await db.fetch(KEYS)]


def put(conn: sqlite3.Connection, key: str) -> None:
    conn.execute(PUT, (key,))


async def test_what_is_written_is_there_after_reopening(db: Database) -> None:
    assert await db.execute(PUT, ("a",)) == 1
    await db.close()
    again = Database(db.path)
    await again.open()
    assert await keys(again) == ["a"]
    assert again.warnings == []
    await again.close()


async def test_settings_that_durability_rests_on(db: Database) -> None:
    async def pragma(name: str) -> object:
        return (await db.fetch(f"PRAGMA {name}"))[0][0]

    assert await pragma("journal_mode") == "wal"
    assert await pragma("synchronous") == 2  # FULL
    assert await pragma("foreign_keys") == 1
    assert stat.S_IMODE(db.path.stat().st_mode) == 0o600


async def test_work_runs_in_one_thread_and_not_in_ours(db: Database) -> None:
    threads = {await db.run(lambda _: threading.get_ident()) for _ in range(5)}
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


async def test_an_exception_rolls_back_and_comes_out(db: Database) -> None:
    def work(conn: sqlite3.Connection) -> None:
        put(conn, "a")
        raise NotFound("no")

    with pytest.raises(NotFound, match=r"^no$"):
        await db.run(work)
    assert await keys(db) == []


async def test_one_that_fails_in_a_burst_leaves_the_others(db: Database) -> None:
    def bad(conn: sqlite3.Connection) -> None:
        put(conn, "bad")
        raise ValueError("mine")

    results = await asyncio.gather(
        *(db.execute(PUT, (f"k{i}",)) for i in range(5)),
        db.run(bad),
        db.execute(PUT, ("k1",)),  # a duplicate
        *(db.execute(PUT, (f"m{i}",)) for i in range(5)),
        return_exceptions=True,
    )
    assert isinstance(results[5], ValueError)
    assert isinstance(results[6], sqlite3.IntegrityError)
    assert await keys(db) == [f"k{i}" for i in range(5)] + [f"m{i}" for i in range(5)]


async def test_a_burst_shares_a_transaction(db: Database) -> None:
    """Of 100 writes, all but the first (which finds the thread idle) are committed at once."""
    statements: list[str] = []
    await db.run_alone(lambda conn: conn.set_trace_callback(statements.append))
    await asyncio.gather(*(db.execute(PUT, (f"{i:03}",)) for i in range(100)))
    await db.run_alone(lambda conn: conn.set_trace_callback(None))
    assert statements.count("COMMIT") == 2
    assert len(await keys(db)) == 100


async def test_order_is_kept(db: Database) -> None:
    done: list[int] = []

    async def one(number: int) -> None:
        await db.run(lambda conn: conn.execute("REPLACE INTO namespace_store VALUES ('n', 'k', ?)", (b"%d" % number,)))
        done.append(number)

    await asyncio.gather(*(one(number) for number in range(50)))
    assert done == list(range(50))
    assert (await db.fetch("SELECT value FROM namespace_store"))[0][0] == b"49"


async def test_a_caller_that_goes_away_harms_nobody(db: Database) -> None:
    gate = threading.Event()
    blocker = asyncio.create_task(db.run(lambda _: gate.wait(5)))
    await asyncio.sleep(0)
    lost = asyncio.create_task(db.execute(PUT, ("lost",)))
    kept = asyncio.create_task(db.execute(PUT, ("kept",)))
    await asyncio.sleep(0)
    lost.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert await blocker is True
    assert await kept == 1
    assert await keys(db) == ["kept"]


async def test_closing_finishes_what_waits(db: Database) -> None:
    writes = [asyncio.create_task(db.execute(PUT, (f"{i:02}",))) for i in range(20)]
    await asyncio.sleep(0)
    await db.close()
    assert await asyncio.gather(*writes) == [1] * 20
    await db.open()
    assert len(await keys(db)) == 20


async def test_a_closed_database_says_so(db: Database) -> None:
    await db.close()
    await db.close()
    with pytest.raises(StorageError, match="closed"):
        await keys(db)
    with pytest.raises(StorageError, match="closed"):
        await db.run_alone(lambda conn: None)


async def test_the_queue_is_bounded(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "LIMIT", 3)
    gate = threading.Event()
    blocker = asyncio.create_task(db.run(lambda _: gate.wait(5)))
    await asyncio.sleep(0)
    writes = [asyncio.create_task(db.execute(PUT, (str(i),))) for i in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(StorageError, match="too slow or hangs"):
        await db.execute(PUT, ("x",))
    gate.set()
    await asyncio.gather(blocker, *writes)
    assert await keys(db) == ["0", "1", "2"]


async def test_a_full_disk_is_named_and_loses_only_what_did_not_fit(db: Database) -> None:
    pages = (await db.fetch("PRAGMA page_count"))[0][0]
    await db.fetch(f"PRAGMA max_page_count = {pages + 2}")

    def big(conn: sqlite3.Connection) -> None:
        conn.execute("INSERT INTO namespace_store VALUES ('ns', 'big', zeroblob(100000))")

    results = await asyncio.gather(
        db.execute(PUT, ("a",)), db.execute(PUT, ("b",)), db.run(big), db.execute(PUT, ("c",)), return_exceptions=True
    )
    assert isinstance(results[2], InsufficientStorage)
    assert [results[0], results[1], results[3]] == [1, 1, 1]
    assert await keys(db) == ["a", "b", "c"]


async def test_a_work_that_ends_an_iteration_does_not_hang_its_caller(db: Database) -> None:
    with pytest.raises(RuntimeError, match="ended an iteration"):
        await db.run(lambda conn: next(iter(())))
    assert await keys(db) == []


@pytest.mark.parametrize(
    "damage",
    ["no database at all, but long enough to have a header" * 100, "header", "page"],
    ids=["text", "header", "page"],
)
async def test_a_damaged_file_is_set_aside_and_replaced(db: Database, damage: str) -> None:
    await asyncio.gather(*(db.execute(PUT, (f"{i:0500}",)) for i in range(100)))
    await db.close()
    content = bytearray(db.path.read_bytes())
    if damage == "header":
        content[:16] = b"x" * 16
    elif damage == "page":
        content[4096 * 3 : 4096 * 9] = os.urandom(4096 * 6)
    else:
        content = bytearray(damage.encode())
    db.path.write_bytes(content)

    again = Database(db.path)
    await again.open()
    assert len(await keys(again)) < 100
    await again.execute(PUT, ("new",))
    await again.close()
    aside = [path for path in db.path.parent.iterdir() if ".damaged-" in path.name and path.name[-4] != "-"]
    assert [path.read_bytes() for path in aside] == [bytes(content)]
    assert len(again.warnings) == 1
    assert aside[0].name in again.warnings[0]


async def test_damaged_twice_in_a_second_keeps_both(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    for number in range(3):
        path.write_bytes(b"%d is not a database" % number * 1000)
        db = Database(path)
        await db.open()
        assert db.warnings
        await db.close()
        path.unlink()
    assert len([path for path in tmp_path.iterdir() if ".damaged-" in path.name]) == 3


async def test_a_newer_schema_is_refused_and_left_alone(db: Database) -> None:
    await db.execute(PUT, ("a",))
    await db.fetch(f"PRAGMA user_version = {VERSION + 1}")
    await db.close()
    before = db.path.read_bytes()
    with pytest.raises(SchemaTooNew, match="update the program"):
        await Database(db.path).open()
    assert db.path.read_bytes() == before
    assert not [path for path in db.path.parent.iterdir() if ".damaged-" in path.name]


async def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"x\.db cannot be opened"):
        await Database(tmp_path / "file" / "x.db").open()
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StorageError, match=r"folder\.db cannot be opened"):
        await Database(tmp_path / "folder.db").open()


async def test_no_thread_is_left(tmp_path: Path) -> None:
    for _ in range(3):
        db = Database(tmp_path / "x.db")
        await db.open()
        await db.open()
        await db.close()
    (tmp_path / "y.db").mkdir()
    with pytest.raises(StorageError):
        await Database(tmp_path / "y.db").open()
    for thread in threading.enumerate():
        if thread.name.startswith("database"):
            thread.join(2)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("database")]
