"""`moonraker-lite scan`."""

from __future__ import annotations

import argparse
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from moonraker_lite.cli import scan as command
from moonraker_lite.cli.scan_files import MANY_FILES

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "gcode"


def run(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def gcodes(tmp_path: Path) -> Path:
    folder = tmp_path / "gcodes"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(SAMPLES / "prusaslicer.gcode", folder)
    shutil.copy(SAMPLES / "cura.gcode", folder / "sub")
    (folder / "notes.txt").write_text("nothing")
    return folder


def test_one_file_is_an_object(gcodes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json", gcodes / "prusaslicer.gcode") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["slicer"], shown["estimated_time"]) == ("PrusaSlicer", 754)
    assert shown["filename"].endswith("prusaslicer.gcode")
    assert shown["thumbnails"][0]["relative_path"] == ".thumbs/prusaslicer-16x16.png"
    assert not (gcodes / ".thumbs").exists()


def test_folders_and_patterns(gcodes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(gcodes, gcodes / "*.gcode") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [Path(item["filename"]).name for item in shown] == ["prusaslicer.gcode", "cura.gcode"]
    assert run(gcodes / "**" / "*.gcode") == 0
    assert len(json.loads(capsys.readouterr().out)) == 2


def test_table_of_one_and_of_several(gcodes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--table", gcodes / "prusaslicer.gcode") == 0
    one = capsys.readouterr().out
    assert "first_layer_extr_temp" in one
    assert "215" in one
    assert run("--table", gcodes) == 0
    several = capsys.readouterr().out
    assert "1.37 m" in several
    assert "13m" in several


def test_pictures_to_a_folder(gcodes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "pictures"
    assert run("--thumbnails", target, gcodes / "prusaslicer.gcode") == 0
    shown = json.loads(capsys.readouterr().out)["thumbnails"]
    assert {Path(item["relative_path"]) for item in shown} == set(target.iterdir())
    assert len(shown) == 3


def test_pictures_that_cannot_be_written_are_complained_of(gcodes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--thumbnails", gcodes / "prusaslicer.gcode", gcodes / "prusaslicer.gcode") == 1
    assert "Pictures cannot be written" in capsys.readouterr().err


def test_container(gcodes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "box.ufp"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(gcodes / "sub" / "cura.gcode", "/3D/model.gcode")
    assert run(path) == 0
    assert json.loads(capsys.readouterr().out)["slicer"] == "Cura"
    path.write_bytes(b"broken")
    assert run(path) == 1
    assert "box.ufp: The UFP file is damaged" in capsys.readouterr().err


def test_what_is_missing_is_said(gcodes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = gcodes / "empty"
    empty.mkdir()
    assert run(gcodes / "none.gcode", gcodes / "zz*", empty, gcodes / "prusaslicer.gcode") == 1
    shown = capsys.readouterr()
    assert len(json.loads(shown.out)) == 1
    assert f"There is no file {gcodes / 'none.gcode'}." in shown.err
    assert f"No file matches {gcodes / 'zz*'}." in shown.err
    assert f"There is no G-code file in {empty}." in shown.err


def test_only_missing_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json", tmp_path / "none.gcode") == 1
    assert capsys.readouterr().out == ""
    assert run("--table", tmp_path / "none.gcode") == 1


def test_a_name_with_wildcards_is_a_name_first(gcodes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = gcodes / "part[1].gcode"
    shutil.copy(SAMPLES / "plain.gcode", odd)
    assert run(odd) == 0
    assert json.loads(capsys.readouterr().out)["filename"] == str(odd)


def test_many_files_without_a_terminal(gcodes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(MANY_FILES):
        shutil.copy(SAMPLES / "plain.gcode", gcodes / f"{number}.gcode")
    assert run(gcodes) == 0
    assert len(json.loads(capsys.readouterr().out)) == MANY_FILES + 2
