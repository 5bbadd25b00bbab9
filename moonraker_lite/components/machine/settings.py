"""Options of `[machine]`, named as Moonraker names them."""

from __future__ import annotations

from typing import Literal

import msgspec


class MachineSettings(msgspec.Struct, frozen=True):
    """`provider` None means: find out. The validation options belong to Moonraker's installer and have no effect."""

    provider: Literal["none", "systemd_cli", "systemd_dbus", "supervisord_cli"] | None = None
    shutdown_action: Literal["poweroff", "halt"] = "poweroff"
    sudo_password: str | None = None
    validate_service: bool = True
    validate_config: bool = True
    force_validation: bool = False
