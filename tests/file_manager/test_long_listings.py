"""Listings of many files: made piece by piece, right when they are done, and kept only while they are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from moonraker_lite.components.file_manager import listing
from moonraker_lite.components.file_manager.index import Entry, Index, Node
from moonraker_lite.components.file_manager.roots import Root

ROOT = Root("gcodes", Path("/gcodes"))


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setattr(listing, "SLICE", 10)
    node = Node("gcodes", None, real="/gcodes")
    for number in range(95):
        node.entries[f"f{number}.gcode"] = Entry(number, 10**9)
    return node


async def turns(work: asyncio.Task[bytes]) -> int:
    """How often others had the loop before it was done."""
    count = 0
    while not work.done():
        await asyncio.sleep(0)
        count += 1
    return count


async def test_others_have_their_turn(node: Node) -> None:
    index = Index()
    index.roots["gcodes"] = node
    for work in (listing.files(node, ROOT, None), listing.file_list(node, ROOT, index)):
        task = asyncio.ensure_future(work)
        assert await turns(task) >= 9
        assert len(json.loads(task.result())) == 95
    again = asyncio.ensure_future(listing.files(node, ROOT, None))
    assert await turns(again) == 1
    assert again.result() is node.listings["files:rw"]


async def test_what_changes_meanwhile_is_not_kept(node: Node) -> None:
    task = asyncio.ensure_future(listing.files(node, ROOT, lambda place, entry: b'"more":1'))
    await asyncio.sleep(0)
    node.entries["new.gcode"] = Entry(7, 10**9)
    del node.entries["f94.gcode"]
    node.touched()
    rows = json.loads(await task)
    assert {row["more"] for row in rows} == {1}
    assert node.listings == {}
    rows = json.loads(await listing.files(node, ROOT, None))
    assert {"new.gcode"} <= {row["filename"] for row in rows}
    assert "f94.gcode" not in {row["filename"] for row in rows}


async def test_nothing_and_one(node: Node) -> None:
    node.entries.clear()
    assert await listing.files(node, ROOT, None) == b"[]"
    node.touched()
    node.entries["a.gcode"] = Entry(1, 10**9)
    [row] = json.loads(await listing.files(node, ROOT, None))
    assert row == {"modified": 1.0, "size": 1, "permissions": "rw", "filename": "a.gcode"}
    assert await listing.directories(node, ROOT) == b"[]"
