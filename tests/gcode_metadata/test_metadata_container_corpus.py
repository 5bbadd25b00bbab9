"""Real containers: what their own blocks state is found, and their text is the print that the slicer exported."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from moonraker_lite.gcode_metadata import scan
from moonraker_lite.gcode_metadata.containers import unpack
from moonraker_lite.gcode_metadata.fields import duration

CORPUS = Path(__file__).resolve().parents[2] / ".." / "shared" / "gcode" / "corpus"
BINARY = sorted(path.name for path in CORPUS.glob("*.bgcode"))
FACTS = sorted(path.name for ending in ("*.gcode.3mf", "*.gx", "*.ufp") for path in CORPUS.glob(ending))

pytestmark = pytest.mark.skipif(not BINARY, reason="the G-code corpus (../shared/gcode/corpus) is not here")


def said(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((CORPUS / "expected" / f"{name}.json").read_text())["file_says"]
    return result


def commands(text: bytes) -> list[bytes]:
    lines = (line.split(b";", 1)[0].strip() for line in text.split(b"\n"))
    return [line for line in lines if line]


@pytest.mark.parametrize("name", BINARY)
def test_bgcode(name: str, tmp_path: Path) -> None:
    blocks = said(name)["bgcode"]
    found = scan(CORPUS / name, thumbs_dir=tmp_path / ".thumbs")
    printed, printer = blocks["print_metadata"], blocks["printer_metadata"]
    assert f"{found.slicer} {found.slicer_version}" == blocks["file_metadata"]["Producer"]
    assert found.estimated_time == duration(printed["estimated printing time (normal mode)"].encode())
    assert found.filament_total == sum(map(float, printed["filament used [mm]"].split(",")))
    assert found.filament_weight_total == float(printed["total filament used [g]"])
    assert found.filament_cost == sum(map(float, printed["filament cost"].split(",")))
    assert found.object_height == float(printer["max_layer_z"])
    assert found.layer_height == float(printer["layer_height"])
    assert found.printer_model == printer["printer_model"]
    sizes = [(item.width, item.height) for item in found.thumbnails or []]
    assert sizes[1:] == [(width, height) for _, width, height, _ in blocks["thumbnails"]]
    for item in found.thumbnails or []:
        assert (tmp_path / item.relative_path).stat().st_size == item.size


@pytest.mark.parametrize("name", BINARY)
def test_text_of_bgcode(name: str, tmp_path: Path) -> None:
    unpack(CORPUS / name, tmp_path / "a.gcode")
    text = (tmp_path / "a.gcode").read_bytes()
    packed = scan(CORPUS / name)
    found = scan(tmp_path / "a.gcode")
    for field in ("slicer", "slicer_version", "estimated_time", "filament_total", "object_height", "filament_type"):
        assert getattr(found, field) == getattr(packed, field), field
    assert [(item.width, item.height) for item in found.thumbnails or []] == [
        (item.width, item.height) for item in packed.thumbnails or []
    ]
    assert not re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", text)
    twin = CORPUS / name.replace(".bgcode", ".gcode")
    if twin.exists() and not _trimmed(twin.name):
        assert commands(text) == commands(twin.read_bytes())


def _trimmed(name: str) -> bool:
    return any(entry["name"] == name and entry["trimmed"] for entry in json.loads((CORPUS / "index.json").read_text()))


@pytest.mark.parametrize("name", FACTS)
def test_facts_of_the_others(name: str) -> None:
    facts = said(name)["facts"]
    found = scan(CORPUS / name)
    assert found.problem is None
    for ours, theirs in {"estimated_time": "estimated_time", "layer_height": "layer_height"}.items():
        assert getattr(found, ours) == facts[theirs], ours
    assert found.layer_count == facts["layer_count"]
    assert found.filament_total == pytest.approx(sum(facts["filament_mm"]))
    assert found.thumbnails


@pytest.mark.parametrize("name", [name for name in FACTS if not name.endswith(".gx")])
def test_text_of_zipped_prints(name: str, tmp_path: Path) -> None:
    unpack(CORPUS / name, tmp_path / "a.gcode")
    with zipfile.ZipFile(CORPUS / name) as archive:
        member = next(item for item in archive.namelist() if item.endswith(".gcode"))
        assert (tmp_path / "a.gcode").read_bytes() == archive.read(member)
