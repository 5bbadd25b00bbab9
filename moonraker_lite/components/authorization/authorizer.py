"""The decision itself: from headers, query and address to a user. Pure, apart from the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from moonraker_lite.api.access import API_KEY_USER, TRUSTED_USER
from moonraker_lite.api.request import User
from moonraker_lite.components.authorization.addresses import AddressList, behind_proxy, canonical
from moonraker_lite.components.authorization.apikey import matches
from moonraker_lite.components.authorization.origins import Origins, is_own
from moonraker_lite.components.authorization.settings import AuthorizationSettings
from moonraker_lite.components.authorization.tokens import OneShotTokens
from moonraker_lite.errors import Unauthorized

MAX_REMEMBERED = 1024
_LOOPBACK = "127.0.0.1"


class Standing(NamedTuple):
    """What an address alone is worth. `since` is when it was first seen, as a Unix time in seconds."""

    user: User | None
    since: float


class Authorizer:
    """Implements `api.access.AccessPolicy`.

    What is worked out for an address is remembered (up to 1,024 addresses), so that a request without credentials costs
    a few look-ups. `verify_token` names the user of a JSON web token; `has_users` tells whether anybody could log in.
    """

    def __init__(
        self,
        settings: AuthorizationSettings,
        *,
        api_key: str | None = None,
        verify_token: Callable[[str], User | None] = lambda token: None,
        has_users: Callable[[], bool] = lambda: False,
        on_stranger: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clients = AddressList(settings.trusted_clients)
        self.proxies = AddressList(settings.trusted_proxies)
        self.api_key = api_key if settings.enable_api_key else None
        self.tokens = OneShotTokens(clock)
        self._origins = Origins(settings.cors_domains)
        self._force_logins = settings.force_logins
        self._verify_token = verify_token
        self._has_users = has_users
        self._on_stranger = on_stranger
        self._standings: dict[str, Standing] = {}
        self._peers: dict[str, tuple[str, bool]] = {}

    @property
    def login_required(self) -> bool:
        """Whether trusted addresses have to log in too."""
        return self._force_logins and self._has_users()

    def forget(self) -> None:
        """Work out again what addresses are worth: a list has changed."""
        self._standings.clear()
        self._peers.clear()

    def client_ip(self, headers: Mapping[str, str], peer_ip: str) -> str:
        """The caller's address; see `AccessPolicy.client_ip`.

        Where a proxy sets only one of the two headers and passes the other on as it came, that other one is the
        caller's invention. So when they contradict each other, the address that is trusted less is believed.
        """
        address, is_proxy = self._peers.get(peer_ip) or self._peer(peer_ip)
        if not is_proxy:
            return address
        forwarded_for, real_ip = headers.get("x-forwarded-for"), headers.get("x-real-ip")
        if forwarded_for is None and real_ip is None:
            return address
        found = behind_proxy(self.proxies, forwarded_for, real_ip)
        if len(found) == 2 and self.standing(found[0]).user is not None:
            return found[0] if self.standing(found[1]).user is not None else found[1]
        return found[0] if found else address

    def authorize(self, headers: Mapping[str, str], query: Mapping[str, str], peer_ip: str) -> User | None:
        """Name the user of an HTTP request; see `AccessPolicy.authorize`."""
        address = self.client_ip(headers, peer_ip)
        user = self._by_credential(headers, query, address)
        if user is not None:
            return user
        standing = self._standings.get(address) or self.standing(address)
        return None if self._force_logins and self._has_users() else standing.user

    def authorize_upgrade(self, headers: Mapping[str, str], query: Mapping[str, str], peer_ip: str) -> User | None:
        """Name the user of a websocket; see `AccessPolicy.authorize_upgrade`."""
        try:
            return self.authorize(headers, query, peer_ip)
        except Unauthorized:
            return self.trusted(self.client_ip(headers, peer_ip))

    def identify(self, remote_ip: str, api_key: str | None, access_token: str | None) -> User:
        """Name the user of a credential given in identify; see `AccessPolicy.identify`."""
        if access_token is not None:
            user = self._verify_token(access_token)
            if user is None:
                raise Unauthorized("Invalid access token")
            return user
        if api_key is not None and self.api_key is not None and matches(api_key, self.api_key):
            return API_KEY_USER
        raise Unauthorized("Invalid API Key")

    def trusted(self, address: str) -> User | None:
        """The user that an address is without any credential."""
        return None if self.login_required else self.standing(canonical(address or _LOOPBACK)).user

    def standing(self, address: str) -> Standing:
        """What a canonical address alone is worth."""
        known = self._standings.get(address)
        if known is not None:
            return known
        user = TRUSTED_USER if address in self.clients else None
        if user is None and self.clients.names:
            self._on_stranger()
        if len(self._standings) >= MAX_REMEMBERED:
            self._standings.clear()
        standing = self._standings[address] = Standing(user, time.time())
        return standing

    def origin_allowed(self, origin: str) -> bool:
        """Whether `cors_domains` names this origin."""
        return self._origins.allows(origin)

    def same_site(self, headers: Mapping[str, str]) -> bool:
        """Whether no foreign page is behind a request; see `AccessPolicy.same_site`."""
        origin = headers.get("origin")
        return origin is None or is_own(origin, headers.get("host")) or self._origins.allows(origin)

    def issue_token(self, user: User, remote_ip: str) -> str:
        """Give out a one-shot token to a caller at this address."""
        return self.tokens.issue(user, canonical(remote_ip or _LOOPBACK))

    def _peer(self, peer_ip: str) -> tuple[str, bool]:
        address = canonical(peer_ip or _LOOPBACK)
        if len(self._peers) >= MAX_REMEMBERED:
            self._peers.clear()
        found = self._peers[peer_ip] = (address, address in self.proxies)
        return found

    def _by_credential(self, headers: Mapping[str, str], query: Mapping[str, str], address: str) -> User | None:
        """The user of the first valid credential; None when there is no credential at all.

        Raises:
            Unauthorized: there are some, and none is valid.
        """
        wrong = False
        if self.api_key is not None and (key := headers.get("x-api-key")):
            if matches(key, self.api_key):
                return API_KEY_USER
            wrong = True
        if bearer := _bearer(headers.get("authorization")):
            # OctoPrint's clients may send the API key this way.
            if self.api_key is not None and matches(bearer, self.api_key):
                return API_KEY_USER
            if user := self._verify_token(bearer):
                return user
            wrong = True
        if token := headers.get("x-access-token") or query.get("access_token"):
            if user := self._verify_token(str(token)):
                return user
            wrong = True
        if once := query.get("token"):
            if user := self.tokens.redeem(str(once), address):
                return user
            wrong = True
        if wrong:
            raise Unauthorized("Unauthorized")
        return None


def _bearer(header: str | None) -> str | None:
    """The token of an Authorization header; None for other schemes, which belong to whatever stands in front of us."""
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
