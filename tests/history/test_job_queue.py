"""The job queue: recorded answers and notifications (scenario 11), and prints one after the other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.host import Host
from tests.conftest import MakeHost
from tests.fakes.klippy import FakeKlippy
from tests.support.api_client import ApiClient, connected
from tests.support.hosts import until_ready
from tests.support.recordings import records

VOLATILE = {"time_added": 0.0, "time_in_queue": 0.0, "job_id": "X"}


def plain(value: Any) -> Any:
    """Without what differs from one run to the next."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "job_id" in value:
        assert len(value["job_id"]) == 16
        return {**value, **VOLATILE}
    return {key: plain(item) for key, item in value.items()}


async def test_every_recorded_answer_and_notification(make_host: MakeHost, tmp_path: Path) -> None:
    rows = [row for row in records("11_webcams_jobqueue") if "job_queue" in str(row["request"])]
    for name in ("plain.gcode", "prusa.gcode", "sub/dir/cura.gcode", "x.g", "x.nc"):
        path = tmp_path / "printer_data" / "gcodes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("G28\n")
    host = await make_host()
    names: dict[str, str] = {}  # their job ids -> ours, by their places in the queue
    async with connected(host.port) as client:
        for row in rows:
            request = translated(row["request"], names)
            client.notes.clear()
            if row["kind"] == "http":
                answered = await client.http(request["method"], request["path"], request.get("json"))
                assert answered.status == row["response"]["status"], row["name"]
                got, want = answered.json["result"], row["response"]["json"]["result"]
            else:
                answer = await client.answer(request["method"], request.get("params"))
                got, want = answer.get("result", {}), row["response"].get("result", {})
                assert answer.get("error") == row["response"].get("error"), row["name"]
            assert plain(got) == plain(want), row["name"]
            for their, our in zip(want.get("queued_jobs", []), got.get("queued_jobs", []), strict=True):
                names[their["job_id"]] = our["job_id"]
            notes = [note["params"][0] for note in row.get("notify") or [] if "method" in note]
            if row.get("notify"):
                await asyncio.sleep(0.12)
                seen = [params[0] for params in client.of("notify_job_queue_changed")]
                # the first of two notifications in a record came late, from the call before
                assert plain(seen) == plain(notes[-1:]), row["name"]
            await asyncio.sleep(0.06)


