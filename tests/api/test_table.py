"""The API table: finding endpoints, decoding params."""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.api.endpoint import annotations_of, endpoint, endpoints_of
from moonraker_lite.api.params import decode, parse_query
from moonraker_lite.api.request import Request, User
from moonraker_lite.api.table import ApiTable
from moonraker_lite.errors import BadRequest, HostError, MethodNotAllowed, NotFound, Unauthorized


class Params(msgspec.Struct, frozen=True):
    flag: bool | None = None
    count: int | None = None
    ratio: float = 0.0
    name: str = ""
    items: list[str] = []
    anything: Any = None


class Things:
    @endpoint("GET", "/things/list", rpc="things.list")
    def list(self, request: Request) -> str:
        return "list"

    @endpoint("GET", "/things/{kind}/one")
    def one(self, request: Request) -> str:
        return "one"

    @endpoint("DELETE", "/things/{root}/{path:rest}")
    def delete(self, request: Request) -> str:
        return "delete"


def table() -> ApiTable:
    made = ApiTable()
    made.add(endpoints_of(Things(), "things"))
    return made


def test_exact_paths_win_over_templates() -> None:
    found = table()
    assert found.find_path("GET", "/things/list")[0].rpc == "things.list"
    assert found.find_path("GET", "/things/big%20box/one")[1] == {"kind": "big box"}
    assert found.find_path("DELETE", "/things/gcodes/a/b%2Fc.g")[1] == {"root": "gcodes", "path": "a/b/c.g"}
    assert found.find_path("DELETE", "/things/gcodes/")[1] == {"root": "gcodes", "path": ""}


@pytest.mark.parametrize("path", ["/", "", "/things", "/things/a/b/c", "/things/list/", "/things/big/one/"])
def test_unknown_paths(path: str) -> None:
    with pytest.raises((NotFound, MethodNotAllowed)):
        table().find_path("GET", path)


def test_wrong_verb_says_which_are_right() -> None:
    with pytest.raises(MethodNotAllowed, match="takes GET"):
        table().find_path("POST", "/things/list")


def test_declaring_a_name_twice_is_refused() -> None:
    made = table()
    with pytest.raises(ValueError, match="declared twice"):
        made.add(endpoints_of(Things(), "things"))


def test_authorization_is_the_default() -> None:
    found = table().find_path("GET", "/things/list")[0]
    with pytest.raises(Unauthorized):
        ApiTable.call(found, Request(transport="http"))
    assert ApiTable.call(found, Request(transport="http", user=User("x"))) == "list"


def test_signature_of_an_endpoint_is_checked() -> None:
    class Wrong:
        @endpoint("GET", "/wrong")
        def method(self, other: int) -> None: ...

    with pytest.raises(TypeError, match="Request"):
        list(endpoints_of(Wrong(), "wrong"))


def test_annotations_are_those_that_typing_tells() -> None:
    def plain(request: Request, params: Params) -> None: ...

    def compound(request: Request) -> dict[str, list[int]]:
        return {}

    for function in (plain, compound, table, endpoints_of, lambda: 0):
        assert annotations_of(function) == typing.get_type_hints(function)


@given(st.sampled_from(["GET", "POST", "DELETE", "PATCH"]), st.text(max_size=40))
def test_any_path_is_found_or_refused(verb: str, path: str) -> None:
    try:
        table().find_path(verb, path)
    except HostError as error:
        assert error.status in (400, 404, 405)


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.lists(st.integers())


@given(st.dictionaries(st.sampled_from(["flag", "count", "ratio", "name", "items", "anything", "other"]), _VALUES))
def test_any_arguments_are_decoded_or_refused_with_a_name(arguments: dict[str, Any]) -> None:
    try:
        params = decode(Params, arguments)
    except BadRequest as error:
        assert "Argument '" in error.message
    else:
        assert isinstance(params, Params)


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        ({"flag": "TRUE"}, "flag", True),
        ({"count": "-3"}, "count", -3),
        ({"count": 4.0}, "count", 4),
        ({"count": None}, "count", None),
        ({"ratio": 2}, "ratio", 2.0),
        ({"name": 5}, "name", "5"),
        ({"items": "a, b,,c"}, "items", ["a", "b", "c"]),
        ({"anything": {"x": [1]}}, "anything", {"x": [1]}),
    ],
)
def test_coercion(arguments: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(decode(Params, arguments), field) == value


@given(st.text(max_size=60))
def test_any_query_is_parsed_or_refused(query: str) -> None:
    try:
        parse_query(query)
    except BadRequest:
        pass


def test_query_bounds() -> None:
    with pytest.raises(BadRequest, match="1000"):
        parse_query("&".join(f"a{n}=1" for n in range(1001)))
