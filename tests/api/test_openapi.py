"""The generated OpenAPI document."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from moonraker_lite.api.endpoint import endpoint, endpoints_of
from moonraker_lite.api.openapi import OpenApi, document
from moonraker_lite.api.replies import FileReply
from moonraker_lite.api.request import BodySink, Request
from moonraker_lite.api.table import ApiTable


class Params(msgspec.Struct, frozen=True):
    name: str
    count: int = 3


class Item(msgspec.Struct, frozen=True):
    name: str
    children: list[str] = []


class Shop:
    @endpoint("GET", "/shop/item/{name}", rpc="shop.item")
    def item(self, request: Request, params: Params) -> Item:
        """Look an item up.

        Second paragraph.
        """
        raise NotImplementedError

    @endpoint("POST", "/shop/item", rpc="shop.post_item")
    def make(self, request: Request, params: Params) -> list[Item]:
        raise NotImplementedError

    @endpoint("POST", "/shop/upload", stream=True)
    async def upload(self, request: Request) -> BodySink:
        raise NotImplementedError

    @endpoint("GET", "/shop/file/{path:rest}", auth=False)
    async def file(self, request: Request) -> FileReply:
        raise NotImplementedError

    @endpoint("POST", None, rpc="shop.socket")
    def socket(self, request: Request) -> Any:
        """Only by JSON-RPC."""


def make() -> dict[str, Any]:
    table = ApiTable()
    table.add(endpoints_of(Shop(), "shop"))
    found: dict[str, Any] = json.loads(json.dumps(document(table.endpoints, "1.2.3")))
    return found


def test_query_and_path_parameters() -> None:
    operation = make()["paths"]["/shop/item/{name}"]["get"]
    assert [(p["name"], p["in"], p["required"]) for p in operation["parameters"]] == [
        ("name", "path", True),
        ("count", "query", False),
    ]
    assert operation["summary"] == "Look an item up."
    assert operation["x-jsonrpc-method"] == "shop.item"
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["properties"]["result"] == {"$ref": "#/components/schemas/Item"}


def test_body_upload_file_and_rpc_only() -> None:
    found = make()
    body = found["paths"]["/shop/item"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["name"]
    assert "multipart/form-data" in found["paths"]["/shop/upload"]["post"]["requestBody"]["content"]
    assert "security" not in found["paths"]["/shop/file/{path}"]["get"]
    assert found["x-jsonrpc-only"] == {"shop.socket": "Only by JSON-RPC."}
    assert found["openapi"] == "3.1.0"


async def test_document_is_made_once_per_table() -> None:
    table = ApiTable()
    served = OpenApi(table, "1.2.3")
    request = Request(transport="http")
    empty = await served.get(request)
    assert json.loads(bytes(empty))["paths"] == {}
    assert await served.get(request) is empty
    table.add(endpoints_of(Shop(), "shop"))
    assert "/shop/item" in json.loads(bytes(await served.get(request)))["paths"]
