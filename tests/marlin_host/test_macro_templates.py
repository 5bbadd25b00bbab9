"""The template language of macros: Klipper's spelling, the sandbox, and the bounds on what a macro may cost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.marlin.gcode import templates
from moonraker_lite.marlin.gcode.literals import LiteralError, literal
from moonraker_lite.marlin.gcode.status_view import Coordinates, copied
from moonraker_lite.marlin.gcode.templates import MacroEnvironment, RenderError, Template

ENVIRONMENT = MacroEnvironment()


def render(source: str, **context: Any) -> str:
    return Template(ENVIRONMENT, source).render(context)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("G1 X{ x|default(1)|float + 2 }", "G1 X3.0"),
        ("{% set a = params.S|default(200)|int %}M104 S{a}", "M104 S210"),
        ("{% for i in range(3) %}T{i} {% endfor %}", "T0 T1 T2 "),
        ("{ '%.2f' % 1.239 } { 'a' ~ 1 ~ 'b' } { '{:>4}'.format(7) } { '%d%%'|format(5) }", "1.24 a1b    7 5%"),
        ("{% set l = [1] %}{% set _ = l.append(2) %}{% do l.extend([3]) %}{ l|join(',') }", "1,2,3"),
        ("{% set d = {'a': 1} %}{% do d.update(b=2) %}{ d.items()|list|length }", "2"),
        ("{% macro twice(n) %}{ n * 2 }{% endmacro %}{ twice(4) }", "8"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{ i }{% endfor %}", "01"),
        ("{ position.z } { position[0] } { 'x' in position }", "3.0 1.0 False"),
        ("{% if missing is defined %}a{% else %}b{% endif %}{ missing }", "b"),
        ("{ params.S|default(0)|int } {% raw %}{ x }{% endraw %} { 'a' 'b' }", "210 { x } ab"),
    ],
)
def test_what_klippers_macros_use(source: str, text: str) -> None:
    assert render(source, params={"S": "210"}, position=Coordinates(1.0, 2.0, 3.0, 4.0)) == text


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("{% if %}", "TemplateSyntaxError"),
        ("{ a b }", "TemplateSyntaxError"),
        ("{ nothing.at_all }", "UndefinedError: 'nothing' is undefined"),
        ("{ 1 / 0 }", "ZeroDivisionError: division by zero"),
        ("{ 'a'|int + [] }", "TypeError"),
        ("{% include 'x' %}", "TypeError"),
        ("{ cycler('a').__init__.__globals__ }", "SecurityError"),
        ("{ ''.__class__.__mro__ }", "SecurityError"),
        ("{ (1).real.__class__() }", "SecurityError|UndefinedError"),
        ("{ 'x' * 10**9 }", "product becomes too long"),
        ("{ [0] * 10**9 }", "product becomes too long"),
        ("{ 2 ** (10**9) }", "number becomes too large"),
        ("{ '%999999999d' % 1 }", "width is too large"),
        ("{ '%*d' % (10**9, 1) }", "width is too large"),
        ("{ '{:999999999}'.format(1) }", "width is too large"),
        ("{ '{:{w}}'.format(1, w=10**9) }", "width is too large"),
        ("{ '%999999999d'|format(1) }", "width is too large"),
        ("{ 'x'|center(10**9) }", "too large"),
        ("{ 'x'.ljust(10**9) }", "too large"),
        ("{ ('x' * 100000).replace('x', 'y' * 100000) }", "too long"),
        ("{ ('x' * 1000).join('y' * 1000) }", "too long"),
        ("{ range(10**9) }", "Range too big"),
        ("{ lipsum(10**9) }", "undefined"),
        ("{% set n = namespace(x='xx') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}", "too long"),
        ("{% set n = namespace(x='xx') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}", "too long"),
        ("{% set n = namespace(x=10) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}", "too large"),
        ("{% macro f(n) %}{ f(n) }{% endmacro %}{ f(1) }", "recursion"),
        ("{ 'x' * 99999 }" * 2, "KiB of commands"),
        ("{ " + "(" * 3000 + "1" + ")" * 3000 + " }", "recursion"),
    ],
)
def test_what_goes_wrong_is_told(source: str, complaint: str) -> None:
    with pytest.raises(RenderError, match=complaint):
        render(source)


def test_loops_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MAX_STEPS", 500)
    endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(RenderError, match="more than 500 rounds"):
        render(endless)
    twice = "{% macro f(n) %}{% if n %}{ f(n - 1) }{ f(n - 1) }{% endif %}{% endmacro %}{ f(60) }"
    with pytest.raises(RenderError, match="more than 500 rounds"):
        render(twice)
    monkeypatch.setattr(templates, "MAX_SECONDS", 0.0)
    with pytest.raises(RenderError, match="at work for 0 s"):
        render(endless)


SNIPPETS = st.lists(
    st.sampled_from(
        [
            *("{", "}", "{%", "%}", "{#", "#}", " if ", " for i in ", " endfor ", " endif ", " set x = ", "range(3)"),
            *(
                "x",
                "i",
                "'a'",
                "1",
                "[1,2]",
                "params",
                ".X",
                "['X']",
                "|int",
                "|join(',')",
                "|default(2)",
                " + ",
                " * ",
            ),
            *(" ~ ", "%", "(", ")", "**", "\n", "G1 X1", "|list", "|format(1)", " is defined", "macro f()", "endmacro"),
        ]
    )
    | st.text(max_size=3),
    max_size=25,
).map("".join)


@given(SNIPPETS)
def test_any_text_renders_or_is_refused(source: str) -> None:
    try:
        assert isinstance(render(source, params={"X": "1"}, x=3), str)
    except RenderError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        (" -2.5", -2.5),
        ("'a'", "a"),
        ("None", None),
        ("[1, (2, 'x')]", [1, (2, "x")]),
        ("{'a': True}", {"a": True}),
    ],
)
def test_literals(text: str, value: object) -> None:
    assert literal(text) == value


@pytest.mark.parametrize(
    "text", ["", "x", "1 +", "{1, 2}", "b'x'", "1j", "__import__('os')", "(" * 9999, "'" + "x" * 99999]
)
def test_no_literals(text: str) -> None:
    with pytest.raises(LiteralError):
        literal(text)


@given(st.text())
def test_any_text_is_a_literal_or_none(text: str) -> None:
    try:
        literal(text)
    except LiteralError:
        pass


def test_status_is_copied_deep() -> None:
    original = {"a": {"b": [1, [2]]}, "position": [1.0, 2.0, 3.0, 4.0], "mesh": [[1.0]]}
    copy = copied(original)
    assert copy["position"].e == 4.0
    copy["a"]["b"][1].append(3)
    assert original["a"] == {"b": [1, [2]]}
