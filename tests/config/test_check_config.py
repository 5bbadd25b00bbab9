"""`check-config`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import msgspec
import pytest

from moonraker_lite.cli import check_config
from moonraker_lite.components.printer.marlin_options import marlin_options
from moonraker_lite.config import PrinterSettings, load_config, write_default_config
from moonraker_lite.marlin.printer_config import given_sections, read_printer_config, settings_of
from moonraker_lite.marlin.process import arguments


class Camera(msgspec.Struct, frozen=True):
    stream_url: str


def check(*options: str, sections: check_config.Sections | None = (("webcam *", Camera),)) -> int:
    parser = argparse.ArgumentParser()
    check_config.add_arguments(parser)
    return check_config.run(parser.parse_args(options), sections=sections)


MACHINES = ("ender3", "prusa_mk3", "multi_extruder")


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("all_options", [False, True])
def test_the_examples_of_machines(
    name: str, all_options: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As they stand, and with every option that is commented out."""
    text = (Path(__file__).resolve().parents[2] / "config" / f"{name}.conf").read_text()
    given = re.sub(r"^#(?=[a-z_]+: )", "", text, flags=re.MULTILINE)
    assert given != text
    path = tmp_path / f"{name}.conf"
    path.write_text(given if all_options else text)
    assert check("-c", str(path), sections=None) == 0
    assert capsys.readouterr().out == f"{path}: all is well\n"
    printer = load_config(path).decode("printer", PrinterSettings)
    process = arguments(["--socket=s", "--gcodes=g", "--serial=x", *marlin_options(printer, tmp_path)])
    settings, problems = settings_of(read_printer_config(process.config, given_sections(process.set)))
    assert problems == ()
    assert settings.extruder_max_temp == printer.extruder_max_temp
    assert settings.position_max == printer.position_max


def test_marlin_cfg_is_looked_at_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / "moonraker.conf").write_text("[printer]\ntype: marlin\nserial: /dev/ttyUSB0\n")
    (config / "marlin.cfg").write_text("[extruder]\nmax_temp: hot\nrubbish\n")
    assert check("-d", str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "warning: marlin.cfg line 3" in out
    assert "warning: marlin.cfg line 2, [extruder] max_temp: 'hot' is not a number; the option is left out" in out
    (config / "marlin.cfg").write_text("[gcode_macro PAUSE]\ngcode: {% if %}\nrename_existing: PAUSE_BASE\n")
    assert check("-d", str(tmp_path)) == 0
    assert "warning: marlin.cfg line 2, [gcode_macro PAUSE] gcode: jinja2" in capsys.readouterr().out
    (config / "moonraker.conf").write_text("[printer]\ntype: klipper\n")
    assert check("-d", str(tmp_path)) == 0
    assert "marlin.cfg" not in capsys.readouterr().out


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
