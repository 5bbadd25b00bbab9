"""Finding the files that `scan` was given, and scanning them, in several processes when they are many."""

from __future__ import annotations

import contextlib
import glob
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from moonraker_lite.gcode_metadata import check_tables, is_gcode_name, load_tables, scan, scan_moves
from moonraker_lite.gcode_metadata.computed import fields_of, merged
from moonraker_lite.gcode_metadata.containers import ContainerError, kind_at, unpack
from moonraker_lite.gcode_metadata.slicers import Tables

MANY_FILES = 20
"""From here on a progress bar is drawn."""
ENOUGH_FOR_PROCESSES = 200
"""From here on it pays to start processes, where nobody said how many."""
SLOW_ENOUGH_FOR_PROCESSES = 4
"""The same where files are read as a whole."""
MOST_PROCESSES = 8
_WILDCARDS = frozenset("*?[")


class Options(NamedTuple):
    """What to do with each file. `pictures` is the folder for thumbnails."""

    slicers: Path | None = None
    moves: bool = False
    objects: bool = False
    pictures: Path | None = None


class Scanned(NamedTuple):
    """One file: its metadata as JSON-like values, or a sentence why there is none. Both where a part is missing."""

    path: Path
    facts: dict[str, Any] | None
    complaint: str | None = None


def prepare(options: Options) -> list[str]:
    """Make ready what all scans need; sentences when that fails."""
    if options.pictures is not None:
        try:
            options.pictures.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return [f"Pictures cannot be written to {options.pictures}: {error.strerror}."]
    if options.slicers is not None:
        if not options.slicers.is_dir():
            return [f"There is no folder {options.slicers}."]
        return check_tables(options.slicers)
    return []


def expand(arguments: Iterable[str], complain: Callable[[str], None]) -> Iterator[Path]:
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


def scan_all(paths: list[Path], options: Options, jobs: int | None = None) -> Iterator[Scanned]:
    """Scan in order, with a bar on the terminal when it may take a while."""
    work = list(zip(paths, _folders(paths, options.pictures), strict=True))
    if jobs is None:
        enough = SLOW_ENOUGH_FOR_PROCESSES if options.moves or options.objects else ENOUGH_FOR_PROCESSES
        jobs = min(MOST_PROCESSES, os.cpu_count() or 1) if len(paths) >= enough else 1
    jobs = min(jobs, len(paths))
    if jobs > 1:
        yield from _with_bar(_in_processes(work, options, jobs), len(paths))
    else:
        yield from _with_bar((scan_one(path, folder, options) for path, folder in work), len(paths))


def _folders(paths: list[Path], pictures: Path | None) -> Iterator[Path | None]:
    """Where each file's pictures go. They are named after the file, so two of one name must not share a folder."""
    seen: dict[str, int] = {}
    for path in paths:
        number = seen[path.stem] = seen.get(path.stem, 0) + 1
        yield pictures if pictures is None or number == 1 else pictures / str(number)


def _in_processes(work: list[tuple[Path, Path | None]], options: Options, jobs: int) -> Iterator[Scanned]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    # Nothing else runs in this process, so a fork is safe, and much quicker than a new interpreter.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork")) as pool:
        paths, folders = zip(*work, strict=True)
        chunk = max(1, min(16, len(paths) // (4 * jobs)))
        results = pool.map(scan_one, paths, folders, [options] * len(paths), chunksize=chunk)
        for path in paths:
            try:
                yield next(results)
            except BrokenProcessPool:
                yield Scanned(path, None, f"{path} was not scanned: a process died.")
                return
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def scan_one(path: Path, folder: Path | None, options: Options) -> Scanned:
    """Scan one file; `folder` takes its pictures."""
    try:
        metadata = scan(path, thumbs_dir=folder, tables=_tables(options.slicers))
        facts: dict[str, Any] = msgspec.to_builtins(metadata)
        if metadata.problem is None and (options.moves or options.objects):
            with _as_text(path) as text:
                if options.moves:
                    facts = merged(facts, msgspec.to_builtins(fields_of(scan_moves(text))))
                if options.objects:
                    facts |= _objects(text)
    except FileNotFoundError:
        return Scanned(path, None, f"There is no file {path}.")
    except OSError as error:
        return Scanned(path, None, f"{path} cannot be read: {error.strerror or error}.")
    except ContainerError as error:
        return Scanned(path, None, f"{path}: {error}")
    if folder is not None:
        for thumbnail in facts.get("thumbnails", []):
            thumbnail["relative_path"] = str(folder / os.path.basename(thumbnail["relative_path"]))
    return Scanned(path, facts, None if metadata.problem is None else f"{path}: {metadata.problem}")


@cache
def _tables(folder: Path | None) -> Tables | None:
    return None if folder is None else load_tables(folder)


@contextlib.contextmanager
def _as_text(path: Path) -> Iterator[Path]:
    """The file itself, or what a container holds."""
    if kind_at(path) is None:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "print.gcode"
        unpack(path, text)
        yield text


def _objects(path: Path) -> dict[str, Any]:
    """What the labels say; nothing when the file has definitions, which the scan has read already."""
    from moonraker_lite.gcode_metadata.object_processing import find_objects

    found = find_objects(path)
    return {"objects": msgspec.to_builtins(found)} if found else {}


def _with_bar(scanned: Iterator[Scanned], total: int) -> Iterator[Scanned]:
    if total < MANY_FILES or not sys.stderr.isatty():
        yield from scanned
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(scanned, "Scanning", total, console=Console(stderr=True), transient=True)
