"""Addresses: one spelling for each, lists of trusted ones, and who stands behind a proxy."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
UNKNOWN = "unknown"
"""Stands for an address that a proxy did not tell: it is in no list."""

_HOST_NAME = re.compile(
    r"(?=.{1,253}\.?$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?", re.IGNORECASE
)
_V4_WITH_PORT = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d{1,5}")
_V6_IN_BRACKETS = re.compile(r"\[([0-9A-Fa-f:.]+)(%[^\]]*)?\](:\d{1,5})?")


def canonical(text: str) -> str:
    """Spell an address in its one form: without port, zone and brackets, IPv4 as IPv4 even when mapped into IPv6.

    What is no address becomes `UNKNOWN`.
    """
    text = text.strip()
    if with_port := _V4_WITH_PORT.fullmatch(text):
        text = with_port[1]
    elif bracketed := _V6_IN_BRACKETS.fullmatch(text):
        text = bracketed[1]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


class AddressList:
    """A list of addresses, networks and (where allowed) host names.

    `problems` has a sentence for each entry that is none of these; such an entry trusts nobody. Host names count only
    through `resolved`, which their owner keeps up to date.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self.names: list[str] = []
        self.problems: list[str] = []
        self.resolved: frozenset[str] = frozenset()
        self._networks: list[Network] = []
        for entry in entries:
            self._add(entry.strip())

    def _add(self, entry: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(entry))
            return
        except ValueError:
            pass
        if "/" in entry:
            self.problems.append(_network_problem(entry))
        elif _HOST_NAME.fullmatch(entry) and not entry.replace(".", "").isdigit():
            self.names.append(entry.lower().rstrip("."))
        else:
            self.problems.append(f"'{entry}' is no address, network or host name")

    def __contains__(self, address: str) -> bool:
        """Whether a canonical address is in the list."""
        if address in self.resolved:
            return True
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _network_problem(entry: str) -> str:
    try:
        meant = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return f"'{entry}' is no network; one looks like 192.168.0.0/16"
    address = entry.partition("/")[0]
    return f"'{entry}' names a host, not a network; write {meant} or {address}"


def behind_proxy(proxies: AddressList, forwarded_for: str | None, real_ip: str | None) -> list[str]:
    """Tell for whom a trusted proxy speaks: the addresses that its headers give, best first; empty when they give none.

    From X-Forwarded-For it is the right-most hop that is no trusted proxy itself, since everything to the left of that
    came from outside; if all hops are proxies, the left-most one is the caller.
    """
    found: list[str] = []
    if forwarded_for:
        hops = [canonical(part) for part in forwarded_for.split(",") if part.strip()]
        outside = next((hop for hop in reversed(hops) if hop not in proxies), None)
        if hops:
            found.append(outside or hops[0])
    if real_ip and (address := canonical(real_ip)) not in found and not (found and address in proxies):
        found.append(address)
    return found
