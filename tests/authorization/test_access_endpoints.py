"""/access over real HTTP and websockets: contents, key, tokens, connections."""

from __future__ import annotations

import ast
import asyncio
import logging
import stat
from pathlib import Path

import pytest

from moonraker_lite.components import authorization
from moonraker_lite.host import Host
from tests.conftest import MakeHost
from tests.support.api_client import ApiClient, RpcError, client_of
from tests.support.recordings import record, shape_differences

IDENTIFY = {"client_name": "test", "version": "1", "type": "web", "url": "http://x"}
OUTSIDE = {"X-Real-IP": "8.8.8.8"}


async def test_the_answers_have_moonrakers_shape(client: ApiClient) -> None:
    for path in ("/access/info", "/access/users/list", "/access/user", "/access/api_key", "/access/oneshot_token"):
        answer = await client.get(path)
        assert shape_differences(record("13_access", f"GET {path}")["result"], answer.result) == [], path


async def test_info_is_open_and_tells_who_is_trusted(client: ApiClient) -> None:
    expected = {
        "default_source": "moonraker",
        "available_sources": ["moonraker"],
        "login_required": False,
        "trusted": True,
    }
    assert (await client.get("/access/info")).result == expected
    assert await client.rpc("access.info") == expected
    assert (await client.get("/access/info", X_Real_IP="8.8.8.8")).result == {**expected, "trusted": False}


async def test_the_trusted_user(client: ApiClient) -> None:
    first = (await client.get("/access/user")).result
    assert (first["username"], first["source"]) == ("_TRUSTED_USER_", "moonraker")
    assert (await client.get("/access/user")).result == first
    assert (await client.get("/access/user", X_Real_IP="8.8.8.8")).status == 401


async def test_the_key_opens_from_everywhere(client: ApiClient, host: Host) -> None:
    key = await client.rpc("access.get_api_key")
    assert (await client.get("/access/api_key")).result == key
    assert (await client.get("/server/info", X_Api_Key=key, X_Real_IP="8.8.8.8")).status == 200
    user = (await client.get("/access/user", X_Api_Key=key)).result
    assert user["username"] == "_API_KEY_USER_"
    assert (await client.get("/server/info", X_Api_Key="bad")).status == 401
    assert (await client.get("/server/info", Authorization="Bearer bad")).status == 401
    file = host.places.data.database / "api_key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() == key


