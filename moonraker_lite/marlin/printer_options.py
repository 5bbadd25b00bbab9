"""What a printer is started with."""

from __future__ import annotations

from pathlib import Path

import msgspec

from moonraker_lite.marlin.printer_config import Sections
from moonraker_lite.marlin.settings import PrinterSettings


class PrinterOptions(msgspec.Struct, frozen=True):
    """Where the printer is and where its files are."""

    gcodes: Path
    # A path, socket://host:port or `auto`; baud None: found out.
    serial: str
    baud: int | None = None
    state_dir: Path | None = None
    settings: PrinterSettings = PrinterSettings()
    # marlin.cfg, which need not exist, and what the command line says in its place.
    config_file: Path | None = None
    # moonraker.conf, where macros stand in it.
    host_config: Path | None = None
    given: Sections = {}
