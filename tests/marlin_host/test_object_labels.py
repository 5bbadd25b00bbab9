"""Objects of files that label them without Klipper's commands: by comments and by M486."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.marlin.gcode.exclude import ExcludedObjects
from moonraker_lite.marlin.gcode.labels import Labels, object_name
from moonraker_lite.marlin.gcode.outlines import find_outlines
from tests.marlin_host.conftest import Rig

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "gcode" / "corpus"


def currents(*lines: str) -> list[str | None]:
    """Return the current object behind each line."""
    objects = ExcludedObjects()
    labels = Labels(objects)
    seen = []
    for line in lines:
        if line.startswith("M486"):
            labels.m486(line[4:].strip())
        else:
            labels.comment(line)
        seen.append(objects.current)
    return seen


@pytest.mark.parametrize(
    ("start", "stop", "name"),
    [
        (
            "; printing object cube.stl id:0 copy 1",
            "; stop printing object cube.stl id:0 copy 1",
            "CUBE_STL_ID_0_COPY_1",
        ),
        ("; start printing object, unique label id: 187", "; stop printing object, unique label id: 187", "OBJECT_187"),
        (";MESH:/home/u/my cube(1).stl", ";MESH:NONMESH", "MY_CUBE_1_STL"),
        (";PRINTING: Bär.stl", ";PRINTING: NON-OBJECT", "BÄR_STL"),
        ("M486 S3", "M486 S-1", "OBJECT_3"),
    ],
)
def test_each_kind_of_label(start: str, stop: str, name: str) -> None:
    assert currents("; layer 1", start, ";TYPE:Perimeter", stop) == [None, name, name, None]


def test_the_end_of_a_file_belongs_to_no_object() -> None:
    lines = [";MESH:a.stl", ";TIME_ELAPSED:12.3", ";LAYER:1", ";MESH:NONMESH", ";MESH:a.stl", ";TIME_ELAPSED:24.6"]
    assert currents(*lines) == ["A_STL", None, None, None, "A_STL", None]
    assert currents("; printing object a", ";TIME_ELAPSED:12.3") == ["A", "A"]


def test_m486_names_come_in_the_head_and_are_made_unlike() -> None:
    lines = ["M486 S0", "M486 AShape-Box", "M486 S-1", 'M486 S1 A"Shape-Box"', "M486 S-1", "M486 S0", "M486 S1"]
    assert currents(*lines) == ["OBJECT_0", "SHAPE_BOX", None, "SHAPE_BOX_1", None, "SHAPE_BOX", "SHAPE_BOX_1"]


def test_of_two_kinds_the_first_is_believed() -> None:
    lines = ["; printing object a id:0 copy 0", "M486 S0", "; stop printing object a id:0 copy 0", "M486 S-1"]
    assert currents(*lines) == ["A_ID_0_COPY_0", "A_ID_0_COPY_0", None, None]


@given(st.text())
def test_any_comment_is_read(text: str) -> None:
    currents(f";{text}", f"; printing object {text}", f";MESH:{text}", f"M486 A{text}", f"M486 S{text}")
    assert " " not in object_name(text)


BOXES = [
    ("; printing object a id:0 copy 0", "; stop printing object a id:0 copy 0", 10.0),
    ("; printing object b id:1 copy 0", "; stop printing object b id:1 copy 0", 50.0),
]


def labelled() -> list[str]:
    lines = ["G90", "M83", "G1 Z0.2", *["G4 P0"] * 20]
    for layer in range(3):
        for start, stop, at in BOXES:
            lines += [start, f"G1 X{at} Y{at} F3000", f"G1 X{at + 10} Y{at} E1", f"G1 X{at + 10} Y{at + 10} E1", stop]
        lines.append(f"G1 Z{0.4 + layer * 0.2:.1f}")
    return lines


async def test_objects_are_known_at_the_beginning_and_dropped_when_excluded(rig: Rig) -> None:
    client = await rig.ready_client()
    rig.write("a.gcode", *labelled())
    mark = len(rig.line.sent)
    rig.line.hold = True
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    await rig.wait_until(lambda: len(rig.printer.machine.excluded.objects) == 2)
    status = await client.status("exclude_object")
    await rig.wait_until(lambda: len(rig.printer.machine.excluded.objects[1]) == 3)
    status = await client.status("exclude_object")
    assert [known["name"] for known in status["objects"]] == ["A_ID_0_COPY_0", "B_ID_1_COPY_0"]
    assert status["objects"][1]["center"] == [55.0, 55.0]
    assert status["objects"][1]["polygon"][2] == [60.0, 60.0]
    rig.printer.machine.excluded.exclude("B_ID_1_COPY_0")
    rig.line.hold = False
    rig.line._run()
    assert await rig.job_ends() == "complete"
    assert not [line for line in rig.line.sent[mark:] if "X60" in line]
    assert len([line for line in rig.line.sent[mark:] if line == "G1 X20.0 Y20.0 E1"]) == 3


async def test_m486_cancels_objects_and_is_told_to_the_firmware(rig: Rig) -> None:
    client = await rig.ready_client()
    lines = ["M486 T2", "M486 S0", "M486 ABox (1)", "M486 S-1", "M486 P0", "M83", "M486 S0", "G1 X5 E1", "M486 S-1"]
    rig.write("a.gcode", *lines, "G1 X9 Y9 F3000")
    mark = len(rig.line.sent)
    await client.script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert await rig.job_ends() == "complete"
    expected = [line for line in lines if line not in ("G1 X5 E1", "M486 P0")]
    assert [line for line in rig.line.sent[mark:] if "G92" not in line] == [*expected, "G1 X9 Y9 F3000"]
    assert (await client.status("exclude_object"))["excluded_objects"] == ["BOX_1"]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files is not beside the project")
@pytest.mark.parametrize(
    ("file", "name", "middle"),
    [
        ("super_2.3.56_objects.gcode", "CUBE_1_ID_0_COPY_0", None),
        ("prusa_2.8.1_minicube.gcode", "SHAPE_BOX", (125.0, 105.0)),
        ("prusa_2.4.0-alpha1_objects.gcode", None, None),
        ("ideamaker_4.2.0_objects.gcode", None, None),
        ("cura413_chamber.gcode", "CUBE10_STL", None),
        ("bambu_01.07.06_xmaspud_multi.gcode", "OBJECT_187", None),
    ],
)
def test_outlines_of_real_files(file: str, name: str | None, middle: tuple[float, float] | None) -> None:
    outlines = find_outlines(CORPUS / file)
    assert outlines
    if name is not None:
        assert name in [outline.name for outline in outlines]
    if middle is not None:
        assert outlines[0].center == middle


def test_a_file_that_defines_its_objects_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.gcode"
    path.write_text("EXCLUDE_OBJECT_DEFINE NAME=a\n;MESH:b\nG1 X1 Y1 E1\n")
    assert find_outlines(path) == []