async def test_the_key_is_the_same_after_a_restart(make_host: MakeHost) -> None:
    first = await make_host()
    async with client_of(first.port) as client:
        key = await client.rpc("access.get_api_key")
    await first.stop()
    second = await make_host()
    async with client_of(second.port) as client:
        assert await client.rpc("access.get_api_key") == key


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe" * 100, b"A" * 32])
async def test_a_spoilt_key_file_is_replaced(make_host: MakeHost, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "printer_data" / "database" / "api_key"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    async with client_of((await make_host()).port) as client:
        key = await client.rpc("access.get_api_key")
    assert len(key) == 32
    assert file.read_text().strip() == key


async def test_a_key_file_that_others_can_read_is_closed_to_them(make_host: MakeHost, tmp_path: Path) -> None:
    file = tmp_path / "printer_data" / "database" / "api_key"
    file.parent.mkdir(parents=True)
    file.write_text("0123456789abcdef0123456789abcdef\n")
    file.chmod(0o644)
    await make_host()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_key_that_cannot_be_stored(make_host: MakeHost, tmp_path: Path) -> None:
    """It works until the host ends, and the user is told; a new one is refused and the old one stays."""
    blocked = tmp_path / "printer_data" / "database" / "api_key"
    blocked.mkdir(parents=True)
    host = await make_host()
    assert any("API key cannot be stored" in warning for warning in host.facts.warnings)
    async with client_of(host.port) as client:
        key = await client.rpc("access.get_api_key")
        assert (await client.get("/server/info", X_Api_Key=key, X_Real_IP="8.8.8.8")).status == 200
        answer = await client.post("/access/api_key")
        assert answer.status == 500
        assert "the old one stays" in answer.error
        assert await client.rpc("access.get_api_key") == key
    assert [path.name for path in blocked.parent.glob(".api_key*")] == []


async def test_a_new_key_ends_what_the_old_one_opened(client: ApiClient, host: Host) -> None:
    old = await client.rpc("access.get_api_key")
    async with client_of(host.port) as by_key, client_of(host.port) as trusted:
        await by_key.connect(headers={"X-Api-Key": old, **OUTSIDE})
        await by_key.rpc("server.connection.identify", IDENTIFY)
        token = await by_key.rpc("access.oneshot_token")
        await trusted.rpc("server.info")
        new = (await client.post("/access/api_key")).result
        assert new != old
        assert await by_key.closed()
        assert await trusted.rpc("access.get_api_key") == new
    assert (await client.get("/server/info", X_Api_Key=old)).status == 401
    assert (await client.get(f"/server/info?token={token}", X_Real_IP="8.8.8.8")).status == 401
    assert (await client.get("/server/info", X_Api_Key=new, X_Real_IP="8.8.8.8")).status == 200
    assert [path.name for path in host.places.data.database.glob(".api_key*")] == []


async def test_who_replaces_the_key_by_the_key_keeps_the_connection(client: ApiClient, host: Host) -> None:
    old = await client.rpc("access.get_api_key")
    async with client_of(host.port) as by_key:
        await by_key.connect(headers={"X-Api-Key": old, **OUTSIDE})
        new = await by_key.rpc("access.post_api_key")
        assert await by_key.rpc("access.get_api_key") == new


async def test_the_key_can_be_switched_off(make_host: MakeHost, tmp_path: Path) -> None:
    host = await make_host("[authorization]\nenable_api_key: False")
    async with client_of(host.port) as client:
        assert (await client.get("/access/api_key")).status == 404
        assert (await client.post("/access/api_key")).status == 404
    assert not (tmp_path / "printer_data" / "database" / "api_key").exists()


async def test_one_shot_tokens(client: ApiClient) -> None:
    token = await client.rpc("access.oneshot_token")
    assert (await client.get(f"/server/info?token={token}", X_Real_IP="8.8.8.8")).status == 401
    assert (await client.get(f"/server/info?token={token}")).status == 200
    assert (await client.get(f"/server/info?token={token}")).status == 401


async def test_a_stranger_on_a_websocket(client: ApiClient, host: Host) -> None:
    key = await client.rpc("access.get_api_key")
    async with client_of(host.port) as stranger:
        await stranger.connect(headers=OUTSIDE)
        for method, params in (("server.info", {}), ("server.connection.identify", IDENTIFY)):
            with pytest.raises(RpcError) as refused:
                await stranger.rpc(method, params)
            assert (refused.value.code, refused.value.message) == (-32602, "Unauthorized")
        with pytest.raises(RpcError):
            await stranger.rpc("server.connection.identify", {**IDENTIFY, "api_key": "bad"})
        await asyncio.sleep(1.3)
        assert stranger.notes == []
        await stranger.rpc("server.connection.identify", {**IDENTIFY, "api_key": key})
        await stranger.rpc("server.info")
        await stranger.notification("notify_proc_stat_update")


@pytest.mark.parametrize("credential", ["api_key", "access_token"])
async def test_a_wrong_credential_takes_the_rights_of_a_trusted_connection(client: ApiClient, credential: str) -> None:
    await client.rpc("server.websocket.id")
    with pytest.raises(RpcError) as refused:
        await client.rpc("server.connection.identify", {**IDENTIFY, credential: "zzz"})
    assert refused.value.code == -32602
    with pytest.raises(RpcError) as refused:
        await client.rpc("server.websocket.id")
    assert refused.value.message == "Unauthorized"


@pytest.mark.parametrize(
    ("verb", "path", "data", "status", "message"),
    [
        ("POST", "/access/login", {}, 400, "No data for argument: username"),
        ("POST", "/access/login", {"username": "a"}, 400, "No data for argument: password"),
        ("POST", "/access/login", {"username": "a", "password": "b"}, 400, "Invalid user name or password"),
        ("POST", "/access/login", {"username": "a", "password": "b", "source": "ldap"}, 401, "LDAP authentication"),
        ("POST", "/access/login", {"username": "a", "password": "b", "source": "x"}, 400, "Invalid 'source': x"),
        ("POST", "/access/logout", None, 400, "Invalid log out request for user _TRUSTED_USER_"),
        ("POST", "/access/refresh_jwt", {}, 400, "No data for argument: refresh_token"),
        ("POST", "/access/refresh_jwt", {"refresh_token": "x"}, 401, "Invalid Refresh Token"),
        ("POST", "/access/user", {}, 400, "No data for argument: username"),
        ("POST", "/access/user", {"username": "_API_KEY_USER_", "password": "x"}, 400, "Invalid Request for user"),
        ("POST", "/access/user", {"username": "anna", "password": "x"}, 403, "no user accounts"),
        ("DELETE", "/access/user", {}, 400, "No data for argument: username"),
        ("DELETE", "/access/user", {"username": "_TRUSTED_USER_"}, 400, "reserved user"),
        ("DELETE", "/access/user", {"username": "anna"}, 400, "No registered user: anna"),
        (
            "POST",
            "/access/user/password",
            {"password": "a", "new_password": "b"},
            400,
            "Invalid Reset Request for user",
        ),
    ],
)
async def test_account_endpoints_say_what_is_wrong(
    client: ApiClient, verb: str, path: str, data: dict[str, str] | None, status: int, message: str
) -> None:
    answer = await client.http(verb, path, data)
    assert answer.status == status
    assert message in answer.error


async def test_bad_entries_are_warnings(make_host: MakeHost) -> None:
    host = await make_host(
        "[authorization]\ntrusted_clients:\n  127.0.0.1\n  192.168.1.5/24\ntrusted_proxies: proxy.lan\n"
        "default_source: ldap\n"
    )
    warnings = " ".join(host.facts.warnings)
    assert "192.168.1.0/24" in warnings
    assert "trusted_proxies" in warnings
    assert "LDAP" in warnings
    async with client_of(host.port) as client:
        assert (await client.get("/server/info")).status == 200
        assert (await client.get("/access/info")).result["default_source"] == "moonraker"


async def test_a_host_name_is_looked_up(make_host: MakeHost) -> None:
    host = await make_host("[authorization]\ntrusted_clients: localhost\n")
    async with client_of(host.port) as client, asyncio.timeout(5):
        while (await client.get("/server/info")).status != 200:
            await asyncio.sleep(0.05)
        assert (await client.get("/server/info", X_Real_IP="192.168.1.1")).status == 401


async def test_secrets_are_not_logged(client: ApiClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        key = await client.rpc("access.get_api_key")
        token = await client.rpc("access.oneshot_token")
        await client.get("/server/info", X_Api_Key=key)
        await client.get("/server/info", X_Api_Key="wrong-secret")
        await client.get(f"/server/info?token={token}")
        await client.get("/server/info?access_token=wrong-secret")
        new = await client.rpc("access.post_api_key")
    assert all(secret not in caplog.text for secret in (key, token, new, "wrong-secret"))


def test_secrets_are_compared_in_constant_time_only() -> None:
    """No `==` or `in` touches a name that holds a secret."""
    words = ("key", "token", "secret", "password", "digest")
    folder = Path(authorization.__file__).parent
    found = []
    for file in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Compare) or not any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
                continue
            names = {leaf.id.lower() for leaf in ast.walk(node) if isinstance(leaf, ast.Name)}
            names |= {leaf.attr.lower() for leaf in ast.walk(node) if isinstance(leaf, ast.Attribute)}
            if any(word in name for word in words for name in names if name != "api_key_user"):
                found.append(f"{file.name}:{node.lineno}")
    assert found == []
