"""JSON-RPC without a transport: every malformed message has Moonraker's answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.api.endpoint import Via, endpoint, endpoints_of
from moonraker_lite.api.jsonrpc import JsonRpc
from moonraker_lite.api.request import Request, User
from moonraker_lite.api.table import ApiTable
from moonraker_lite.errors import BadRequest, Forbidden, NotFound, Unauthorized, Unavailable

ERRORS = {"bad": BadRequest, "forbidden": Forbidden, "missing": NotFound, "who": Unauthorized, "gone": Unavailable}


class Params(msgspec.Struct, frozen=True):
    kind: str = ""


class Target:
    def __init__(self) -> None:
        self.calls = 0

    @endpoint("GET", "/echo", rpc="echo")
    def echo(self, request: Request, params: dict[str, Any]) -> Any:
        self.calls += 1
        return params

    @endpoint("GET", "/fail", rpc="fail")
    async def fail(self, request: Request, params: Params) -> None:
        raise ERRORS[params.kind](f"said {params.kind}")

    @endpoint("GET", "/http", rpc="http.only", via=Via.HTTP)
    def http_only(self, request: Request) -> None: ...


def make(user: User | None = None) -> tuple[JsonRpc, Target, Any]:
    table = ApiTable()
    target = Target()
    table.add(endpoints_of(target, "t"))
    known = user or User("somebody")
    return (
        JsonRpc(table, Via.WEBSOCKET),
        target,
        lambda args: Request(transport="websocket", arguments=args, user=known),
    )


async def ask(data: str | bytes) -> Any:
    rpc, _, request = make()
    answer = rpc.handle(data, request)
    if isinstance(answer, Awaitable):
        answer = await answer
    return None if answer is None else json.loads(answer)


def call(method: Any, **more: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "method": method, **more})


@pytest.mark.parametrize("request_id", [0, 1, "x", 1.5, [1, {"a": 2}], {"b": 1}, True])
async def test_ids_of_any_type_come_back(request_id: Any) -> None:
    answer = await ask(call("echo", params={"a": 1}, id=request_id))
    assert answer == {"jsonrpc": "2.0", "result": {"a": 1}, "id": request_id}
    assert list(answer) == ["jsonrpc", "result", "id"]


@pytest.mark.parametrize(
    ("kind", "code"), [("bad", 400), ("forbidden", 403), ("missing", -32601), ("who", -32602), ("gone", 503)]
)
async def test_error_codes(kind: str, code: int) -> None:
    answer = await ask(call("fail", params={"kind": kind}, id=3))
    assert answer == {"jsonrpc": "2.0", "error": {"code": code, "message": f"said {kind}"}, "id": 3}


async def test_our_fault_is_500_without_detail() -> None:
    answer = await ask(call("fail", params={"kind": "nosuch"}, id=3))
    assert answer["error"]["code"] == 500
    assert "nosuch" not in answer["error"]["message"]


@pytest.mark.parametrize("data", ["", "{", "nonsense", b"\xff\xfe", '{"a":' * 5000])
async def test_parse_error(data: str | bytes) -> None:
    answer = await ask(data)
    assert (answer["error"]["code"], answer["id"]) == (-32700, None)


@pytest.mark.parametrize("data", ["5", '"x"', "null", "true", "[]", "[1]", '[{"jsonrpc":"2.0"},1]'])
async def test_dropped_without_answer(data: str) -> None:
    assert await ask(data) is None


async def test_an_empty_message_is_no_request() -> None:
    answer = await ask("{}")
    assert (answer["error"]["code"], answer["id"]) == (-32600, None)


async def test_response_is_ignored() -> None:
    assert await ask('{"jsonrpc":"2.0","result":1,"id":1}') is None


@pytest.mark.parametrize("version", ["1.0", 2.0, None])
async def test_version_must_be_two(version: Any) -> None:
    answer = await ask(json.dumps({"jsonrpc": version, "method": "echo", "id": 1}))
    assert answer["error"]["code"] == -32600


@pytest.mark.parametrize("params", [None, [], "x", 5])
async def test_params_must_be_an_object(params: Any) -> None:
    answer = await ask(call("echo", params=params, id=1))
    assert answer["error"]["code"] == -32602
    assert (await ask(call("nosuch", params=params, id=1)))["error"]["code"] == -32601


@pytest.mark.parametrize("method", [5, None, ["echo"]])
async def test_method_must_be_a_string(method: Any) -> None:
    assert (await ask(call(method, id=1)))["error"]["code"] == -32600


@pytest.mark.parametrize("method", ["nosuch", "http.only", "http_only"])
async def test_unknown_method(method: str) -> None:
    assert (await ask(call(method, id=1)))["error"]["code"] == -32601


async def test_notification_runs_silently_but_its_errors_are_told() -> None:
    rpc, target, request = make()
    assert rpc.handle(call("echo"), request) is None
    assert target.calls == 1
    answer = await ask(call("fail", params={"kind": "bad"}))
    assert (answer["error"]["code"], answer["id"]) == (400, None)


async def test_batch_is_answered_in_order() -> None:
    batch = [call("echo", id=1), call("fail", params={"kind": "bad"}, id=2), call("echo"), call("nosuch", id=4)]
    answers = await ask("[" + ",".join(batch) + "]")
    assert [answer["id"] for answer in answers] == [1, 2, 4]


async def test_batch_is_bounded() -> None:
    answer = await ask("[" + ",".join([call("echo", id=1)] * 1001) + "]")
    assert answer["error"]["code"] == -32600


async def test_nobody_is_unauthorized() -> None:
    rpc, target, _ = make()
    answer = rpc.handle(call("echo", id=1), lambda args: Request(transport="websocket", arguments=args))
    assert isinstance(answer, bytes)
    assert json.loads(answer)["error"] == {"code": -32602, "message": "Unauthorized"}
    assert target.calls == 0


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_MESSAGES = st.dictionaries(
    st.sampled_from(["jsonrpc", "method", "params", "id", "result", "x"]),
    _JSON | st.sampled_from(["2.0", "echo", "fail"]),
)


@given(st.binary(max_size=80) | st.text(max_size=80) | st.one_of(_JSON, _MESSAGES, st.lists(_MESSAGES)).map(json.dumps))
async def test_no_message_raises(data: bytes | str) -> None:
    answer = await ask(data)
    for part in answer if isinstance(answer, list) else [answer]:
        assert part is None or part["jsonrpc"] == "2.0"
