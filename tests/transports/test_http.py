"""The HTTP transport over real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse

from tests.transports.demo import DemoServer


async def ask(server: DemoServer, verb: str, path: str, **options: Any) -> HTTPResponse:
    client = AsyncHTTPClient(force_instance=True)
    options.setdefault("allow_nonstandard_methods", True)
    try:
        return await client.fetch(
            HTTPRequest(f"http://127.0.0.1:{server.port}{path}", method=verb, **options), raise_error=False
        )
    finally:
        client.close()


async def raw(server: DemoServer, data: bytes) -> bytes:
    """Send bytes as they are and read until the server closes or falls silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    answer = b""
    try:
        while chunk := await asyncio.wait_for(reader.read(65536), 0.5):
            answer += chunk
    except TimeoutError:
        pass
    writer.close()
    await writer.wait_closed()
    return answer


def body(response: HTTPResponse) -> Any:
    return json.loads(response.body)


async def test_query_is_decoded_by_declared_types(server: DemoServer) -> None:
    response = await ask(server, "GET", "/demo/add?a=2&b=3&loud=True&names=x,y&text=7")
    assert body(response) == {"result": {"sum": 5, "loud": True, "names": ["x", "y"], "text": "7"}}
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "No data for argument: a"),
        ("a=x", "Argument 'a' must be a whole number"),
        ("a=1&loud=1", "Argument 'loud' must be true or false"),
        ("a=1&loud=", "Argument 'loud' must be true or false"),
        ("a:int=z", "Argument 'a' must be a whole number"),
        ("a:json={", "Argument 'a' must be valid JSON"),
    ],
)
async def test_bad_arguments_are_named(server: DemoServer, query: str, said: str) -> None:
    response = await ask(server, "GET", f"/demo/add?{query}")
    assert response.code == 400
    assert body(response)["error"]["code"] == 400
    assert said in body(response)["error"]["message"]


async def test_json_body_wins_over_query(server: DemoServer) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    response = await ask(server, "POST", "/demo/add?a=1&b=1", body='{"a": 10}', headers=headers)
    assert body(response) == {"result": 11}


async def test_form_body_and_hints(server: DemoServer) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = await ask(server, "POST", "/demo/add", body="a:int=4&b=5", headers=headers)
    assert body(response) == {"result": 9}


@pytest.mark.parametrize("text", ["[1]", '"x"', "{", "[" * 100_000])
async def test_json_body_must_be_an_object(server: DemoServer, text: str) -> None:
    response = await ask(server, "POST", "/demo/add", body=text, headers={"Content-Type": "application/json"})
    assert response.code == 400
    assert "JSON" in body(response)["error"]["message"]


async def test_body_without_json_type_is_ignored(server: DemoServer) -> None:
    response = await ask(server, "POST", "/demo/add", body='{"a": 1}', headers={"Content-Type": "text/plain"})
    assert response.code == 400


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("GET", "/demo/add/", 404),
        ("GET", "/demo//add", 404),
        ("PUT", "/demo/add", 405),
        ("PATCH", "/demo/add", 405),
        ("OPTIONS", "/demo/add", 405),
        ("OPTIONS", "/nope", 404),
        ("OPTIONS", "/demo/file/%ff", 400),
        ("GET", "/demo/conflict", 409),
        ("GET", "/demo/fault", 500),
        ("GET", "/demo/file/%ff", 400),
    ],
)
async def test_errors_are_json(server: DemoServer, verb: str, path: str, status: int) -> None:
    response = await ask(server, verb, path)
    assert response.code == status
    assert body(response)["error"]["code"] == status


async def test_our_own_fault_tells_a_reference_and_no_detail(server: DemoServer) -> None:
    response = await ask(server, "GET", "/demo/fault")
    assert b"secret detail" not in response.body
    assert b"reference" in response.body


async def test_head_is_for_files_only(server: DemoServer) -> None:
    assert (await ask(server, "HEAD", "/demo/add")).code == 405
    response = await ask(server, "HEAD", "/demo/file/a.gcode")
    assert (response.code, response.headers["Content-Length"], response.body) == (200, "100000", b"")


async def test_etag(server: DemoServer) -> None:
    first = await ask(server, "GET", "/demo/add?a=1")
    again = await ask(server, "GET", "/demo/add?a=1", headers={"If-None-Match": first.headers["Etag"]})
    assert (again.code, again.body) == (304, b"")


