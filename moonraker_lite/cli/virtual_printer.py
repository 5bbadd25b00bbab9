"""`moonraker-lite virtual-printer`: only the simulator; prints its pty and runs until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--speed", type=float, default=1.0, help="1 = real time (default), 20 = twenty times faster, 0 = no waiting"
    )
    parser.add_argument("--faults", default="", metavar="LIST", help="for example seed=1,corrupt=0.05,lose_ok=0.01")
    parser.add_argument("--link", metavar="PATH", help="make a symbolic link to the pty here")
    parser.add_argument("--firmware", default="", metavar="NAME", help="marlin-2.1, marlin-1.1, prusa-mk3, ...")
    parser.add_argument("--sd-card", action="store_true", help="it has an SD card")
    parser.add_argument("--plain", action="store_true", help="a firmware without ADVANCED_OK and emergency parser")
    parser.add_argument("--log", metavar="PATH", help="write every executed command to this file")


def run(args: argparse.Namespace) -> int:
    """Run until interrupted; returns the exit status: 0, or 1 where the pty, link, log or an option is no good."""
    try:
        asyncio.run(_serve(args))
    except KeyboardInterrupt:
        pass
    except (OSError, ValueError) as error:
        print(f"virtual-printer: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(args: argparse.Namespace) -> None:
    from moonraker_lite.marlin.virtual import VirtualPrinter

    with contextlib.ExitStack() as stack:
        on_executed = None
        if args.log:
            log = stack.enter_context(open(args.log, "w", encoding="utf-8", buffering=1))

            def on_executed(line: str) -> None:
                log.write(line + "\n")

        printer = VirtualPrinter(
            speed=args.speed,
            faults=args.faults,
            link_path=args.link,
            on_executed=on_executed,
            firmware=args.firmware,
            card=args.sd_card,
            advanced_ok=not args.plain,
            emergency_parser=not args.plain,
        )
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, stop.set)
        await printer.start()
        try:
            print(printer.path, flush=True)
            await stop.wait()
        finally:
            await printer.close()
