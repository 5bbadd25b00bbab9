"""`python -m moonraker_lite.marlin`: the Marlin firmware host as a process of its own.

It owns the serial line and the print, and lives on when the host that started it ends: it ignores SIGHUP and uses
neither stdin nor a terminal. SIGTERM and SIGINT end it: a running print stops with its checkpoint on disk, and all
heaters are switched off, because from then on nobody would watch the board.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import gc
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from moonraker_lite.marlin.endpoints import SOFTWARE_VERSION, Endpoints
from moonraker_lite.marlin.log import set_up
from moonraker_lite.marlin.printer import Printer
from moonraker_lite.marlin.printer_config import given_sections
from moonraker_lite.marlin.printer_options import PrinterOptions
from moonraker_lite.marlin.server import AlreadyServed, ApiServer
from moonraker_lite.marlin.settings import SettingsError, load_settings

_LOGGER = logging.getLogger("moonraker_lite.marlin")

EXIT_USAGE = 2
EXIT_ALREADY_SERVED = 3
EXIT_SOCKET = 4

PRIORITY = -10
AUTOGROUP = Path("/proc/self/autogroup")


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m moonraker_lite.marlin",
        description="Drive a Marlin printer and offer Klipper's API socket for it.",
        # A width of its own: argparse would load `shutil` and all its compressors to ask for that of the terminal.
        formatter_class=functools.partial(argparse.HelpFormatter, width=100),
    )
    parser.add_argument("--socket", type=Path, required=True, help="path of the API socket to serve")
    parser.add_argument("--gcodes", type=Path, required=True, help="folder with the files to print")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--serial", metavar="URL", help="serial port, pty or socket://host:port, or auto")
    where.add_argument("--virtual", action="store_true", help="run the built-in virtual printer instead")
    parser.add_argument("--baud", type=int, help="speed of a serial port (default: found out)")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="virtual printer: 1 is real time, 0 as fast as it goes"
    )
    parser.add_argument("--faults", default="", metavar="SPEC", help="virtual printer: faults of the line to simulate")
    parser.add_argument("--firmware", default="", metavar="NAME", help="virtual printer: the firmware it plays")
    parser.add_argument("--sd-card", action="store_true", help="virtual printer: it has an SD card")
    parser.add_argument("--name", default="printer", help="name of this printer in the log")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="JSON file with what is known of the printer")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="marlin.cfg: the same, and macros, as Klipper has it"
    )
    parser.add_argument("--host-config", type=Path, metavar="FILE", help="moonraker.conf: its macros count as well")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION:OPTION=VALUE",
        help="an option that marlin.cfg may change",
    )
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="folder for the checkpoint of a print")
    parser.add_argument("--log", type=Path, metavar="FILE", help="log file (default: stderr)")
    parser.add_argument("--verbose", action="store_true", help="log more")
    return parser.parse_args(argv)


async def serve(options: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT. Raise AlreadyServed, OSError (socket), SettingsError, ValueError (faults)."""
    settings = load_settings(options.settings)
    given = given_sections(options.set)
    virtual = None
    if options.virtual:
        from moonraker_lite.marlin.virtual import VirtualPrinter

        virtual = VirtualPrinter(
            speed=options.speed, faults=options.faults, card=options.sd_card, firmware=options.firmware
        )
        await virtual.start()
    server = ApiServer(
        options.socket,
        lambda client, method, params, reply: endpoints.handle(client, method, params, reply),
        lambda client: endpoints.client_left(client),
    )
    printer = Printer(
        PrinterOptions(
            gcodes=options.gcodes.resolve(),
            serial=virtual.path if virtual else options.serial,
            baud=options.baud,
            state_dir=options.state_dir,
            settings=settings,
            config_file=options.config,
            host_config=options.host_config,
            given=given,
        ),
        output=server.output,
        restart_clients=server.close_clients,
        reset_board=virtual.reset if virtual else None,
    )
    # Where there is none, clients still want to know where Klipper's configuration would lie.
    config_file = options.config or options.gcodes.resolve().parent / "config" / "printer.cfg"
    endpoints = Endpoints(printer, log_file=options.log, config_file=config_file)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end(*_: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        # Not `add_signal_handler`: for that asyncio would load `inspect` (see `late`).
        signal.signal(number, end)
    try:
        await server.start()
        printer.start()
        # What is there now stays for ever: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        await stop.wait()
        _LOGGER.info("Ending")
    finally:
        await printer.stop()
        endpoints.close()
        await server.stop()
        if virtual is not None:
            await virtual.close()


def detach() -> None:
    """Let no terminal end or feed us."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def ask_for_priority() -> None:
    """Who answers a printer in time needs little, but soon; a web server can wait. Without permission, so be it."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    # Linux shares the processor between sessions first; the priority of a process counts only within its own.
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            AUTOGROUP.write_text(str(PRIORITY))


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    detach()
    ask_for_priority()
    try:
        set_up(options.log, verbose=options.verbose)
        where = "virtual printer" if options.virtual else f"{options.serial} at {options.baud or 'any'} baud"
        _LOGGER.info(
            "%s (%s): %s, socket %s, pid %d", options.name, SOFTWARE_VERSION, where, options.socket, os.getpid()
        )
        asyncio.run(serve(options))
    except AlreadyServed as error:
        _LOGGER.error("%s", error)
        return EXIT_ALREADY_SERVED
    except (SettingsError, ValueError) as error:
        _LOGGER.error("%s", error)
        return EXIT_USAGE
    except OSError as error:
        _LOGGER.error("Cannot serve: %s", error)
        return EXIT_SOCKET
    return 0
