"""Real files of 31 slicers: the same facts as Moonraker's, except where Moonraker is wrong.

tests/data/metadata_differences.json names each field that differs on purpose, with both values and the reason.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonraker_lite.gcode_metadata import extract_ufp, scan

CORPUS = Path(__file__).resolve().parents[2] / ".." / "shared" / "gcode" / "corpus"
DIFFERENCES: dict[str, dict[str, dict[str, Any]]] = json.loads(
    (Path(__file__).resolve().parents[1] / "data" / "metadata_differences.json").read_text()
)
NAMES = sorted(path.name.removesuffix(".json") for path in (CORPUS / "expected").glob("*.json"))

pytestmark = pytest.mark.skipif(not NAMES, reason="the G-code corpus (../shared/gcode/corpus) is not here")


def recorded(name: str) -> dict[str, Any]:
    """What Moonraker made of the file."""
    result: dict[str, Any] = json.loads((CORPUS / "expected" / f"{name}.json").read_text())
    return result


def scanned(name: str, folder: Path) -> dict[str, Any]:
    path = CORPUS / name
    if path.suffix == ".ufp":
        unpacked = folder / f"{path.stem}.gcode"
        extract_ufp(path, unpacked, folder / ".thumbs")
        path = unpacked
    result: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(scan(path, thumbs_dir=folder / ".thumbs")))
    return result


def comparable(field: str, value: Any) -> Any:
    """Pillow's own pictures (the small one, converted QOI) differ in bytes with Pillow's version."""
    if field == "thumbnails" and value is not None:
        return [(item["width"], item["height"], item["relative_path"]) for item in value]
    return value


@pytest.mark.parametrize("name", NAMES)
def test_same_as_moonraker_or_listed(name: str, tmp_path: Path) -> None:
    expected = recorded(name)["metadata"]
    found = scanned(name, tmp_path)
    listed = DIFFERENCES.get(name, {})
    for field, value in expected.items():
        ours, theirs = comparable(field, found.get(field)), comparable(field, value)
        if field in listed:
            assert ours != theirs, f"{field} is equal now: take it out of metadata_differences.json"
            assert listed[field]["moonraker"] == value
            assert comparable(field, listed[field]["ours"]) == ours
            assert listed[field]["reason"]
        else:
            assert ours == theirs, field
    assert set(listed) <= set(expected)


@pytest.mark.parametrize("name", [name for name in NAMES if recorded(name)["thumbnail_files"]])
def test_pictures_are_written_byte_for_byte(name: str, tmp_path: Path) -> None:
    found = scanned(name, tmp_path)
    sizes = {item["relative_path"]: item["size"] for item in found["thumbnails"]}
    for file in recorded(name)["thumbnail_files"]:
        path = tmp_path / file["file"]
        assert path.stat().st_size == sizes[file["file"]]
        made_by_pillow = "-32x32." in path.name or b"thumbnail_QOI" in (CORPUS / name).read_bytes()
        if not made_by_pillow:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]


def test_differences_name_real_files() -> None:
    assert set(DIFFERENCES) <= set(NAMES)


MISSES: dict[str, dict[str, Any]] = {
    # file: facts that it states and that Moonraker does not find
    "bambu_01.05.05_ams.gcode": {"estimated_time": 13116, "object_height": 22.6},
    "bambu_02.01.01_bus.gcode": {"estimated_time": 858},
    "orca_2.3.1_gridfinity.gcode": {"estimated_time": 7525, "layer_count": 224, "first_layer_height": 0.2},
    "cura413_um3.gcode": {
        "estimated_time": 449,
        "nozzle_diameter": 0.4,
        "object_height": 10.05,
        "first_layer_height": 0.3,
        "first_layer_bed_temp": 60,
    },
    "cura413_dual.gcode": {"referenced_tools": [0, 1]},
    "cura_2.3.1_puzzle.gcode": {"object_height": 23.8, "first_layer_height": 0.2},
    "cura_3.6.9_lulzbot.gcode": {"object_height": 4.78, "first_layer_height": 0.3, "first_layer_extr_temp": 240},
    "cura_4.10.0_objects.gcode": {"first_layer_extr_temp": 235, "first_layer_bed_temp": 110, "chamber_temp": 40},
    "cura_master_duet_full.gcode": {"object_height": 42, "first_layer_height": 0.3},
    "prusa_2.6.0_minicube.gcode": {"estimated_time": 1926, "filament_total": 986.61, "filament_type": "PETG"},
    "slic3r13_cube.gcode": {"filament_total": 617.3},
    "slic3r_0.9.8_cables.gcode": {"filament_total": 170.3, "first_layer_extr_temp": 220, "first_layer_bed_temp": 60},
    "s3d_3.0.2_ukaz.gcode": {"first_layer_extr_temp": 210, "layer_count": None},
    "s3d_4.0.1_dual.gcode": {"first_layer_extr_temp": 220, "referenced_tools": [0, 1]},
    "kiss_1.1.0.14_cube.gcode": {"estimated_time": 420.6, "layer_height": 0.25, "first_layer_height": 0.5},
    "kiss_1.6.3.gcode": {"estimated_time": 476.4, "filament_total": 298.83},
    "ideamaker_3.4.0_box.gcode": {"object_height": 10.08},
    "icesl_2021.gcode": {"object_height": 5.04},
    "matterslice_1.0_pyramid.gcode": {"object_height": 32.76, "layer_height": 0.21, "layer_count": 155},
    "creality_firstlayer_jpg.gcode": {"estimated_time": 665, "layer_height": 0.12, "layer_count": 1},
    "crealityprint_cup_jpg.gcode": {"filament_type": "PLA", "layer_count": 305},
    "luban_3.15.0_sample.gcode": {"estimated_time": 6666, "layer_height": 0.15, "layer_count": 26},
    "flashprint_2.4.4.gcode": {"layer_height": 0.2, "first_layer_extr_temp": 225, "first_layer_bed_temp": 50},
    "curaold_2013_motor.gcode": {"estimated_time": 1740, "filament_total": 740, "filament_weight_total": 6.62},
    "canvas_kiss_nano.gcode": {"estimated_time": 1108.8, "filament_total": 1319.03, "object_height": 6.6},
}


@pytest.mark.parametrize("name", MISSES)
def test_finds_what_moonraker_misses(name: str, tmp_path: Path) -> None:
    found = scanned(name, tmp_path)
    assert {field: found.get(field) for field in MISSES[name]} == MISSES[name]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("creality_firstlayer_jpg.gcode", 2),
        ("crealityprint_cup_jpg.gcode", 1),
        ("cura_3.1_weedo_thumbs.gcode", 1),
        ("luban_3.15.0_sample.gcode", 1),
        ("cura_4.13.1_thumb_qoi.gcode", 2),
    ],
)
def test_finds_pictures_that_moonraker_misses(name: str, count: int, tmp_path: Path) -> None:
    assert len(scanned(name, tmp_path)["thumbnails"]) == count + 1


DOUBTFUL: dict[str, set[str]] = {
    # Where the second opinion is wrong, or the file states the same thing twice in different ways.
    "canvas_kiss_nano.gcode": {"filament_mm", "extr_first"},  # each length stands there twice; 150 is for homing
    "cura_3.6.9_lulzbot.gcode": {"extr_first"},  # 175 is for wiping the nozzle
    "cura_5.2.1_benchy.gcode": {"bed_first"},  # M190 S0 is a placeholder
    "luban_3.15.0_sample.gcode": {"filament_mm"},  # 0 m
    "prusa_2.8.0-alpha4_mmu.gcode": {"filament_g", "filament_cost"},  # deliberately odd numbers
    "s3d_4.0.1_dual.gcode": {"extr_first"},  # 170 is for levelling
    "slic3r_1.2.9_duet.gcode": {"filament_mm"},  # the first of two lines only
}
STATED = {
    "estimated_time": "estimated_time",
    "first_layer_time": "first_layer_time",
    "layer_count": "layer_count",
    "layer_height": "layer_height",
    "nozzle_diameter": "nozzle_diameter",
    "bed_first": "first_layer_bed_temp",
    "extr_first": "first_layer_extr_temp",
    "filament_mm": "filament_total",
    "filament_g": "filament_weight_total",
    "filament_cost": "filament_cost",
}


@pytest.mark.parametrize("name", NAMES)
def test_what_the_file_says(name: str, tmp_path: Path) -> None:
    facts = recorded(name)["file_says"].get("facts") or {}
    found = scanned(name, tmp_path)
    for key, field in STATED.items():
        said = facts.get(key)
        if not said or key in DOUBTFUL.get(name, ()):
            continue
        value = sum(said) if isinstance(said, list) else said
        if value > 0:
            assert found[field] == pytest.approx(value, rel=1e-3, abs=1 if key.endswith("_time") else 0.02), field
    if facts.get("M73_R"):
        assert found["progress_time"] == facts["M73_R"] * 60
    if len(facts.get("filament_mm") or ()) > 1 and "filament_mm" not in DOUBTFUL.get(name, ()):
        lengths = found["filament_lengths"] + [0.0] * 16
        assert lengths[: len(facts["filament_mm"])] == pytest.approx(facts["filament_mm"], abs=0.01)


@pytest.mark.parametrize(
    ("name", "objects", "outlines"),
    [
        ("bambu_02.01.01_bus.gcode", ["object 91"], False),
        ("cura_4.10.0_excludeobject.gcode", ["cylinder_2_stl", "cube_1_stl", "union_3_stl", "cube_1_stl_1"], True),
        ("cura_5.8.1_nano.gcode", ["xyz-10mm-calibration-cube (1).stl"], False),
        ("orca_2.3.1_xyz10.gcode", ["xyz-10mm-calibration-cube.stl_id_0_copy_0"], True),
        ("prusa_2.4.0-alpha1_m486.gcode", None, False),
        ("prusa_2.8.0-alpha4_mmu.gcode", ["Embossed text", "Shape-Sphere"], True),
        ("super_2.3.56_objects.gcode", None, True),
    ],
)
def test_objects(name: str, objects: list[str] | None, outlines: bool, tmp_path: Path) -> None:
    found = scanned(name, tmp_path)["objects"]
    names = [item["name"] for item in found]
    assert len(names) == 4 if objects is None else names == objects
    assert all(("polygon" in item) == outlines for item in found)
    assert sum(len(item.get("polygon", ())) for item in found) < 400


def test_layers_are_known_wherever_they_are_marked_or_fit(tmp_path: Path) -> None:
    """What is left needs a look at all moves."""
    unknown = [name for name in NAMES if "layer_count" not in scanned(name, tmp_path)]
    assert len(unknown) <= 12, unknown
