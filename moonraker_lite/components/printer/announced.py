"""Endpoints that the printer back end announces: `a/b` becomes /printer/a/b and printer.a.b."""

from __future__ import annotations

import re
from typing import Any

from moonraker_lite.api.endpoint import Endpoint
from moonraker_lite.api.request import Request
from moonraker_lite.api.table import ApiTable
from moonraker_lite.components.printer.arguments import passed_on
from moonraker_lite.klippy import KlippyClient

RESERVED = {"list_endpoints", "register_remote_method", "gcode/subscribe_output"}
"""These belong to the connection; a client that used them would take it away from the host."""

MAX_ANNOUNCED = 500
_NAME = re.compile(r"[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*")


class AnnouncedEndpoints:
    """Adds what is new to the API table. What is known stays known while the printer is away: it answers 503 then."""

    def __init__(self, klippy: KlippyClient, table: ApiTable) -> None:
        self._klippy = klippy
        self._table = table
        self._added: set[str] = set()

    def update(self) -> None:
        """Look at what the printer announces now."""
        for name in sorted(self._klippy.endpoints - self._added - RESERVED):
            rpc = "printer." + name.replace("/", ".")
            if self._table.has_method(rpc) or not _NAME.fullmatch(name) or len(self._added) >= MAX_ANNOUNCED:
                continue
            self._added.add(name)
            self._table.add([self._endpoint("GET", name, rpc), self._endpoint("POST", name, None)])

    def _endpoint(self, verb: str, name: str, rpc: str | None) -> Endpoint:
        async def call(request: Request, params: dict[str, Any]) -> Any:
            result = await self._klippy.request(name, passed_on(params))
            return "ok" if result == {} else result

        return Endpoint(
            verb=verb,
            path="/printer/" + name,
            rpc=rpc,
            params=dict[str, Any],
            result=Any,
            call=call,
            doc=f"Klipper's endpoint `{name}`.",
            tag="printer",
        )
