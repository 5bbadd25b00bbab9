"""Trying a webcam's snapshot address from the host's side, without becoming a tool against other machines.

Nothing of the answer is given out but whether there was a good one; redirects are not followed; addresses that no
camera has (link-local, where clouds keep their secrets, multicast, unspecified) are not asked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

TIMEOUT = 3.0  # seconds for the whole attempt
_HEAD_LIMIT = 4096


class _Target(NamedTuple):
    address: str
    host: str
    port: int
    tls: bool
    path: str


def own_address() -> str:
    """The address of this host on its network. A datagram socket is pointed outwards; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


async def reachable(url: str) -> bool:
    """Whether a GET of this http(s) address is answered with a status of 200 to 299."""
    try:
        async with asyncio.timeout(TIMEOUT):
            target = await _resolve(urlsplit(url))
            return target is not None and await _ask(target)
    except (OSError, ValueError, TimeoutError, asyncio.LimitOverrunError, asyncio.IncompleteReadError):
        return False


async def _resolve(parts: SplitResult) -> _Target | None:
    """Look the host up once: what is checked is what is asked then."""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    rows = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if any(ord(letter) < 33 or ord(letter) > 126 for letter in path):
        return None
    for row in rows:
        address = str(row[4][0])
        if may_be_asked(address):
            return _Target(address, parts.hostname, port, tls, path)
    return None


def may_be_asked(address: str) -> bool:
    """Whether a camera can have this address."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return not (parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified)


async def _ask(target: _Target) -> bool:
    context = None
    if target.tls:
        import ssl

        # Cameras sign their own certificates, and nothing secret is sent.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(
        target.address, target.port, ssl=context, server_hostname=target.host if context else None, limit=_HEAD_LIMIT
    )
    try:
        host = f"[{target.host}]" if ":" in target.host else target.host
        writer.write(f"GET {target.path} HTTP/1.0\r\nHost: {host}:{target.port}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
    finally:
        writer.close()
    fields = line.split()
    return len(fields) >= 2 and fields[0].startswith(b"HTTP/") and fields[1].isdigit() and fields[1][:1] == b"2"
