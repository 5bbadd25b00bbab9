"""Arguments of calls that go to Klipper: which objects are meant, and scripts made from user input."""

from __future__ import annotations

from typing import Any

from moonraker_lite.api.request import Request, Transport
from moonraker_lite.errors import BadRequest
from moonraker_lite.klippy import KlippyError

_NO_OBJECTS = {"connection_id", "token", "access_token", "_"}
"""Arguments of a query string that name no printer object."""


def wanted_objects(arguments: dict[str, Any], transport: Transport) -> dict[str, Any]:
    """The params of objects/query or objects/subscribe.

    JSON-RPC and JSON bodies bring `objects`; a query string may name them one by one, as in
    `?toolhead=position,homed_axes&fan`. An HTTP call that names none asks for nothing, as with Moonraker; over JSON-RPC
    Klipper complains.
    """
    if "objects" in arguments or transport != "http":
        return {"objects": arguments["objects"]} if "objects" in arguments else {}
    named = {name: fields for name, fields in arguments.items() if isinstance(fields, str) and name not in _NO_OBJECTS}
    return {"objects": {name: fields.split(",") if fields else None for name, fields in named.items()}}


def connection_id(request: Request) -> int | None:
    """The connection that an HTTP subscription is for."""
    try:
        return int(request.arguments["connection_id"])
    except (KeyError, TypeError, ValueError):
        return None


def passed_on(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an endpoint that Klipper announced.

    Klipper would send streams to the `response_template`; they cannot be told from our own, so it stays empty.
    """
    params = dict(arguments)
    if "response_template" in params:
        params["response_template"] = {}
    return params


def print_script(filename: str) -> str:
    """The G-code that starts a print of a file in the gcodes folder.

    Raises:
        BadRequest: the name cannot be one; a line break in it would be a command of its own.
    """
    name = filename.lstrip("/")
    if not name or any(ord(char) < 32 or ord(char) == 127 for char in name):
        raise BadRequest("Argument 'filename': a file name has at least one character and no control characters")
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'SDCARD_PRINT_FILE FILENAME="{escaped}"'


def no_connection() -> KlippyError:
    """For subscriptions of nobody."""
    return KlippyError("No connection associated with subscription request")
