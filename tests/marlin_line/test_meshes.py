"""Bed meshes in every form in which firmwares print them, from recordings and in their exact layout."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moonraker_lite.marlin.mesh import Mesh
from moonraker_lite.marlin.mesh_report import MeshReader, filled
from moonraker_lite.marlin.settings_report import parse_setting

# However slow the machine is.
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

FOLDER = Path(__file__).resolve().parents[1] / "data" / "marlin" / "meshes"
SMALL = [[0.1, -0.02, 0.03], [0.04, 0.05, 0.06]]


def read(name: str, *, prusa: bool = False) -> Mesh:
    mesh = Mesh()
    mesh.set_area((10.0, 10.0), (190.0, 190.0))
    mesh.reader.measured_from_top = prusa
    for line in (FOLDER / f"{name}.txt").read_text().split("\n"):
        if line.startswith("ok"):
            mesh.answer_ends()
        else:
            mesh.read_line(line)
    mesh.answer_ends()
    return mesh


def test_bilinear() -> None:
    mesh = read("bilinear_m420")
    assert mesh.active
    assert [row[0] for row in mesh.points] == [0.09, 0.025, -0.05, -0.08, -0.018], "the first row is the nearest"
    assert mesh.points[0] == [0.09, 0.153, 0.141, 0.064, -0.075]
    status = mesh.status()
    assert (status["mesh_min"], status["mesh_max"]) == ((10.0, 10.0), (190.0, 190.0)), "as bed and margin say"
    assert status["profile_name"] == "default"
    assert list(status["profiles"]) == ["default"]
    assert status["profiles"]["default"]["mesh_params"]["x_count"] == 5
    assert status is mesh.status(), "nothing is made anew as long as nothing changes"


def test_g29_v4_tells_where_it_probed() -> None:
    mesh = read("bilinear_g29_v4")
    assert mesh.active
    assert (mesh.minimum, mesh.maximum) == ((20.0, 20.0), (180.0, 180.0))
    mesh.own_area = ((21.0, 22.0), None)
    assert (mesh.minimum, mesh.maximum) == ((21.0, 22.0), (180.0, 180.0)), "the owner knows better"


@pytest.mark.parametrize(("name", "corners"), [("ubl_report", True), ("ubl_m420", True), ("ubl_csv", False)])
def test_ubl(name: str, corners: bool) -> None:
    mesh = read(name)
    assert not mesh.active, "a report alone switches nothing on"
    assert mesh.points[0] == [0.13, 0.13, 0.16, 0.18, 0.17, 0.16, 0.11, 0.04, -0.03, -0.03]
    assert mesh.points[9][:3] == [0.02, 0.02, 0.06]
    assert mesh.points[5][5] == -0.03, "the point under the nozzle"
    assert mesh.unprobed == []
    expected = ((1.0, 1.0), (199.0, 199.0)) if corners else ((10.0, 10.0), (190.0, 190.0))
    assert (mesh.minimum, mesh.maximum) == expected
    assert mesh.profile == ("slot 0" if name == "ubl_m420" else "default")
    assert list(mesh.status()["profiles"]) == [mesh.profile]
    assert mesh.status()["mesh_matrix"] == [[]]


@pytest.mark.parametrize("name", ["ubl_compact_unprobed", "ubl_blank_unprobed"])
def test_points_that_were_not_probed_are_guessed_and_named(name: str) -> None:
    mesh = read(name)
    assert mesh.unprobed == [(2, 0), (0, 1)]
    assert mesh.points == [[0.1, -0.02, 0.02], [0.075, 0.05, 0.06]]
    assert (mesh.minimum, mesh.maximum) == ((10.0, 10.0), (190.0, 190.0))
    mesh.read_line("echo:Bed Leveling ON")
    assert mesh.status()["unprobed"] == [(2, 0), (0, 1)]


def test_mesh_bed_levelling() -> None:
    mesh = read("mesh_levelling")
    assert (mesh.active, mesh.unprobed) == (True, [(2, 1)])
    assert mesh.points == [SMALL[0], [0.04, 0.05, 0.04]]
    old = read("mesh_levelling_marlin1")
    assert (old.active, old.points) == (True, SMALL)


def test_prusa_prints_the_back_first() -> None:
    mesh = read("prusa_g81", prusa=True)
    assert (mesh.active, mesh.points) == (True, SMALL)


def test_marlin_1_s_ubl_and_linear() -> None:
    old = read("ubl_marlin1")
    assert (old.points, old.active, old.profile) == (SMALL, False, "default")
    assert (old.minimum, old.maximum) == ((20.0, 20.0), (290.0, 290.0))
    linear = read("linear")
    assert (linear.points, linear.active) == (SMALL, False)


def test_the_firmware_s_own_finer_grid_is_drawn() -> None:
    status = read("subdivided").status()
    assert status["probed_matrix"] == [[0.0, 0.2], [0.1, 0.3]]
    assert status["mesh_matrix"][1] == [0.05, 0.15, 0.25]


def test_a_damaged_table_is_none() -> None:
    mesh = read("damaged")
    assert (mesh.points, mesh.active) == ([], False)
    assert mesh.dump() == {"current_mesh": {}, "profiles": {}}


def test_an_invalid_mesh_ends_the_old_one() -> None:
    mesh = read("bilinear_m420")
    for line in (FOLDER / "invalid.txt").read_text().splitlines():
        mesh.read_line(line)
    assert (mesh.points, mesh.active) == ([], False)
    assert mesh.status()["profiles"] == {}


@pytest.mark.parametrize(
    "form", ["echo:  G29 W I{x} J{y} Z{z}", "  G29 S3 I{x} J{y} Z{z}", "echo:  G29 S3 X{right} Y{back} Z{z}"]
)
def test_m503_lists_the_points(form: str) -> None:
    mesh = Mesh()
    for y, row in enumerate(SMALL):
        for x, z in enumerate(row):
            setting = parse_setting(form.format(x=x, y=y, z=z, right=x + 1, back=y + 1))
            assert setting is not None
            mesh.read_setting(setting)
    assert (mesh.points, mesh.active) == (SMALL, False)
    setting = parse_setting("echo:  M420 S1 Z10.00 ; Leveling ON")
    assert setting is not None
    mesh.read_setting(setting)
    assert mesh.active


def test_ubl_slots() -> None:
    mesh = read("ubl_m420")
    mesh.read_line("Unified Bed Leveling System v1.01 active")
    mesh.read_line("echo:Active Mesh Slot 3")
    assert (mesh.active, mesh.profile, mesh.status()["profile_name"]) == (True, "slot 3", "slot 3")
    mesh.read_line("Unified Bed Leveling System v1.01 inactive")
    assert not mesh.active


TITLES = ("Bilinear Leveling Grid:", "Measured points:", "Bed Topography Report:", "Bed Topography Report for CSV:")
PIECES = (*TITLES, " 0 +0.1 -0.2", " 1 | [+0.1] .", "( 1, 2)  (3, 4)", "      0      1", "", "   |", "\t0.1\t0.2")


@RELAXED
@given(st.lists(st.sampled_from(PIECES) | st.text(alphabet=" 0123456789+-.|[]()\t=,", max_size=30), max_size=20))
def test_no_lines_are_too_odd(lines: list[str]) -> None:
    mesh = Mesh()
    for line in lines:
        mesh.read_line(line)
    mesh.answer_ends()
    status = mesh.status()
    assert all(len(row) == len(status["mesh_matrix"][0]) for row in status["mesh_matrix"])


@RELAXED
@given(st.text(max_size=200))
def test_no_text_is_too_odd(text: str) -> None:
    reader = MeshReader()
    reader.read("Bed Topography Report:")
    for line in text.split("\n"):
        reader.read(line)
    reader.finish()


@RELAXED
@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_bilinear_tables_come_back(columns: int, rows: int, data: st.DataObject) -> None:
    cells = st.floats(-2, 2).map(lambda value: float(f"{value:+.3f}"))
    table = data.draw(st.lists(st.lists(cells, min_size=columns, max_size=columns), min_size=rows, max_size=rows))
    reader = MeshReader()
    reader.read("Bilinear Leveling Grid:")
    reader.read("".join(f"      {column}" for column in range(columns)))
    for number, row in enumerate(table):
        reader.read(f" {number} {' '.join(f'{value:+.3f}' for value in row)}")
    found = reader.read("")
    assert found is not None
    assert found.rows == table


def test_holes_are_filled_from_their_neighbours() -> None:
    assert filled([[1.0, None, None, 4.0]]) == [[1.0, 1.0, 4.0, 4.0]]
    assert filled([[None, None]]) == [[0.0, 0.0]]
    assert filled([[0.0, None], [None, 2.0]]) == [[0.0, 1.0], [1.0, 2.0]]
