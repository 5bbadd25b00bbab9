"""Origins of web pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.components.authorization import AuthorizationSettings, Authorizer
from moonraker_lite.components.authorization.origins import Origins, is_own

RECORDED = ("http://localhost:*", "*.local", "http://app.example.org")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:8080", True),
        ("http://mainsail.local", True),
        ("https://mainsail.local", True),
        ("http://app.example.org", True),
        ("HTTP://APP.EXAMPLE.ORG", True),
        ("http://evil.example.com", False),
        ("https://app.example.org", False),
        ("null", False),
        ("http://app.example.org.evil.com", False),
        ("http://appXexample.org", False),
        ("http://evil.com/http://app.example.org", False),
        ("http://evil.com/x.local", False),
        ("http://user@x.local", False),
        ("http://localhost:80@evil.com", False),
        ("http://localhost", False),
        ("", False),
    ],
)
def test_patterns(origin: str, allowed: bool) -> None:
    assert Origins(RECORDED).allows(origin) is allowed


def test_star_is_everything_and_nothing_is_nothing() -> None:
    assert Origins(["*"]).allows("https://my.page")
    assert Origins(["*://my.page"]).allows("https://my.page")
    assert Origins(["my.page:*"]).allows("https://my.page:8443")
    assert not Origins([]).allows("https://my.page")
    assert not Origins(["", "  "]).allows("")


@given(st.lists(st.text()), st.text())
def test_any_text_can_be_a_pattern_and_an_origin(patterns: list[str], origin: str) -> None:
    assert Origins(patterns).allows(origin) in (True, False)


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://printer.local", "printer.local", True),
        ("http://Printer.local", "printer.LOCAL:80", True),
        ("https://printer.local", "printer.local:443", True),
        ("http://printer.local:7125", "printer.local:7125", True),
        ("http://[::1]:7125", "[::1]:7125", True),
        ("http://printer.local:8080", "printer.local:7125", False),
        ("http://evil.com", "printer.local", False),
        ("http://evil.com@printer.local", "printer.local", False),
        ("http://printer.local/x", "printer.local", False),
        ("null", "printer.local", False),
        ("http://printer.local", None, False),
    ],
)
def test_own_pages(origin: str, host: str | None, own: bool) -> None:
    assert is_own(origin, host) is own


def test_same_site() -> None:
    authorizer = Authorizer(AuthorizationSettings(cors_domains=RECORDED))
    assert authorizer.same_site({})
    assert authorizer.same_site({"origin": "http://printer:7125", "host": "printer:7125"})
    assert authorizer.same_site({"origin": "http://mainsail.local", "host": "printer:7125"})
    assert not authorizer.same_site({"origin": "http://evil.com", "host": "printer:7125"})
    assert authorizer.origin_allowed("http://mainsail.local")
    assert not authorizer.origin_allowed("http://printer:7125")
