"""The component: settings and key in, `Authorizer` and the `/access` endpoints out."""

from __future__ import annotations

import asyncio
import logging
import time

from moonraker_lite.api.access import API_KEY_USER, AccessRevoked
from moonraker_lite.api.connections import Connections
from moonraker_lite.api.endpoint import endpoint
from moonraker_lite.api.facts import HostFacts
from moonraker_lite.api.lockdown import AccessGate
from moonraker_lite.api.request import Request, User
from moonraker_lite.component import Component
from moonraker_lite.components.authorization import accounts, apikey
from moonraker_lite.components.authorization.accounts import (
    NO_ACCOUNTS,
    RESERVED,
    AccessInfo,
    CreateParams,
    DeleteParams,
    LoginParams,
    PasswordParams,
    RefreshParams,
    UserInfo,
    UserList,
)
from moonraker_lite.components.authorization.authorizer import Authorizer
from moonraker_lite.components.authorization.names import NameWatcher
from moonraker_lite.components.authorization.settings import AuthorizationSettings
from moonraker_lite.datapath import DataPath
from moonraker_lite.errors import BadRequest, Forbidden, InternalError, NotFound, Unauthorized
from moonraker_lite.events import Events
from moonraker_lite.tasks import TaskOwner

_LOGGER = logging.getLogger(__name__)


