"""The one place that turns results and errors into answers."""

from __future__ import annotations

import logging
import secrets
from typing import Any

import msgspec

from moonraker_lite.errors import HostError, InternalError

_LOGGER = logging.getLogger(__name__)
_ENCODER = msgspec.json.Encoder()

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602

# Moonraker answers JSON-RPC with the HTTP status as the code, but for these two.
_RPC_CODES = {404: METHOD_NOT_FOUND, 401: INVALID_PARAMS}


def as_host_error(error: BaseException) -> HostError:
    """Give the answerable form of any exception. What is not a `HostError` is our own fault: it is logged with a
    reference, and the client gets the reference only."""
    if isinstance(error, HostError):
        return error
    reference = secrets.token_hex(4)
    _LOGGER.error("internal error %s", reference, exc_info=error)
    return InternalError(f"Internal server error; the log has the cause under reference {reference}")


def http_error(error: HostError) -> bytes:
    """Encode the HTTP body of an error: {"error": {"code", "message"}}."""
    return _ENCODER.encode({"error": {"code": error.status, "message": error.message}})


def http_result(result: Any, wrap: bool) -> bytes:
    """Encode the HTTP body of a result, wrapped as {"result": ...} unless the endpoint says otherwise."""
    return b'{"result":%b}' % _ENCODER.encode(result) if wrap else _ENCODER.encode(result)


def rpc_error(error: HostError, request_id: Any) -> bytes:
    """Encode a JSON-RPC error answer."""
    return rpc_error_code(_RPC_CODES.get(error.status, error.status), error.message, request_id)


def rpc_error_code(code: int, message: str, request_id: Any) -> bytes:
    """Encode a JSON-RPC error answer with its own code."""
    return _ENCODER.encode({"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": request_id})


def rpc_result(result: Any, request_id: Any) -> bytes:
    """Encode a JSON-RPC result; the order of keys is Moonraker's."""
    return b'{"jsonrpc":"2.0","result":%b,"id":%b}' % (_ENCODER.encode(result), _ENCODER.encode(request_id))
