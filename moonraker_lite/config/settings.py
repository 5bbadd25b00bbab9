"""Typed settings of the two sections that belong to no component."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=1, le=65535)]


class ServerSettings(msgspec.Struct, frozen=True):
    """`[server]`. Sizes are MiB."""

    host: str = "0.0.0.0"  # noqa: S104  (a printer's host is there to be reached from the network, as Moonraker)
    port: Port = 7125
    ssl_port: Port = 7130
    enable_debug_logging: bool = False
    klippy_uds_address: str | None = None
    max_upload_size: Annotated[int, Meta(ge=1)] = 1024
    ssl_certificate_path: str | None = None
    ssl_key_path: str | None = None
    route_prefix: str | None = None
    max_websocket_connections: Annotated[int, Meta(ge=1)] = 50


class PrinterSettings(msgspec.Struct, frozen=True):
    """`[printer]`: which firmware stands behind the host. `type` None means: find out."""

    type: Literal["klipper", "marlin", "virtual"] | None = None
    serial: str | None = None
    baud: int | None = None
    virtual_speed: Annotated[float, Meta(ge=0)] = 1.0
    virtual_faults: str = ""