def translated(request: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The request with our ids in the place of theirs."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        if isinstance(value, str):
            for their, our in names.items():
                value = value.replace(their, our)
        return value

    result: dict[str, Any] = walk(request)
    return result


def steps(client: ApiClient) -> list[tuple[str, str, int | None]]:
    """What the queue has told: action, state, length."""
    return [
        (note["action"], note["queue_state"], None if note["updated_queue"] is None else len(note["updated_queue"]))
        for (note,) in client.of("notify_job_queue_changed")
    ]


async def printed(client: ApiClient) -> list[str]:
    rows = (await client.call("server.history.list", order="asc"))["jobs"]
    return [f"{job['filename']} {job['status']}" for job in rows]


async def post(client: ApiClient, *names: str) -> None:
    await client.call("server.job_queue.post_job", filenames=[f"{name}.gcode" for name in names])


async def finished(client: ApiClient, count: int) -> None:
    """Wait until so many prints have ended."""
    await client.until(
        lambda: sum(note["action"] == "finished" for (note,) in client.of("notify_history_changed")) == count
    )


async def test_starting_prints_one_job_and_pauses(client: ApiClient) -> None:
    """As recorded (scenario 16): loading, starting, job_loaded; then the queue rests with the others in it."""
    await post(client, "fast", "fast")
    assert (await client.call("server.job_queue.start"))["queue_state"] == "loading"
    await finished(client, 1)
    assert steps(client) == [
        ("jobs_added", "paused", 2),
        ("state_changed", "loading", None),
        ("state_changed", "starting", None),
        ("job_loaded", "paused", 1),
    ]
    assert await printed(client) == ["fast.gcode completed"]
    assert (await client.call("server.history.list"))["jobs"][0]["user"] == "_TRUSTED_USER_"


async def test_starting_while_the_printer_prints_changes_nothing(client: ApiClient) -> None:
    await client.call("printer.print.start", filename="slow.gcode")
    await client.until(lambda: client.of("notify_history_changed"))
    await post(client, "fast")
    assert (await client.call("server.job_queue.start"))["queue_state"] == "paused"
    await client.call("printer.print.pause")
    assert (await client.call("server.job_queue.start"))["queue_state"] == "paused"
    await asyncio.sleep(0.1)
    assert steps(client) == [("jobs_added", "paused", 1)]


@pytest.fixture
async def automatic(fake: FakeKlippy, make_host: MakeHost) -> Host:
    config = "[job_queue]\nautomatic_transition: True\njob_transition_gcode:\n  M117 next\n  G28\n"
    host = await make_host(config)
    await until_ready(host)
    return host


async def test_automatic_transition_prints_all(automatic: Host, fake: FakeKlippy) -> None:
    async with connected(automatic.port) as client:
        await post(client, "fast", "fast", "fast")
        await client.call("server.job_queue.start")
        await finished(client, 3)
        assert await printed(client) == ["fast.gcode completed"] * 3
        await client.until(lambda: ("job_loaded", "ready", 0) in steps(client))
        assert (await client.call("server.job_queue.status")) == {"queued_jobs": [], "queue_state": "ready"}
        scripts = [params["script"] for method, params in fake.requests if method == "gcode/script"]
        assert [script for script in scripts if "M117 next" in script] == ["M117 next\nG28"] * 2
        await post(client, "fast")
        await finished(client, 4)


async def test_a_job_that_fails_pauses_the_queue(automatic: Host) -> None:
    async with connected(automatic.port) as client:
        await post(client, "fault", "fast")
        await client.call("server.job_queue.start")
        await finished(client, 1)
        await client.until(lambda: steps(client)[-1:] == [("state_changed", "paused", None)])
        assert await printed(client) == ["fault.gcode error"]
        assert len((await client.call("server.job_queue.status"))["queued_jobs"]) == 1


async def test_a_queue_that_is_paused_lets_the_print_go_on_and_begins_no_other(automatic: Host) -> None:
    async with connected(automatic.port) as client:
        await post(client, "slow", "fast")
        await client.call("server.job_queue.start")
        await client.until(lambda: client.of("notify_history_changed"))
        assert (await client.call("server.job_queue.pause"))["queue_state"] == "paused"
        await client.call("printer.print.cancel")
        await finished(client, 1)
        await asyncio.sleep(0.1)
        assert await printed(client) == ["slow.gcode cancelled"]


async def test_a_printer_that_goes_away_pauses_the_queue(automatic: Host, fake: FakeKlippy) -> None:
    async with connected(automatic.port) as client:
        await post(client, "slow", "fast")
        await client.call("server.job_queue.start")
        await client.until(lambda: client.of("notify_history_changed"))
        fake.shutdown("test")
        await client.until(lambda: steps(client)[-1:] == [("state_changed", "paused", None)])


async def test_a_file_that_is_gone_when_its_turn_comes_pauses_the_queue(automatic: Host) -> None:
    async with connected(automatic.port) as client:
        await post(client, "fast")
        (automatic.places.data.gcodes / "fast.gcode").unlink()
        await client.call("server.job_queue.start")
        await client.until(lambda: steps(client)[-1:] == [("state_changed", "paused", None)])
        assert len((await client.call("server.job_queue.status"))["queued_jobs"]) == 1
        assert await printed(client) == []


async def test_load_on_startup_takes_jobs_at_once(fake: FakeKlippy, make_host: MakeHost) -> None:
    host = await make_host("[job_queue]\nload_on_startup: True\n")
    await until_ready(host)
    async with connected(host.port) as client:
        await post(client, "fast")
        await finished(client, 1)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("post_job", {"filenames": "nosuch.gcode"}),
        ("post_job", {"filenames": ["../config/moonraker.conf"]}),
        ("post_job", {"filenames": ["fast.gcode", 5]}),
        ("post_job", {"filenames": None}),
        ("post_job", {"filenames": ["fast.gcode"] * 10_001}),
        ("delete_job", {"job_ids": 5}),
        ("jump", {"job_id": "x"}),
        ("jump", {"job_id": None}),
    ],
)
async def test_bad_arguments_change_nothing(client: ApiClient, method: str, params: dict[str, Any]) -> None:
    assert (await client.error(f"server.job_queue.{method}", **params))["code"] == 400
    assert await client.call("server.job_queue.status") == {"queued_jobs": [], "queue_state": "paused"}
    assert client.of("notify_job_queue_changed") == []
