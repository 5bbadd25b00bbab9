"""Secrets and templates."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from moonraker_lite.config import ConfigError, TemplateText, load_config
from moonraker_lite.config.secrets import Secrets, load_secrets
from moonraker_lite.config.templates import TemplateError, Templates


class Section(msgspec.Struct, frozen=True):
    o: TemplateText = ""
    plain: TemplateText = ""


INI = "# mine\n[mqtt]\nusername: me\npassword = my # secret \n[items]\nget: got\n"


def test_secrets_as_ini(tmp_path: Path) -> None:
    path = tmp_path / "moonraker.secrets"
    path.write_text(INI)
    templates = Templates({"secrets": load_secrets(path)})
    assert templates.render("{secrets.mqtt.username}/{ secrets.mqtt.password }") == "me/my"
    assert templates.render("{secrets.items.get}") == "got", "a method's name is a good name for a secret"


def test_secrets_as_json(tmp_path: Path) -> None:
    path = tmp_path / "moonraker.secrets"
    path.write_text(json.dumps({"a": {"b": {"c": 3}}, "list": ["x", "y"], "top": "t"}))
    templates = Templates({"secrets": load_secrets(path)})
    assert templates.render("{secrets.a.b.c + 1} {secrets.list[1]} {secrets['top']}") == "4 y t"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"a": sesame}', r"^moonraker.secrets line 1: the JSON is broken"),
        (b"{" * 100_000 + b'"a":' * 3, "JSON"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"[a]\nsesame sesame", r"^moonraker.secrets line 2: the line is neither"),
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * (1 << 20) + b"##", "larger than 1 MiB"),
    ],
)
def test_a_broken_secrets_file_is_named_and_never_quoted(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "moonraker.secrets"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        load_secrets(path)
    assert "sesame" not in str(caught.value)


def test_the_place_of_the_secrets_file(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    conf = tmp_path / "config" / "printer1.conf"
    conf.write_text("[x]\no: {secrets.a.b}")
    (tmp_path / "printer1.secrets").write_text("[a]\nb: beside the data")
    assert load_config(conf).decode("x", Section).o == "beside the data"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("[a]\nb: elsewhere")
    conf.write_text(f"[secrets]\nsecrets_path: {elsewhere}\n[x]\no: {{secrets.a.b}}")
    assert load_config(conf).decode("x", Section).o == "elsewhere"


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    conf = tmp_path / "moonraker.conf"
    conf.write_text("[x]\no: {secrets.mqtt.password}\nplain: none\n")
    config = load_config(conf)
    with pytest.raises(ConfigError) as caught:
        config.decode("x", Section)
    assert str(caught.value) == "moonraker.conf line 2, [x] o: secrets.mqtt is not in the secrets file"
    assert config.warnings() == [str(caught.value)]
    assert config.decode_valid("x", Section) == Section("", "none")


def test_a_whole_section_of_secrets_prints_nothing_secret() -> None:
    assert "sesame" not in Templates({"secrets": Secrets({"a": {"b": "sesame"}})}).render("{secrets} {secrets.a}")


def test_the_manual_s_example_of_a_payload() -> None:
    text = (
        '{% set payload = {"FIELD": ""} %}\n{% do payload.update({"FIELD": "text"}) %}\n'
        '{% do payload.__setitem__("POWER", command) %}\n{ payload|tojson }'
    )
    assert json.loads(Templates({}).render(text, command="on")) == {"FIELD": "text", "POWER": "on"}
    assert Templates({}).render("{% set a = p|fromjson %}{a['POWER']}", p='{"POWER": "ON"}') == "ON"


ESCAPES = [
    "{ ''.__class__.__mro__[1].__subclasses__() }",
    "{ [].__class__.__base__ }",
    "{ {}.__init__.__globals__ }",
    "{ secrets.__class__ }",
    "{ secrets.__init__.__globals__ }",
    "{ secrets._values }",
    "{ secrets|attr('_values') }",
    "{ secrets|attr('__init__') }",
    "{ self.__init__.__globals__ }",
    "{ self._TemplateReference__context.environment }",
    "{ cycler.__init__.__globals__.os.popen('id').read() }",
    "{ lipsum.__globals__['os'].popen('id').read() }",
    "{ joiner.__init__.__globals__ }",
    "{ namespace.__init__.__globals__ }",
    "{ ''|attr('__class__') }",
    "{ '{0.__class__}'.format(secrets) }",
    "{ '%s'|format(secrets.__class__) }",
    "{ ''['__class__'] }",
    "{ (1).__class__ }",
    "{ range.__self__ }",
    "{% set x = {} %}{% do x.__setattr__('a', 1) %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% extends '/etc/passwd' %}",
    "{ open('/etc/passwd').read() }",
    "{ __import__('os') }",
    "{ ''.join(secrets['__class__']) }",
    "{ [1, 2]|map(attribute='__class__')|list }",
    "{ config } { request } { environment }",
]


@pytest.mark.parametrize("text", ESCAPES)
def test_nobody_gets_out_of_the_sandbox(text: str) -> None:
    templates = Templates({"secrets": Secrets({"a": {"b": "sesame"}})})
    try:
        result = templates.render(text)
    except TemplateError:
        return
    for trace in ("class", "sesame", "root:", "uid=", "builtin", "function", "module", "Environment", "object at"):
        assert trace not in result


@pytest.mark.parametrize(
    "text",
    [
        "{ 'a' * 10000000000 }",
        "{ 10000000000 * 'a' }",
        "{ [0] * 10000000000 }",
        "{ 9 ** 9 ** 9 }",
        "{ range(10000000000)|list }",
        "{ 1 / 0 }",
        "{ 'a' + 1 }",
        "{ [][3].x }",
        "{ unknown.thing }",
        "{% if %}",
        "{ unclosed",
        "{ 'a' ** 2 }",
    ],
)
def test_a_wrong_template_fails_with_a_sentence(text: str) -> None:
    with pytest.raises(TemplateError, match=r"^the template fails: |^this "):
        Templates({}).render(text)


def test_text_without_braces_needs_no_engine() -> None:
    assert Templates({}).render("  100% \\ $x ") == "  100% \\ $x "
