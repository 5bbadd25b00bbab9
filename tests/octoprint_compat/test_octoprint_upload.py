"""Uploads over OctoPrint's API, in the words of the slicers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from moonraker_lite.host import Host
from tests.conftest import MakeHost
from tests.fakes.klippy import FakeKlippy
from tests.support import containers
from tests.support.api_client import Answer, ApiClient, client_of
from tests.support.forms import KIND, Value, multipart

GCODE = b"; a file\nG28\n" + b"G4 P2000\n" * 100


async def upload(client: ApiClient, *parts: tuple[str, Value], **headers: str) -> Answer:
    given = {"Content-Type": KIND, **{key.replace("_", "-"): value for key, value in headers.items()}}
    return await client.http("POST", "/api/files/local", headers=given, body=multipart(*parts))


async def test_prusaslicer(client: ApiClient, host: Host) -> None:
    """It asks for the version, then sends `print` and `path` before the file; `path` may be empty."""
    assert (await client.get("/api/version")).status == 200
    answer = await upload(client, ("print", "false"), ("path", ""), ("file", ("a b.gcode", GCODE)))
    assert answer.status == 201
    assert answer.headers["Location"] == f"http://127.0.0.1:{host.port}/api/files/moonraker/gcodes/a%20b.gcode"
    body = answer.json
    assert body["action"] == "create_file"
    assert body["item"]["path"] == "a b.gcode"
    assert (body["print_started"], body["print_queued"]) == (False, False)
    assert (host.places.data.gcodes / "a b.gcode").read_bytes() == GCODE


async def test_orcaslicer_with_a_folder_and_a_field_of_its_own(client: ApiClient, host: Host) -> None:
    parts = (("print", "false"), ("path", "sub/dir"), ("plateindex", "1"), ("file", ("o.gcode", GCODE)))
    answer = await upload(client, *parts)
    assert answer.status == 201
    assert answer.headers["Location"].endswith("/api/files/moonraker/gcodes/sub/dir/o.gcode")
    assert (host.places.data.gcodes / "sub/dir/o.gcode").read_bytes() == GCODE


async def test_another_root(client: ApiClient, host: Host) -> None:
    answer = await upload(client, ("root", "config"), ("file", ("oct.gcode", GCODE)))
    assert answer.status == 201
    assert answer.headers["Location"].endswith("/api/files/moonraker/config/oct.gcode")
    assert set(answer.json) == {"action", "item"}
    assert (host.places.data.config / "oct.gcode").is_file()


async def test_cura_selects_and_prints_what_it_has_uploaded(make_host: MakeHost) -> None:
    host = await make_host()
    async with (
        FakeKlippy(Path(host.klippy.socket_path), host.places.data.gcodes, speed=20, grid=0.05),
        client_of(host.port) as client,
        asyncio.timeout(20),
    ):
        while (await client.get("/api/job")).json["state"] != "Operational":
            await asyncio.sleep(0.02)
        answer = await upload(client, ("path", ""), ("file", ("c.gcode", GCODE)), ("select", "true"))
        path = "/api/" + answer.headers["Location"].split("api/", 1)[1]
        assert (await client.post(path, {"command": "select", "print": True})).status == 204
        while (await client.get("/api/job")).json["state"] != "Printing":
            await asyncio.sleep(0.02)
        assert (await client.post(path, {"command": "select", "print": True})).status == 409
        assert (await upload(client, ("print", "true"), ("file", ("c.gcode", GCODE)))).status == 403
        other = await upload(client, ("print", "true"), ("file", ("other.gcode", GCODE)))
        assert (other.status, other.json["print_started"]) == (201, False)
        await client.rpc("printer.print.pause")
        while (await client.get("/api/job")).json["state"] != "Paused":
            await asyncio.sleep(0.02)
        other = await upload(client, ("print", "true"), ("file", ("other.gcode", GCODE)))
        assert (other.status, other.json["print_started"]) == (201, False)
        await client.rpc("printer.print.cancel")
        while (await client.get("/api/job")).json["state"] != "Error":
            await asyncio.sleep(0.02)
        again = await upload(client, ("print", "true"), ("file", ("c.gcode", GCODE)))
        assert (again.status, again.json["print_started"]) == (201, True)
        while (await client.get("/api/job")).json["state"] != "Printing":
            await asyncio.sleep(0.02)


async def loaded(client: ApiClient) -> str:
    """The file that the printer has loaded."""
    answer = await client.call("printer.objects.query", objects={"print_stats": ["filename"]})
    return str(answer["status"]["print_stats"]["filename"])


async def test_containers_are_printed_as_text(make_host: MakeHost) -> None:
    host = await make_host()
    gcodes = host.places.data.gcodes
    async with (
        FakeKlippy(Path(host.klippy.socket_path), gcodes, speed=20, grid=0.05),
        client_of(host.port) as client,
        asyncio.timeout(50),
    ):
        while (await client.get("/api/job")).json["state"] != "Operational":
            await asyncio.sleep(0.02)
        data = containers.bgcode(GCODE.decode(), per_block=50)
        answer = await upload(client, ("print", "true"), ("path", ""), ("file", ("c.bgcode", data)))
        assert answer.headers["Location"].endswith("/api/files/moonraker/gcodes/c.gcode")
        assert (answer.status, answer.json["print_started"]) == (201, True)
        while (await client.get("/api/job")).json["state"] != "Printing":
            await asyncio.sleep(0.02)
        assert await loaded(client) == "c.gcode"
        await client.rpc("printer.print.cancel")
        while (await client.get("/api/job")).json["state"] != "Error":
            await asyncio.sleep(0.02)
        # One that another program put there.
        (gcodes / "d.gx").write_bytes(containers.gx(GCODE))
        await client.rpc("printer.print.start", {"filename": "d.gx"})
        assert await loaded(client) == "d.gcode"
        assert (gcodes / "d.gcode").read_bytes() == GCODE
        (gcodes / "e.bgcode").write_bytes(data[:-5])
        error = await client.error("printer.print.start", filename="e.bgcode")
        assert "ends within a block" in error["message"]


@pytest.mark.parametrize(
    ("path", "data", "status", "message"),
    [
        ("gcodes/a.gcode", {"command": "select"}, 204, ""),
        ("gcodes/a.gcode", {"command": "bogus"}, 400, "Unsupported Command: bogus"),
        ("gcodes/a.gcode", {}, 400, "No data for argument: command"),
        ("gcodes/nosuch.gcode", {"command": "select", "print": True}, 400, "File does not exist"),
        ("gcodes/../config/moonraker.conf", {"command": "select", "print": True}, 400, "File does not exist"),
        ("gcodes/%2e%2e/config/moonraker.conf", {"command": "select"}, 400, "File does not exist"),
        ("config/moonraker.conf", {"command": "select", "print": True}, 400, "must be located in the 'gcodes' root"),
        ("nosuch/a.gcode", {"command": "select"}, 400, "must be located in the 'gcodes' root"),
        ("gcodes/a.gcode", {"command": "select", "print": True}, 409, ""),
    ],
)
async def test_select(client: ApiClient, path: str, data: dict[str, object], status: int, message: str) -> None:
    assert (await upload(client, ("file", ("a.gcode", GCODE)))).status == 201
    answer = await client.post(f"/api/files/moonraker/{path}", data)
    assert answer.status == status
    assert status == 204 or message in answer.error


async def test_a_stranger_uploads_nothing(client: ApiClient, host: Host) -> None:
    answer = await upload(client, ("file", ("evil.gcode", GCODE)), X_Real_IP="8.8.8.8")
    assert answer.status == 401
    answer = await upload(client, ("file", ("evil.gcode", GCODE)), Origin="http://evil.example")
    assert answer.status == 403
    assert list(host.places.data.gcodes.iterdir()) == []
