"""`moonraker-lite print FILE`: upload, start, and draw a progress bar until the print has ended."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import Any

from moonraker_lite.cli.client import ClientError, RpcClient, base_url, upload

OBJECTS: dict[str, Any] = {
    "print_stats": None,
    "virtual_sdcard": ["progress"],
    "display_status": ["progress"],
    "extruder": ["temperature", "target"],
    "heater_bed": ["temperature", "target"],
}
ENDED = ("complete", "cancelled", "error")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("file", type=Path, help="G-code file to print")
    parser.add_argument("--host", default="127.0.0.1:7125", metavar="URL", help="the host (default: %(default)s)")
    parser.add_argument("--api-key", help="API key, where this address is not trusted")


def run(args: argparse.Namespace) -> int:
    """Print the file; the exit status is 0 when the print completed."""
    if not args.file.is_file():
        print(f"No such file: {args.file}", file=sys.stderr)
        return 1
    try:
        return asyncio.run(_print(args.file, base_url(args.host), args.api_key))
    except ClientError as error:
        print(error, file=sys.stderr)
        return 1


class Watched:
    """The printer's status as far as it is shown, kept from updates."""

    def __init__(self) -> None:
        self.status: dict[str, dict[str, Any]] = {}
        self.changed = asyncio.Event()
        self.messages: list[str] = []

    def update(self, status: dict[str, dict[str, Any]]) -> None:
        for name, fields in status.items():
            self.status.setdefault(name, {}).update(fields)
        self.changed.set()

    def notified(self, method: str, params: list[Any]) -> None:
        """Take a notification of the host."""
        if method == "notify_status_update" and params:
            self.update(params[0])
        elif method == "notify_gcode_response" and params and str(params[0]).startswith("!!"):
            self.messages.append(str(params[0]))
            self.changed.set()
        elif method in ("notify_klippy_disconnected", "notify_klippy_shutdown"):
            self.messages.append("The printer was shut down or disconnected")
            self.changed.set()

    @property
    def state(self) -> str:
        return str(self.status.get("print_stats", {}).get("state", "standby"))

    @property
    def progress(self) -> float:
        """0 to 1."""
        if self.state == "complete":
            return 1.0
        shown = self.status.get("display_status", {}).get("progress")
        return float(shown or self.status.get("virtual_sdcard", {}).get("progress") or 0.0)

    def line(self) -> str:
        """State, layer and temperatures in a few words."""
        parts = [self.state]
        info = self.status.get("print_stats", {}).get("info") or {}
        if info.get("current_layer") is not None:
            parts.append(f"layer {info['current_layer']}/{info.get('total_layer') or '?'}")
        for name, label in (("extruder", "nozzle"), ("heater_bed", "bed")):
            heater = self.status.get(name, {})
            if heater.get("temperature") is not None:
                parts.append(f"{label} {heater['temperature']:.0f}/{heater.get('target') or 0:.0f} °C")
        return "  ".join(parts)


async def _print(path: Path, base: str, api_key: str | None) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("uploading", total=max(1, path.stat().st_size))
        name = await upload(base, path, api_key, lambda sent: progress.update(bar, completed=sent))
        progress.update(bar, description=f"uploaded {name}")
    watched = Watched()
    client = await RpcClient.connect(base, api_key, watched.notified)
    listener = asyncio.ensure_future(client.listen())
    try:
        await client.call("printer.print.start", filename=name)
        answer = await client.call("printer.objects.subscribe", objects=OBJECTS)
        watched.update(answer["status"])
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task(watched.line(), total=1.0)
            await _watch(client, listener, watched, progress, bar)
    finally:
        client.close()
        listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listener
    message = watched.status.get("print_stats", {}).get("message")
    console.print(f"{name}: {watched.state}" + (f": {message}" if message else ""))
    return 0 if watched.state == "complete" else 1


async def _watch(client: RpcClient, listener: asyncio.Future[None], watched: Watched, progress: Any, bar: Any) -> None:
    """Draw until the print has ended; Ctrl-C asks whether to cancel it."""
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        interrupted.set()
        watched.changed.set()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        while watched.state not in ENDED:
            changed: asyncio.Future[Any] = asyncio.ensure_future(watched.changed.wait())
            await asyncio.wait({changed, listener}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            if listener.done():
                raise ClientError("The connection to the host was lost; the print goes on without being watched")
            watched.changed.clear()
            while watched.messages:
                progress.console.print(watched.messages.pop(0))
            progress.update(bar, completed=watched.progress, description=watched.line())
            if interrupted.is_set():
                interrupted.clear()
                progress.stop()
                if not await _ask_cancel(client):
                    return
                progress.start()
        progress.update(bar, completed=watched.progress, description=watched.line())
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def _ask_cancel(client: RpcClient) -> bool:
    """Ask the user. Returns False when the print shall go on unwatched."""
    answer = await asyncio.to_thread(input, "\nCancel the print? [y]es, [n]o, [q]uit and let it print: ")
    if answer.strip().lower().startswith("q"):
        return False
    if answer.strip().lower().startswith("y"):
        await client.call("printer.print.cancel")
    return True
