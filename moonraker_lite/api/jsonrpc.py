"""JSON-RPC 2.0: messages in, answers out. Knows no transport.

The answers to malformed messages are Moonraker's: a message that is no object (or a batch holding one that is not) is
dropped, an empty batch too; one without `method` is taken for a response and ignored unless it is empty; errors of
notifications are sent with id null.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from moonraker_lite.api import json_in
from moonraker_lite.api.answers import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    as_host_error,
    rpc_error,
    rpc_error_code,
    rpc_result,
)
from moonraker_lite.api.endpoint import Via
from moonraker_lite.api.request import Request
from moonraker_lite.api.table import ApiTable, is_waiting
from moonraker_lite.errors import HostError

MAX_BATCH = 1000
MakeRequest = Callable[[dict[str, Any]], Request]
Answer = bytes | None


class JsonRpc:
    """Dispatches messages of one kind of transport to the API table."""

    def __init__(self, table: ApiTable, via: Via) -> None:
        self._table = table
        self._via = via

    def handle(self, data: bytes | str, make_request: MakeRequest) -> Answer | Awaitable[Answer]:
        """Take one message. Returns the encoded answer, None when there is none to send, or an awaitable for either.

        `make_request` builds the request context from the params. Never raises.
        """
        try:
            message = json_in.decode(data)
        except HostError as error:
            return unreadable(error)
        return self.handle_decoded(message, make_request)

    def handle_decoded(self, message: Any, make_request: MakeRequest) -> Answer | Awaitable[Answer]:
        """Take one message that is decoded already."""
        if isinstance(message, dict):
            return self._single(message, make_request)
        if isinstance(message, list) and message and all(isinstance(part, dict) for part in message):
            if len(message) > MAX_BATCH:
                return rpc_error_code(
                    INVALID_REQUEST, f"Invalid Request: a batch holds at most {MAX_BATCH} calls", None
                )
            return self._batch(message, make_request)
        return None

    def _single(self, message: dict[str, Any], make_request: MakeRequest) -> Answer | Awaitable[Answer]:
        method = message.get("method")
        request_id = message.get("id")
        if "method" not in message and message:
            return None
        if message.get("jsonrpc") != "2.0" or not isinstance(method, str):
            return rpc_error_code(
                INVALID_REQUEST, "Invalid Request: jsonrpc must be '2.0', method a string", request_id
            )
        arguments = message.get("params", {})
        try:
            endpoint = self._table.find_method(method, self._via)
            if not isinstance(arguments, dict):
                return rpc_error_code(INVALID_PARAMS, "Invalid params: an object is needed", request_id)
            request = make_request(arguments)
            result = self._table.call(endpoint, request)
            if is_waiting(result):
                return _finish(result, request_id)
            return None if request_id is None else rpc_result(result, request_id)
        except Exception as error:  # noqa: BLE001 - boundary: whatever a method raises becomes its answer
            return rpc_error(as_host_error(error), request_id)

    async def _batch(self, messages: list[dict[str, Any]], make_request: MakeRequest) -> Answer:
        answers = []
        for message in messages:
            answer = self._single(message, make_request)
            if answer is not None and not isinstance(answer, bytes):
                answer = await answer
            if answer is not None:
                answers.append(answer)
        return b"[%b]" % b",".join(answers) if answers else None


def unreadable(error: HostError) -> bytes:
    """Encode the answer to a message that `json_in.decode` did not take."""
    if isinstance(error, json_in.MalformedJson):
        return rpc_error_code(PARSE_ERROR, f"Parse error: {error.message}", None)
    return rpc_error_code(INVALID_REQUEST, f"Invalid Request: {error.message}", None)


async def _finish(work: Awaitable[Any], request_id: Any) -> Answer:
    try:
        result = await work
        return None if request_id is None else rpc_result(result, request_id)
    except Exception as error:  # noqa: BLE001 - boundary: whatever a method raises becomes its answer
        return rpc_error(as_host_error(error), request_id)
