"""`server.database.*` over the wire: what Moonraker 0.11.0 answered to a session of 101 calls, and our own rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.host import Host
from tests.conftest import MakeHost
from tests.support.api_client import ApiClient, RpcError, client_of

SESSION = Path(__file__).parents[1] / "data" / "storage" / "moonraker_database.jsonl"

# What the answers hold beside what the session itself wrote, and sizes, is our own business.
OURS = {"announcements", "gcode_metadata", "moonraker"}


async def ask(client: ApiClient, call: dict[str, Any]) -> dict[str, Any]:
    """Repeat a recorded call; the answer in the recording's form."""
    if "verb" in call:
        answer = await client.http(call["verb"], call["path"], call.get("json"))
        return {"status": answer.status, **answer.json}
    try:
        return {"result": await client.rpc(call["method"], call.get("params"))}
    except RpcError as error:
        return {"error": {"code": error.code, "message": error.message}}


def comparable(answer: Any, data: str) -> Any:
    """Without what differs from one server to the next."""
    answer = json.loads(json.dumps(answer).replace(data, "/printer"))
    if "invalid type" in answer.get("error", {}).get("message", "") or "expected `" in str(answer.get("error")):
        del answer["error"]["message"]  # the API table has its own sentence for wrong types
    result = answer.get("result", {})
    if isinstance(result, dict):
        if "namespaces" in result:
            result["namespaces"] = sorted(set(result["namespaces"]) - OURS)
        if result.get("namespace") == "moonraker":
            result["value"] = sorted(result["value"])
        for size in ("previous_size", "new_size"):
            result[size] = size in result
    return answer


async def test_a_recorded_session_has_the_recorded_answers(client: ApiClient, host: Host) -> None:
    data = str(host.places.data.root)
    for line in SESSION.read_text(encoding="utf-8").splitlines():
        call = json.loads(line)
        name = call.pop("name")
        answer = {key: call.pop(key) for key in ("status", "result", "error") if key in call}
        assert comparable(await ask(client, call), data) == comparable(answer, data), (name, call)


async def refused(client: ApiClient, method: str, **params: Any) -> int:
    with pytest.raises(RpcError) as error:
        await client.rpc(f"server.database.{method}", params)
    return error.value.code


async def test_front_ends_find_their_settings_as_they_left_them(client: ApiClient) -> None:
    settings: dict[str, Any] = {
        "uiSettings": {"general": {"instanceName": "a.b", "list": [1, None, {"x": 0.5}]}},
        "cameras": [],
    }
    for key, value in settings.items():
        await client.http("POST", "/server/database/item", {"namespace": "fluidd", "key": key, "value": value})
    await client.rpc(
        "server.database.post_item", {"namespace": "fluidd", "key": "uiSettings.theme.color", "value": "#fff"}
    )
    found = (await client.get("/server/database/item?namespace=fluidd")).result["value"]
    assert found == {**settings, "uiSettings": {**settings["uiSettings"], "theme": {"color": "#fff"}}}


async def test_what_components_keep_is_not_for_clients(client: ApiClient) -> None:
    for method, extra in (("get_item", {}), ("post_item", {"value": 1}), ("delete_item", {})):
        assert await refused(client, method, namespace="host/users", key="a", **extra) == 403
    names = (await client.get("/server/database/list")).result["namespaces"]
    assert not [name for name in names if name.startswith("host/")]


@pytest.mark.parametrize("key", [5, True, None, {"x": 1}, [["x"]], [None], ["a", ""], "a" * 150 + ".." + "b"])
async def test_keys_of_a_wrong_type_or_form_are_bad_requests(client: ApiClient, key: Any) -> None:
    assert await refused(client, "post_item", namespace="n", key=key, value=1) == 400


async def test_the_instance_keeps_its_id(make_host: MakeHost) -> None:
    async def own() -> Any:
        host = await make_host()
        async with client_of(host.port) as client:
            found = (await client.rpc("server.database.get_item", {"namespace": "moonraker"}))["value"]
        await host.stop()
        return found

    first = await own()
    assert len(first["instance_id"]) == 32
    assert await own() == first


async def test_metadata_of_files_can_be_read_but_not_written(client: ApiClient, host: Host) -> None:
    await host.database.execute(
        "REPLACE INTO gcode_metadata VALUES ('d/a.gcode', 1, 2, 3, ?)", (b'{"size":1,"thumbnails":[{"width":32}]}',)
    )
    whole = await client.rpc("server.database.get_item", {"namespace": "gcode_metadata"})
    assert whole["value"]["d/a.gcode"]["size"] == 1
    part = await client.rpc("server.database.get_item", {"namespace": "gcode_metadata", "key": ["d/a.gcode", "size"]})
    assert part == {"namespace": "gcode_metadata", "key": ["d/a.gcode", "size"], "value": 1}
    assert await refused(client, "get_item", namespace="gcode_metadata", key="d/a.gcode") == -32601
    assert await refused(client, "get_item", namespace="gcode_metadata", key=["d/a.gcode", "nosuch"]) == -32601
    assert await refused(client, "delete_item", namespace="gcode_metadata", key=["d/a.gcode"]) == 403


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x.db", "a/b.db", "/etc/passwd", "a\nb", ".x.part", "x" * 201, "é" * 101]
)
async def test_backups_lie_in_their_folder_whatever_they_are_called(client: ApiClient, host: Host, name: str) -> None:
    before = sorted(host.places.data.root.rglob("*"))
    for method in ("post_backup", "delete_backup", "restore"):
        assert await refused(client, method, filename=name) == 400
    assert sorted(host.places.data.root.rglob("*")) == before


async def test_a_backup_without_a_name_gets_one(client: ApiClient) -> None:
    path = (await client.rpc("server.database.post_backup"))["backup_path"]
    backups = (await client.rpc("server.database.list"))["backups"]
    assert [Path(path).name] == backups
    assert backups[0].startswith("sqldb-backup-")


async def test_restoring_brings_everything_back_and_restarts(client: ApiClient, host: Host) -> None:
    restarts: list[bool] = []
    host.facts.restart = lambda: restarts.append(True)
    await client.rpc("server.database.post_item", {"namespace": "n", "key": "k", "value": "before"})
    await client.rpc("server.database.post_backup", {"filename": "b.db"})
    await client.rpc("server.database.post_item", {"namespace": "n", "key": "k", "value": "after"})
    answer = await client.rpc("server.database.restore", {"filename": "b.db"})
    assert "n" in answer["restored_namespaces"]
    assert "job_history" in answer["restored_tables"]
    assert restarts == [True]
    assert (await client.rpc("server.database.get_item", {"namespace": "n", "key": "k"}))["value"] == "before"


async def test_a_file_that_is_no_backup_is_refused(client: ApiClient, host: Host) -> None:
    folder = host.places.data.root / "backup" / "database"
    folder.mkdir(parents=True)
    (folder / "x.db").write_text("hello")
    restarts: list[bool] = []
    host.facts.restart = lambda: restarts.append(True)
    assert await refused(client, "restore", filename="x.db") == 400
    assert restarts == []
