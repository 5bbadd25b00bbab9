"""Who may call: what the transports ask of the authorization component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from moonraker_lite.api.request import User

TRUSTED_USER = User("_TRUSTED_USER_", "trusted")
API_KEY_USER = User("_API_KEY_USER_")


class AccessRevoked(msgspec.Struct, frozen=True):
    """Event: credentials of this user are void from now on (a new API key, a logout, a deleted user)."""

    user: str


class AccessPolicy(Protocol):
    """Decides for each HTTP request and each connection. All methods return at once.

    `headers` have lower-case names, `query` holds decoded arguments, `peer_ip` is the address of the socket's other
    end.
    """

    def client_ip(self, headers: Mapping[str, str], peer_ip: str) -> str:
        """The caller's address: that of the peer, or what a trusted proxy says of the one it speaks for."""

    def authorize(self, headers: Mapping[str, str], query: Mapping[str, str], peer_ip: str) -> User | None:
        """Tell who sends this HTTP request; None when nobody known.

        Raises:
            Unauthorized: it brings a credential that is wrong, even if the address alone would be trusted.
        """

    def authorize_upgrade(self, headers: Mapping[str, str], query: Mapping[str, str], peer_ip: str) -> User | None:
        """As `authorize` for the opening of a websocket, where a wrong credential counts as none: clients send
        placeholders there, and may identify later on the connection itself."""

    def identify(self, remote_ip: str, api_key: str | None, access_token: str | None) -> User:
        """Tell whose credential this is, which a client gave in server.connection.identify.

        Raises:
            Unauthorized: it is wrong.
        """

    def origin_allowed(self, origin: str) -> bool:
        """Whether pages of this origin may read answers (`cors_domains`)."""

    def same_site(self, headers: Mapping[str, str]) -> bool:
        """Whether a request comes from no page, from a page of this very host, or from an allowed origin.

        Websockets are refused otherwise."""
