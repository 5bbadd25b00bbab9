"""The dialect: what a text means. The table was checked against Moonraker 0.11.0 (same text, same values)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.config.dialect import MAX_PROBLEMS, Text, parse


def values(text: str) -> dict[str, dict[str, str]]:
    """Sections and values, the later of equal names winning."""
    result: dict[str, dict[str, str]] = {}
    for block in parse(text).blocks:
        result.setdefault(block.header, {}).update({option.name: option.value for option in block.options})
    return result


SAME_AS_MOONRAKER = {
    "both delimiters": ("[a]\nx: 1\ny=2\nz : 3\nw = 4\n", {"x": "1", "y": "2", "z": "3", "w": "4"}),
    "the first delimiter counts": ("[a]\nx = a:b\ny: a=b\n", {"x": "a:b", "y": "a=b"}),
    "inline comments": ("[a]\nx: 1 # c\ny: 2 ; c\nz: t\t# c", {"x": "1", "y": "2", "z": "t"}),
    "marks inside words": (
        "[a]\nurl: http://a/#b?c=d;e\ny:#x\nz: a#b",
        {"url": "http://a/#b?c=d;e", "y": "#x", "z": "a#b"},
    ),
    "a mark after the colon and a space": ("[a]\nx: #foo", {"x": ""}),
    "escaped marks": (
        "[a]\nx: This \\# not\ny: a \\; b ; c\nz: Once\\# more",
        {"x": "This # not", "y": "a ; b", "z": "Once\\# more"},
    ),
    "option names in any case": ("[a]\nFoo_Bar: Baz", {"foo_bar": "Baz"}),
    "spaces in option names": ("[a]\nmy opt : 1", {"my opt": "1"}),
    "empty values": ("[a]\nx:\ny =", {"x": "", "y": ""}),
    "a value on several lines": ("[a]\nx: first\n  second\n    third\ny: 1", {"x": "first\nsecond\nthird", "y": "1"}),
    "a value that begins below": ("[a]\nx:\n  one\n  two", {"x": "\none\ntwo"}),
    "comments and blank lines in a value": (
        "[a]\nx:\n  one\n\n  # c\n  two # c\n# margin\n  three\n",
        {"x": "\none\ntwo\nthree"},
    ),
    "tabs": ("[a]\nx:\n\tone\n\ttwo", {"x": "\none\ntwo"}),
    "windows line ends": ("[a]\r\nx: 1\r\ny:\r\n  2\r\n  3\r\n", {"x": "1", "y": "\n2\n3"}),
    "indented options": ("[a]\n  x: 1\n  y: 2", {"x": "1", "y": "2"}),
    "an indented section": ("  [a]\n  x: 1", {"x": "1"}),
    "a bracket within a value": ("[a]\nx:\n [b]\n y", {"x": "\n[b]\ny"}),
    "no interpolation": ("[a]\nx: 100%\ny: %(x)s ${x}", {"x": "100%", "y": "%(x)s ${x}"}),
    "quotes stay": ('[a]\nx: "q"', {"x": '"q"'}),
    "text behind a header": ("[a] foo\nx: 1", {"x": "1"}),
    "a template": (
        '[a]\nx:\n  {% set p = {"A": ""} %}\n  # c\n\n  { p|tojson }',
        {"x": '\n{% set p = {"A": ""} %}\n{ p|tojson }'},
    ),
}


@pytest.mark.parametrize("case", SAME_AS_MOONRAKER)
def test_reads_what_moonraker_reads(case: str) -> None:
    text, expected = SAME_AS_MOONRAKER[case]
    assert values(text) == {"a": expected}
    assert parse(text).problems == []


@pytest.mark.parametrize(
    ("text", "line", "says", "still"),
    [
        ("[a]\nnonsense\nx: 1", 2, '"nonsense" is neither', {"a": {"x": "1"}}),
        ("x: 1\n[a]\ny: 2", 1, "before the first", {"a": {"y": "2"}}),
        ("[a]\nx: 1\n[b\ny: 2\n[c]", 3, "no section header", {"a": {"x": "1"}, "c": {}}),
        ("[]\ny: 2", 1, "no section header", {}),
        ("[a]\n: 1\nx: 2", 2, "is neither", {"a": {"x": "2"}}),
        ("[a]\nx: 1\x00\x1b[31m", 2, "control characters", {"a": {"x": "1[31m"}}),
        ("[include b.conf]\nx: 1\n[a]", 2, "include directive", {"include b.conf": {}, "a": {}}),
    ],
)
def test_reads_on_behind_a_broken_line(text: str, line: int, says: str, still: dict[str, dict[str, str]]) -> None:
    problems = parse(text).problems
    assert [problem.line for problem in problems] == [line]
    assert says in problems[0].message
    assert values(text) == still


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert values("\ufeff[a]\nx: 1") == {"a": {"x": "1"}}


def test_the_lines_below_a_broken_one_belong_to_nothing() -> None:
    text = "[a]\nx: 1\nbroken\n  one\n  two: 2\ny: 3"
    assert values(text) == {"a": {"x": "1", "y": "3"}}
    assert len(parse(text).problems) == 1


def test_lines_are_counted_from_one_through_comments_and_values() -> None:
    block = parse("# c\n\n[a] # c\nx:\n  1\n\n  2\ny: 3").blocks[0]
    assert (block.line, [option.line for option in block.options]) == (3, [4, 8])


def test_an_include_keeps_its_place_and_pattern() -> None:
    blocks = parse("[a]\n[include  sub dir/*.conf ] # c\n[b]\n[included]\n[include]").blocks
    assert [block.include for block in blocks] == [None, "sub dir/*.conf", None, None, None]


def test_a_file_of_rubbish_does_not_flood_the_log() -> None:
    assert len(parse("[a]\n" + "rubbish\n" * 1000).problems) == MAX_PROBLEMS


LINES = st.sampled_from(
    [
        "[a]",
        "[b c]",
        "[",
        "[]",
        "[include x]",
        "x: 1",
        "y=",
        " z: 2",
        "\t[q]",
        "  deep",
        "# c",
        "; c",
        "",
        ":",
        "= 1",
        "\x00",
    ]
)


@given(st.one_of(st.text(), st.lists(LINES | st.text(max_size=8)).map("\n".join)))
def test_any_text_is_read_without_raising(text: str) -> None:
    result = parse(text)
    assert isinstance(result, Text)
    for block in result.blocks:
        assert block.header
        assert all(option.name and option.name == option.name.lower() for option in block.options)
    count = text.count("\n") + text.count("\r") + 1
    assert all(1 <= problem.line <= count for problem in result.problems)


NAMES = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=10)
WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=12).filter(
    lambda word: word[0] not in "#;\\[" and word == word.strip()
)
CONFIGS = st.dictionaries(
    NAMES.filter(lambda name: name != "include"),
    st.dictionaries(NAMES, st.lists(WORDS, max_size=4), max_size=5),
    max_size=5,
)


@given(CONFIGS, st.sampled_from([": ", "=", " = ", ":"]), st.integers(1, 6))
def test_a_generated_configuration_comes_back(
    config: dict[str, dict[str, list[str]]], delimiter: str, indent: int
) -> None:
    lines = []
    for section, options in config.items():
        lines += ["# about it", f"[{section}]"]
        for name, words in options.items():
            lines.append(f"{name}{delimiter}  # list")
            lines += [f"{' ' * indent}{word}\n; between" for word in words]
    text = "\n".join(lines)
    assert parse(text).problems == []
    assert values(text) == {
        section: {name: "\n".join(["", *words]) for name, words in options.items()}
        for section, options in config.items()
    }
