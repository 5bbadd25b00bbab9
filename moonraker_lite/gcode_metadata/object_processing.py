"""Definitions for Klipper's exclude object, made from the labels of slicers that do not write them themselves.

    result = process("plate.gcode")

inserts one `EXCLUDE_OBJECT_DEFINE` per object before the first command, and `EXCLUDE_OBJECT_START` and `_END` behind
the slicer's own labels. Not a byte of the file is changed or dropped besides. The file is read in blocks, however large
it is, and replaced in one step when the new one is whole and on the disk.

The commands are those of Klipper's documentation of `[exclude_object]`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from enum import Enum
from typing import BinaryIO

import msgspec

from moonraker_lite.gcode_metadata.model import PrintObject
from moonraker_lite.gcode_metadata.object_sections import AlreadyDefined, Plan, find_style, measure, rewritten

MARKER = b"; Pre-Processed for Cancel-Object support by moonraker_lite"
_LOOKING, _MEASURING = 0.1, 0.8


class Outcome(Enum):
    """Why a file was changed or left alone."""

    PROCESSED = "processed"
    DEFINED_ALREADY = "defined already"
    NO_LABELS = "no labels"
    TOO_MANY_OBJECTS = "too many objects"


class ProcessResult(msgspec.Struct, frozen=True):
    """`objects`, named as in EXCLUDE_OBJECT, is empty unless the file was changed: then it has its own or none."""

    outcome: Outcome
    objects: list[PrintObject]

    @property
    def changed(self) -> bool:
        return self.outcome is Outcome.PROCESSED


class FileChanged(OSError):
    """Somebody else wrote to the file meanwhile: it was left alone."""


def process(
    path: str | os.PathLike[str], *, progress: Callable[[float], None] | None = None, temporary: str | None = None
) -> ProcessResult:
    """Give a file its object definitions, or leave it alone when it has them or no labels to make them of.

    `progress` is called with the part that is done (0 to 1), at least once per MiB; whatever it raises cancels the
    work and comes out here.
    The new file is written beside the old one under the name `temporary` (default: one that the file manager hides).
    However this ends, the path holds either the old or the whole new file, and nothing is left beside it.

    Raises:
        OSError: it cannot be read or written, or (FileChanged) somebody else wrote to it meanwhile.
    """
    report = progress or (lambda _part: None)
    real = os.path.realpath(path)
    with _opened(real) as source:
        before = os.fstat(source.fileno())
        plan = _plan(source, before.st_size, report)
        if isinstance(plan, Outcome):
            return ProcessResult(plan, [])
        folder, _ = os.path.split(real)
        with _replacement(folder, temporary or f".upload-{secrets.token_hex(8)}.part") as (target, part):
            for done, piece in rewritten(source, plan, MARKER):
                target.write(piece)
                report(_MEASURING + (1 - _MEASURING) * done / max(1, before.st_size))
            target.flush()
            os.fchmod(target.fileno(), stat.S_IMODE(before.st_mode))
            with contextlib.suppress(PermissionError):
                os.fchown(target.fileno(), before.st_uid, before.st_gid)
            os.fsync(target.fileno())
            _check_unchanged(source, real, before)
            os.rename(part, real)
        _sync_folder(folder)
    return ProcessResult(Outcome.PROCESSED, _objects(plan))


def find_objects(path: str | os.PathLike[str]) -> list[PrintObject]:
    """The objects that a file's labels tell of, without changing it. Empty where there is nothing to do for `process`.

    Reads the whole file.

    Raises:
        OSError: it cannot be read.
    """
    with _opened(path) as source:
        plan = _plan(source, os.fstat(source.fileno()).st_size, lambda _part: None)
    return [] if isinstance(plan, Outcome) else _objects(plan)


def _plan(source: BinaryIO, size: int, report: Callable[[float], None]) -> Plan | Outcome:
    """Both looks at the old file."""
    report(0.0)
    try:
        style = find_style(source, lambda done: report(_LOOKING * done / size))
    except AlreadyDefined:
        return Outcome.DEFINED_ALREADY
    if style is None:
        return Outcome.NO_LABELS
    plan = measure(source, style, lambda done: report(_LOOKING + (_MEASURING - _LOOKING) * done / size))
    return Outcome.TOO_MANY_OBJECTS if plan is None else plan


def _objects(plan: Plan) -> list[PrintObject]:
    """Without centre and polygon where nothing is printed."""
    return [
        PrintObject(name, plan.outlines[key].center(), plan.outlines[key].polygon() or None)
        for key, name in plan.names.items()
    ]


def _opened(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file. O_NONBLOCK: a FIFO must not hang us."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{os.fspath(path)} is no regular file")
    return os.fdopen(descriptor, "rb", buffering=0)


@contextlib.contextmanager
def _replacement(folder: str, name: str) -> Iterator[tuple[BinaryIO, str]]:
    """A new file that is gone at the end, unless it was renamed. Locked, so that nobody takes it for a leftover."""
    part = os.path.join(folder, name)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as target:
            with contextlib.suppress(OSError):  # not every network file system has locks
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield target, part
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def _check_unchanged(source: BinaryIO, path: str, before: os.stat_result) -> None:
    """Raise FileChanged when what was read is not what stands under the path now."""
    now, there = os.fstat(source.fileno()), os.lstat(path)
    same_file = (now.st_dev, now.st_ino) == (there.st_dev, there.st_ino)
    if not same_file or (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise FileChanged(f"{path} was changed while its objects were being processed")


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
