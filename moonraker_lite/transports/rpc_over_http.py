"""POST /server/jsonrpc: JSON-RPC in an HTTP body. The answer's status is 200, errors are inside.

Also those of authorization: every method asks for it as it is declared, so that the open ones are open here, too.
"""

from __future__ import annotations

from moonraker_lite.api import json_in
from moonraker_lite.api.endpoint import Via, endpoint
from moonraker_lite.api.jsonrpc import JsonRpc, unreadable
from moonraker_lite.api.replies import RawReply
from moonraker_lite.api.request import Request
from moonraker_lite.api.table import ApiTable
from moonraker_lite.errors import BadRequest, HostError

_JSON = "application/json; charset=UTF-8"


class RpcOverHttp:
    """The endpoint; it reads the body itself because a batch is no object."""

    def __init__(self, table: ApiTable) -> None:
        self._rpc = JsonRpc(table, Via.RPC_HTTP)

    @endpoint("POST", "/server/jsonrpc", via=Via.HTTP, auth=False, wrap=False)
    async def post(self, request: Request) -> RawReply:
        """Run one JSON-RPC call or a batch given as the body."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise BadRequest("Invalid content type: application/json is needed")
        try:
            message = json_in.decode(request.body)
        except HostError as error:
            return RawReply(unreadable(error), _JSON)
        if not all(isinstance(part, dict) for part in (message if isinstance(message, list) else [message])):
            raise BadRequest("The JSON-RPC message must be an object or an array of objects")

        def call(arguments: dict[str, object]) -> Request:
            return Request(
                transport="rpc_http",
                verb=request.verb,
                path=request.path,
                remote_ip=request.remote_ip,
                arguments=arguments,
                headers=request.headers,
                user=request.user,
            )

        answer = self._rpc.handle_decoded(message, call)
        if answer is not None and not isinstance(answer, bytes):
            answer = await answer
        return RawReply(answer or b"", _JSON)
