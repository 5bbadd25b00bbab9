"""Spelling of addresses, lists of trusted ones, and callers behind proxies."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.components.authorization.addresses import UNKNOWN, AddressList, behind_proxy, canonical
from moonraker_lite.components.authorization.settings import LOCAL_NETWORKS, LOOPBACK


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1", "127.0.0.1"),
        (" 10.0.0.1 ", "10.0.0.1"),
        ("10.0.0.1:51000", "10.0.0.1"),
        ("::1", "::1"),
        ("[::1]:80", "::1"),
        ("[fe80::1%eth0]", "fe80::1"),
        ("fe80::1%wlan0", "fe80::1"),
        ("::ffff:192.168.1.5", "192.168.1.5"),
        ("2001:DB8::1", "2001:db8::1"),
        ("2001:db8:0:0::1", "2001:db8::1"),
        ("unknown", UNKNOWN),
        ("", UNKNOWN),
        ("127.1", UNKNOWN),
        ("0x7f.0.0.1", UNKNOWN),
        ("127.0.0.01", UNKNOWN),
        ("localhost", UNKNOWN),
        ("1.2.3.4, 5.6.7.8", UNKNOWN),
    ],
)
def test_canonical(text: str, expected: str) -> None:
    assert canonical(text) == expected


@given(st.text())
def test_canonical_takes_any_text(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


@given(st.ip_addresses())
def test_every_address_is_its_own_canonical_form(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    expected = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped else address
    assert canonical(str(address)) == str(expected)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.0.7", "172.31.0.1", "::1", "fe80::5", "fd00::2"])
def test_the_default_trusts_local_networks(address: str) -> None:
    assert address in AddressList(LOCAL_NETWORKS)


@pytest.mark.parametrize("address", ["8.8.8.8", "172.32.0.1", "2001:db8::1", "100.64.0.1", UNKNOWN, "192.169.0.1"])
def test_the_default_trusts_nobody_else(address: str) -> None:
    assert address not in AddressList(LOCAL_NETWORKS)


def test_what_is_no_address_is_said_and_trusts_nobody() -> None:
    addresses = AddressList(["192.168.1.5/24", "300.1.2.3", "10.0.0.0/33", "a b", "my-pc.lan", "Printer.LOCAL."])
    assert addresses.names == ["my-pc.lan", "printer.local"]
    assert len(addresses.problems) == 4
    assert "192.168.1.0/24" in addresses.problems[0]
    assert "192.168.1.5" not in addresses


@given(st.lists(st.text()))
def test_a_list_can_be_made_of_any_texts(entries: list[str]) -> None:
    addresses = AddressList(entries)
    assert len(addresses.names) + len(addresses.problems) <= len(entries)


@pytest.mark.parametrize(
    ("forwarded_for", "real_ip", "expected"),
    [
        (None, None, []),
        ("8.8.8.8", None, ["8.8.8.8"]),
        ("10.0.0.9, 8.8.8.8", None, ["8.8.8.8"]),
        ("8.8.8.8, 127.0.0.1", None, ["8.8.8.8"]),
        ("6.6.6.6, 8.8.8.8, 127.0.0.1, ::1", None, ["8.8.8.8"]),
        ("127.0.0.1", None, ["127.0.0.1"]),
        ("127.0.0.1, 127.0.0.2", None, ["127.0.0.1"]),
        ("10.0.0.9, nonsense", None, [UNKNOWN]),
        (" , ", None, []),
        (None, "8.8.8.8", ["8.8.8.8"]),
        ("8.8.8.8", "8.8.8.8", ["8.8.8.8"]),
        ("10.0.0.9", "8.8.8.8", ["10.0.0.9", "8.8.8.8"]),
        ("8.8.8.8", "127.0.0.1", ["8.8.8.8"]),
        (None, "127.0.0.1", ["127.0.0.1"]),
    ],
)
def test_behind_proxy(forwarded_for: str | None, real_ip: str | None, expected: list[str]) -> None:
    assert behind_proxy(AddressList(LOOPBACK), forwarded_for, real_ip) == expected


@given(st.text(), st.ip_addresses(v=4).filter(lambda address: not address.is_loopback))
def test_nothing_that_a_client_sends_hides_the_hop_that_the_proxy_added(
    invented: str, caller: ipaddress.IPv4Address
) -> None:
    assert behind_proxy(AddressList(LOOPBACK), f"{invented}, {caller}", None) == [str(caller)]
