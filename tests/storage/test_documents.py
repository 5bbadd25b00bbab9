"""Dotted keys against the simplest model there is: a flat map from paths to values."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.errors import BadRequest
from moonraker_lite.storage.documents import MAX_PARTS, Missing, Occupied, dig, parse_key, plant, prune

PART = st.sampled_from("abc")
PATH = st.lists(PART, min_size=1, max_size=4).map(tuple)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(PART, inner, max_size=2),
    max_leaves=6,
)


def flat(document: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every path that can be addressed and what stands there."""
    rows = {path: document}
    if isinstance(document, dict):
        for part, value in document.items():
            rows.update(flat(value, (*path, part)))
    return rows


@given(VALUE, PATH)
def test_dig_finds_what_the_map_has(document: Any, path: tuple[str, ...]) -> None:
    rows = flat(document)
    if path in rows:
        assert dig(document, path) == rows[path]
    else:
        with pytest.raises(Missing):
            dig(document, path)


@given(VALUE, PATH, VALUE)
def test_plant_sets_one_value_and_leaves_the_rest(document: Any, path: tuple[str, ...], value: Any) -> None:
    before = flat(copy.deepcopy(document))
    blocked = [n for n in range(1, len(path)) if path[:n] in before and not isinstance(before[path[:n]], dict)]
    if blocked:
        with pytest.raises(Occupied) as error:
            plant(document, path, value)
        assert error.value.args == (blocked[0],)
        return
    planted = plant(document, path, copy.deepcopy(value))
    assert dig(planted, path) == value
    after = flat(planted)
    untouched = {there for there in before if there[: len(path)] != path and path[: len(there)] != there}
    assert {there: before[there] for there in untouched} == {there: after[there] for there in untouched}
    assert all(isinstance(after[path[:n]], dict) for n in range(len(path)))


@given(VALUE, PATH)
def test_prune_removes_one_value_and_leaves_the_rest(document: Any, path: tuple[str, ...]) -> None:
    before = flat(copy.deepcopy(document))
    if path not in before:
        with pytest.raises(Missing):
            prune(document, path)
        assert flat(document) == before
        return
    assert prune(document, path) == before[path]
    after = flat(document)
    assert set(after) == {there for there in before if there[: len(path)] != path}


@given(st.lists(st.text(st.characters(exclude_characters=".", exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_a_dotted_key_is_the_list_of_its_parts(parts: list[str]) -> None:
    assert parse_key(".".join(parts)) == parse_key(parts) == tuple(parts)


@given(st.text() | st.lists(st.text() | st.integers() | st.none() | st.booleans() | st.lists(st.text())))
def test_any_key_is_parts_or_a_bad_request(key: Any) -> None:
    try:
        parts = parse_key(key)
    except BadRequest as error:
        assert error.message.startswith("Invalid Key Format: '")
    else:
        assert parts
        assert all(isinstance(part, str) and part for part in parts)


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("", "''"),
        (".", "'.'"),
        ("a..b", "'a..b'"),
        (".a", "'.a'"),
        ("a.", "'a.'"),
        ([], "'[]'"),
        (["a", ""], "'['a', '']'"),
    ],
)
def test_bad_keys_are_named_as_recorded(key: Any, shown: str) -> None:
    with pytest.raises(BadRequest) as error:
        parse_key(key)
    assert error.value.message == f"Invalid Key Format: {shown}"


def test_the_depth_is_bounded() -> None:
    assert len(parse_key(".".join("a" * MAX_PARTS))) == MAX_PARTS
    with pytest.raises(BadRequest):
        parse_key(".".join("a" * (MAX_PARTS + 1)))


def test_halves_of_surrogate_pairs_are_refused() -> None:
    with pytest.raises(BadRequest):
        parse_key("a\ud800")