async def test_strangers_are_refused_but_for_open_endpoints(server: DemoServer) -> None:
    stranger = {"X-Real-IP": "8.8.8.8"}
    assert (await ask(server, "GET", "/demo/add?a=1", headers=stranger)).code == 401
    assert (await ask(server, "POST", "/demo/upload", body="x" * 2000, headers=stranger)).code == 401
    assert (await ask(server, "GET", "/demo/open", headers=stranger)).body == b"<html>"


async def test_foreign_page_may_not_post(server: DemoServer) -> None:
    response = await ask(server, "POST", "/demo/add?a=1", body="", headers={"Origin": "http://evil.example"})
    assert response.code == 403
    response = await ask(server, "GET", "/demo/add?a=1", headers={"Origin": "http://evil.example"})
    assert response.code == 200
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_streamed_upload(server: DemoServer) -> None:
    response = await ask(server, "POST", "/demo/upload", body="x" * 700_000)
    assert (response.code, body(response), response.headers["Location"]) == (201, {"size": 700_000}, "/here")


async def test_chunked_upload(server: DemoServer) -> None:
    async def produce(write: Any) -> None:
        for _ in range(5):
            await write(b"y" * 1000)

    assert body(await ask(server, "POST", "/demo/upload", body_producer=produce)) == {"size": 5000}


async def test_upload_over_the_limit_is_refused_before_it_is_read(server: DemoServer) -> None:
    response = await ask(server, "POST", "/demo/upload", body="x" * 3_000_000)
    assert response.code == 413
    assert "3000000" in body(response)["error"]["message"]


async def test_upload_refused_midway_is_answered_and_aborted(server: DemoServer) -> None:
    response = await ask(server, "POST", "/demo/upload", body="bad" + "x" * 500_000)
    assert response.code == 422
    assert server.demo.aborted == 1


async def test_client_that_goes_away_aborts_the_upload(server: DemoServer) -> None:
    await raw(server, b"POST /demo/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
    for _ in range(50):
        if server.demo.aborted:
            break
        await asyncio.sleep(0.02)
    assert server.demo.aborted == 1


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET /demo/add?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 5,6\r\n\r\nhello",
        b"POST /demo/upload HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nhello",
        b"POST /demo/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /demo/add HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /demo/add?a=%00%ff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00\x01\x02" * 1000,
    ],
)
async def test_garbage_does_not_hurt(server: DemoServer, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    answer = await raw(server, data)
    assert b" 5" not in answer.split(b"\r\n")[0]
    assert "Traceback" not in caplog.text
    assert (await ask(server, "GET", "/demo/add?a=1")).code == 200


async def test_pipelined_requests_are_answered_in_order(server: DemoServer) -> None:
    call = b"GET /demo/add?a=%d HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = await raw(server, b"".join(call % n for n in (1, 2, 3)))
    sums = [json.loads(part.split(b"\r\n\r\n")[1])["result"]["sum"] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
    assert sums == [2, 3, 4]


async def test_jsonrpc_over_http_asks_each_method_who_may_call_it(server: DemoServer) -> None:
    headers = {"Content-Type": "application/json", "X-Real-IP": "8.8.8.8"}
    call = {"jsonrpc": "2.0", "method": "demo.add", "params": {"a": 1}, "id": 5}
    response = await ask(server, "POST", "/server/jsonrpc", body=json.dumps(call), headers=headers)
    assert (response.code, body(response)["error"]) == (200, {"code": -32602, "message": "Unauthorized"})


async def test_jsonrpc_over_http(server: DemoServer) -> None:
    headers = {"Content-Type": "application/json"}
    call = {"jsonrpc": "2.0", "method": "demo.add", "params": {"a": 1}, "id": 5}
    response = await ask(server, "POST", "/server/jsonrpc", body=json.dumps(call), headers=headers)
    assert (response.code, body(response)["result"]["sum"], body(response)["id"]) == (200, 2, 5)
    batch = [call, {"jsonrpc": "2.0", "method": "demo.socket_only", "id": 6}]
    response = await ask(server, "POST", "/server/jsonrpc", body=json.dumps(batch), headers=headers)
    assert [part.get("error", {}).get("code") for part in body(response)] == [None, -32601]
    for nonsense in ("5", "null", "[1, 2]", f"[{json.dumps(call)}, 5]"):
        response = await ask(server, "POST", "/server/jsonrpc", body=nonsense, headers=headers)
        assert response.code == 400
    response = await ask(server, "POST", "/server/jsonrpc", body="{}", headers={"Content-Type": "text/plain"})
    assert response.code == 400
    response = await ask(server, "POST", "/server/jsonrpc", body="{", headers=headers)
    assert (response.code, body(response)["error"]["code"]) == (200, -32700)
