"""Options of `[authorization]`, named as Moonraker names them; `trusted_proxies` is ours."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

# Loopback, link-local and private networks: what Moonraker's own example configuration trusts.
LOCAL_NETWORKS = (
    "10.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
)
LOOPBACK = ("127.0.0.0/8", "::1/128")


class AuthorizationSettings(msgspec.Struct, frozen=True):
    """`trusted_clients` are addresses, networks (CIDR) and host names that need no credential; `trusted_proxies` are
    those whose X-Real-IP and X-Forwarded-For are believed. `login_timeout` is in days."""

    trusted_clients: tuple[str, ...] = LOCAL_NETWORKS
    trusted_proxies: tuple[str, ...] = LOOPBACK
    cors_domains: tuple[str, ...] = ()
    force_logins: bool = False
    enable_api_key: bool = True
    default_source: Literal["moonraker", "ldap"] = "moonraker"
    login_timeout: Annotated[int, Meta(ge=1)] = 90
    max_login_attempts: Annotated[int, Meta(ge=1)] | None = None
