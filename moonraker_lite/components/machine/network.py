"""Network interfaces and their addresses, asked of the kernel over netlink: no program is run."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

from moonraker_lite.components.machine.kernel import ROOT, link_name, names_in, number_of, text_of

# linux/rtnetlink.h, linux/netlink.h, linux/if_addr.h
_RTM_GETADDR, _RTM_NEWADDR, _NLMSG_ERROR, _NLMSG_DONE = 22, 20, 2, 3
_NLM_REQUEST_DUMP = 0x1 | 0x300
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_HEADER = struct.Struct("=IHHII")
_ADDRESS = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_ARPHRD_CAN = 280
_FAMILIES = {int(socket.AF_INET): "ipv4", int(socket.AF_INET6): "ipv6"}


class IpAddress(msgspec.Struct, frozen=True):
    family: str
    address: str
    is_link_local: bool


class NetworkInterface(msgspec.Struct, frozen=True):
    mac_address: str
    ip_addresses: list[IpAddress]


class CanInterface(msgspec.Struct, frozen=True):
    tx_queue_len: int
    bitrate: int
    driver: str


def interfaces(root: Path = ROOT) -> dict[str, NetworkInterface]:
    """Interfaces that have an address, without the loopback one; empty when the kernel does not tell."""
    found: dict[str, NetworkInterface] = {}
    for index, address in _addresses():
        try:
            name = socket.if_indextoname(index)
        except OSError:
            continue
        if name == "lo":
            continue
        if name not in found:
            found[name] = NetworkInterface(text_of(root / "sys/class/net" / name / "address"), [])
        found[name].ip_addresses.append(address)
    return found


def _addresses() -> list[tuple[int, IpAddress]]:
    request = _HEADER.pack(_HEADER.size + _ADDRESS.size, _RTM_GETADDR, _NLM_REQUEST_DUMP, 1, 0) + _ADDRESS.pack(
        *[0] * 5
    )
    found: list[tuple[int, IpAddress]] = []
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
            link.settimeout(0.5)
            link.sendto(request, (0, 0))
            while True:
                for kind, body in split_messages(link.recv(65536)):
                    if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                        return found
                    if kind == _RTM_NEWADDR and (row := parse_address(body)) is not None:
                        found.append(row)
    except (OSError, AttributeError):
        return found


def split_messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and body of each netlink message; a broken one ends it."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            return
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def parse_address(body: bytes) -> tuple[int, IpAddress] | None:
    """Read a RTM_NEWADDR message: index of the interface and its address."""
    if len(body) < _ADDRESS.size:
        return None
    family, _, _, _, index = _ADDRESS.unpack_from(body)
    values: dict[int, bytes] = {}
    at = _ADDRESS.size
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size or at + length > len(body):
            break
        values[kind] = body[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    raw = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
    if family not in _FAMILIES or raw is None or len(raw) not in (4, 16):
        return None
    address = ipaddress.ip_address(raw)
    return index, IpAddress(_FAMILIES[family], str(address), address.is_link_local)


def can_interfaces(root: Path = ROOT) -> dict[str, CanInterface]:
    """CAN interfaces. The kernel's files do not tell the bit rate: it is 0."""
    folder = root / "sys/class/net"
    found = {}
    for name in names_in(folder):
        if number_of(folder / name / "type") == _ARPHRD_CAN:
            queue = number_of(folder / name / "tx_queue_len") or 0
            driver = link_name(folder / name / "device/driver") or ""
            found[name] = CanInterface(queue, 0, driver)
    return found
