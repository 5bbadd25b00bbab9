"""What the server is: server.info, server.config, identify, restart, log rollover, the welcome page."""

from __future__ import annotations

from typing import Any

import msgspec

from moonraker_lite.api.connections import CLIENT_TYPES, ClientConnection, ClientInfo, Connections
from moonraker_lite.api.endpoint import Via, endpoint
from moonraker_lite.api.facts import API_VERSION, HostFacts
from moonraker_lite.api.lockdown import AccessGate
from moonraker_lite.api.replies import RawReply
from moonraker_lite.api.request import Request
from moonraker_lite.component import Component
from moonraker_lite.components.welcome import welcome_page
from moonraker_lite.config import Config
from moonraker_lite.errors import BadRequest, Unauthorized, Unavailable
from moonraker_lite.klippy import KlippyClient

_API_VERSION_STRING = ".".join(map(str, API_VERSION))
_NO_KLIPPER_SERVICE = "Unable to detect Klipper Service, cannot perform manual rollover"


class ServerState(msgspec.Struct, frozen=True):
    """The answer of server.info. All but the last field are Moonraker's; `lite_version` is our own version."""

    klippy_connected: bool
    klippy_state: str
    components: list[str]
    failed_components: list[str]
    registered_directories: list[str]
    warnings: list[str]
    websocket_count: int
    moonraker_version: str
    missing_klippy_requirements: list[str]
    api_version: tuple[int, int, int]
    api_version_string: str
    lite_version: str


class ConfigAnswer(msgspec.Struct, frozen=True):
    """`config` are the typed values, `orig` the texts of the files, `files` their names and sections."""

    config: dict[str, dict[str, Any]]
    orig: dict[str, dict[str, str]]
    files: list[dict[str, Any]]


class IdentifyParams(msgspec.Struct, frozen=True):
    """Missing fields are complained of in this order."""

    client_name: str
    version: str
    type: str
    url: str
    access_token: str | None = None
    api_key: str | None = None


class IdentifyAnswer(msgspec.Struct, frozen=True):
    connection_id: int


class WebsocketId(msgspec.Struct, frozen=True):
    websocket_id: int


class RolloverParams(msgspec.Struct, frozen=True):
    application: str | None = None


class RolloverAnswer(msgspec.Struct, frozen=True):
    """`failed` maps an application to the reason."""

    rolled_over: list[str]
    failed: dict[str, str]


class Server(Component, section="server_info", name="server"):
    """Tells clients what they are connected to."""

    def __init__(
        self,
        facts: HostFacts,
        config: Config,
        klippy: KlippyClient,
        connections: Connections,
        gate: AccessGate,
    ) -> None:
        self._facts = facts
        self._config = config
        self._klippy = klippy
        self._connections = connections
        self._gate = gate

    @endpoint("GET", "/server/info", rpc="server.info")
    def info(self, request: Request) -> ServerState:
        """The state of the host and of the printer behind it."""
        facts, klippy = self._facts, self._klippy
        return ServerState(
            klippy_connected=klippy.connected,
            klippy_state=klippy.state.text,
            components=facts.components,
            failed_components=facts.failed_components,
            registered_directories=facts.directories,
            warnings=facts.warnings,
            websocket_count=len(self._connections),
            moonraker_version=facts.moonraker_version,
            missing_klippy_requirements=klippy.missing_requirements,
            api_version=API_VERSION,
            api_version_string=_API_VERSION_STRING,
            lite_version=facts.version,
        )

    @endpoint("GET", "/server/config", rpc="server.config")
    def config(self, request: Request) -> ConfigAnswer:
        """The configuration, with secrets hidden."""
        return ConfigAnswer(self._config.parsed(), self._config.original(), self._config.files())

    @endpoint("POST", None, rpc="server.connection.identify", via=Via.CONNECTION, auth=False)
    def identify(self, request: Request, params: IdentifyParams) -> IdentifyAnswer:
        """Say who is behind a connection, once. A wrong credential leaves the connection without any rights."""
        connection = _connection_of(request)
        if connection.client is not None:
            raise BadRequest(f"Connection already identified: {msgspec.to_builtins(connection.client)}")
        if params.access_token or params.api_key:
            connection.user = None
            connection.user = self._gate.policy.identify(
                connection.remote_ip, params.api_key or None, params.access_token or None
            )
        elif connection.user is None:
            raise Unauthorized("Unauthorized")
        if params.type not in CLIENT_TYPES:
            raise BadRequest(f"Invalid Client Type: {params.type}; known are {', '.join(CLIENT_TYPES)}")
        connection.client = ClientInfo(params.client_name, params.version, params.type, params.url)
        return IdentifyAnswer(connection.id)

    @endpoint("GET", None, rpc="server.websocket.id", via=Via.CONNECTION)
    def websocket_id(self, request: Request) -> WebsocketId:
        """The id of the caller's connection."""
        return WebsocketId(_connection_of(request).id)

    @endpoint("POST", "/server/restart", rpc="server.restart")
    def restart(self, request: Request) -> str:
        """Restart the host; the connection is closed soon after the answer."""
        if self._facts.restart is None:
            raise Unavailable("This host cannot restart itself; restart its service instead")
        self._facts.restart()
        return "ok"

    @endpoint("POST", "/server/logs/rollover", rpc="server.logs.rollover")
    def rollover(self, request: Request, params: RolloverParams) -> RolloverAnswer:
        """Begin a new log file, of one application or of all."""
        if params.application not in (None, "moonraker", "klipper"):
            raise BadRequest(f"Unknown application {params.application}; known are moonraker and klipper")
        answer = RolloverAnswer([], {})
        if params.application != "klipper":
            if self._facts.rollover is None:
                answer.failed["moonraker"] = "No log file is written"
            else:
                self._facts.rollover()
                answer.rolled_over.append("moonraker")
        if params.application != "moonraker":
            answer.failed["klipper"] = _NO_KLIPPER_SERVICE
        return answer

    @endpoint("GET", "/", via=Via.HTTP, auth=False)
    def welcome(self, request: Request) -> RawReply:
        """A page for those who open the host itself in a browser. Strangers learn nothing but what stands here."""
        return welcome_page(self.info(request) if request.user is not None else None, request.remote_ip)


def _connection_of(request: Request) -> ClientConnection:
    if request.connection is None:
        raise BadRequest("This is possible over a lasting connection only")
    return request.connection
