"""The same print, saved by another editor or sent through somebody's script, has the same metadata."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonraker_lite.gcode_metadata import scan

SAMPLES = sorted((Path(__file__).resolve().parents[1] / "data" / "gcode").glob("*.gcode"))
VARIANTS: dict[str, Callable[[bytes], bytes]] = {
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "lf": lambda data: data.replace(b"\r\n", b"\n"),
    "crlf": lambda data: data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "no last line end": lambda data: data.rstrip(b"\r\n"),
    "lines in front": lambda data: b"; changed by a script\n\n; on Monday\n" + data,
    "lines behind": lambda data: data + b"\n; changed by a script\n; took 3 s\n",
}


def facts(path: Path) -> dict[str, Any]:
    """What must not depend on how the file is written."""
    found: dict[str, Any] = msgspec.to_builtins(scan(path))
    for place in ("size", "modified", "uuid", "gcode_start_byte", "gcode_end_byte"):
        found.pop(place, None)
    for thumbnail in found.get("thumbnails", []):
        del thumbnail["relative_path"]
    return found


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_variants(sample: Path, tmp_path: Path) -> None:
    data, wanted = sample.read_bytes(), facts(sample)
    for name, change in VARIANTS.items():
        path = tmp_path / sample.name
        path.write_bytes(change(data))
        assert facts(path) == wanted, name
