"""The OpenAPI 3.1 document of the API table: made from the same declarations that serve the calls."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec

from moonraker_lite.api.endpoint import Endpoint, Via, endpoint
from moonraker_lite.api.replies import FileReply, RawReply, Reply
from moonraker_lite.api.request import BodySink, Request
from moonraker_lite.api.table import ApiTable

_PLACE = re.compile(r"\{(\w+)(?::rest)?\}")
_REF = "#/components/schemas/{name}"
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
        }
    },
}


def document(endpoints: list[Endpoint], version: str) -> dict[str, Any]:
    """Describe every HTTP endpoint of a table; the JSON-RPC method stands in `x-jsonrpc-method`.

    Methods without an HTTP path are listed under `x-jsonrpc-only`.
    """
    structs = [entry.params for entry in endpoints if _is_struct(entry.params)]
    results = [entry.result for entry in endpoints if _describable(entry.result)]
    schemas, components = msgspec.json.schema_components([*structs, *results], ref_template=_REF)
    inputs = dict(zip(map(id, structs), schemas[: len(structs)], strict=True))
    outputs = dict(zip(map(id, results), schemas[len(structs) :], strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for entry in endpoints:
        if entry.path is not None and Via.HTTP in entry.via:
            operation = _operation(entry, _resolve(inputs.get(id(entry.params)), components), outputs)
            paths.setdefault(_PLACE.sub(r"{\1}", entry.path), {})[entry.verb.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "moonraker_lite",
            "version": version,
            "description": "Moonraker-compatible host for Klipper and Marlin printers.",
        },
        "paths": paths,
        "x-jsonrpc-only": {entry.rpc: entry.doc for entry in endpoints if entry.path is None and entry.rpc},
        "components": {
            "schemas": {**components, "Error": _ERROR},
            "securitySchemes": {"apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}},
        },
    }


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _describable(kind: Any) -> bool:
    if kind in (Any, None, type(None), FileReply, RawReply, Reply, BodySink, msgspec.Raw):
        return False
    try:
        msgspec.json.schema(kind)
    except TypeError:
        return False
    return True


def _resolve(schema: dict[str, Any] | None, components: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference to the object schema it stands for."""
    if schema is None:
        return {}
    name = schema.get("$ref", "").rpartition("/")[2]
    resolved: dict[str, Any] = components.get(name, schema)
    return resolved


def _operation(entry: Endpoint, params: dict[str, Any], outputs: dict[int, dict[str, Any]]) -> dict[str, Any]:
    assert entry.path is not None
    places = _PLACE.findall(entry.path)
    properties = {name: schema for name, schema in params.get("properties", {}).items() if name not in places}
    required = [name for name in params.get("required", ()) if name in properties]
    operation: dict[str, Any] = {
        "operationId": f"{entry.verb.lower()}_{re.sub(r'[^a-z0-9]+', '_', entry.path.lower()).strip('_')}",
        "tags": [entry.tag],
        "summary": entry.doc.partition("\n")[0],
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in places],
        "responses": {**_success(entry, outputs), **_errors(entry)},
    }
    if entry.doc:
        operation["description"] = entry.doc
    if entry.rpc is not None:
        operation["x-jsonrpc-method"] = entry.rpc
    if entry.auth:
        operation["security"] = [{"apiKey": []}]
    if entry.stream:
        body = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}, **properties}}
        operation["requestBody"] = {"content": {"multipart/form-data": {"schema": body}}}
    elif entry.verb in ("GET", "DELETE"):
        operation["parameters"] += [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in properties.items()
        ]
    elif properties:
        schema = {"type": "object", "properties": properties, "required": required}
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}, "required": bool(required)}
    return operation


def _success(entry: Endpoint, outputs: dict[int, dict[str, Any]]) -> dict[str, Any]:
    if entry.result is FileReply:
        binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        return {"200": {"description": "The file", "content": binary}, "206": {"description": "Part of the file"}}
    if entry.stream:
        return {"201": {"description": "Stored"}}
    schema = outputs.get(id(entry.result), {})
    if entry.wrap:
        schema = {"type": "object", "required": ["result"], "properties": {"result": schema}}
    return {"200": {"description": "Success", "content": {"application/json": {"schema": schema}}}}


def _errors(entry: Endpoint) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF.format(name="Error")}}}
    found = {"400": "The arguments do not fit; the message says why"}
    if entry.auth:
        found["401"] = "No valid credential"
    return {status: {"description": text, "content": content} for status, text in found.items()}


class OpenApi:
    """Serves the document, which is made in a thread and kept until the table changes."""

    def __init__(self, table: ApiTable, version: str) -> None:
        self._table = table
        self._version = version
        self._made: tuple[int, asyncio.Future[msgspec.Raw]] | None = None

    @endpoint("GET", "/server/openapi.json", rpc="server.openapi", wrap=False)
    async def get(self, request: Request) -> msgspec.Raw:
        """Return the OpenAPI 3.1 document of all endpoints."""
        if self._made is None or self._made[0] != self._table.revision:
            making = asyncio.ensure_future(asyncio.to_thread(self._make, self._table.endpoints))
            self._made = (self._table.revision, making)
        return await asyncio.shield(self._made[1])

    def _make(self, endpoints: list[Endpoint]) -> msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode(document(endpoints, self._version)))
