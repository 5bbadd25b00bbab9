from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonraker_lite.storage import Database, MetadataRow, MetadataStore


def row(path: str, size: int = 1) -> MetadataRow:
    return MetadataRow(path, size, 2**60 + size, 3, b'{"size":%d}' % size)


async def paths(store: MetadataStore) -> list[str]:
    return [found.path for found in await store.load_all()]


async def test_rows_come_back_as_they_were(db: Database) -> None:
    store = MetadataStore(db)
    rows = [row("ü b/☃.gcode", 5), row("a.gcode", 7)]
    await store.put_many(rows)
    assert await store.load_all() == sorted(rows, key=lambda r: r.path)
    assert await store.get("a.gcode") == rows[1]
    assert await store.get("nosuch") is None
    await store.put_many([row("a.gcode", 8)])
    assert await store.get("a.gcode") == row("a.gcode", 8)


async def test_remove_and_clear(db: Database) -> None:
    store = MetadataStore(db)
    await store.put_many([row("a"), row("b"), row("c")])
    await store.remove_many(["a", "nosuch"])
    await store.remove_many([])
    assert await paths(store) == ["b", "c"]
    await store.clear()
    assert await store.load_all() == []


async def test_paths_that_are_no_unicode_are_left_out(db: Database) -> None:
    store = MetadataStore(db)
    await store.put_many([row("a"), row("bad\udcff")])
    await store.remove_many(["bad\udcff"])
    await store.move("bad\udcff", "a")
    assert await store.get("bad\udcff") is None
    assert await paths(store) == ["a"]


async def test_moving_a_folder_takes_what_is_below_and_nothing_beside(db: Database) -> None:
    store = MetadataStore(db)
    await store.put_many(map(row, ["d/a", "d/e/b", "d", "d.gcode", "d0", "da/x", "t/old", "t"]))
    await store.move("d", "t")
    assert await paths(store) == ["d.gcode", "d0", "da/x", "t", "t/a", "t/e/b"]


NAMES = st.sampled_from(["a", "b", "a/b", "a/c", "a/b/c", "ab", "a0", "b/a"])


def is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(NAMES), NAMES, NAMES)
def test_move_does_what_renaming_paths_does(there: set[str], source: str, target: str) -> None:
    moved = {path: target + path[len(source) :] for path in there if is_below(path, source)}
    stays = {path for path in there if path not in moved and (not is_below(path, target) or source == target)}

    async def play(folder: Path) -> None:
        db = Database(folder / "x.db")
        await db.open()
        store = MetadataStore(db)
        await store.put_many(row(path, len(path)) for path in sorted(there))
        await store.move(source, target)
        found = await paths(store)
        await db.close()
        assert found == sorted({*stays, *moved.values()})

    with tempfile.TemporaryDirectory() as name:
        asyncio.run(play(Path(name)))


async def test_a_burst_of_single_rows(db: Database) -> None:
    store = MetadataStore(db)
    await asyncio.gather(*(store.put_many([row(f"{i:04}")]) for i in range(1000)))
    assert len(await store.load_all()) == 1000
