"""What is done with one hostile file, and what must not come of it."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from moonraker_lite.gcode_metadata import Metadata, scan
from moonraker_lite.gcode_metadata.containers import ContainerError, kind_at, unpack
from moonraker_lite.gcode_metadata.moves_pass import scan_moves
from moonraker_lite.gcode_metadata.object_processing import process
from tests.gcode_metadata.fuzzing.cases import Case

MEMORY = 192 * 1024 * 1024
"""Bytes of address space that one file may take beyond what the loaded program has."""
UNPACKED = 32 * 1024 * 1024
PICTURES = 32 * 1024 * 1024
SECONDS = 0.05
"""CPU time for the scan of a file of at most a MiB."""
_DECODER = msgspec.json.Decoder(Metadata)


class Outcome(msgspec.Struct, omit_defaults=True):
    """`fault` is empty when all went well. Times in CPU seconds by what was done."""

    number: int
    made_by: str
    size: int
    fault: str = ""
    seconds: dict[str, float] = {}


def limit_memory() -> None:
    """For this process, from here on."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)


def attempt(number: int, case: Case, folder: Path) -> Outcome:
    """Do everything that is done with a file. Every exception that is not promised is a fault."""
    path = folder / f"case{case.ending}"
    path.write_bytes(case.data)
    outcome = Outcome(number, case.made_by, len(case.data))
    try:
        for name, action in (("scan", _scan), ("unpack", _unpack), ("moves", _moves), ("objects", _objects)):
            if outcome.fault:
                break
            outcome.seconds[name], outcome.fault = _timed(name, action, path, folder)
    finally:
        shutil.rmtree(folder / ".thumbs", ignore_errors=True)
        for left in folder.iterdir():
            left.unlink()
    return outcome


def _timed(name: str, action: Callable[[Path, Path], None], path: Path, folder: Path) -> tuple[float, str]:
    best = float("inf")
    for _ in range(3):
        begin = time.process_time()
        try:
            action(path, folder)
        except Exception as error:  # noqa: BLE001 - to find any of them is what this is for
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else "?"
            return time.process_time() - begin, f"{name} raised {type(error).__name__} at {where}: {str(error)[:200]}"
        best = min(best, time.process_time() - begin)
        # Once more when it seems slow: the machine may have had something else to do.
        if name != "scan" or best <= SECONDS:
            return best, ""
    return best, f"{name} is slow: {best * 1000:.0f} ms"


def _scan(path: Path, folder: Path) -> None:
    thumbs = folder / ".thumbs"
    metadata = scan(path, thumbs_dir=thumbs)
    assert _DECODER.decode(msgspec.json.encode(metadata)) == metadata
    written = {found.name: found.stat().st_size for found in thumbs.iterdir()} if thumbs.is_dir() else {}
    assert sum(written.values()) <= PICTURES, f"{sum(written.values())} bytes of pictures"
    for thumbnail in metadata.thumbnails or []:
        assert written.get(Path(thumbnail.relative_path).name) == thumbnail.size, (
            "a picture is not there as it is listed"
        )


def _unpack(path: Path, folder: Path) -> None:
    if kind_at(path) is None:
        return
    target = folder / "unpacked.gcode"
    try:
        unpack(path, target, max_bytes=UNPACKED)
    except ContainerError as error:
        assert str(error).strip()
        assert not target.exists()


def _moves(path: Path, _folder: Path) -> None:
    scan_moves(path)


def _objects(path: Path, _folder: Path) -> None:
    before = path.read_bytes()
    if not process(path).changed:
        assert path.read_bytes() == before
