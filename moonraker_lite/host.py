"""The composition root: configuration, services, components in the order of their needs, transports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from moonraker_lite import __version__
from moonraker_lite.api.connections import Connections
from moonraker_lite.api.endpoint import Endpoint, Via, endpoints_of
from moonraker_lite.api.facts import HostFacts
from moonraker_lite.api.jsonrpc import JsonRpc
from moonraker_lite.api.lockdown import AccessGate
from moonraker_lite.api.openapi import OpenApi
from moonraker_lite.api.table import ApiTable
from moonraker_lite.component import Component
from moonraker_lite.components import COMPONENTS
from moonraker_lite.config import Config, PrinterSettings, ServerSettings
from moonraker_lite.datapath import DataPath
from moonraker_lite.events import Events
from moonraker_lite.klippy import KlippyClient, StatusHub
from moonraker_lite.klippy.relay import KlippyRelay
from moonraker_lite.registry import Built, Registry, load, load_third_party
from moonraker_lite.storage import Database
from moonraker_lite.transports.front import Front, FrontServer, tls_context
from moonraker_lite.transports.http import HttpApi
from moonraker_lite.transports.rpc_over_http import RpcOverHttp
from moonraker_lite.transports.unix_socket import UnixSocketServer

if TYPE_CHECKING:
    from tornado.web import Application

_LOGGER = logging.getLogger(__name__)

RESTART_DELAY = 0.1  # s; the answer to the call that asked for a restart has to leave first
STOP_SECONDS = 10.0  # what a component may take to stop before we go on without it


class Places(msgspec.Struct, frozen=True):
    """Where this host lives: what the command line decides."""

    data: DataPath
    socket: Path
    log_file: Path | None = None


class Host:
    """One run of the daemon, from start to stop (server.restart makes a new one in the same process)."""

    def __init__(self, config: Config, places: Places, kinds: Sequence[type[Component]] | None = None) -> None:
        """Build everything; nothing runs yet. `kinds` replaces the list of components (for tests).

        Raises:
            OSError: the data path cannot be made.
        """
        places.data.make()
        self.config = config
        self.places = places
        self.server = config.decode_valid("server", ServerSettings)
        self.table = ApiTable()
        self.events = Events()
        self.connections = Connections()
        self.facts = HostFacts(__version__)
        self.gate = AccessGate()
        self.database = Database(places.data.database / "moonraker-lite.db")
        relay = KlippyRelay(self.events)
        socket = self.server.klippy_uds_address or places.data.comms / "klippy.sock"
        self.klippy = KlippyClient(socket, listener=relay)
        self.hub = relay.hub = StatusHub(self.klippy)
        services: dict[type, object] = {
            Config: config,
            DataPath: places.data,
            Places: places,
            ServerSettings: self.server,
            PrinterSettings: config.decode_valid("printer", PrinterSettings),
            ApiTable: self.table,
            Events: self.events,
            Connections: self.connections,
            HostFacts: self.facts,
            AccessGate: self.gate,
            Database: self.database,
            KlippyClient: self.klippy,
            StatusHub: self.hub,
        }
        self.registry = Registry(services, config)
        self.registry.build([*load(COMPONENTS), *load_third_party()] if kinds is None else kinds)
        self._front: FrontServer | None = None
        self._unix: UnixSocketServer | None = None
        self.port = 0

    async def start(self) -> None:
        """Start services, components and, when there is something to answer, the transports.

        Raises:
            OSError: the port or the data path cannot be used.
            StorageError: the database cannot be opened or replaced.
        """
        await self.database.open()
        for warning in self.database.warnings:
            self.facts.warn(warning)
        self.events.connect_clients(self.connections.broadcast)
        for built in self.registry.built:
            await self._start_component(built)
        for warning in self.config.warnings():
            self.facts.warn(warning)
        await self._listen()
        await self.klippy.start()

    async def _start_component(self, built: Built) -> None:
        if built.instance is not None:
            try:
                await built.instance.start()
                self.table.add(self._endpoints(built.instance))
                self.facts.components.append(built.name)
                return
            except Exception:  # boundary: one component's fault must not keep the others from starting
                _LOGGER.exception("component %s failed to start", built.name)
                built.problem = f"Component '{built.name}' failed to start; the log has the cause"
        self.facts.components.append(built.name)
        self.facts.failed_components.append(built.name)
        self.facts.warn(built.problem or f"Component '{built.name}' failed")

    @staticmethod
    def _endpoints(component: Component) -> list[Endpoint]:
        """The component's own endpoints and those of the parts it names in `endpoint_owners`."""
        owners = [component, *component.endpoint_owners]
        return [endpoint for owner in owners for endpoint in endpoints_of(owner, component.name)]

    async def _listen(self) -> None:
        access = self.gate.policy
        self.table.add(endpoints_of(RpcOverHttp(self.table), "server"))
        self.table.add(endpoints_of(OpenApi(self.table, __version__), "server"))
        api = HttpApi(self.table, access, self.server.max_upload_size * 1024 * 1024)
        front = self._front = FrontServer(Front(api, self._websockets))
        self.port = front.listen(self.server.host, self.server.port)
        self._listen_tls(front)
        self._unix = UnixSocketServer(self.places.socket, JsonRpc(self.table, Via.SOCKET), self.connections)
        try:
            await self._unix.start()
        except OSError as error:
            self._unix = None
            self.facts.warn(f"The unix socket {self.places.socket.name} cannot be used: {error.strerror or error}")
        if self.server.route_prefix:
            self.facts.warn("[server] route_prefix has no effect here: let the proxy in front take the prefix off")

    def _websockets(self) -> Application:
        from moonraker_lite.transports.klippy_bridge import KlippyBridge
        from moonraker_lite.transports.websocket import application

        access = self.gate.policy
        return application(
            JsonRpc(self.table, Via.WEBSOCKET),
            access,
            self.connections,
            self.server.max_websocket_connections,
            [(r"/klippysocket", KlippyBridge, {"access": access, "socket_path": self.klippy.socket_path})],
        )

    def _listen_tls(self, front: FrontServer) -> None:
        """HTTPS, where a certificate and its key are configured or lie where Moonraker looks for them."""
        settings, certs = self.server, self.places.data.certs
        cert = settings.ssl_certificate_path or certs / "moonraker.cert"
        key = settings.ssl_key_path or certs / "moonraker.key"
        if settings.ssl_certificate_path is None and not (cert.is_file() and key.is_file()):
            return
        try:
            front.listen(settings.host, settings.ssl_port, tls_context(cert, key))
        except OSError as error:
            self.facts.warn(f"HTTPS is off: {error}")

    async def stop(self) -> None:
        """Stop everything in reverse order. Safe after a failed start."""
        if self._front is not None:
            self._front.stop_listening()
        for connection in self.connections:
            connection.close("server stops")
        if self._unix is not None:
            await self._unix.stop()
        for built in reversed(self.registry.built):
            if built.instance is not None:
                await self._stop_component(built.instance)
        await self.hub.close()
        await self.klippy.close()
        if self._front is not None:
            await self._front.close()
        await self.database.close()

    async def _stop_component(self, component: Component) -> None:
        try:
            await asyncio.wait_for(component.stop(), STOP_SECONDS)
        except TimeoutError:
            _LOGGER.error("component %s did not stop within %.0f s", component.name, STOP_SECONDS)
        except Exception:  # boundary: the others have to be stopped all the same
            _LOGGER.exception("component %s failed to stop", component.name)


async def run_once(host: Host, stop: asyncio.Event, started: Callable[[], None] = lambda: None) -> bool:
    """Start the host, wait until `stop` is set or a client asks for a restart, and stop it.

    Returns True when a restart was asked for. `started` is called when the host answers.
    """
    restart = asyncio.Event()
    host.facts.restart = restart.set
    waiting = [asyncio.ensure_future(event.wait()) for event in (stop, restart)]
    try:
        await host.start()
        started()
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if restart.is_set():
            await asyncio.sleep(RESTART_DELAY)
    finally:
        for task in waiting:
            task.cancel()
        await host.stop()
    return restart.is_set() and not stop.is_set()
