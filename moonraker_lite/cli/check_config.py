"""`moonraker-lite check-config`: say what is wrong with the configuration, without starting anything."""

from __future__ import annotations

import argparse
import typing
from collections.abc import Iterable
from pathlib import Path

import msgspec

from moonraker_lite.config import Config, ConfigError, PrinterSettings, ServerSettings, load_config

Sections = Iterable[tuple[str, type[msgspec.Struct] | None]]
"""What exists and how it decodes: `("server", ServerSettings)`, `("webcam *", Webcam)` for every `[webcam x]`."""

_OWN_SECTIONS: Sections = (("server", ServerSettings), ("printer", PrinterSettings))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`-d DATA` and `-c CONF`, as the server has them."""
    parser.add_argument(
        "-d", "--datapath", type=Path, default=Path("~/printer_data"), help="data path (default: ~/printer_data)"
    )
    parser.add_argument(
        "-c", "--configfile", type=Path, help="configuration file (default: <data path>/config/moonraker.conf)"
    )


def run(args: argparse.Namespace, *, sections: Sections | None = None) -> int:
    """Print errors and warnings one per line, errors first. Returns 0 when there are no errors, else 1.

    `sections` are all that exist, beside [server] and [printer]; by default those of the installed components.
    """
    data_path: Path = args.datapath.expanduser()
    path: Path = (args.configfile or data_path / "config" / "moonraker.conf").expanduser()
    config = load_config(path, data_path=data_path)
    check(config, (*_OWN_SECTIONS, *(component_sections() if sections is None else sections)))
    errors = [str(error) for error in config.errors]
    warnings = [text for text in config.warnings() if text not in errors]
    warnings += marlin_warnings(config, path.parent)
    for text in errors:
        print(f"error: {text}")
    for text in warnings:
        print(f"warning: {text}")
    count = f"{_number(len(errors), 'error')}, {_number(len(warnings), 'warning')}"
    print(f"{path}: {count if errors or warnings else 'all is well'}")
    return 1 if errors else 0


def marlin_warnings(config: Config, folder: Path) -> list[str]:
    """What is wrong with marlin.cfg, where a Marlin printer would read it."""
    try:
        printer = config.decode("printer", PrinterSettings)
    except ConfigError:  # remembered in config.errors
        return []
    path = folder / printer.config_file
    if printer.type == "klipper" or not path.is_file():
        return []
    from moonraker_lite.marlin.owner import problems_of
    from moonraker_lite.marlin.printer_config import read_printer_config, settings_of

    read = read_printer_config(path)
    problems = (read.located(problem) for problem in (*settings_of(read)[1], *problems_of(read.sections)))
    return [*read.warnings, *problems]


def component_sections() -> list[tuple[str, type[msgspec.Struct] | None]]:
    """The sections of all components, ours and third parties', found as the host's registry finds them."""
    from moonraker_lite.components import COMPONENTS
    from moonraker_lite.registry import WiringError, load, load_third_party, needs

    found: list[tuple[str, type[msgspec.Struct] | None]] = []
    for kind in [*load(COMPONENTS), *load_third_party()]:
        found.append((kind.section, None))
        try:
            wanted = needs(kind)
        except WiringError:  # the host says so; it is no fault of the configuration
            continue
        for need in wanted.values():
            if typing.get_origin(need) is dict:
                found.append((f"{kind.section} *", typing.get_args(need)[1]))
            elif isinstance(need, type) and issubclass(need, msgspec.Struct) and not _is_service(need):
                found.append((kind.section, need))
    return found


def _is_service(struct: type[msgspec.Struct]) -> bool:
    """The host's own structs (paths, facts) come from the host, those beside a component from the configuration."""
    package = struct.__module__
    return package.startswith("moonraker_lite.") and not package.startswith("moonraker_lite.components.")


def check(config: Config, sections: Sections) -> None:
    """Decode all of these; what is wrong lands in `config.errors`, what is unknown in `config.warnings()`."""
    for name, settings in sections:
        word = name.removesuffix(" *")
        config.known_sections([word])
        if settings is None:
            continue
        for section in config.sections(word) if word != name else [name]:
            try:
                config.decode_valid(section, settings)
            except ConfigError:  # remembered in config.errors
                continue


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
