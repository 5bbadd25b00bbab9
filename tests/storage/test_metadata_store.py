from __future__ import annotations

import asyncio

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


async def test_rows_are_removed(db: Database) -> None:
    store = MetadataStore(db)
    await store.put_many([row("a"), row("b"), row("c")])
    await store.remove_many(["a", "nosuch"])
    await store.remove_many([])
    assert await paths(store) == ["b", "c"]


async def test_paths_that_are_no_unicode_are_left_out(db: Database) -> None:
    store = MetadataStore(db)
    await store.put_many([row("a"), row("bad\udcff")])
    await store.remove_many(["bad\udcff"])
    assert await store.get("bad\udcff") is None
    assert await paths(store) == ["a"]


async def test_a_burst_of_single_rows(db: Database) -> None:
    store = MetadataStore(db)
    await asyncio.gather(*(store.put_many([row(f"{i:04}")]) for i in range(1000)))
    assert len(await store.load_all()) == 1000
