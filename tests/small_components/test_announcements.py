"""server.announcements.*"""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import MakeHost
from tests.support.api_client import ApiClient, RpcError, client_of
from tests.support.recordings import records


async def test_as_recorded(client: ApiClient) -> None:
    """The whole conversation that real Moonraker was led through, to the word."""
    for row in records("10_misc"):
        request = row["request"] if isinstance(row.get("request"), dict) else {}
        if "announcements" not in row["name"]:
            continue
        if row["kind"] == "ws":
            try:
                got = {"result": await client.rpc(request["method"], request.get("params"))}
            except RpcError as error:
                got = {"error": {"code": error.code, "message": error.message}}
            assert got == {key: row["response"][key] for key in got}, row["name"]
        else:
            answer = await client.http(request["method"], request["path"], request.get("json"))
            assert answer.status == row["response"]["status"], row["name"]
            if answer.status == 200:
                assert answer.json == row["response"]["json"], row["name"]


async def test_feeds_are_kept(make_host: MakeHost) -> None:
    config = "[announcements]\nsubscriptions:\n  mine\n  klipper\n"
    first = await make_host(config)
    async with client_of(first.port) as client:
        assert await client.rpc("server.announcements.post_feed", {"name": "other"}) == {
            "feed": "other",
            "action": "added",
        }
    await first.stop()
    second = await make_host(config)
    async with client_of(second.port) as client:
        feeds = (await client.rpc("server.announcements.feeds"))["feeds"]
        assert feeds == ["moonraker", "klipper", "mine", "other"]
        assert (await client.rpc("server.announcements.delete_feed", {"name": "other"}))["action"] == "removed"
        with pytest.raises(RpcError, match="not stored"):
            await client.rpc("server.announcements.delete_feed", {"name": "mine"})


async def test_feeds_added_at_once_are_all_kept(client: ApiClient) -> None:
    await asyncio.gather(*(client.post("/server/announcements/feed", {"name": f"f{n}"}) for n in range(20)))
    assert len((await client.get("/server/announcements/feeds")).result["feeds"]) == 22


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "<b>"])
async def test_a_feed_needs_a_plain_name(client: ApiClient, name: str) -> None:
    assert (await client.post("/server/announcements/feed", {"name": name})).status == 400
