"""`check-config`."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import pytest

from moonraker_lite.cli import check_config
from moonraker_lite.config import write_default_config


class Camera(msgspec.Struct, frozen=True):
    stream_url: str


def check(*options: str, sections: check_config.Sections | None = (("webcam *", Camera),)) -> int:
    parser = argparse.ArgumentParser()
    check_config.add_arguments(parser)
    return check_config.run(parser.parse_args(options), sections=sections)


def test_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config" / "moonraker.conf"
    path.parent.mkdir()
    path.write_text("[server]\nport: 7125\n[webcam x]\nstream_url: /")
    assert check("-d", str(tmp_path)) == 0
    assert capsys.readouterr().out == f"{path}: all is well\n"


def test_errors_first_then_warnings_one_per_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my.conf"
    path.write_text("[server]\nport: 99999\nspeed: 1\n[webcam x]\n[foo]\n")
    assert check("-c", str(path)) == 1
    assert capsys.readouterr().out.splitlines() == [
        'error: my.conf line 2, [server] port: "99999" is not a whole number between 1 and 65535',
        "error: my.conf line 4, [webcam x] stream_url: the option is required here and missing",
        "warning: my.conf line 5, [foo]: unknown section; it is ignored",
        "warning: my.conf line 3, [server] speed: unknown option; it is ignored",
        f"{path}: 2 errors, 2 warnings",
    ]


def test_warnings_alone_are_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my.conf"
    path.write_text("[server]\nspeed: 1\n[foo]\n")
    assert check("-c", str(path)) == 0
    assert "0 errors, 2 warnings" in capsys.readouterr().out


def test_a_missing_file_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("-c", str(tmp_path / "none.conf")) == 1
    assert "none.conf: the file cannot be read: No such file or directory" in capsys.readouterr().out


def test_the_sections_of_the_real_components_are_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my.conf"
    path.write_text("[server]\n[authorization]\nlogin_timeout: never\ntrusted_client: 1\n[nonsense]\n")
    check("-c", str(path), sections=None)
    out = capsys.readouterr().out
    assert "[nonsense]: unknown section" in out
    assert "[authorization]: unknown" not in out
    assert "did you mean trusted_clients?" in out


def test_the_default_file_is_well_with_the_real_components(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = {"octoprint_compat", "history"} - {name for name, _ in check_config.component_sections()}
    if missing:
        pytest.skip(f"not among the components yet: {', '.join(missing)}")
    path = tmp_path / "moonraker.conf"
    write_default_config(path)
    assert check("-c", str(path), sections=None) == 0
    assert capsys.readouterr().out == f"{path}: all is well\n"
