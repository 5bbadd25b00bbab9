"""`moonraker-lite run`: start the host and stay until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from moonraker_lite import __version__
from moonraker_lite.config import ServerSettings, load_config, write_default_config
from moonraker_lite.datapath import DataPath
from moonraker_lite.errors import HostError
from moonraker_lite.host import Host, Places, run_once
from moonraker_lite.logs import Logs, setup_logging, startup_block

_LOGGER = logging.getLogger(__name__)
DESCRIPTORS = 4096
SWITCH_SECONDS = 0.001  # that a thread which computes keeps the event loop waiting; Python's own are 5 ms

SETTLE_SECONDS = 1.0  # after the first clients have been answered


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Moonraker's options, so that its installers' environment files work unchanged."""
    parser.add_argument("-d", "--datapath", default="~/printer_data", help="folder of all data (default: %(default)s)")
    parser.add_argument("-c", "--configfile", help="configuration (default: <datapath>/config/moonraker.conf)")
    parser.add_argument("-l", "--logfile", help="log (default: <datapath>/logs/moonraker.log)")
    parser.add_argument("-u", "--unixsocket", help="our socket (default: <datapath>/comms/moonraker.sock)")
    parser.add_argument("-n", "--nologfile", action="store_true", help="log to the console only")
    parser.add_argument("-v", "--verbose", action="store_true", help="log more")
    parser.add_argument("-g", "--debug", action="store_true", help="log what asyncio and Tornado say, too")
    parser.add_argument("-o", "--asyncio-debug", action="store_true", help="asyncio's debug mode (slow)")
    parser.add_argument("--version", action="version", version=f"moonraker_lite {__version__}")


def run(args: argparse.Namespace) -> int:
    """Run the host; returns the exit status."""
    data = DataPath(Path(args.datapath).expanduser().absolute())
    try:
        data.make()
    except OSError as error:
        print(f"The data path {data.root} cannot be used: {error.strerror}. Choose another with -d.", file=sys.stderr)
        return 1
    places = Places(
        data=data,
        socket=Path(args.unixsocket).expanduser() if args.unixsocket else data.comms / "moonraker.sock",
        log_file=None if args.nologfile else Path(args.logfile or data.logs / "moonraker.log").expanduser(),
    )
    config_file = Path(args.configfile).expanduser() if args.configfile else data.config / "moonraker.conf"
    try:
        logs = setup_logging(log_file=places.log_file, verbose=args.verbose, debug=args.debug)
    except OSError as error:
        print(f"The log file {places.log_file} cannot be written: {error.strerror}. See -l and -n.", file=sys.stderr)
        return 1
    _allow_many_files()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        if args.configfile is None and write_default_config(config_file):
            _LOGGER.info("wrote a default configuration to %s", config_file)
        return _run_loop(_serve(config_file, places, logs), debug=args.asyncio_debug)
    except (OSError, HostError) as error:  # a port that is taken, a disk that refuses, a database that is too new
        _LOGGER.error("cannot start: %s", error)
        return 1
    finally:
        logs.close()


def _allow_many_files() -> None:
    """Connections, uploads and downloads at their bounds need more descriptors than the usual 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _run_loop(work: Coroutine[Any, Any, int], *, debug: bool) -> int:
    """Run on uvloop where it is installed, on asyncio's own loop otherwise."""
    factory = None
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(debug=debug, loop_factory=factory) as runner:
        return runner.run(work)


async def _serve(config_file: Path, places: Places, logs: Logs) -> int:
    """Run hosts until a signal comes: a new one, with the configuration read anew, after each server.restart."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    while True:
        config = load_config(config_file, data_path=places.data.root)
        for secret in config.secret_texts():
            logs.hide(secret)
        logs.set_startup_block(startup_block(version=__version__, config=config.original()))
        host = Host(config, places)
        if host.server.enable_debug_logging:
            logging.getLogger().setLevel(logging.DEBUG)
        host.facts.rollover = logs.rollover if places.log_file is not None else None
        again = await run_once(host, stop, started=lambda host=host: _welcome(host))  # type: ignore[misc]
        if not again:
            return 0
        _LOGGER.info("restarting")


def _settle() -> None:
    """What start-up made stays: later collections need not look at it."""
    gc.enable()
    gc.collect()
    gc.freeze()


def _welcome(host: Host) -> None:
    """Say where the server is to be found."""
    asyncio.get_running_loop().call_later(SETTLE_SECONDS, _settle)
    server: ServerSettings = host.server
    name = socket.gethostname() if server.host in ("0.0.0.0", "::", "all") else server.host  # noqa: S104
    address = f"http://{f'[{name}]' if ':' in name else name}:{host.port}"
    lines = [
        f"moonraker_lite {__version__} is ready on {address} (process {os.getpid()})",
        f"  Mainsail, Fluidd   add a printer with host {name}, port {host.port}",
        f"  slicer             printer type OctoPrint or Moonraker, address {address}, without an API key",
        f"  configuration      {host.config.path}",
        f"  G-code files       {host.places.data.gcodes}",
    ]
    for line in lines:
        _LOGGER.info("%s", line)
    if host.places.log_file is not None and not sys.stderr.isatty():
        print("\n".join(lines), flush=True)  # the console got only the warnings of the log