class Authorization(Component, section="authorization"):
    """Decides who may call, from its start on; until then (and if it fails) the gate is locked."""

    def __init__(
        self,
        settings: AuthorizationSettings,
        data: DataPath,
        events: Events,
        connections: Connections,
        facts: HostFacts,
        gate: AccessGate,
    ) -> None:
        self._settings = settings
        self._key_file = data.database / "api_key"
        self._events = events
        self._connections = connections
        self._facts = facts
        self._gate = gate
        self._tasks = TaskOwner("authorization")
        self._watcher: NameWatcher | None = None
        key, self._key_made = self._load_key() if settings.enable_api_key else (None, 0.0)
        self.authorizer = Authorizer(settings, api_key=key, on_stranger=self._hurry)

    async def start(self) -> None:
        """Report bad entries of the lists, and begin to look up host names if there are any."""
        lists = (("trusted_clients", self.authorizer.clients), ("trusted_proxies", self.authorizer.proxies))
        for option, addresses in lists:
            for problem in addresses.problems:
                self._facts.warn(f"[authorization] {option}: {problem}; the entry trusts nobody")
        if self.authorizer.proxies.names:
            self._facts.warn("[authorization] trusted_proxies: host names are not looked up; write addresses")
        if self._settings.default_source == "ldap":
            self._facts.warn("[authorization] default_source: LDAP is not available; moonraker is used")
        if self.authorizer.clients.names:
            self._watcher = NameWatcher(self.authorizer.clients, self.authorizer.forget)
            self._tasks.spawn(self._watcher.run(), "names")
        self._gate.policy = self.authorizer

    async def stop(self) -> None:
        """End the look-ups."""
        await self._tasks.close()

    @endpoint("GET", "/access/info", rpc="access.info", auth=False)
    def info(self, request: Request) -> AccessInfo:
        """How one can log in here, and whether the caller has to."""
        return AccessInfo(
            default_source="moonraker",
            available_sources=("moonraker",),
            login_required=self.authorizer.login_required,
            trusted=self.authorizer.trusted(request.remote_ip) is not None,
        )

    @endpoint("GET", "/access/user", rpc="access.get_user")
    def get_user(self, request: Request) -> UserInfo:
        """Who the caller is."""
        user = _caller(request)
        if user.name == API_KEY_USER.name:
            since = self._key_made
        else:
            since = self.authorizer.standing(request.remote_ip).since
        return UserInfo(user.name, "moonraker", since)

    @endpoint("GET", "/access/users/list", rpc="access.users.list")
    def users(self, request: Request) -> UserList:
        """All user accounts."""
        return UserList()

    @endpoint("GET", "/access/oneshot_token", rpc="access.oneshot_token")
    def oneshot_token(self, request: Request) -> str:
        """A token for one request from the caller's address within five seconds, as `?token=`."""
        return self.authorizer.issue_token(_caller(request), request.remote_ip)

    @endpoint("GET", "/access/api_key", rpc="access.get_api_key")
    def get_api_key(self, request: Request) -> str:
        """The API key: 32 hexadecimal digits."""
        key = self.authorizer.api_key
        if key is None:
            raise NotFound("The API key is switched off by enable_api_key in [authorization]")
        return key

    @endpoint("POST", "/access/api_key", rpc="access.post_api_key")
    async def post_api_key(self, request: Request) -> str:
        """Replace the API key. The old one is void at once, and connections that came with it are closed."""
        self.get_api_key(request)
        key = apikey.new_key()
        try:
            await asyncio.to_thread(apikey.store_key, self._key_file, key)
        except OSError as error:
            raise InternalError(f"The new API key cannot be stored ({error.strerror}); the old one stays") from None
        self.authorizer.api_key, self._key_made = key, time.time()
        self.authorizer.tokens.revoke(API_KEY_USER.name)
        for connection in self._connections:
            if connection.user == API_KEY_USER and connection is not request.connection:
                connection.close("The API key was replaced")
        self._events.publish(AccessRevoked(API_KEY_USER.name))
        return key

    @endpoint("POST", "/access/login", rpc="access.login", auth=False)
    def login(self, request: Request, params: LoginParams) -> None:
        """Log in; there are no accounts, so nobody can."""
        raise accounts.login_refused(params, self._settings.default_source)

    @endpoint("POST", "/access/logout", rpc="access.logout")
    def logout(self, request: Request) -> None:
        """Log out; who is trusted without a log-in cannot."""
        raise BadRequest(f"Invalid log out request for user {_caller(request).name}")

    @endpoint("POST", "/access/refresh_jwt", rpc="access.refresh_jwt", auth=False)
    def refresh_jwt(self, request: Request, params: RefreshParams) -> None:
        """Renew an access token; none was ever given out."""
        raise Unauthorized("Invalid Refresh Token")

    @endpoint("POST", "/access/user", rpc="access.post_user")
    def create_user(self, request: Request, params: CreateParams) -> None:
        """Create an account."""
        if params.username in RESERVED:
            raise BadRequest(f"Invalid Request for user {params.username}")
        raise Forbidden(NO_ACCOUNTS)

    @endpoint("DELETE", "/access/user", rpc="access.delete_user")
    def delete_user(self, request: Request, params: DeleteParams) -> None:
        """Delete an account."""
        if params.username in RESERVED:
            raise BadRequest(f"Invalid Request for reserved user {params.username}")
        raise BadRequest(f"No registered user: {params.username}")

    @endpoint("POST", "/access/user/password", rpc="access.user.password")
    def change_password(self, request: Request, params: PasswordParams) -> None:
        """Change the caller's password; who is trusted without a log-in has none."""
        raise BadRequest(f"Invalid Reset Request for user {_caller(request).name}")

    def _load_key(self) -> tuple[str, float]:
        found = apikey.load_key(self._key_file)
        if found is not None:
            return found
        key = apikey.new_key()
        try:
            self._key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            apikey.store_key(self._key_file, key)
        except OSError as error:
            _LOGGER.warning("the API key cannot be stored: %s", error.strerror)
            self._facts.warn(f"The API key cannot be stored ({error.strerror}): it will be another after a restart")
        return key, time.time()

    def _hurry(self) -> None:
        if self._watcher is not None:
            self._watcher.hurry()


def _caller(request: Request) -> User:
    """The user of an endpoint that requires one."""
    if request.user is None:
        raise Unauthorized("Unauthorized")
    return request.user
