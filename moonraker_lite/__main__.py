"""The command line: `moonraker-lite [command] [options]`, `python -m moonraker_lite ...`.

Without a command it runs the host, so that the environment files which installers write for Moonraker start it as they
are. Each command is a module of `moonraker_lite.cli`, imported only when it is the one.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "run": "start the host (this is what happens without a command)",
    "print": "upload a file, print it and watch it finish",
    "scan": "show the metadata of G-code files",
    "check-config": "check a configuration and say what is wrong with it",
    "ports": "list the serial ports, and ask which of them is a printer",
    "virtual-printer": "run only the virtual Marlin printer and show its terminal",
}


def _without_script(arguments: list[str]) -> list[str]:
    """Drop the path of Moonraker's own script, which an existing moonraker.env has as its first argument."""
    return arguments[1:] if arguments and arguments[0].endswith("moonraker.py") else arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status."""
    import argparse

    arguments = _without_script(list(sys.argv[1:] if argv is None else argv))
    command = arguments[0] if arguments and arguments[0] in COMMANDS else None
    name = command or "run"
    if name == "run" and argv is None:
        # Start-up makes what stays; looking for garbage in it again and again would take an eighth of its time. `run`
        # turns this on again when the host answers.
        gc.disable()
    module = importlib.import_module(f"moonraker_lite.cli.{name.replace('-', '_')}")
    listed = "\n".join(f"  {known:16} {what}" for known, what in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog=f"moonraker-lite {command}" if command else "moonraker-lite",
        description=COMMANDS[name],
        epilog=None if command else f"commands (each has its own --help):\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    if command is None and arguments and not arguments[0].startswith("-"):
        parser.error(f"there is no command {arguments[0]!r}; the commands are {', '.join(COMMANDS)}")
    status: int = module.run(parser.parse_args(arguments[1:] if command else arguments))
    return status


if __name__ == "__main__":
    sys.exit(main())
