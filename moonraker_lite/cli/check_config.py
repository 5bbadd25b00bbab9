"""`moonraker-lite check-config`: say what is wrong with the configuration, without starting anything."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import msgspec


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`-d DATA` and `-c CONF`, as the server has them."""


def run(args: argparse.Namespace, *, sections: Iterable[tuple[str, type[msgspec.Struct]]] | None = None) -> int:
    """Print warnings and errors one per line. 0 when the server would start without complaint of an error, else 1."""
    return 0
