"""A small set of endpoints on a real server, for tests of the transports."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from moonraker_lite.api.connections import Connections
from moonraker_lite.api.endpoint import Via, endpoint, endpoints_of
from moonraker_lite.api.jsonrpc import JsonRpc
from moonraker_lite.api.lockdown import Lockdown
from moonraker_lite.api.replies import FileReply, RawReply, Reply
from moonraker_lite.api.request import BodySink, Request
from moonraker_lite.api.table import ApiTable
from moonraker_lite.errors import Conflict, UnprocessableContent
from moonraker_lite.transports.front import Front, FrontServer
from moonraker_lite.transports.http import HttpApi
from moonraker_lite.transports.rpc_over_http import RpcOverHttp
from moonraker_lite.transports.websocket import application


class AddParams(msgspec.Struct, frozen=True):
    a: int
    b: int = 1
    loud: bool = False
    names: list[str] = []
    text: str = ""


class CountingSink:
    """Takes a body and answers with its length; refuses one that begins with `bad`."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self.size = 0

    async def write(self, chunk: bytes) -> None:
        if chunk.startswith(b"bad"):
            raise UnprocessableContent("the body begins with bad")
        self.size += len(chunk)

    async def finish(self) -> Any:
        return Reply({"size": self.size}, 201, (("Location", "/here"),))

    async def abort(self) -> None:
        self._demo.aborted += 1


class Demo:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.aborted = 0
        self.gate = asyncio.Event()

    @endpoint("GET", "/demo/add", rpc="demo.add")
    def add(self, request: Request, params: AddParams) -> dict[str, Any]:
        return {"sum": params.a + params.b, "loud": params.loud, "names": params.names, "text": params.text}

    @endpoint("POST", "/demo/add", rpc="demo.post_add")
    async def add_later(self, request: Request, params: AddParams) -> int:
        await asyncio.sleep(0)
        return params.a + params.b

    @endpoint("GET", "/demo/wait", rpc="demo.wait")
    async def wait(self, request: Request) -> str:
        await self.gate.wait()
        return "ok"

    @endpoint("GET", "/demo/conflict", rpc="demo.conflict")
    def conflict(self, request: Request) -> str:
        raise Conflict("it is printing; wait until it has ended")

    @endpoint("GET", "/demo/fault", rpc="demo.fault")
    async def fault(self, request: Request) -> str:
        raise RuntimeError("secret detail")

    @endpoint("GET", "/demo/open", auth=False, wrap=False)
    def open(self, request: Request) -> RawReply:
        return RawReply(b"<html>", "text/html")

    @endpoint("GET", "/demo/file/{name:rest}")
    async def download(self, request: Request) -> FileReply:
        return FileReply(self.file, request.arguments["name"])

    @endpoint("DELETE", "/demo/file/{name:rest}", rpc="demo.delete")
    def delete(self, request: Request) -> str:
        return str(request.arguments["name"])

    @endpoint("POST", "/demo/upload", stream=True, wrap=False)
    async def upload(self, request: Request) -> BodySink:
        return CountingSink(self)

    @endpoint("POST", None, rpc="demo.socket_only", via=Via.CONNECTION)
    def socket_only(self, request: Request) -> int:
        assert request.connection is not None
        return request.connection.id


class DemoServer:
    """The demo endpoints behind the real transports on 127.0.0.1:port."""

    def __init__(self, file: Path, max_upload: int = 1 << 20, limit: int = 20) -> None:
        self.demo = Demo(file)
        self.table = ApiTable()
        self.table.add(endpoints_of(self.demo, "demo"))
        self.table.add(endpoints_of(RpcOverHttp(self.table), "server"))
        self.connections = Connections()
        access = Lockdown()
        sockets = application(JsonRpc(self.table, Via.WEBSOCKET), access, self.connections, limit, [])
        self.front = FrontServer(Front(HttpApi(self.table, access, max_upload), lambda: sockets))
        self.port = self.front.listen("127.0.0.1", 0)

    async def close(self) -> None:
        self.demo.gate.set()
        for connection in self.connections:
            connection.close("test ends")
        await self.front.close()
