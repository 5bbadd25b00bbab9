"""Hosts for tests: their configuration, their making, and waiting for their printer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moonraker_lite.component import Component
from moonraker_lite.config import load_config
from moonraker_lite.datapath import DataPath
from moonraker_lite.host import Host, Places


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_config(root: Path, config: str = "", *, machine: bool = True) -> int:
    """Write moonraker.conf into the data path `root`, with a free port, which is returned.

    The printer is a Klipper unless `config` says otherwise, so that no firmware process is started unasked. Services
    and power are never the real ones (where there is a `machine` component at all): a test must not be able to reboot
    the computer it runs on.
    """
    port = free_port()
    text = f"[server]\nhost: 127.0.0.1\nport: {port}\n"
    text += "" if "[printer]" in config else "[printer]\ntype: klipper\n"
    text += "" if "[machine]" in config or not machine else "[machine]\nprovider: none\n"
    path = root / "config" / "moonraker.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}{config}\n")
    return port


def new_host(root: Path, config: str = "", kinds: Sequence[type[Component]] | None = None) -> Host:
    """Make a host on the data path `root` that has not started yet; `kinds` are all its components."""
    write_config(root, config, machine=kinds is None)
    loaded = load_config(root / "config" / "moonraker.conf", data_path=root)
    return Host(loaded, Places(DataPath(root), root / "comms" / "moonraker.sock"), kinds)


async def until_ready(host: Host) -> None:
    """Wait until clients are told that the printer is ready; to be called right after the host's start."""
    ready = asyncio.Event()
    plain = host.events.notify

    def notify(name: str, *params: Any, latest: bool = False) -> None:
        plain(name, *params, latest=latest)
        if name == "klippy_ready":
            ready.set()

    host.events.notify = notify  # type: ignore[method-assign]
    async with asyncio.timeout(60):
        await ready.wait()
        while host.hub.value("print_stats", "state") is None:
            await asyncio.sleep(0.01)
