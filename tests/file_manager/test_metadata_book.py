"""Records of metadata: how they are encoded, follow their files, and outlive the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonraker_lite.components.file_manager.index import Entry
from moonraker_lite.components.file_manager.metadata import MetadataBook, changed, make
from moonraker_lite.storage import Database, MetadataStore, StorageError

FOUND: dict[str, Any] = {
    "size": 1,
    "modified": 2.0,
    "uuid": "u",
    "slicer": 'a "uuid": b',
    "filename": "x",
    "thumbnails": [{"width": 32, "height": 32, "size": 9, "relative_path": ".thumbs/a-32x32.png"}],
}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "test.db")
    await database.open()
    yield database
    await database.close()


def test_encoding(database: Database) -> None:
    book = MetadataBook(MetadataStore(database))
    record = make(10, 1_500_000_000, FOUND)
    book.put("sub/a.gcode", record)
    answer = book.answer("sub/a.gcode")
    assert answer is not None
    fields = msgspec.json.decode(answer)
    assert list(fields)[:3] == ["size", "modified", "uuid"]
    assert list(fields)[-3:] == ["print_start_time", "job_id", "filename"]
    assert (fields["size"], fields["modified"], fields["filename"]) == (10, 1.5, "sub/a.gcode")
    members = msgspec.json.decode(b"{%b}" % book.members("sub/a.gcode"))
    assert members == {name: value for name, value in fields.items() if name not in ("size", "modified", "filename")}
    assert book.members("nosuch") == b""
    assert book.answer("nosuch") is None
    assert record.thumbnails[0]["width"] == 32


def test_matching() -> None:
    record = make(10, 5, FOUND)
    assert record.matches(Entry(10, 5))
    assert not record.matches(Entry(10, 6))
    assert not record.matches(Entry(11, 5))
    assert not msgspec.structs.replace(record, stale=True).matches(Entry(10, 5))


def test_a_scan_of_the_same_content_keeps_the_last_print() -> None:
    record = changed(make(10, 5, FOUND), print_start_time=7.0, job_id="00000B")
    assert make(10, 5, FOUND, record).fields()["job_id"] == "00000B"
    assert make(10, 6, FOUND, record).fields()["job_id"] is None


async def test_records_outlive_the_process(database: Database) -> None:
    book = MetadataBook(MetadataStore(database))
    await book.load(3)
    for path in ("a.gcode", "d/b.gcode", "d/c.gcode", "gone.gcode"):
        book.put(path, make(10, 5, FOUND))
    await book.write()
    book.move("a.gcode", "z.gcode")
    book.move_tree("d", "e")
    book.remove("gone.gcode")
    assert book.unwritten
    await book.write()
    assert not book.unwritten
    again = MetadataBook(MetadataStore(database))
    await again.load(3)
    assert sorted(again.paths()) == ["e/b.gcode", "e/c.gcode", "z.gcode"]
    record = again.get("z.gcode")
    assert record is not None
    assert record.matches(Entry(10, 5))
    newer = MetadataBook(MetadataStore(database))
    await newer.load(4)
    record = newer.get("z.gcode")
    assert record is not None
    assert not record.matches(Entry(10, 5))


async def test_trees(database: Database) -> None:
    book = MetadataBook(MetadataStore(database))
    for path in ("d/a", "d/e/b", "da", "x"):
        book.put(path, make(1, 1, FOUND))
    book.copy_tree("d", "f")
    assert sorted(book.paths()) == ["d/a", "d/e/b", "da", "f/a", "f/e/b", "x"]
    copy, original = book.get("f/a"), book.get("d/a")
    assert copy is not None
    assert original is not None
    assert copy.fields()["uuid"] != original.fields()["uuid"]
    book.remove_tree("d")
    book.keep_only(["da", "f/a"])
    assert sorted(book.paths()) == ["da", "f/a"]
    over = book.move("da", "f/a")
    assert over is not None


async def test_what_could_not_be_written_is_written_later(database: Database) -> None:
    book = MetadataBook(MetadataStore(database))
    book.put("a", make(1, 1, FOUND))
    await database.close()
    with pytest.raises(StorageError):
        await book.write()
    assert book.unwritten
    await database.open()
    await book.write()
    assert not book.unwritten
