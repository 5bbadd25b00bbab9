"""What a metadata scan costs beside merely reading the same two windows of the file.

    python -m bench.metadata [FILE...] [--sizes 1,20,200] [--rounds 50]

Without files it makes its own: a PrusaSlicer-like print of the given sizes in MB with two pictures. Prints CPU
milliseconds, the smallest of all rounds (load on the machine hardly touches it), with and without writing thumbnails.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.gcode import write_big_file
from moonraker_lite.gcode_metadata import scan
from moonraker_lite.gcode_metadata.window import FIRST_WINDOW

ONE_PASS = re.compile(rb"\n;[ \t]*([^\n:=]{1,80}+)[:=]([^\r\n]*+)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--sizes", default="1,20,200", help="MB of the files that are made")
    parser.add_argument("--rounds", type=int, default=50)
    args = parser.parse_args()
    print(f"{'file':<32} {'MB':>7} {'read':>8} {'+ regex':>8} {'scan':>8} {'+ thumbs':>9} {'scan/regex':>11}")
    with tempfile.TemporaryDirectory() as folder:
        files = args.files or list(map(Path(folder).joinpath, args.sizes.split(",")))
        for path in files if not args.files else ():
            write_big_file(path, int(path.name))
        for path in files:
            measure(path, Path(folder) / ".thumbs", args.rounds)


def measure(path: Path, thumbs_dir: Path, rounds: int) -> None:
    read = best(lambda: read_windows(path), rounds)
    regex = best(lambda: one_pass(path), rounds)
    bare = best(lambda: scan(path), rounds)
    written = best(lambda: scan(path, thumbs_dir=thumbs_dir), max(1, rounds // 5))
    size = path.stat().st_size / 1e6
    times = f"{read:>8.3f} {regex:>8.3f} {bare:>8.3f} {written:>9.3f} {bare / regex:>11.1f}"
    print(f"{path.name[-32:]:<32} {size:>7.1f} {times}")


def best(action: Callable[[], object], rounds: int) -> float:
    """Smallest CPU time in ms."""
    result = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        action()
        result = min(result, time.process_time() - started)
    return result * 1000


def one_pass(path: Path) -> int:
    """The least that a scan must do: read both windows and find every `; key = value` in them."""
    return sum(1 for window in read_windows(path) for _ in ONE_PASS.finditer(window))


def read_windows(path: Path) -> tuple[bytes, bytes]:
    with path.open("rb") as file:
        head = file.read(FIRST_WINDOW)
        file.seek(max(0, os.fstat(file.fileno()).st_size - FIRST_WINDOW))
        return head, file.read()


if __name__ == "__main__":
    main()
