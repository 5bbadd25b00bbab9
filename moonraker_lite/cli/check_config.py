"""`moonraker-lite check-config`: say what is wrong with the configuration, without starting anything."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from moonraker_lite.config import Config, ConfigError, PrinterSettings, ServerSettings, load_config

Sections = Iterable[tuple[str, type[msgspec.Struct]]]
"""What to decode: `("server", ServerSettings)`, or `("webcam *", WebcamSettings)` for every `[webcam x]`."""

_OWN_SECTIONS: Sections = (("server", ServerSettings), ("printer", PrinterSettings))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`-d DATA` and `-c CONF`, as the server has them."""
    parser.add_argument(
        "-d", "--datapath", type=Path, default=Path("~/printer_data"), help="data path (default: ~/printer_data)"
    )
    parser.add_argument(
        "-c", "--configfile", type=Path, help="configuration file (default: <data path>/config/moonraker.conf)"
    )


def run(args: argparse.Namespace, *, sections: Sections = (), whole: bool = False) -> int:
    """Print errors and warnings one per line, errors first.

    `sections` are those of the components, beside [server] and [printer]; `whole` says that there are no others, so
    that unknown sections can be told. Returns 0 when there are no errors, else 1.
    """
    data_path: Path = args.datapath.expanduser()
    path: Path = (args.configfile or data_path / "config" / "moonraker.conf").expanduser()
    if not path.exists():
        print(f"error: {path} does not exist", file=sys.stderr)
        return 1
    config = load_config(path, data_path=data_path)
    check(config, (*_OWN_SECTIONS, *sections), whole=whole)
    errors = [str(error) for error in config.errors]
    warnings = [text for text in config.warnings() if text not in errors]
    for text in errors:
        print(f"error: {text}")
    for text in warnings:
        print(f"warning: {text}")
    count = f"{_number(len(errors), 'error')}, {_number(len(warnings), 'warning')}"
    print(f"{path}: {count if errors or warnings else 'all is well'}")
    return 1 if errors else 0


def check(config: Config, sections: Sections, *, whole: bool) -> None:
    """Decode all of these; what is wrong lands in `config.errors`."""
    pairs = list(sections)
    for name, settings in pairs:
        word = name.removesuffix(" *")
        found = config.sections(word) if word != name else [name]
        for section in found:
            try:
                config.decode_valid(section, settings)
            except ConfigError:  # remembered in config.errors
                continue
    if whole:
        config.known_sections(name.removesuffix(" *") for name, _ in pairs)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
