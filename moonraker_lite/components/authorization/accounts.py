"""Wire types of the account endpoints, and the sentences for accounts that do not exist.

There are no user accounts yet: the endpoints check what they are given and say so.
"""

from __future__ import annotations

import msgspec

from moonraker_lite.errors import BadRequest, HostError, Unauthorized

RESERVED = frozenset({"_API_KEY_USER_", "_TRUSTED_USER_"})
NO_ACCOUNTS = "This host has no user accounts; access goes by trusted_clients and the API key"


class LoginParams(msgspec.Struct, frozen=True):
    username: str
    password: str
    source: str | None = None


class CreateParams(msgspec.Struct, frozen=True):
    username: str
    password: str


class DeleteParams(msgspec.Struct, frozen=True):
    username: str


class PasswordParams(msgspec.Struct, frozen=True):
    password: str
    new_password: str


class RefreshParams(msgspec.Struct, frozen=True):
    refresh_token: str


class AccessInfo(msgspec.Struct, frozen=True):
    """`trusted` tells whether the caller's address needs no credential."""

    default_source: str
    available_sources: tuple[str, ...]
    login_required: bool
    trusted: bool


class UserInfo(msgspec.Struct, frozen=True):
    """`created_on` is a Unix time in seconds."""

    username: str
    source: str
    created_on: float


class UserList(msgspec.Struct, frozen=True):
    users: tuple[UserInfo, ...] = ()


def login_refused(params: LoginParams, default_source: str) -> HostError:
    """The answer to a log-in. It does not tell whether the user exists: nobody can learn names from it."""
    source = params.source or default_source
    if source == "ldap":
        return Unauthorized("LDAP authentication not available")
    if source != "moonraker":
        return BadRequest(f"Invalid 'source': {source}; moonraker is available")
    return BadRequest("Invalid user name or password")
