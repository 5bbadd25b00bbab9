"""One-shot tokens: five seconds, one use, one address. For downloads and websockets, where browsers send no headers."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from moonraker_lite.api.request import User

LIFETIME = 5.0  # seconds, as Moonraker's
MAX_TOKENS = 1000


class _Ticket(NamedTuple):
    user: User
    address: str
    expires: float


class OneShotTokens:
    """Tokens that were given out and not yet used. Only their digests are kept: a look-up by digest tells an attacker
    who measures its time nothing about a token."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tickets: OrderedDict[bytes, _Ticket] = OrderedDict()

    def issue(self, user: User, address: str) -> str:
        """Give out a token of 32 characters for use from one address."""
        self._expire()
        while len(self._tickets) >= MAX_TOKENS:
            self._tickets.popitem(last=False)
        token = base64.b32encode(secrets.token_bytes(20)).decode()
        self._tickets[_digest(token)] = _Ticket(user, address, self._clock() + LIFETIME)
        return token

    def redeem(self, token: str, address: str) -> User | None:
        """Use up a token. None when it is unknown, too old or belongs to another address."""
        self._expire()
        digest = _digest(token)
        ticket = self._tickets.get(digest)
        if ticket is None or ticket.address != address:
            return None
        del self._tickets[digest]
        return ticket.user

    def revoke(self, user: str) -> None:
        """Void all tokens of a user."""
        for digest in [digest for digest, ticket in self._tickets.items() if ticket.user.name == user]:
            del self._tickets[digest]

    def __len__(self) -> int:
        return len(self._tickets)

    def _expire(self) -> None:
        now = self._clock()
        while self._tickets:
            digest, ticket = next(iter(self._tickets.items()))
            if ticket.expires > now:
                return
            del self._tickets[digest]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
