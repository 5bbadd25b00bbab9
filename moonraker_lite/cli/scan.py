"""`moonraker-lite scan FILE...`: what G-code files say about themselves, without a server."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from moonraker_lite.cli.scan_files import Options, Scanned, expand, prepare, scan_all
from moonraker_lite.cli.scan_output import print_json, print_lines, print_table, printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="G-code file, folder, or pattern such as 'gcodes/**/*.gcode'"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="an object for one file, a list for several")
    form.add_argument("--json-lines", action="store_true", help="one object per line, each as soon as it is known")
    form.add_argument("--table", action="store_true", help="a table (the default on a terminal)")
    parser.add_argument(
        "--thumbnails",
        metavar="DIR",
        type=Path,
        help="write the files' pictures into this folder (of files of the same name: into numbered folders in it)",
    )
    parser.add_argument("--draw", action="store_true", help="draw the largest picture of each file on the terminal")
    parser.add_argument(
        "--draw-as",
        choices=("auto", "blocks", "kitty", "iterm2"),
        default="auto",
        help="how to draw (default: the best that the terminal says it can)",
    )
    parser.add_argument("--moves", action="store_true", help="read all moves and compute what the file does not state")
    parser.add_argument("--objects", action="store_true", help="find the objects and their outlines in the whole file")
    parser.add_argument("--slicers-dir", metavar="DIR", type=Path, help="tables of more slicers (*.toml)")
    parser.add_argument("-j", "--jobs", metavar="N", type=_jobs, help="scan in so many processes (default: by need)")


def _jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 256")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Scan and print. 1 when any file is missing or cannot be read; the others are still shown."""
    try:
        return _run(args)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough. The interpreter must not complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _run(args: argparse.Namespace) -> int:
    draw = args.draw_as if args.draw and sys.stdout.isatty() else None
    complaints: list[str] = []
    with _folder_for_pictures(args.thumbnails, draw) as pictures:
        options = Options(args.slicers_dir, moves=args.moves, objects=args.objects, pictures=pictures)
        if troubles := prepare(options):
            print(*map(printable, troubles), sep="\n", file=sys.stderr)
            return 1
        paths = list(dict.fromkeys(expand(args.files, complaints.append)))
        scanned = _with_complaints(scan_all(paths, options, args.jobs), complaints)
        as_table = args.table or not (args.json or args.json_lines or not sys.stdout.isatty())
        if args.json_lines:
            print_lines(scanned)
        elif as_table:
            found = list(scanned)
            print_table(found)
        else:
            print_json(scanned, single=len(paths) == 1)
        if draw is not None and as_table:
            from moonraker_lite.cli.scan_drawing import draw_pictures

            complaints += draw_pictures(found, draw)
    for complaint in complaints:
        print(printable(complaint), file=sys.stderr)
    return 1 if complaints else 0


@contextlib.contextmanager
def _folder_for_pictures(wanted: Path | None, draw: str | None) -> Iterator[Path | None]:
    if wanted is not None or draw is None:
        yield wanted
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _with_complaints(scanned: Iterator[Scanned], complaints: list[str]) -> Iterator[Scanned]:
    """Only what could be scanned; why the rest could not is noted."""
    for item in scanned:
        if item.complaint is not None:
            complaints.append(item.complaint)
        if item.facts is not None:
            yield item
