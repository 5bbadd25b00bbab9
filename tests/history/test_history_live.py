"""The whole host beside a (fake) Klipper: what rows and notifications prints leave."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from moonraker_lite.components.history import component as component_module
from moonraker_lite.components.history.prints import Print
from moonraker_lite.components.history.recorder import Recorder
from moonraker_lite.components.history.store import JobStore
from moonraker_lite.host import Host
from tests.conftest import MakeHost
from tests.fakes.klippy import FakeKlippy
from tests.support.api_client import ApiClient, connected
from tests.support.hosts import until_ready

FIELDS = {
    "job_id", "user", "filename", "status", "start_time", "end_time", "print_duration", "total_duration",
    "filament_used", "metadata", "auxiliary_data", "exists",
}  # fmt: skip


def changes(client: ApiClient) -> list[tuple[str, dict[str, Any]]]:
    return [(params[0]["action"], params[0]["job"]) for params in client.of("notify_history_changed")]


async def jobs(client: ApiClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.call("server.history.list", limit=0))["jobs"]
    return found


async def start(client: ApiClient, name: str) -> None:
    before = len(changes(client))
    await client.call("printer.print.start", filename=f"{name}.gcode")
    await client.until(lambda: len(changes(client)) > before)


def ready_again(client: ApiClient) -> bool:
    """Whether the printer has gone away and come back."""
    names = [name for name, _ in client.notes if name in ("notify_klippy_disconnected", "notify_klippy_ready")]
    return names[-2:] == ["notify_klippy_disconnected", "notify_klippy_ready"]


async def test_a_print_leaves_one_row_and_two_notifications(client: ApiClient) -> None:
    began = time.time()
    await client.call("printer.print.start", filename="fast.gcode")
    await client.until(lambda: len(changes(client)) == 2)
    (added, first), (finished, last) = changes(client)
    assert (added, finished) == ("added", "finished")
    assert first.keys() == last.keys() == FIELDS
    assert (first["status"], first["end_time"], first["job_id"]) == ("in_progress", None, "000001")
    assert (last["status"], last["job_id"], last["user"]) == ("completed", "000001", "_TRUSTED_USER_")
    assert began - 1 < last["start_time"] < last["end_time"] < time.time() + 1
    assert last["total_duration"] == pytest.approx(last["end_time"] - last["start_time"], abs=0.3)
    assert last["filename"] == "fast.gcode"
    assert last["exists"] is True
    assert last["auxiliary_data"] == []
    assert last["metadata"]["size"] > 0
    assert not {"job_id", "print_start_time", "filename"} & last["metadata"].keys()
    assert await jobs(client) == [last]
    assert (await client.call("server.history.get_job", uid="000001"))["job"] == last
    totals = await client.call("server.history.totals")
    assert totals["auxiliary_totals"] == []
    assert totals["job_totals"]["total_jobs"] == 1
    assert totals["job_totals"]["longest_job"] == totals["job_totals"]["total_time"] == last["total_duration"]


async def test_the_file_remembers_its_last_print(client: ApiClient) -> None:
    await start(client, "fast")
    await client.until(lambda: len(changes(client)) == 2)
    metadata = await client.call("server.files.metadata", filename="fast.gcode")
    assert metadata["job_id"] == "000001"
    assert metadata["print_start_time"] == changes(client)[1][1]["start_time"]


async def test_cancel_and_fault(client: ApiClient) -> None:
    await start(client, "slow")
    row = (await jobs(client))[0]
    assert row["status"] == "in_progress"
    await client.call("printer.print.cancel")
    await client.until(lambda: len(changes(client)) == 2)
    await client.call("printer.print.start", filename="fault.gcode")
    await client.until(lambda: len(changes(client)) == 4)
    assert [job["status"] for job in await jobs(client)] == ["error", "cancelled"]
    assert [job["job_id"] for job in await jobs(client)] == ["000002", "000001"]


async def test_the_row_of_a_running_print_shows_how_far_it_is(client: ApiClient) -> None:
    await start(client, "slow")
    first = (await jobs(client))[0]["total_duration"]
    async with asyncio.timeout(5):
        while (await jobs(client))[0]["total_duration"] <= first:
            await asyncio.sleep(0.02)


async def test_a_print_that_somebody_started_by_gcode_has_no_user(client: ApiClient) -> None:
    await client.call("printer.gcode.script", script="SDCARD_PRINT_FILE FILENAME=fast.gcode")
    await client.until(lambda: len(changes(client)) == 2)
    assert (await jobs(client))[0]["user"] == "No User"


async def test_another_print_while_paused_ends_the_first(client: ApiClient) -> None:
    await start(client, "slow")
    await client.call("printer.print.pause")
    await client.call("printer.print.start", filename="fast.gcode")
    await client.until(lambda: len(changes(client)) == 4)
    assert [(action, job["filename"], job["status"]) for action, job in changes(client)] == [
        ("added", "slow.gcode", "in_progress"),
        ("finished", "slow.gcode", "cancelled"),
        ("added", "fast.gcode", "in_progress"),
        ("finished", "fast.gcode", "completed"),
    ]


async def test_emergency_stop(client: ApiClient, fake: FakeKlippy) -> None:
    await start(client, "slow")
    await client.call("printer.emergency_stop")
    await client.until(lambda: len(changes(client)) == 2)
    fake.restart()
    await client.until(lambda: ready_again(client))
    await start(client, "fast")
    await client.until(lambda: len(changes(client)) == 4)
    assert [job["status"] for job in await jobs(client)] == ["completed", "klippy_shutdown"]


async def test_a_restart_of_the_printer_ends_the_print(client: ApiClient, fake: FakeKlippy) -> None:
    await start(client, "slow")
    fake.restart()
    await client.until(lambda: len(changes(client)) == 2)
    await client.until(lambda: ready_again(client))
    await start(client, "fast")
    await client.until(lambda: len(changes(client)) == 4)
    assert [job["status"] for job in await jobs(client)] == ["completed", "klippy_disconnect"]


async def test_a_print_that_outlives_its_connection_has_one_row(client: ApiClient, fake: FakeKlippy) -> None:
    await start(client, "slow")
    fake.disconnect()
    await client.until(lambda: len(changes(client)) == 2)
    assert changes(client)[1][1]["status"] == "klippy_disconnect"
    async with asyncio.timeout(5):
        while (await jobs(client))[0]["status"] != "in_progress":
            await asyncio.sleep(0.02)
    await client.call("printer.print.cancel")
    await client.until(lambda: len(changes(client)) == 3)
    assert [job["status"] for job in await jobs(client)] == ["cancelled"]
    assert (await client.call("server.history.totals"))["job_totals"]["total_jobs"] == 1


async def test_a_host_that_restarts_goes_on_with_the_row(fake: FakeKlippy, make_host: MakeHost) -> None:
    host = await make_host()
    await until_ready(host)
    async with connected(host.port) as client:
        await start(client, "slow")
        row = (await jobs(client))[0]
    await host.stop()
    host = await make_host()
    await until_ready(host)
    async with connected(host.port) as client:
        again = (await jobs(client))[0]
        assert (again["status"], again["start_time"]) == ("in_progress", row["start_time"])
        await client.call("printer.print.cancel")
        await client.until(lambda: changes(client))
        assert [action for action, _ in changes(client)] == ["finished"]
        last = (await jobs(client))[0]
        assert last["total_duration"] == pytest.approx(last["end_time"] - last["start_time"], abs=0.3)
        assert len(await jobs(client)) == 1


@pytest.mark.parametrize("dead", [False, True])
async def test_a_print_that_was_gone_when_the_host_came_back(
    fake: FakeKlippy, make_host: MakeHost, dead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(component_module, "CHECKPOINT_SECONDS", 0.05)
    host = await make_host()
    await until_ready(host)
    async with connected(host.port) as client:
        await start(client, "slow")
        async with asyncio.timeout(60):
            while (await jobs(client))[0]["total_duration"] <= 0.2:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)  # for a checkpoint that says so
    if dead:  # it dies, so it does not say good-bye
        monkeypatch.setattr(Recorder, "put", lambda *_: None)
    await host.stop()
    monkeypatch.undo()
    fake.restart()
    await asyncio.sleep(0.1)
    await fake.until("ready")
    host = await make_host()
    await until_ready(host)
    async with connected(host.port) as client:
        async with asyncio.timeout(60):
            while (await jobs(client))[0]["status"] == "in_progress":
                await asyncio.sleep(0.02)
        last = (await jobs(client))[0]
        assert last["status"] == ("interrupted" if dead else "server_exit")
        assert last["total_duration"] > (0.0 if dead else 0.2)
        assert last["end_time"] >= last["start_time"] + last["total_duration"] - 0.5


async def test_the_farewell_is_the_last_that_is_recorded(
    fake: FakeKlippy, make_host: MakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint behind it would say that the host had died in the print."""
    monkeypatch.setattr(component_module, "CHECKPOINT_SECONDS", 0.02)
    recorded: list[bool] = []
    plain = JobStore.checkpoint

    async def slowly(store: JobStore, job: int, run: Print, left_open: bool) -> None:
        recorded.append(left_open)
        if left_open:
            await asyncio.sleep(0.3)
        await plain(store, job, run, left_open)

    monkeypatch.setattr(JobStore, "checkpoint", slowly)
    host = await make_host()
    await until_ready(host)
    async with connected(host.port) as client:
        await start(client, "slow")
    await host.stop()
    assert recorded[-1]


