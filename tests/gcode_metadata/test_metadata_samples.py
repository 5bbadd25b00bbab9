"""The project's own samples, one or more for each slicer: every fact, in the documented order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonraker_lite.gcode_metadata import SCANNER_VERSION, Metadata, is_gcode_name, scan

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "gcode"
EXPECTED: dict[str, dict[str, Any]] = json.loads((SAMPLES / "expected.json").read_text())


def facts(metadata: Metadata) -> dict[str, Any]:
    """As JSON, without what differs between two scans."""
    result: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(metadata))
    assert result.pop("uuid")
    assert result.pop("modified") > 0
    return result


def test_every_sample_has_an_expectation() -> None:
    assert {path.name for path in SAMPLES.glob("*.gcode")} == set(EXPECTED)
    assert len(EXPECTED) >= 45


@pytest.mark.parametrize("name", EXPECTED)
def test_sample(name: str, tmp_path: Path) -> None:
    found = facts(scan(SAMPLES / name, thumbs_dir=tmp_path))
    expected = EXPECTED[name]
    for thumbnail, wanted in zip(found.get("thumbnails", []), expected.get("thumbnails", []), strict=True):
        written = tmp_path / Path(thumbnail["relative_path"]).name
        assert written.stat().st_size == thumbnail["size"]
        if wanted["size"] is None:
            wanted["size"] = thumbnail["size"]
    assert found == expected


@pytest.mark.parametrize("name", ["prusaslicer.gcode", "cura.gcode", "slic3r.gcode"])
def test_line_ends_do_not_matter(name: str, tmp_path: Path) -> None:
    crlf = tmp_path / name
    crlf.write_bytes((SAMPLES / name).read_bytes().replace(b"\n", b"\r\n"))
    found = facts(scan(crlf, thumbs_dir=tmp_path / "thumbs"))
    expected = dict(EXPECTED[name])
    for offsets in ("size", "gcode_start_byte", "gcode_end_byte"):
        assert found.pop(offsets) > expected.pop(offsets)
    for thumbnail in (*found.get("thumbnails", []), *expected.get("thumbnails", [])):
        thumbnail["size"] = 0
    assert found == expected


def test_keys_come_in_the_documented_order() -> None:
    order = list(Metadata.__struct_fields__)
    for name in EXPECTED:
        keys = list(msgspec.json.decode(msgspec.json.encode(scan(SAMPLES / name))))
        assert keys == sorted(keys, key=order.index)
        assert keys[:6] == ["size", "modified", "uuid", "file_processors", "slicer", "slicer_version"]


def test_uuid_is_new_each_time() -> None:
    sample = SAMPLES / "plain.gcode"
    assert scan(sample).uuid != scan(sample).uuid


def test_an_empty_file_is_no_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty.gcode"
    empty.touch()
    assert facts(scan(empty)) == {"size": 0, "file_processors": [], "slicer": "Unknown", "slicer_version": "?"}


def test_version_is_a_number() -> None:
    assert SCANNER_VERSION >= 1


@pytest.mark.parametrize("name", ["a.gcode", "b/c.GCODE", "x.y.g", "ü.gco", "part.nc", "box.ufp"])
def test_gcode_names(name: str) -> None:
    assert is_gcode_name(name)


@pytest.mark.parametrize(
    "name", ["", "gcode", ".gcode", "dir/.gcode", "a.gcode/b", "a.gcode.png", "a.txt", "a.", "a.b/g"]
)
def test_other_names(name: str) -> None:
    assert not is_gcode_name(name)
