"""`moonraker-lite virtual-printer`: only the simulator; prints its pty and runs until interrupted."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    raise NotImplementedError


def run(args: argparse.Namespace) -> int:
    """Run until interrupted; returns the exit status."""
    raise NotImplementedError
