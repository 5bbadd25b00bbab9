"""Files: includes, merging, and whatever else may lie on a disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moonraker_lite.config import Config, load_config
from moonraker_lite.config.reader import MAX_FILE_BYTES, MAX_FILES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, **files: str) -> Path:
    """Write `name="text"` as name.conf (`__` for a folder); returns main.conf."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "main.conf"


def raw(config: Config) -> dict[str, dict[str, str]]:
    return {name: options for name, options in config.original().items() if name != "DEFAULT"}


def errors(config: Config) -> list[str]:
    return [str(error) for error in config.errors]


def test_a_missing_file_is_an_empty_configuration_and_said(folder: Path) -> None:
    config = load_config(folder / "none" / "moonraker.conf")
    assert config.path == folder / "none" / "moonraker.conf"
    assert (config.sections(), config.files()) == ([], [])
    assert config.warnings() == ["moonraker.conf: the file cannot be read: No such file or directory"]
    assert config.original() == {"DEFAULT": {}}


def test_later_values_win_also_from_includes(folder: Path) -> None:
    main = write(folder, main="[a]\nx: 1\ny: 1\n[include e.conf]\n[b]\nx: 1\n", e="[a]\nx: 2\nz: 3\n[b]\nx: 2\n")
    config = load_config(main)
    assert raw(config) == {"a": {"x": "2", "y": "1", "z": "3"}, "b": {"x": "1"}}
    assert config.warnings() == []


def test_files_are_listed_as_server_config_does(folder: Path) -> None:
    main = write(folder, main="[a]\n[include s/*.conf]\n[b]\n", s__two="[two]\n[a]\n", s__one="[one]\n")
    assert load_config(main).files() == [
        {"filename": "main.conf", "sections": ["a", "b"]},
        {"filename": "s/one.conf", "sections": ["one"]},
        {"filename": "s/two.conf", "sections": ["two", "a"]},
    ]


def test_patterns_are_relative_to_the_file_that_includes(folder: Path) -> None:
    main = write(
        folder, main="[include s/e.conf]\n", s__e="[include f.conf]\n[include ../top.conf]", s__f="[f]", top="[t]"
    )
    config = load_config(main)
    assert config.sections() == ["f", "t"]
    assert config.errors == []


def test_brackets_in_folder_names_are_no_pattern(folder: Path) -> None:
    main = write(folder / "[x]", main="[include *.conf]\n", e="[e]")
    assert load_config(main).sections() == ["e"]


def test_absolute_and_home_patterns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "home", e="[e]")
    monkeypatch.setenv("HOME", str(folder / "home"))
    main = write(folder, main=f"[include ~/e.conf]\n[include {folder}/f.conf]", f="[f]")
    assert load_config(main).sections() == ["e", "f"]


def test_a_missing_include_is_an_error_and_the_rest_is_read(folder: Path) -> None:
    config = load_config(write(folder, main="[a]\n[include gone.conf]\n[b]\n"))
    assert config.sections() == ["a", "b"]
    assert errors(config) == [
        "main.conf line 2, [include gone.conf]: no file matches; the path is relative to the folder of this file"
    ]
    assert config.warnings() == errors(config)


def test_a_pattern_without_a_match_is_a_warning_only(folder: Path) -> None:
    config = load_config(write(folder, main="[include gone/*.conf]\n"))
    assert config.errors == []
    assert config.warnings()[0].startswith("main.conf line 1, [include gone/*.conf]: no file matches")


def test_a_loop_of_includes_ends(folder: Path) -> None:
    main = write(folder, main="[include e.conf]\n[a]\nx: 1", e="[include f.conf]\n[e]", f="[include main.conf]\n[f]")
    config = load_config(main)
    assert config.sections() == ["f", "e", "a"]
    assert errors(config) == ["f.conf line 1, [include main.conf]: the file includes itself"]


