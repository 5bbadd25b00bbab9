"""`moonraker-lite print FILE`: upload, start, and draw a progress bar until the print has ended."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonraker_lite.cli.client import ClientError, RpcClient, base_url, upload
from moonraker_lite.gcode_metadata import GCODE_EXTENSIONS, is_gcode_name

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

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
        print(f"There is no file {args.file}.", file=sys.stderr)
        return 1
    if not is_gcode_name(args.file.name):
        print(
            f"{args.file} is no G-code file: its name ends in none of {' '.join(sorted(GCODE_EXTENSIONS))}.",
            file=sys.stderr,
        )
        return 1
    try:
        return asyncio.run(_print(args.file, base_url(args.host), args.api_key))
    except ClientError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:  # before there was a print; from then on it is asked what is meant
        print("Interrupted: nothing is printed.", file=sys.stderr)
    return 1


class Watched:
    """The printer's status as far as it is shown, kept from updates."""

    def __init__(self) -> None:
        self.status: dict[str, dict[str, Any]] = {}
        self.changed = asyncio.Event()
        self.messages: list[str] = []
        self.interrupted = asyncio.Event()  # by Ctrl-C
        self.lost: str | None = None  # why nothing more will come

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
        elif method == "notify_klippy_disconnected":
            self.lose("The printer was disconnected")
        elif method == "notify_klippy_shutdown":
            self.lose("The printer was shut down")

    def interrupt(self) -> None:
        self.interrupted.set()
        self.changed.set()

    def lose(self, reason: str) -> None:
        """Nothing more will come, unless the end of the print has come already."""
        self.lost = self.lost or reason
        self.changed.set()

    @property
    def ended(self) -> bool:
        return self.state in ENDED

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

    console = Console(markup=False, highlight=False)  # a file's name is no markup
    what = TextColumn("{task.description}", markup=False)
    columns = (what, BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    watched = Watched()
    client = await RpcClient.connect(base, api_key, watched.notified)
    listener = asyncio.ensure_future(client.listen())
    listener.add_done_callback(lambda _: watched.lose("The connection to the host was lost"))
    try:
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("uploading", total=max(1, path.stat().st_size))
            name = await upload(base, path, api_key, lambda sent: progress.update(bar, completed=sent))
            progress.update(bar, description=f"uploaded {name}")
        await client.call("printer.objects.subscribe", objects=OBJECTS)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, watched.interrupt)
        await client.call("printer.print.start", filename=name)
        # A query is answered by the printer itself. What a subscription begins with may still be of the print before.
        answer = await client.call("printer.objects.query", objects=OBJECTS)
        watched.status.clear()
        watched.update(answer["status"])
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task(watched.line(), total=1.0)
            await _watch(client, watched, progress, bar)
    finally:
        client.close()
        listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listener
    message = watched.status.get("print_stats", {}).get("message")
    console.print(f"{name}: {watched.state}" + (f": {message}" if message else ""))
    return 0 if watched.state == "complete" else 1


async def _watch(client: RpcClient, watched: Watched, progress: Progress, bar: TaskID) -> None:
    """Draw until the print has ended; Ctrl-C asks whether to cancel it.

    Raises:
        ClientError: how it ends cannot be seen any more.
    """
    while not watched.ended:
        if watched.lost:
            raise ClientError(f"{watched.lost}; how the print goes on is not seen here")
        await watched.changed.wait()
        watched.changed.clear()
        while watched.messages:
            progress.console.print(watched.messages.pop(0))
        progress.update(bar, completed=watched.progress, description=watched.line())
        if watched.interrupted.is_set():
            watched.interrupted.clear()
            progress.stop()
            answer = await _ask("\nCancel the print? [y]es, [n]o, [q]uit and let it print: ", watched.interrupted)
            if answer == "q":
                return
            if answer == "y":
                await client.call("printer.print.cancel")
            progress.start()
    progress.update(bar, completed=watched.progress, description=watched.line())


async def _ask(question: str, interrupted: asyncio.Event) -> str:
    """The first letter of what the user answers; "q" when there is nobody to ask, and for another Ctrl-C."""
    if not sys.stdin.isatty():
        return "q"
    loop = asyncio.get_running_loop()
    typed = asyncio.Event()
    print(question, end="", flush=True)
    loop.add_reader(sys.stdin, typed.set)  # a terminal gives whole lines
    waiting = [asyncio.ensure_future(event.wait()) for event in (typed, interrupted)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_reader(sys.stdin)
        for task in waiting:
            task.cancel()
    line = sys.stdin.readline() if typed.is_set() else ""
    return line.strip().lower()[:1] if line else "q"
