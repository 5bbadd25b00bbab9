"""`moonraker-lite scan FILE...`: what G-code files say about themselves, without a server."""

from __future__ import annotations

import argparse
import glob
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from moonraker_lite.gcode_metadata import Metadata, extract_ufp, is_gcode_name, scan

MANY_FILES = 20
"""From here on a progress bar is drawn."""
_WILDCARDS = frozenset("*?[")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="G-code file, folder, or pattern such as 'gcodes/**/*.gcode'"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="an object for one file, a list for several")
    form.add_argument("--table", action="store_true", help="a table (the default on a terminal)")
    parser.add_argument("--thumbnails", metavar="DIR", type=Path, help="write the files' pictures into this folder")


def run(args: argparse.Namespace) -> int:
    """Scan and print. 1 when any file is missing or cannot be read; the others are still shown."""
    if args.thumbnails is not None:
        try:
            args.thumbnails.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            print(f"Pictures cannot be written to {args.thumbnails}: {error.strerror}.", file=sys.stderr)
            return 1
    complaints: list[str] = []
    paths = list(dict.fromkeys(_expand(args.files, complaints.append)))
    results = [
        (path, result)
        for path in _with_progress(paths)
        if (result := _scan_one(path, args.thumbnails, complaints.append)) is not None
    ]
    if args.json or not (args.table or sys.stdout.isatty()):
        _print_json(results, single=len(paths) == 1)
    else:
        _print_table(results)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


def _expand(arguments: Iterable[str], complain: Callable[[str], None]) -> Iterator[Path]:
    """Files as they are named, the G-code files of folders, and whatever matches a pattern."""
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            matches = sorted(found for found in path.rglob("*") if found.is_file() and is_gcode_name(found.name))
            nothing = f"There is no G-code file in {argument}."
        elif path.exists() or not _WILDCARDS.intersection(argument):
            matches = [path]
            nothing = ""
        else:
            matches = sorted(found for found in map(Path, glob.glob(argument, recursive=True)) if found.is_file())
            nothing = f"No file matches {argument}."
        if not matches:
            complain(nothing)
        yield from matches


def _scan_one(path: Path, thumbs_dir: Path | None, complain: Callable[[str], None]) -> dict[str, Any] | None:
    """Metadata as JSON-like values, with pictures where they were really written. None after a complaint."""
    try:
        if path.suffix.lower() == ".ufp":
            metadata = _scan_container(path, thumbs_dir)
        else:
            metadata = scan(path, thumbs_dir=thumbs_dir)
    except FileNotFoundError:
        complain(f"There is no file {path}.")
    except OSError as error:
        complain(f"{path} cannot be read: {error.strerror or error}.")
    except ValueError as error:
        complain(f"{path}: {error}")
    else:
        result: dict[str, Any] = msgspec.to_builtins(metadata)
        if thumbs_dir is not None:
            for thumbnail in result.get("thumbnails", []):
                thumbnail["relative_path"] = str(thumbs_dir / os.path.basename(thumbnail["relative_path"]))
        return result
    return None


def _scan_container(path: Path, thumbs_dir: Path | None) -> Metadata:
    with tempfile.TemporaryDirectory() as folder:
        gcode = Path(folder) / f"{path.stem}.gcode"
        pictures = thumbs_dir or Path(folder) / ".thumbs"
        extract_ufp(path, gcode, pictures)
        return scan(gcode, thumbs_dir=pictures)


def _with_progress(paths: list[Path]) -> Iterable[Path]:
    if len(paths) < MANY_FILES or not sys.stderr.isatty():
        return paths
    from rich.console import Console
    from rich.progress import track

    return track(paths, description="Scanning", console=Console(stderr=True), transient=True)


def _print_json(results: list[tuple[Path, dict[str, Any]]], *, single: bool) -> None:
    objects = [result | {"filename": os.fsencode(path).decode("utf-8", "replace")} for path, result in results]
    if single and not objects:
        return
    text = msgspec.json.encode(objects[0] if single else objects)
    print(msgspec.json.format(text, indent=2).decode())


def _print_table(results: list[tuple[Path, dict[str, Any]]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if not results:
        return
    if len(results) == 1:
        path, result = results[0]
        table = Table(title=escape(path.name), box=box.SIMPLE, show_header=False)
        for field, value in result.items():
            table.add_row(field, escape(_shown(field, value)))
    else:
        table = Table(box=box.SIMPLE)
        for heading in ("File", "Slicer", "Time", "Filament", "Weight", "Height", "Layers", "Pictures"):
            table.add_column(heading, justify="left" if heading in ("File", "Slicer") else "right")
        for path, result in results:
            table.add_row(*map(escape, _row(path, result)))
    Console().print(table)


def _row(path: Path, result: dict[str, Any]) -> tuple[str, ...]:
    return (
        os.fsencode(path).decode("utf-8", "replace"),
        f"{result['slicer']} {result['slicer_version']}",
        _shown("estimated_time", result.get("estimated_time")),
        f"{result['filament_total'] / 1000:.2f} m" if "filament_total" in result else "",
        f"{result['filament_weight_total']:.1f} g" if "filament_weight_total" in result else "",
        f"{result['object_height']:g} mm" if "object_height" in result else "",
        str(result.get("layer_count", "")),
        str(len(result.get("thumbnails", [])) or ""),
    )


def _shown(field: str, value: Any) -> str:
    if value is None:
        return ""
    if field == "estimated_time":
        minutes = round(value / 60)
        return f"{minutes // 60}h {minutes % 60:02}m" if minutes >= 60 else f"{minutes}m"
    if field == "thumbnails":
        return "\n".join(f"{item['width']}x{item['height']} {item['relative_path']}" for item in value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
