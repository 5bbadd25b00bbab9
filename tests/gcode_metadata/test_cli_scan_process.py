"""`moonraker-lite scan` as users run it: a process, on a terminal and without one."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from moonraker_lite.cli.scan_drawing import CannotDraw, kitty, method_of

PROJECT = Path(__file__).resolve().parents[2]
SAMPLES = PROJECT / "tests" / "data" / "gcode"
COMMAND = [sys.executable, "-m", "moonraker_lite", "scan"]
ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=os.environ | environment, check=False
    )


def run_on_terminal(*arguments: str | Path, folder: Path | None = None, **environment: str) -> tuple[int, str]:
    """With a terminal of 100 columns for everything that it writes."""
    ours, theirs = pty.openpty()
    os.set_inheritable(theirs, True)
    environment = {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "COLUMNS": "100",
        "LINES": "40",
        "PYTHONPATH": str(PROJECT),
    } | environment
    clean = {key: value for key, value in os.environ.items() if key not in ("TMUX", "KITTY_WINDOW_ID", "NO_COLOR")}
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=clean | environment,
        cwd=folder,
    )
    os.close(theirs)
    pieces = []
    try:
        while piece := os.read(ours, 65536):
            pieces.append(piece)
    except OSError:
        pass  # that is how a pty says that nobody has its other end any more
    finally:
        os.close(ours)
    return process.wait(60), b"".join(pieces).decode("utf-8", "replace")


@pytest.fixture
def gcodes(tmp_path: Path) -> Path:
    folder = tmp_path / "gcodes"
    folder.mkdir()
    shutil.copy(SAMPLES / "prusaslicer.gcode", folder)
    return folder


def test_json_lines(gcodes: Path) -> None:
    shutil.copy(SAMPLES / "cura.gcode", gcodes)
    answer = run("--json-lines", gcodes, gcodes / "none.gcode")
    assert answer.returncode == 1
    assert [json.loads(line)["slicer"] for line in answer.stdout.splitlines()] == ["Cura", "PrusaSlicer"]
    assert answer.stderr == f"There is no file {gcodes / 'none.gcode'}.\n"


def test_several_processes_keep_the_order(gcodes: Path) -> None:
    for number in range(40):
        shutil.copy(SAMPLES / "cura.gcode", gcodes / f"{number:02}.gcode")
    (gcodes / "20.gcode").unlink()
    (gcodes / "20.gcode").symlink_to("nowhere")
    answer = run("-j", "3", "--json-lines", gcodes, gcodes / "20.gcode")
    names = [Path(json.loads(line)["filename"]).name for line in answer.stdout.splitlines()]
    assert names == [*(f"{number:02}.gcode" for number in range(40) if number != 20), "prusaslicer.gcode"]
    assert answer.stderr == f"There is no file {gcodes / '20.gcode'}.\n"
    assert answer.returncode == 1


def test_a_reader_that_goes_away(gcodes: Path) -> None:
    for number in range(300):
        shutil.copy(SAMPLES / "prusaslicer.gcode", gcodes / f"{number:03}.gcode")
    with subprocess.Popen(
        [*COMMAND, "--json-lines", "-j", "2", gcodes], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == b""


def test_objects_of_labels(gcodes: Path) -> None:
    (gcodes / "a.gcode").write_text(";MESH:a\nG0 X1 Y1\nG1 X9 Y1 E1\nG1 X9 Y9 E2\n;MESH:NONMESH\n")
    [facts] = [json.loads(run("--objects", gcodes / "a.gcode").stdout)]
    assert facts["objects"] == [{"name": "a", "center": [19 / 3, 11 / 3], "polygon": [[1, 1], [9, 1], [9, 9]]}]


def test_what_the_moves_say(gcodes: Path) -> None:
    (gcodes / "a.gcode").write_text("G28\nG1 Z0.3\nG1 X1 Y1\nG1 X9 Y1 E1\nG1 Z0.6\nG1 X9 Y9 E2.5\n")
    facts = json.loads(run("--moves", gcodes / "a.gcode").stdout)
    assert facts["filament_total"] == 2.5
    assert "filament_total" in facts["computed"]
    assert "computed" not in json.loads(run(gcodes / "a.gcode").stdout)


def test_tables_of_the_user(gcodes: Path, tmp_path: Path) -> None:
    tables = tmp_path / "slicers.d"
    assert run("--slicers-dir", tables, gcodes).stderr == f"There is no folder {tables}.\n"
    tables.mkdir()
    (tables / "mine.toml").write_text(
        'name = "Mine"\nmarks = ["sliced by Mine (.*)"]\n[fields]\nlayer_count = {key = "sheets", as = "integer"}\n'
    )
    (gcodes / "a.gcode").write_text("; sliced by Mine 1.0\n; sheets = 12\nG28\n")
    facts = json.loads(run("--slicers-dir", tables, "-j", "2", gcodes / "a.gcode").stdout)
    assert (facts["slicer"], facts["layer_count"]) == ("Mine", 12)
    (tables / "broken.toml").write_text("name = 1\n")
    answer = run("--slicers-dir", tables, gcodes)
    assert answer.returncode == 1
    assert answer.stderr.startswith("broken.toml: ")
    assert answer.stdout == ""


def test_a_container_as_its_text(gcodes: Path) -> None:
    text = "M83\n;MESH:a\nG0 X1 Y1 Z0.2\nG1 X9 Y1 E1\nG1 X9 Y9 E2\n;MESH:NONMESH\n"
    with zipfile.ZipFile(gcodes / "a.ufp", "w") as archive:
        archive.writestr("/3D/model.gcode", text)
    facts = json.loads(run("--moves", "--objects", gcodes / "a.ufp").stdout)
    assert (facts["filament_total"], facts["objects"][0]["name"]) == (3.0, "a")
    (gcodes / "a.bgcode").write_bytes(b"GCDE")
    answer = run("--json", gcodes / "a.bgcode")
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"{gcodes / 'a.bgcode'}: ")
    assert json.loads(answer.stdout)["problem"] in answer.stderr


def test_pictures_of_files_of_one_name(gcodes: Path, tmp_path: Path) -> None:
    (gcodes / "sub").mkdir()
    shutil.copy(gcodes / "prusaslicer.gcode", gcodes / "sub")
    answer = run("--json", "--thumbnails", tmp_path / "pictures", gcodes)
    paths = [item["relative_path"] for facts in json.loads(answer.stdout) for item in facts["thumbnails"]]
    assert len(set(paths)) == 6
    assert all(Path(path).is_file() for path in paths)


def test_wrong_arguments(gcodes: Path) -> None:
    for arguments in (["-j", "0"], ["-j", "x"], ["--draw-as=crayon"], ["--json", "--table"], []):
        answer = run(*arguments, *([gcodes] if arguments else []))
        assert answer.returncode == 2
        assert "usage: moonraker-lite scan" in answer.stderr


def test_a_table_on_the_terminal(gcodes: Path) -> None:
    status, shown = run_on_terminal(gcodes / "prusaslicer.gcode")
    assert status == 0
    assert "first_layer_extr_temp" in shown
    assert "▀" not in shown
    assert "\x1b_G" not in shown


def test_names_cannot_steer_the_terminal(gcodes: Path) -> None:
    odd = gcodes / "a\x1b]0;owned\x07[red]b.gcode"
    shutil.copy(SAMPLES / "cura.gcode", odd)
    for argument in (odd.name, ".", "none\x1b]0;owned\x07"):
        shown = run_on_terminal(argument, folder=gcodes)[1]
        assert "\x1b]0;" not in shown
        assert "owned" in shown


def test_a_bar_for_many_files(gcodes: Path) -> None:
    for number in range(30):
        shutil.copy(SAMPLES / "cura.gcode", gcodes / f"{number}.gcode")
    status, shown = run_on_terminal(".", folder=gcodes)
    assert status == 0
    assert "Scanning" in shown
    assert "29.gcode" in shown


def test_half_blocks_in_colour(gcodes: Path) -> None:
    pytest.importorskip("PIL")
    status, shown = run_on_terminal("--draw", gcodes / "prusaslicer.gcode")
    assert status == 0
    assert re.search(r"\x1b\[38;2;\d+;\d+;\d+(;48;2;\d+;\d+;\d+)?m▀", shown)
    widths = {len(line) for line in ANSI.sub("", shown).splitlines() if "▀" in line}
    assert max(widths) <= 48


def test_kitty_graphics(gcodes: Path, tmp_path: Path) -> None:
    status, shown = run_on_terminal("--draw", gcodes / "prusaslicer.gcode", TERM="xterm-kitty")
    assert status == 0
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", shown)
    assert pieces[0][0].startswith("a=T,f=100")
    assert pieces[-1][0].endswith("m=0")
    picture = base64.b64decode("".join(text for _, text in pieces))
    assert picture.startswith(b"\x89PNG")


def test_iterm2_graphics(gcodes: Path) -> None:
    status, shown = run_on_terminal("--draw", "--draw-as=iterm2", gcodes / "prusaslicer.gcode")
    assert status == 0
    found = re.search(r"\x1b\]1337;File=inline=1;size=(\d+);height=12:([^\x07]*)\x07", shown)
    assert found is not None
    assert len(base64.b64decode(found[2])) == int(found[1])


def test_nothing_is_drawn_without_a_terminal(gcodes: Path) -> None:
    answer = run("--draw", "--draw-as=kitty", "--table", gcodes / "prusaslicer.gcode", TERM="xterm-kitty")
    assert answer.returncode == 0
    assert "\x1b" not in answer.stdout
    assert "▀" not in answer.stdout


@pytest.mark.parametrize(
    ("environment", "method"),
    [
        ({}, "blocks"),
        ({"TERM": "xterm-256color"}, "blocks"),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM": "screen", "KITTY_WINDOW_ID": "1"}, "blocks"),
        ({"TERM": "xterm-256color", "TMUX": "/tmp/x", "TERM_PROGRAM": "iTerm.app"}, "blocks"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"LC_TERMINAL": "iTerm2"}, "iterm2"),
    ],
)
def test_what_a_terminal_says_that_it_can(environment: dict[str, str], method: str) -> None:
    assert method_of(environment) == method


def test_kitty_chunks() -> None:
    pieces = list(kitty(b"x" * 10_000))
    assert [len(piece) < 4200 for piece in pieces] == [True] * 4
    assert [piece[piece.index("m=") + 2] for piece in pieces] == ["1", "1", "1", "0"]


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(40), b"x" * 9_000_000])
def test_damaged_pictures_are_complained_of(data: bytes, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    from rich.console import Console

    from moonraker_lite.cli.scan_drawing import draw

    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(CannotDraw):
        draw(tmp_path / "a.png", "blocks", Console())
