"""Who may do what: the question that transports ask, answered by the authorization component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from moonraker_lite.api.request import User


class Access(Protocol):
    """Decides about callers. All methods are quick and do no I/O: they run for every request."""

    def client_ip(self, headers: Mapping[str, str], peer_ip: str) -> str:
        """The address of the client; forwarding headers count only when the peer is a trusted proxy."""

    def authorize(self, headers: Mapping[str, str], query: Mapping[str, Any], ip: str) -> User | None:
        """The user behind a request, None when there is no credential and the address is not trusted.

        Raises:
            Unauthorized: a credential was given and is not valid; that is refused from trusted addresses too.
        """

    def origin_allowed(self, origin: str) -> bool:
        """Whether a web page of this origin may use the API (cors_domains)."""