def test_a_loop_through_a_link_is_seen(folder: Path) -> None:
    main = write(folder, main="[include same.conf]\n[a]")
    (folder / "same.conf").symlink_to(main)
    assert errors(load_config(main)) == ["main.conf line 1, [include same.conf]: the file includes itself"]


def test_all_files_of_the_own_folder_are_all_others(folder: Path) -> None:
    config = load_config(write(folder, main="[include *.conf]\n[a]", e="[e]", f="[f]"))
    assert (config.sections(), config.warnings()) == (["e", "f", "a"], [])


def test_a_file_included_twice_counts_once(folder: Path) -> None:
    config = load_config(write(folder, main="[include e.conf]\n[a]\nx: 1\n[include e.conf]", e="[a]\nx: 2"))
    assert raw(config) == {"a": {"x": "1"}}
    assert config.errors == []
    assert config.warnings() == ["main.conf line 4, [include e.conf]: e.conf was included before"]


def test_doubles_in_one_file_are_merged_with_a_warning(folder: Path) -> None:
    config = load_config(write(folder, main="[a]\nx: 1\nX: 2\n[a]\ny: 3\nx: 4"))
    assert raw(config) == {"a": {"x": "4", "y": "3"}}
    assert config.errors == []
    assert config.warnings() == [
        "main.conf line 3, [a] x: the option is given twice; the last value is used",
        "main.conf line 4, [a]: the section stands twice in this file; its parts were merged",
        "main.conf line 6, [a] x: the option is given twice; the last value is used",
    ]


def test_default_values_go_to_every_section(folder: Path) -> None:
    config = load_config(write(folder, main="[DEFAULT]\nq: 1\n[a]\nx: 1\n[b]\nq: 2"))
    assert config.original() == {"DEFAULT": {"q": "1"}, "a": {"x": "1", "q": "1"}, "b": {"q": "2"}}
    assert config.sections() == ["a", "b"]
    assert not config.has("DEFAULT")


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling", "unreadable"])
def test_what_cannot_be_read_is_an_error_and_never_waits(folder: Path, kind: str) -> None:
    odd = folder / "odd.conf"
    if kind == "folder":
        odd.mkdir()
    elif kind == "pipe":
        os.mkfifo(odd)
    elif kind == "dangling":
        odd.symlink_to(folder / "nothing")
    else:
        if os.geteuid() == 0:
            pytest.skip("the superuser may read everything")
        odd.write_text("[x]")
        odd.chmod(0)
    config = load_config(write(folder, main="[a]\n[include odd.conf]\n[b]"))
    assert config.sections() == ["a", "b"]
    assert errors(config)[0].startswith("odd.conf: the file cannot be read: ")


def test_the_main_file_may_be_odd_as_well(folder: Path) -> None:
    assert "cannot be read" in errors(load_config(folder))[0]
    (folder / "l.conf").symlink_to(folder / "l.conf")
    assert "cannot be read" in errors(load_config(folder / "l.conf"))[0]


def test_bytes_that_are_no_text_are_named_by_line(folder: Path) -> None:
    main = folder / "main.conf"
    main.write_bytes(b"[a]\nx: 1\ny: caf\xe9\nz: 2\n")
    config = load_config(main)
    assert errors(config)[0].startswith("main.conf line 3: the line holds bytes that are not UTF-8")
    assert raw(config)["a"]["z"] == "2"


def test_a_huge_file_is_cut(folder: Path) -> None:
    config = load_config(write(folder, main="[a]\nx: 1\n" + "# filling\n" * (MAX_FILE_BYTES // 10) + "[late]\n"))
    assert config.sections() == ["a"]
    assert "larger than 1 MiB" in errors(config)[0]


def test_the_number_of_files_is_bounded(folder: Path) -> None:
    for number in range(MAX_FILES + 5):
        (folder / f"{number:04}.conf").write_text(f"[s{number}]\n")
    config = load_config(write(folder, main="[include *.conf]\n[end]"))
    assert len(config.files()) == MAX_FILES
    assert config.has("end")
    assert "more than 200 files" in errors(config)[0]
