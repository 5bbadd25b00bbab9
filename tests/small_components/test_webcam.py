"""server.webcams.*: as recorded, and what may not get in."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.components.webcam import Webcam, check
from moonraker_lite.components.webcam_probe import may_be_asked, own_address, reachable
from moonraker_lite.errors import BadRequest
from moonraker_lite.host import Host
from tests.conftest import MakeHost
from tests.support.api_client import ApiClient, RpcError, client_of
from tests.support.recordings import records, shape_differences

CONFIG = """[webcam conf_cam]
location: printer
service: mjpegstreamer
target_fps: 15
stream_url: /webcam/?action=stream
snapshot_url: /webcam/?action=snapshot
"""
CAM = {"name": "cam", "stream_url": "/s"}


@pytest.fixture
async def camera_host(make_host: MakeHost) -> Host:
    return await make_host(CONFIG)


@pytest.fixture
async def client(camera_host: Host) -> AsyncIterator[ApiClient]:
    async with client_of(camera_host.port) as client:
        yield client


async def test_as_recorded(client: ApiClient) -> None:
    """The whole conversation that real Moonraker was led through: same status, shape and values, same notifications."""
    uids: dict[str, str] = {}
    for row in records("11_webcams_jobqueue"):
        if "webcams" not in str(row["request"]):
            continue
        client.notes.clear()
        status, got = await replay(client, row, uids)
        if row["kind"] == "http":
            assert status == row["response"]["status"], row["name"]
            want = row["response"]["json"].get("result")
        else:
            code = row["response"].get("error", {}).get("code", 200)
            assert status == code, row["name"]
            want = row["response"].get("result")
        if want is None:
            continue
        assert shape_differences(want, got) == [], row["name"]
        if "test" not in row["name"]:
            assert without_uid(got) == without_uid(want), row["name"]
        if "webcam" in want:
            uids[want["webcam"]["uid"]] = got["webcam"]["uid"]
        if any(notice.get("method") == "notify_webcams_changed" for notice in row.get("notify") or []):
            assert "webcams" in await client.notification("notify_webcams_changed")


async def replay(client: ApiClient, row: dict[str, Any], uids: dict[str, str]) -> tuple[int, Any]:
    request = row["request"]
    if row["kind"] == "ws":
        params = dict(request.get("params") or {})
        if params.get("uid") in uids:
            params["uid"] = uids[params["uid"]]
        try:
            return 200, await client.rpc(request["method"], params)
        except RpcError as error:
            return error.code, error.message
    path = re.sub(r"uid=([0-9a-f-]+)", lambda found: f"uid={uids[found[1]]}", request["path"])
    answer = await client.http(request["method"], path, request.get("json"))
    return answer.status, answer.json.get("result")


def without_uid(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_uid(item) for key, item in value.items() if key != "uid"}
    return [without_uid(item) for item in value] if isinstance(value, list) else value


async def test_they_survive_a_restart(make_host: MakeHost) -> None:
    first = await make_host(CONFIG)
    async with client_of(first.port) as client:
        added = await client.rpc("server.webcams.post_item", {**CAM, "name": "a.b/ü", "extra_data": {"x": [1]}})
        before = await client.rpc("server.webcams.list")
    await first.stop()
    second = await make_host(CONFIG)
    async with client_of(second.port) as client:
        assert await client.rpc("server.webcams.list") == before
        assert await client.rpc("server.webcams.get_item", {"name": "a.b/ü"}) == added
        await client.rpc("server.webcams.delete_item", {"name": "a.b/ü"})
        assert len((await client.rpc("server.webcams.list"))["webcams"]) == 1


async def test_what_others_put_into_the_namespace_does_no_harm(make_host: MakeHost) -> None:
    first = await make_host()
    async with client_of(first.port) as client:
        good = (await client.rpc("server.webcams.post_item", CAM))["webcam"]
    from moonraker_lite.storage import Namespaces

    store = Namespaces(first.database)
    for key, value in {
        "old": {"name": "x", "urlStream": 5, "rotation": "bad"},
        "text": "hello",
        "evil": {"name": "evil", "stream_url": "javascript:alert(1)"},
        "twin": {"name": good["name"], "stream_url": "/other"},
    }.items():
        await store.insert("webcams", (key,), value)
    await first.stop()
    second = await make_host()
    async with client_of(second.port) as client:
        listed = (await client.rpc("server.webcams.list"))["webcams"]
        assert [webcam["name"] for webcam in listed] == ["cam"]
    assert "webcam" not in second.facts.failed_components


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "\x01javascript:alert(1)",
        "data:text/html,<script>",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:x",
        "http://[",
    ],
)
@pytest.mark.parametrize("option", ["stream_url", "snapshot_url"])
async def test_no_script_becomes_a_url(url: str, option: str) -> None:
    with pytest.raises(BadRequest, match=option):
        check(Webcam(name="x", **{option: url}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url", ["", "/webcam/?action=stream", "http://1.2.3.4/x", "https://x", "rtsp://cam/1", "wss://x", "1.2.3.4:80/x"]
)
def test_usual_urls(url: str) -> None:
    check(Webcam(name="x", stream_url=url, snapshot_url=url))


@given(st.text())
def test_any_text_is_a_url_or_refused(url: str) -> None:
    try:
        check(Webcam(name="x", stream_url=url))
    except BadRequest as error:
        assert "stream_url" in error.message


@pytest.mark.parametrize(
    "wrong",
    [
        {"aspect_ratio": "bogus"},
        {"aspect_ratio": "16:0"},
        {"target_fps": "abc"},
        {"enabled": 5},
        {"extra_data": []},
        {"extra_data": {"x": "y" * 70_000}},
        {"name": " "},
        {"name": "n" * 300},
        {"stream_url": "x" * 5000},
    ],
)
async def test_invalid_values_change_nothing(client: ApiClient, wrong: dict[str, Any]) -> None:
    before = await client.rpc("server.webcams.list")
    answer = await client.post("/server/webcams/item", {**CAM, **wrong})
    assert answer.status == 400
    assert await client.rpc("server.webcams.list") == before


async def test_a_webcam_keeps_its_place_when_it_is_renamed(client: ApiClient) -> None:
    for name in ("one", "two"):
        await client.rpc("server.webcams.post_item", {"name": name, "stream_url": "/s"})
    uid = (await client.rpc("server.webcams.get_item", {"name": "one"}))["webcam"]["uid"]
    await client.rpc("server.webcams.post_item", {"uid": uid, "name": "first"})
    names = [webcam["name"] for webcam in (await client.rpc("server.webcams.list"))["webcams"]]
    assert names == ["conf_cam", "first", "two"]


async def test_many_changes_at_once(client: ApiClient, camera_host: Host) -> None:
    async def add(number: int) -> int:
        return (
            await client.post("/server/webcams/item", {"name": f"c{number % 10}", "stream_url": f"/{number}"})
        ).status

    assert set(await asyncio.gather(*map(add, range(40)))) == {200}
    assert len((await client.get("/server/webcams/list")).result["webcams"]) == 11


async def test_a_bad_webcam_of_the_configuration_is_a_warning(make_host: MakeHost) -> None:
    host = await make_host("[webcam x]\nstream_url: javascript:alert(1)\n[webcam y]\nstream_url: /s\n")
    assert any("[webcam x]" in warning for warning in host.facts.warnings)
    async with client_of(host.port) as client:
        [webcam] = (await client.rpc("server.webcams.list"))["webcams"]
        assert webcam["name"] == "y"


class Camera:
    """A server that answers with one status line and counts."""

    def __init__(self, line: bytes) -> None:
        self.line = line
        self.requests: list[bytes] = []
        self.server: asyncio.Server | None = None

    async def __aenter__(self) -> str:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/snap?x=1"

    async def __aexit__(self, *exc: object) -> None:
        assert self.server is not None
        self.server.close()
        await self.server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.line)
        writer.close()


@pytest.mark.parametrize(
    ("line", "good"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.0 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", False),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False),
        (b"SSH-2.0-x\r\n", False),
        (b"x" * 10_000, False),
        (b"", False),
    ],
)
async def test_the_snapshot_is_tried(line: bytes, good: bool) -> None:
    camera = Camera(line)
    async with camera as url:
        assert await reachable(url) is good
    assert camera.requests[0].startswith(b"GET /snap?x=1 HTTP/1.0\r\nHost: 127.0.0.1:")


async def test_the_test_endpoint(client: ApiClient) -> None:
    async with Camera(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        await client.rpc("server.webcams.post_item", {**CAM, "snapshot_url": url})
        answer = await client.rpc("server.webcams.test", {"name": "cam"})
    assert answer == {
        "name": "cam",
        "snapshot_reachable": True,
        "snapshot_url": url,
        "stream_url": f"http://{own_address()}/s",
    }


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/relative",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0/",
        "http://[fe80::1]/",
        "http://127.0.0.1:80/a b",
        "http://127.0.0.1/\r\nX: y",
    ],
)
async def test_what_is_not_asked_or_cannot_be(url: str) -> None:
    assert await reachable(url) is False


@pytest.mark.parametrize(
    ("address", "asked"),
    [("127.0.0.1", True), ("192.168.1.2", True), ("8.8.8.8", True), ("169.254.1.1", False), ("224.0.0.1", False)],
)
def test_addresses(address: str, asked: bool) -> None:
    assert may_be_asked(address) is asked
