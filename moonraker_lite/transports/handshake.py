"""The opening of a websocket: who asks, and from which page."""

from __future__ import annotations

from tornado.websocket import WebSocketHandler

from moonraker_lite.api.access import AccessPolicy
from moonraker_lite.api.params import parse_query
from moonraker_lite.api.request import User
from moonraker_lite.errors import BadRequest, HostError


class GuardedSocket(WebSocketHandler):
    """Base of the websocket endpoints: no foreign pages, and refusals in the form of all other answers."""

    def initialize(self, access: AccessPolicy) -> None:
        self.access = access

    def set_default_headers(self) -> None:
        self.set_header("Server", "moonraker-lite")
        self.set_header("X-Content-Type-Options", "nosniff")

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """What Tornado refuses by itself, in the form of all other answers."""
        self.finish({"error": {"code": status_code, "message": self._reason}})

    def check_origin(self, origin: str) -> bool:
        return self.access.same_site(self.request.headers)

    def caller(self) -> User | None:
        """Who opens the websocket; None when nobody known. Arguments that cannot be read hold no credential."""
        request = self.request
        try:
            arguments = parse_query(request.query)
        except BadRequest:
            arguments = {}
        return self.access.authorize_upgrade(request.headers, arguments, request.remote_ip or "")

    def refuse(self, error: HostError) -> None:
        """Answer the opening with an error; no websocket comes about."""
        self.set_status(error.status)
        self.finish({"error": {"code": error.status, "message": error.message}})
