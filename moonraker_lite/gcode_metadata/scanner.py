"""From a path to its metadata: windows, evidence, the slicer's table, thumbnails."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from moonraker_lite.gcode_metadata import labels, moves, thumbnails
from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.kinds import ContainerError, Kind, kind_of
from moonraker_lite.gcode_metadata.model import Metadata
from moonraker_lite.gcode_metadata.pictures import Picture
from moonraker_lite.gcode_metadata.rules import Table
from moonraker_lite.gcode_metadata.slicers import BUILT_IN, UNKNOWN_VERSION, Tables
from moonraker_lite.gcode_metadata.slicers.generic import UNKNOWN
from moonraker_lite.gcode_metadata.window import Windows

_ENDINGS = (".gcode", ".g", ".gco", ".nc", ".ufp", ".gx", ".bgcode")


def scan(path: str | os.PathLike[str], *, thumbs_dir: Path | None = None, tables: Tables | None = None) -> Metadata:
    """Read the facts of one G-code file from its two ends.

    With `thumbs_dir` the file's pictures are written there (it is made when missing) under Moonraker's names, and a
    small one is added when the file brings none and Pillow is installed; a picture that cannot be written is left out.
    Without it they are only listed. `relative_path` says `.thumbs/` in either case. `tables` are slicers of the user's
    own (`load_tables`), which are tried before the built-in ones.

    Of a container (`.bgcode`, `.gcode.3mf`, `.gx`, `.ufp`) the print in it is described, of several the first; of a
    damaged one little is known, and `problem` says why.

    Raises OSError when the file cannot be read, and nothing for whatever is in it.
    """
    names = _Names.of(path, thumbs_dir)
    with Windows(path) as windows:
        kind = kind_of(os.fspath(path), windows.head[:16])
        if kind is not None:
            return _scan_container(path, kind, windows, names, thumbs_dir, tables)
        windows.fit()
        pictures, cut = thumbnails.find(windows.header)
        evidence = Evidence(windows, cut)
        return describe(evidence, pictures, names.stem, thumbs_dir=thumbs_dir, tables=tables, prefix=names.prefix)


class _Names(NamedTuple):
    """Of pictures: those in the file get the prefix. One that came with it in a container is called `<stem>.png`."""

    stem: str
    prefix: str

    @classmethod
    def of(cls, path: str | os.PathLike[str], thumbs_dir: Path | None) -> _Names:
        """The prefix is the stem, as in Moonraker; but of prints that differ in their endings only one can have it, and
        for the others it is the whole name."""
        place, ending = os.path.splitext(os.fspath(path))
        stem = os.path.basename(place)
        rivals = _ENDINGS[: _ENDINGS.index(ending)] if thumbs_dir is not None and ending in _ENDINGS else ()
        return cls(stem, stem + ending if any(os.path.exists(place + other) for other in rivals) else stem)


def _scan_container(
    path: str | os.PathLike[str],
    kind: Kind,
    file: Windows,
    names: _Names,
    thumbs_dir: Path | None,
    tables: Tables | None,
) -> Metadata:
    from moonraker_lite.gcode_metadata.containers import open_container

    try:
        with open_container(path, kind) as container:
            windows = container.windows()
            windows.fit()
            inside, cut = thumbnails.find(windows.header)
            pictures = [*container.pictures(), *inside]
            evidence = Evidence(windows, cut)
            found = describe(evidence, pictures, names.stem, thumbs_dir=thumbs_dir, tables=tables, prefix=names.prefix)
            more = {field: value for field, value in container.facts().items() if getattr(found, field) is None}
            return msgspec.structs.replace(found, **more, **_command_range(found, container.text_at))
    except ContainerError as error:
        unknown = UNKNOWN.name, UNKNOWN_VERSION
        return Metadata(file.size, file.modified, str(uuid.uuid4()), [], *unknown, problem=str(error))


def _command_range(found: Metadata, text_at: int | None) -> dict[str, int | None]:
    """The byte range of the commands in the container; none where they do not stand there as they are."""
    places = {"gcode_start_byte": found.gcode_start_byte, "gcode_end_byte": found.gcode_end_byte}
    return {field: None if text_at is None or at is None else text_at + at for field, at in places.items()}


def describe(
    evidence: Evidence,
    pictures: list[Picture],
    stem: str,
    *,
    thumbs_dir: Path | None = None,
    tables: Tables | None = None,
    prefix: str | None = None,
) -> Metadata:
    """The facts of evidence from anywhere, for readers of containers: text that they unpacked goes into
    `Evidence(Windows.of_text(text, size=..., modified=...))`, and their pictures beside it. Size, time and the byte
    range of the commands are those of the windows. The rest is as with `scan`.
    """
    slicer, name, version = (tables or BUILT_IN).recognise(evidence.text)
    start, end = evidence.command_range()
    facts = _apply(slicer.table, evidence)
    facts |= _apply({field: rules for field, rules in moves.TABLE.items() if facts.get(field) is None}, evidence)
    if facts.get("bounding_box") is None:
        facts["bounding_box"] = labels.outline_box(facts.get("objects"))
    return Metadata(
        size=evidence.windows.size,
        modified=evidence.windows.modified,
        uuid=str(uuid.uuid4()),
        file_processors=evidence.processors(),
        slicer=name,
        slicer_version=version,
        gcode_start_byte=start,
        gcode_end_byte=end,
        thumbnails=thumbnails.store(pictures, stem, thumbs_dir, prefix=prefix) or None,
        **facts,
    )


def _apply(table: Table, evidence: Evidence) -> dict[str, Any]:
    """The first value that the rules of each field yield."""
    facts = {}
    for field, rules in table.items():
        for rule in rules:
            value = rule(evidence)
            if value is not None:
                facts[field] = value
                break
    return facts
