"""Files that installers and printer images write load unchanged, with at most warnings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from moonraker_lite.config import (
    DEFAULT_CONFIG_TEXT,
    PrinterSettings,
    ServerSettings,
    load_config,
    write_default_config,
)

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "tests" / "data" / "config"
GOLDEN = ROOT / ".." / "shared" / "golden" / "moonraker" / "01_server.jsonl"


class Authorization(msgspec.Struct, frozen=True):
    """As much of the section as the samples use."""

    trusted_clients: tuple[str, ...] = ()
    cors_domains: tuple[str, ...] = ()
    login_timeout: Annotated[int, Meta(ge=1)] = 90
    max_login_attempts: int | None = None
    enable_api_key: bool = True
    force_logins: bool = False
    default_source: str = "moonraker"


KNOWN = ["authorization", "octoprint_compat", "history", "file_manager", "machine", "database"]


@pytest.mark.parametrize(
    "name", ["kiauh", "kiauh_v5", "mainsailos", "mainsailos_old", "everything", "includes/moonraker"]
)
def test_loads_with_at_most_warnings(name: str) -> None:
    config = load_config(SAMPLES / f"{name}.conf")
    server = config.decode("server", ServerSettings)
    config.decode("printer", PrinterSettings)
    authorization = config.decode("authorization", Authorization)
    config.known_sections(KNOWN)
    config.warnings()
    assert config.errors == []
    assert 7125 <= server.port <= 7200
    if name != "includes/moonraker":
        assert len(authorization.trusted_clients) >= 3
        assert all(client == client.strip() for client in authorization.trusted_clients)
    json.dumps([config.parsed(), config.original(), config.files()])


def test_kiauh_s_file_means_what_it_says() -> None:
    config = load_config(SAMPLES / "kiauh.conf")
    server = config.decode("server", ServerSettings)
    assert server.klippy_uds_address == Path("/home/pi/printer_data/comms/klippy.sock")
    authorization = config.decode("authorization", Authorization)
    assert authorization.trusted_clients[0] == "10.0.0.0/8"
    assert authorization.trusted_clients[-1] == "::1/128"
    assert authorization.cors_domains[2:4] == ("*://localhost", "*://localhost:*")
    config.known_sections(KNOWN)
    assert len(config.warnings()) == 1, "one word about the update manager, not one for each of its sections"


def test_old_options_are_explained() -> None:
    config = load_config(SAMPLES / "mainsailos_old.conf")
    config.decode("server", ServerSettings)
    config.decode("authorization", Authorization)
    assert [text.split(": ", 1)[1] for text in config.warnings()] == [
        "the option is no longer used; the folder is <data path>/config (option -d)",
        "the option is no longer used; the folder is <data path>/logs (option -d)",
        "the option is no longer used; without [authorization] the defaults apply",
    ]


def test_everything_keeps_its_odd_values() -> None:
    raw = load_config(SAMPLES / "everything.conf").original()
    assert raw["webcam chamber"]["snapshot_url"] == "http://camera.local/snap.jpg?user=a;b"
    assert raw["webcam chamber"]["stream_url"] == "/webcam/?action=stream#front"
    assert raw["notifier telegram"]["body"] == "{event_args[1].filename} is ready # {event_name}"
    assert raw["job_queue"]["job_transition_gcode"] == "\nM118 next one\nG28"
    assert raw["power plug"]["command_payload"].count("\n") == 3
    assert raw["power strip"]["password"] == "<hidden>"
    assert raw["notifier telegram"]["url"] == "tgram://<hidden>"
    assert raw["ldap"]["bind_password"] == "{secrets.ldap.bind_password}"
    assert raw["webcam left"] == {"stream_url": "/webcam/?action=stream"}


def test_a_later_file_wins_in_a_split_set_up() -> None:
    config = load_config(SAMPLES / "includes" / "moonraker.conf")
    assert config.decode("server", ServerSettings).port == 7200
    assert [entry["filename"] for entry in config.files()] == [
        "moonraker.conf", "extra/10-printer.conf", "extra/20-cameras.conf",
    ]  # fmt: skip


def test_the_answer_of_server_config_has_moonraker_s_shape(tmp_path: Path) -> None:
    if not GOLDEN.exists():
        pytest.skip("the recordings of Moonraker are not beside the project (../shared/golden)")
    lines = map(json.loads, GOLDEN.read_text().splitlines())
    answer = next(line for line in lines if line["name"] == "GET /server/config")["response"]["json"]["result"]
    text = []
    for section, options in answer["orig"].items():
        if section != "DEFAULT":
            text.append(f"[{section}]")
            text += [f"{name}: {value}".replace("\n", "\n  ") for name, value in options.items()]
    path = tmp_path / "moonraker.conf"
    path.write_text("\n".join(text))
    config = load_config(path)
    config.decode("server", ServerSettings)
    assert config.original() == answer["orig"]
    assert config.files() == answer["files"]
    assert config.parsed()["server"] == answer["config"]["server"]
    assert config.warnings() == []


def test_the_default_file_is_written_once_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "moonraker.conf"
    assert write_default_config(path)
    assert path.read_text() == DEFAULT_CONFIG_TEXT
    assert path.stat().st_mode & 0o777 == 0o644
    assert [file.name for file in tmp_path.iterdir()] == ["moonraker.conf"]
    config = load_config(path)
    assert config.decode("server", ServerSettings) == ServerSettings()
    assert config.decode("printer", PrinterSettings) == PrinterSettings()
    assert config.decode("authorization", Authorization).trusted_clients[0] == "127.0.0.0/8"
    config.known_sections(KNOWN)
    assert config.warnings() == []
    path.write_text("mine")
    assert not write_default_config(path)
    assert path.read_text() == "mine"


def test_the_default_file_never_replaces_a_link(tmp_path: Path) -> None:
    (tmp_path / "moonraker.conf").symlink_to(tmp_path / "elsewhere")
    assert not write_default_config(tmp_path / "moonraker.conf")
    assert not (tmp_path / "elsewhere").exists()


def test_a_default_file_that_cannot_be_written_raises(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        write_default_config(tmp_path / "missing" / "moonraker.conf")


@pytest.mark.parametrize(
    "line", [line for line in DEFAULT_CONFIG_TEXT.splitlines() if line[:1] == "#" and line[1] != " "]
)
def test_what_the_default_file_comments_out_is_a_known_option(line: str, tmp_path: Path) -> None:
    section = DEFAULT_CONFIG_TEXT[: DEFAULT_CONFIG_TEXT.index(line)].rpartition("[")[2].partition("]")[0]
    settings: type[msgspec.Struct] = ServerSettings if section == "server" else PrinterSettings
    path = tmp_path / "moonraker.conf"
    path.write_text(f"[{section}]\n{line[1:]}\n")
    config = load_config(path)
    config.decode(section, settings)
    assert config.warnings() == []


@pytest.mark.parametrize("name", ["moonraker", "marlin", "klipper", "virtual"])
def test_the_examples_load_without_a_word(name: str) -> None:
    config = load_config(ROOT / "config" / f"{name}.conf")
    config.decode("server", ServerSettings)
    printer = config.decode("printer", PrinterSettings)
    config.decode("authorization", Authorization)
    config.known_sections(KNOWN)
    assert config.warnings() == []
    assert printer.type == (None if name == "moonraker" else name)


def test_the_default_example_is_the_file_that_a_first_start_writes() -> None:
    assert (ROOT / "config" / "moonraker.conf").read_text() == DEFAULT_CONFIG_TEXT
