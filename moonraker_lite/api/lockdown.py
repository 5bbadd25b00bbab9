"""Access while no authorization component decides (it has not started, or it failed): only this machine may call."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from moonraker_lite.api.access import TRUSTED_USER, AccessPolicy
from moonraker_lite.api.request import User
from moonraker_lite.errors import Unauthorized


class Lockdown:
    """Loopback without forwarding headers is trusted, everybody else is refused."""

    def client_ip(self, headers: Mapping[str, str], peer_ip: str) -> str:
        return peer_ip

    def authorize(self, headers: Mapping[str, str], query: Mapping[str, str], peer_ip: str) -> User | None:
        forwarded = headers.get("x-forwarded-for") or headers.get("x-real-ip")
        return None if forwarded or not _is_loopback(peer_ip) else TRUSTED_USER

    def authorize_upgrade(self, headers: Mapping[str, str], query: Mapping[str, str], peer_ip: str) -> User | None:
        return self.authorize(headers, query, peer_ip)

    def identify(self, remote_ip: str, api_key: str | None, access_token: str | None) -> User:
        raise Unauthorized("Credentials cannot be checked: the authorization component failed; see the log")

    def origin_allowed(self, origin: str) -> bool:
        return False

    def same_site(self, headers: Mapping[str, str]) -> bool:
        origin = headers.get("origin")
        return origin is None or origin.partition("://")[2] == headers.get("host")


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class AccessGate:
    """Holds the policy in force: lockdown, until the authorization component has started and sets its own."""

    def __init__(self) -> None:
        self.policy: AccessPolicy = Lockdown()
