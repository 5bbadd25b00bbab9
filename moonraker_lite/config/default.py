"""The commented configuration that a first start writes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

DEFAULT_CONFIG_TEXT = """\
# Configuration of moonraker_lite, in the format of Moonraker's moonraker.conf.
# What is commented out shows the default. Check a change with:  moonraker-lite check-config

[server]
#host: 0.0.0.0
#   The address to listen on. 127.0.0.1: only this computer; all: IPv4 and IPv6.
#port: 7125
#   Where Mainsail, Fluidd, KlipperScreen and slicers connect.
#max_upload_size: 1024
#   Largest file that can be uploaded, in MiB.
#max_websocket_connections: 50
#klippy_uds_address: {data_path}/comms/klippy.sock
#   Where Klipper, or the Marlin process of moonraker_lite, is reached.

[printer]
#type: virtual
#   klipper: a Klipper that runs on this computer.
#   marlin:  a printer with stock Marlin firmware on a serial port.
#   virtual: a simulated printer to try things out.
#   Without this option: klipper if it runs or a printer.cfg exists, else virtual.
#serial: /dev/serial/by-id/usb-...
#   For type marlin. Names under /dev/serial/by-id stay the same when devices are plugged in another order;
#   `moonraker-lite ports` lists them. auto: the USB ports are asked which of them is the printer.
#baud: auto
#   For type marlin: 115200, 250000, ... or auto.
#virtual_speed: 1
#   For type virtual: 1 is real time, 20 twenty times faster, 0 as fast as possible.

[authorization]
# Computers in these networks may use the printer without an API key. Keep the list as short as you can.
trusted_clients:
    127.0.0.0/8
    10.0.0.0/8
    169.254.0.0/16
    172.16.0.0/12
    192.168.0.0/16
    ::1/128
    FC00::/7
    FE80::/10
# Web pages from these addresses may talk to the printer.
cors_domains:
    *.lan
    *.local
    *://localhost
    *://localhost:*
    *://my.mainsail.xyz
    *://app.fluidd.xyz

# Slicers upload through OctoPrint's interface.
[octoprint_compat]

# The list of past prints.
[history]
"""


def write_default_config(path: Path) -> bool:
    """Write the default file unless something is there already. True when it was written.

    The file appears whole or not at all, and one that somebody else writes at the same moment wins.

    Raises:
        OSError: the folder is missing or not writable.
    """
    if os.path.lexists(path):
        return False
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(DEFAULT_CONFIG_TEXT)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        _publish(name, path)
    except FileExistsError:
        return False
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    return True


def _publish(name: str, path: Path) -> None:
    """Give the finished file its name. A link, since a rename would replace what appeared there in the meantime."""
    try:
        os.link(name, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links, such as that of a memory card
        os.rename(name, path)
