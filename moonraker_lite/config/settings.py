"""Typed settings of the two sections that belong to no component."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TemplateText = Annotated[str, Meta(extra={"template": True})]
"""A text in which `{secrets.section.name}` and `{data_path}` are replaced when the section is decoded."""

TemplatePath = Annotated[Path, Meta(extra={"template": True})]
"""A path in which templates are replaced; `~` is the home folder."""

Port = Annotated[int, Meta(ge=1, le=65535)]


class ServerSettings(msgspec.Struct, frozen=True):
    """`[server]`. `host` may be `all`: IPv4 and IPv6. `max_upload_size` is MiB.

    HTTPS is served when certificate and key are there; without these options they are `certs/moonraker.cert` and
    `certs/moonraker.key` in the data path. `enable_debug_logging` is `-v`. `use_xheaders` has no effect
    (`trusted_proxies` in [authorization] decides whose headers count), nor has `route_prefix`, which is warned of.
    """

    host: str = "0.0.0.0"  # noqa: S104  (a printer's host is there to be reached from the network, as Moonraker)
    port: Port = 7125
    ssl_port: Port = 7130
    enable_debug_logging: bool = False
    klippy_uds_address: TemplatePath | None = None
    use_xheaders: bool = True
    max_upload_size: Annotated[int, Meta(ge=1)] = 1024
    ssl_certificate_path: Path | None = None
    ssl_key_path: Path | None = None
    route_prefix: str | None = None
    max_websocket_connections: Annotated[int, Meta(ge=1)] = 50


Positive = Annotated[float, Meta(gt=0)]
Point = Annotated[tuple[float, ...], Meta(min_length=3, max_length=3)]
"""X, Y, Z in mm."""

Pair = Annotated[tuple[float, ...], Meta(min_length=2, max_length=2)]
"""X, Y in mm."""


class PrinterSettings(msgspec.Struct, frozen=True):
    """`[printer]`: which firmware stands behind the host.

    `type` None: Klipper if its socket answers or a printer.cfg exists, else the virtual printer. `serial` is a device,
    a pty, `socket://host:port` or `auto` (every free USB port is asked). `baud` None: found out. `reset_on_connect`
    None: as the board has it. `virtual_speed` 1 is real time, 0 as fast as the line allows.
    What follows from `kinematics` on is for Marlin: what its firmware does not tell, or tells wrongly. `config_file`
    (in the config folder) may say the same and more, and wins.
    """

    type: Literal["klipper", "marlin", "virtual"] | None = None
    serial: str | None = None
    baud: Annotated[int, Meta(ge=1200, le=4_000_000)] | None = None
    virtual_speed: Annotated[float, Meta(ge=0)] = 1.0
    virtual_faults: str = ""
    virtual_firmware: str = ""
    virtual_sd_card: bool = False
    config_file: str = "marlin.cfg"
    kinematics: Literal["cartesian", "corexy", "corexz", "delta"] | None = None
    position_min: Point | None = None
    position_max: Point | None = None
    mesh_min: Pair | None = None
    mesh_max: Pair | None = None
    max_velocity: Positive | None = None
    max_accel: Positive | None = None
    extruders: Annotated[int, Meta(ge=1, le=16)] | None = None
    nozzle_diameter: Positive | None = None
    filament_diameter: Positive | None = None
    min_extrude_temp: Annotated[float, Meta(ge=0)] | None = None
    extruder_max_temp: Positive | None = None
    bed_max_temp: Positive | None = None
    chamber_max_temp: Positive | None = None
    reset_on_connect: bool | None = None
