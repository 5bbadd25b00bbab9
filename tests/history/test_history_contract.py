"""Answers of server.history.* against the recordings of real Moonraker (scenario 12)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from moonraker_lite.components.history.tracker import Began, Ended, Tracker
from moonraker_lite.host import Host
from tests.support.api_client import ApiClient, RpcError, client_of
from tests.support.recordings import records

SCENARIO = "12_history"

# Moonraker fails over ids that are no hexadecimal numbers; such a job does not exist, and we say so.
NOT_FOUND_HERE = {"GET /server/history/job?uid=zzz", "server.history.delete_job zzz"}


@pytest.fixture
async def client(host: Host) -> AsyncIterator[ApiClient]:
    """Of a host without a printer."""
    async with client_of(host.port) as client:
        yield client


async def fill(host: Host, recorded: list[dict[str, Any]], totals: dict[str, float]) -> None:
    """Put the recorded jobs into the database."""

    def work(conn: Any) -> None:
        for job in recorded:
            row = [int(job["job_id"], 16), *(job[key] for key in COLUMNS)]
            conn.execute(INSERT, (*row, msgspec.json.encode(job["metadata"]), b"[]"))
        conn.executemany("INSERT INTO job_totals VALUES (?, ?)", totals.items())

    await host.database.run(work)


COLUMNS = (
    "user",
    "filename",
    "status",
    "start_time",
    "end_time",
    "print_duration",
    "total_duration",
    "filament_used",
)
INSERT = "INSERT INTO job_history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


async def ask(client: ApiClient, record: dict[str, Any]) -> Any:
    request = record["request"]
    if record["kind"] == "http":
        answer = await client.http(request["method"], request["path"], request.get("json"))
        return answer.status if answer.status != 200 else answer.result
    try:
        return await client.rpc(request["method"], request.get("params"))
    except RpcError as error:
        return error.code


def recorded_answer(record: dict[str, Any]) -> Any:
    response = record["response"]
    if record["kind"] == "http":
        return response["json"]["result"] if response["status"] == 200 else response["status"]
    return response["result"] if "result" in response else response["error"]["code"]


def without_existence(answer: Any) -> Any:
    """The files that were printed are not here."""
    if isinstance(answer, dict):
        return {key: without_existence(value) for key, value in answer.items() if key != "exists"}
    return [without_existence(row) for row in answer] if isinstance(answer, list) else answer


async def test_every_recorded_answer(client: ApiClient, host: Host) -> None:
    rows = records(SCENARIO)
    jobs = rows[0]["response"]["result"]["jobs"]
    totals = next(row for row in rows if row["name"] == "server.history.totals")["response"]["result"]["job_totals"]
    await fill(host, jobs, totals)
    for record in rows:
        got, want = await ask(client, record), recorded_answer(record)
        name = record["name"] + (" zzz" if (record["request"].get("params") or {}).get("uid") == "zzz" else "")
        if name in NOT_FOUND_HERE:
            assert got in (404, -32601), name
        else:
            assert without_existence(got) == without_existence(want), name


async def test_bounds_as_moonraker_applies_them(client: ApiClient, host: Host) -> None:
    """`before` bounds ends, `since` starts, both exclusively: seen with jobs of 500 s, one every 1,000 s."""
    jobs = [
        {
            "job_id": f"{n:06X}",
            "user": "u",
            "filename": f"{n}.gcode",
            "status": "completed",
            "start_time": 1000.0 * n,
            "end_time": 1000.0 * n + 500,
            "print_duration": 0.0,
            "total_duration": 500.0,
            "filament_used": 0.0,
            "metadata": {},
        }
        for n in range(1, 6)
    ]
    await fill(host, jobs, {})

    async def ids(**params: Any) -> list[int]:
        answer = await client.rpc("server.history.list", params)
        assert answer["count"] == len(answer["jobs"])
        return [int(job["job_id"], 16) for job in answer["jobs"]]

    assert await ids(before=3500) == [2, 1]
    assert await ids(before=3500.1) == [3, 2, 1]
    assert await ids(since=2000) == [5, 4, 3]
    assert await ids(since=1999.9) == [5, 4, 3, 2]
    assert await ids(before=4600, since=1500) == [4, 3, 2]
    assert await ids(start=2, limit=2) == [3, 2]
    assert await ids(order="ASC", limit=2) == [1, 2]
    assert await ids(start=10) == []


# The files whose prints were recorded with all status updates, from start to end.
WHOLE = [("16_print_lifecycle", {"life.gcode", "err.gcode"}), ("18_print_extrude_pause_resume", {"extrude.gcode"})]


@pytest.mark.parametrize(("scenario", "files"), WHOLE)
def test_recorded_status_updates_make_the_recorded_history(scenario: str, files: set[str]) -> None:
    """Updates of a real Klipper in; out comes what real Moonraker told of its history."""
    tracker = Tracker("boot")
    tracker.attach({"state": "standby", "filename": ""}, 0.0, 0.0)
    expected, made = [], []
    for note in [note for row in records(scenario) if row["kind"] == "notify" for note in row["notify"]]:
        if note["method"] == "notify_history_changed":
            change = note["params"][0]
            expected.append((change["action"], change["job"]["filename"], change["job"]["status"]))
        elif note["method"] == "notify_status_update":
            status, eventtime = note["params"]
            for found in tracker.update(status.get("print_stats", {}), eventtime, 1e9 + eventtime):
                if isinstance(found, Began):
                    made.append(("added", found.print.filename, "in_progress"))
                elif isinstance(found, Ended):
                    made.append(("finished", found.stats.filename, found.status.value))
    expected = [row for row in expected if row[1] in files]
    assert len(expected) == 2 * len(files)
    assert [row for row in made if row[1] in files] == expected