async def test_deleting_and_counting(client: ApiClient) -> None:
    for number in (1, 2, 3):
        await client.call("printer.print.start", filename="fast.gcode")
        await client.until(lambda n=number: len(changes(client)) == 2 * n)  # type: ignore[misc]
    assert await client.call("server.history.delete_job", uid="000002") == {"deleted_jobs": ["000002"]}
    assert (await client.error("server.history.delete_job", uid="000002"))["code"] == -32601
    await start(client, "slow")
    assert (await client.error("server.history.delete_job", uid="000004"))["code"] == 403
    assert await client.call("server.history.delete_job", all=True) == {"deleted_jobs": ["000001", "000003"]}
    assert [job["job_id"] for job in await jobs(client)] == ["000004"]
    last = (await client.call("server.history.reset_totals"))["last_totals"]
    assert last["total_jobs"] == 3
    assert (await client.call("server.history.totals"))["job_totals"]["total_jobs"] == 0


@pytest.mark.parametrize("uid", ["zzz", "", "-1", "0x1", "1" * 40, "１"])
async def test_ids_that_cannot_be(client: ApiClient, uid: str) -> None:
    assert (await client.error("server.history.get_job", uid=uid))["code"] == -32601
    assert (await client.error("server.history.delete_job", uid=uid))["code"] == -32601


@pytest.mark.parametrize(
    "params", [{"limit": 2**80}, {"start": 2**70}, {"limit": "x"}, {"before": "x"}, {"order": "up"}]
)
async def test_bounds_of_the_list(client: ApiClient, params: dict[str, Any]) -> None:
    answer = await client.answer("server.history.list", params)
    assert answer.get("result", {"count": 0})["count"] == 0
    assert answer.get("error", {"code": 400})["code"] == 400


async def test_a_file_that_is_gone_or_changed_no_longer_exists(client: ApiClient, ready_host: Host) -> None:
    gcodes = ready_host.places.data.gcodes
    await start(client, "fast")
    await client.until(lambda: len(changes(client)) == 2)
    (gcodes / "fast.gcode").write_text("G28\n")
    async with asyncio.timeout(5):
        while (await jobs(client))[0]["exists"]:
            await asyncio.sleep(0.05)
