"""The largest, oddest and most numerous things that clients may keep here."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.components.history.prints import Print, PrintStats, Status
from moonraker_lite.components.history.recorder import Checkpoint, Recorder
from moonraker_lite.components.history.store import JobStore
from moonraker_lite.components.history.tracker import Began, Ended
from moonraker_lite.storage import Database
from tests.security.target import Target, answer_of

JSON = {"Content-Type": "application/json"}
KEYS = (
    "a", "ä", "\U0001f600", "\u202e", "\u2028", "\x00", "\x1b[31m", "\n", " ", "%", "_", "'", '"', "\\", "/*",
    "--", "a" * 5000,
    "' OR 1=1 --", "'; DROP TABLE namespace_store; --", "\x7f", "\ufeff", "null", "0", "-1", "[]", "{}", "__proto__",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    "", 0, -1, 2**53, 2**63, 2**64, 1e308, 5e-324, -0.0, True, [], {}, [None], {"": ""}, {"a.b": {"c.d": 1}}, "\x00",
    "\u2028\u202e\x7f", "\U0001f600" * 1000, "a" * 3_000_000, [[]] * 10_000, {str(n): n for n in range(10_000)},
)  # fmt: skip


def put(target: Target, namespace: str, key: Any, value: Any) -> int:
    body = json.dumps({"namespace": namespace, "key": key, "value": value}).encode()
    return target.request("POST", "/server/database/item", body, JSON).status


@pytest.mark.parametrize("key", KEYS)
def test_any_text_can_be_a_key_and_a_namespace(target: Target, key: str) -> None:
    for namespace, name in (("odd", [key]), (f"odd {key}", ["a", key]), ("list", ["a", key, "b"])):
        assert put(target, namespace, name, {"at": key}) == 200
        answer = target.rpc("server.database.get_item", namespace=namespace, key=name)
        assert answer["result"]["value"] == {"at": key}
        assert target.rpc("server.database.get_item", namespace=namespace)["result"]["value"]
        assert target.rpc("server.database.delete_item", namespace=namespace, key=name)["result"]["value"] == {
            "at": key
        }


@pytest.mark.parametrize("index", range(len(VALUES)))
def test_any_value_comes_back_as_it_was(target: Target, index: int) -> None:
    value = VALUES[index]
    assert put(target, "values", "v", value) == 200
    found = target.get("/server/database/item", namespace="values", key="v").json["result"]["value"]
    assert found == (float(value) if isinstance(value, int) and value >= 2**64 else value)
    target.rpc("server.database.delete_item", namespace="values", key="v")


NO_KEYS: tuple[Any, ...] = (
    "",
    ".",
    "..",
    "a..b",
    ".a",
    "a.",
    [],
    [""],
    [1],
    [None],
    ["a", ""],
    [["a"]],
    {},
    1,
    None,
    True,
)


@pytest.mark.parametrize("key", NO_KEYS)
def test_what_is_no_key_is_refused(target: Target, key: Any) -> None:
    assert put(target, "no_keys", key, 1) in (200, 400)
    target.rpc("server.database.delete_item", namespace="no_keys", key=key)
    assert target.get("/server/database/item", namespace="no_keys").status in (200, 404)


def test_ten_thousand_keys(target: Target) -> None:
    with target.unix() as wire:
        for number in range(10_000):
            wire.sendall(b'{"jsonrpc":"2.0","method":"server.database.post_item","params":{')
            wire.sendall(b'"namespace":"many","key":"k%d","value":%d},"id":%d}\x03' % (number, number, number))
        answer_of(wire, 9999)
    found = target.rpc("server.database.get_item", namespace="many")["result"]["value"]
    assert found == {f"k{number}": number for number in range(10_000)}
    assert target.rpc("server.database.delete_item", namespace="many", key="k0")["result"]["value"] == 0


@pytest.mark.parametrize("namespace", ["moonraker", "gcode_metadata", "database", "host/queue", "host/", "host/../x"])
def test_what_is_the_server_s_own_stays_so(target: Target, namespace: str) -> None:
    before = target.rpc("server.database.list")["result"]["namespaces"]
    assert put(target, namespace, "instance_id", "mine") == 403
    assert target.rpc("server.database.delete_item", namespace=namespace, key="instance_id")["error"]["code"] == 403
    assert target.rpc("server.database.list")["result"]["namespaces"] == before


class BigFiles:
    """What history asks of the file manager: a file with much metadata."""

    def metadata(self, filename: str) -> dict[str, Any] | None:
        return {"object_height": 1.0, "notes": "x" * 200_000}

    async def scanned_metadata(self, filename: str) -> dict[str, Any] | None:
        return self.metadata(filename)

    def set_job(self, filename: str, job_id: str, start_time: float) -> None:
        pass

    def exists(self, filename: str) -> bool:
        return True


async def limit(database: Database, pages: int) -> None:
    """Let the database's file have so many pages at most, as a full disk does."""
    await database.run(lambda conn: conn.execute(f"PRAGMA max_page_count = {pages}").close())


async def test_a_print_that_begins_while_the_disk_is_full(tmp_path: Path) -> None:
    """Its row comes once there is room again: at the latest when it ends."""
    database = Database(tmp_path / "test.db")
    await database.open()
    told: list[tuple[str, str, str]] = []
    store = JobStore(database)
    recorder = Recorder(store, BigFiles(), lambda action, row: told.append((action, row.filename, row.status)))
    running = asyncio.ensure_future(recorder.run())
    try:
        run = Print("a.gcode", 1000.0, "boot", 1000.0, 1000.0, PrintStats("printing", "a.gcode"))
        await limit(database, 1)
        recorder.put(Began(run))
        recorder.put(Checkpoint(run))
        await recorder.drain()
        assert told == []
        await limit(database, 1_000_000)
        recorder.put(Ended(Status.COMPLETED, PrintStats("complete", "a.gcode", 9.0, 8.0, 7.0), 1010.0))
        await recorder.drain()
        assert told == [("added", "a.gcode", "in_progress"), ("finished", "a.gcode", "completed")]
        recorder.put(Checkpoint(run))
        await recorder.drain()
        assert len(told) == 2
    finally:
        running.cancel()
        await asyncio.wait([running])
        await database.close()
