"""From a path to its metadata: windows, evidence, the slicer's table, thumbnails."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

from moonraker_lite.gcode_metadata import moves, thumbnails
from moonraker_lite.gcode_metadata.evidence import Evidence
from moonraker_lite.gcode_metadata.model import Metadata
from moonraker_lite.gcode_metadata.rules import Table
from moonraker_lite.gcode_metadata.slicers import recognise
from moonraker_lite.gcode_metadata.window import Windows


def scan(path: str | os.PathLike[str], *, thumbs_dir: Path | None = None) -> Metadata:
    """Read the facts of one G-code file from its two ends.

    With `thumbs_dir` the file's pictures are written there (it is made when missing) under Moonraker's names, and a
    small one is added when the file brings none and Pillow is installed; a picture that cannot be written is left out.
    Without it they are only listed. `relative_path` says `.thumbs/` in either case.

    Raises OSError when the file cannot be read, and nothing for whatever is in it.
    """
    with Windows(path) as windows:
        windows.fit()
        pictures, cut = thumbnails.find(windows.header)
        evidence = Evidence(windows, cut)
        slicer, name, version = recognise(evidence.text)
        start, end = evidence.command_range()
        facts = _apply(slicer.table, evidence)
        facts |= _apply({field: rules for field, rules in moves.TABLE.items() if facts.get(field) is None}, evidence)
        stem = os.path.splitext(os.path.basename(os.fspath(path)))[0]
        return Metadata(
            size=windows.size,
            modified=windows.modified,
            uuid=str(uuid.uuid4()),
            file_processors=evidence.processors(),
            slicer=name,
            slicer_version=version,
            gcode_start_byte=start,
            gcode_end_byte=end,
            thumbnails=thumbnails.store(pictures, stem, thumbs_dir) or None,
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
