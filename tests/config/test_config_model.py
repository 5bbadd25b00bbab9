"""The configuration as the program sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from moonraker_lite.config import (
    Config,
    ConfigError,
    PrinterSettings,
    ServerSettings,
    TemplateText,
    load_config,
)


class Camera(msgspec.Struct, frozen=True, rename={"kind": "type"}):
    """Settings with a required option and one whose name Python has taken."""

    stream_url: str
    kind: str = "web"
    fps: Annotated[int, Meta(ge=1)] = 15
    hosts: tuple[str, ...] = ()
    password: str = ""
    login: TemplateText = ""


@pytest.fixture
def load(tmp_path: Path) -> LoadText:
    return LoadText(tmp_path)


class LoadText:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, text: str) -> Config:
        path = self.folder / "moonraker.conf"
        path.write_text(text)
        return load_config(path)


def test_an_absent_section_has_the_defaults(load: LoadText) -> None:
    config = load("")
    assert config.decode("server", ServerSettings) == ServerSettings()
    assert config.decode("printer", PrinterSettings) == PrinterSettings()
    assert config.warnings() == []
    assert config.parsed()["server"]["port"] == 7125


def test_decodes_the_two_sections_of_the_host(load: LoadText) -> None:
    config = load(
        "[server]\nhost: all\nport: 7126\nklippy_uds_address: {data_path}/comms/k.sock\nmax_upload_size:\n"
        "[printer]\ntype: Marlin\nserial: socket://127.0.0.1:9\nbaud: 250000\nvirtual_speed: 20"
    )
    server = config.decode("server", ServerSettings)
    assert (server.host, server.port, server.max_upload_size) == ("all", 7126, 1024)
    assert server.klippy_uds_address == load.folder / "comms" / "k.sock"
    printer = config.decode("printer", PrinterSettings)
    assert printer == PrinterSettings("marlin", "socket://127.0.0.1:9", 250_000, 20.0)
    assert load("[printer]\nbaud: auto\ntype:").decode("printer", PrinterSettings) == PrinterSettings()


def test_an_invalid_value_names_its_place_and_what_would_be_valid(load: LoadText) -> None:
    config = load("# c\n[server]\nhost: x\nport: abc\nmax_upload_size: -1\n")
    with pytest.raises(ConfigError) as caught:
        config.decode("server", ServerSettings)
    error = caught.value
    assert str(error) == 'moonraker.conf line 4, [server] port: "abc" is not a whole number between 1 and 65535'
    assert (error.file, error.line, error.section, error.option) == ("moonraker.conf", 4, "server", "port")
    assert [found.option for found in config.errors] == ["port", "max_upload_size"]
    config.decode_valid("server", ServerSettings)
    assert len(config.errors) == 2, "the same error is noted once"


def test_a_degraded_start_uses_what_is_valid(load: LoadText) -> None:
    config = load("[server]\nhost: 127.0.0.1\nport: abc\n")
    assert config.decode_valid("server", ServerSettings) == ServerSettings(host="127.0.0.1")
    assert len(config.warnings()) == 1


def test_the_place_in_an_included_file_is_named(load: LoadText) -> None:
    (load.folder / "sub").mkdir()
    (load.folder / "sub" / "p.conf").write_text("\n\n[server]\nport: 0\n")
    config = load("[server]\n[include sub/p.conf]")
    with pytest.raises(ConfigError, match=r"^sub/p\.conf line 4, \[server\] port: "):
        config.decode("server", ServerSettings)


def test_a_missing_required_option_is_an_error(load: LoadText) -> None:
    config = load("[webcam x]\nfps: 1")
    with pytest.raises(ConfigError, match=r"^moonraker.conf line 1, \[webcam x\] stream_url: the option is required"):
        config.decode_valid("webcam x", Camera)
    with pytest.raises(ConfigError, match=r"^moonraker.conf, \[webcam y\] stream_url: "):
        config.decode("webcam y", Camera)


def test_options_have_the_names_of_the_struct(load: LoadText) -> None:
    config = load("[webcam x]\nstream_url: /w\ntype: usb\nhosts: a\n  b\nkind: no")
    assert config.decode("webcam x", Camera) == Camera("/w", "usb", hosts=("a", "b"))
    assert config.parsed()["webcam x"]["type"] == "usb"
    assert config.warnings() == ["moonraker.conf line 6, [webcam x] kind: unknown option; it is ignored"]


def test_sections_by_prefix(load: LoadText) -> None:
    config = load("[webcam b]\n[webcam]\n[webcams]\n[server]\n[webcam  a ]")
    assert config.sections("webcam") == ["webcam b", "webcam", "webcam a"]
    assert config.sections() == ["webcam b", "webcam", "webcams", "server", "webcam a"]
    assert config.has("webcam a")
    assert not config.has("webcam c")


def test_unknown_options_are_warnings_after_decoding_only(load: LoadText) -> None:
    config = load("[server]\nprot: 1\nconfig_path: ~/x\n[other]\nfoo: 1")
    assert config.warnings() == []
    config.decode("server", ServerSettings)
    assert config.warnings() == [
        "moonraker.conf line 2, [server] prot: unknown option; it is ignored (did you mean port?)",
        "moonraker.conf line 3, [server] config_path: the option is no longer used; "
        "the folder is <data path>/config (option -d)",
    ]


def test_two_readers_of_one_section_know_options_together(load: LoadText) -> None:
    class One(msgspec.Struct, frozen=True):
        a: int = 0

    class Two(msgspec.Struct, frozen=True):
        b: int = 0

    config = load("[x]\na: 1\nb: 2\nc: 3")
    config.decode("x", One)
    config.decode("x", Two)
    assert [warning.split(": ")[0] for warning in config.warnings()] == ["moonraker.conf line 4, [x] c"]


def test_unknown_sections_are_warnings_once_the_known_are_named(load: LoadText) -> None:
    config = load("[server]\n[history]\n[webcam x]\n[foo]\n[update_manager]\n[update_manager a]\n[secrets]\n[printer]")
    assert config.warnings() == []
    config.known_sections(["history"])
    config.known_sections(["webcam"])
    assert config.warnings() == [
        "moonraker.conf line 4, [foo]: unknown section; it is ignored",
        "moonraker.conf line 5, [update_manager]: Moonraker has this section, moonraker_lite does not support it yet; "
        "it is ignored",
    ]


def test_a_check_of_the_struct_itself_is_a_sentence_too(load: LoadText) -> None:
    class Pair(msgspec.Struct, frozen=True):
        low: int = 0
        high: int = 1

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low may not be above high")

    with pytest.raises(ConfigError) as caught:
        load("[p]\nlow: 5").decode("p", Pair)
    assert str(caught.value) == "moonraker.conf line 1, [p]: low may not be above high"


def test_secrets_are_shown_nowhere(load: LoadText) -> None:
    (load.folder / "moonraker.secrets").write_text("[cam]\nlogin: from-the-file\n")
    config = load(
        "[webcam x]\nstream_url: http://me:sesame-1@cam/?token=sesame-2\npassword: sesame-3\n"
        "login: {secrets.cam.login}\nfps: 0\n"
        "[notifier n]\nurl: tgram://sesame-4/1\n[mqtt]\npassword: {secrets.a.b}\nlist:\n  api_key=sesame-5\n"
    )
    camera = config.decode_valid("webcam x", Camera)
    assert camera.login == "from-the-file"
    shown = json.dumps([config.original(), config.warnings(), config.parsed()])
    assert "sesame" not in shown
    assert "from-the-file" not in shown
    assert config.original()["mqtt"]["password"] == "{secrets.a.b}"
    assert config.parsed()["webcam x"]["login"] == "{secrets.cam.login}"
    assert config.secret_texts() == ["from-the-file"]


def test_an_invalid_secret_value_is_not_quoted(load: LoadText) -> None:
    class Guarded(msgspec.Struct, frozen=True):
        token: Annotated[str, Meta(min_length=20)] = ""

    config = load("[g]\ntoken: sesame")
    config.decode_valid("g", Guarded)
    assert config.warnings() == ["moonraker.conf line 2, [g] token: the value is not a text of at least 20 characters"]


def test_what_is_shown_is_json(load: LoadText) -> None:
    config = load("[server]\nklippy_uds_address: ~/k\n[webcam x]\nstream_url: /\nhosts: a, b")
    config.decode("server", ServerSettings)
    config.decode("webcam x", Camera)
    config.decode("printer", PrinterSettings)
    parsed = json.loads(json.dumps(config.parsed()))
    assert parsed["webcam x"]["hosts"] == ["a", "b"]
    assert parsed["server"]["klippy_uds_address"].endswith("/k")
    printer = parsed["printer"]
    assert (printer["type"], printer["baud"], printer["virtual_speed"], printer["virtual_faults"]) == (
        None,
        None,
        1,
        "",
    )


def test_values_keep_their_line_breaks_as_in_moonraker(load: LoadText) -> None:
    config = load("[authorization]\ntrusted_clients:\n    127.0.0.1\n")
    assert config.original() == {"DEFAULT": {}, "authorization": {"trusted_clients": "\n127.0.0.1"}}


@given(st.binary() | st.text().map(str.encode))
def test_no_file_content_raises(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.conf"
    path.write_bytes(data)
    config = load_config(path)
    config.decode_valid("server", ServerSettings)
    config.decode_valid("printer", PrinterSettings)
    config.known_sections(["history"])
    json.dumps([config.warnings(), config.parsed(), config.original(), config.files()])


@given(
    st.dictionaries(
        st.sampled_from(ServerSettings.__struct_fields__),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20),
    )
)
def test_no_value_raises_in_a_degraded_start(tmp_path_factory: pytest.TempPathFactory, options: dict[str, str]) -> None:
    path = tmp_path_factory.getbasetemp() / "values.conf"
    path.write_text("[server]\n" + "".join(f"{name}: {value}\n" for name, value in options.items()))
    config = load_config(path)
    settings = config.decode_valid("server", ServerSettings)
    assert 1 <= settings.port <= 65535
    assert len(config.errors) <= len(options)
