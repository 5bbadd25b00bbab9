"""The component: endpoints under /machine, and the notification every second that keeps web clients connected."""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import time

from moonraker_lite.api.connections import Connections
from moonraker_lite.api.endpoint import endpoint
from moonraker_lite.api.facts import HostFacts
from moonraker_lite.api.request import Request
from moonraker_lite.component import Component
from moonraker_lite.components.machine import facts, peripherals
from moonraker_lite.components.machine.answers import (
    CanParams,
    PasswordParams,
    ProcStats,
    ProcStatUpdate,
    ServiceParams,
    SudoInfo,
    SudoParams,
    SystemInfo,
    SystemInfoAnswer,
)
from moonraker_lite.components.machine.canbus import CanNode, find_nodes
from moonraker_lite.components.machine.monitor import Monitor
from moonraker_lite.components.machine.network import can_interfaces, interfaces
from moonraker_lite.components.machine.samples import Sample, Sampler
from moonraker_lite.components.machine.services import Action, ServiceState, allowed_names, find_provider, unit_of
from moonraker_lite.components.machine.settings import MachineSettings
from moonraker_lite.components.machine.throttle import Throttled, ThrottleWatch
from moonraker_lite.datapath import DataPath
from moonraker_lite.errors import BadRequest, HostError, Unavailable
from moonraker_lite.events import Events
from moonraker_lite.klippy import KlippyClient
from moonraker_lite.tasks import TaskOwner

FOLLOW_UP = (0.5, 2.0, 5.0)  # seconds after an action at which the states of services are looked at again
SERVICES_AGE = 2.0  # seconds for which the states of services are good enough for another client
_LOGGER = logging.getLogger(__name__)


class Machine(Component, section="machine"):
    """The machine that the host runs on."""

    def __init__(
        self,
        settings: MachineSettings,
        data: DataPath,
        events: Events,
        connections: Connections,
        klippy: KlippyClient,
        host: HostFacts,
    ) -> None:
        self._settings = settings
        self._events = events
        self._connections = connections
        self._klippy = klippy
        self._host = host
        self._tasks = TaskOwner("machine")
        self._provider = find_provider(settings.provider, allowed_names(data.root / "moonraker.asvc"))
        self._monitor = Monitor(Sampler(), self._report)
        self._throttle = ThrottleWatch(self._throttled)
        self._states: dict[str, ServiceState] = {}
        self._looking = asyncio.Lock()
        self._looked: float | None = None
        self._fixed: tuple[facts.CpuInfo, facts.Distribution, facts.Virtualization] | None = None

    async def start(self) -> None:
        """Begin to measure."""
        self._monitor.start()
        if self._throttle.possible:
            self._tasks.spawn(self._throttle.run(), "throttled")

    async def stop(self) -> None:
        """End everything that runs."""
        self._monitor.stop()
        await self._tasks.close()

    @endpoint("GET", "/machine/system_info", rpc="machine.system_info")
    async def system_info(self, request: Request) -> SystemInfoAnswer:
        """What the machine is: processor, system, network, services."""
        await self._look_at_services(SERVICES_AGE)
        if self._fixed is None:
            self._fixed = await asyncio.to_thread(_fixed_facts)
        cpu, distribution, virtualization = self._fixed
        return SystemInfoAnswer(
            SystemInfo(
                python=facts.python_info(),
                cpu_info=cpu,
                sd_info=facts.card_info(),
                distribution=distribution,
                virtualization=virtualization,
                network=interfaces(),
                canbus=can_interfaces(),
                provider=self._provider.name,
                available_services=list(self._states),
                service_state=self._states,
                instance_ids=self._instance_ids(),
            )
        )

    @endpoint("GET", "/machine/proc_stats", rpc="machine.proc_stats")
    def proc_stats(self, request: Request) -> ProcStats:
        """How busy the machine and the server are, with the server's last 30 seconds."""
        latest = self._monitor.latest
        if latest is None:
            raise Unavailable("Nothing has been measured yet; ask again in a second")
        return ProcStats(
            moonraker_stats=list(self._monitor.history),
            throttled_state=self._throttle.state,
            cpu_temp=latest.cpu_temp,
            network=latest.network,
            system_cpu_usage=latest.system_cpu_usage,
            system_uptime=time.clock_gettime(time.CLOCK_BOOTTIME),
            system_memory=latest.system_memory,
            websocket_connections=len(self._connections),
            event_loop=self._monitor.lag,
        )

    @endpoint("GET", "/machine/peripherals/usb", rpc="machine.peripherals.usb")
    async def usb(self, request: Request) -> dict[str, list[peripherals.UsbDevice]]:
        """USB devices."""
        return {"usb_devices": await asyncio.to_thread(peripherals.usb_devices)}

    @endpoint("GET", "/machine/peripherals/serial", rpc="machine.peripherals.serial")
    async def serial(self, request: Request) -> dict[str, list[peripherals.SerialDevice]]:
        """Serial ports."""
        return {"serial_devices": await asyncio.to_thread(peripherals.serial_devices)}

    @endpoint("GET", "/machine/peripherals/video", rpc="machine.peripherals.video")
    async def video(self, request: Request) -> dict[str, list[peripherals.VideoDevice]]:
        """Cameras that the kernel's video interface knows; libcamera is not asked."""
        return {"v4l2_devices": await asyncio.to_thread(peripherals.video_devices), "libcamera_devices": []}

    @endpoint("GET", "/machine/peripherals/canbus", rpc="machine.peripherals.canbus")
    async def canbus(self, request: Request, params: CanParams) -> dict[str, list[CanNode]]:
        """Boards on a CAN bus that have no id yet; takes two seconds."""
        return {"can_uuids": await asyncio.to_thread(find_nodes, params.interface)}

    @endpoint("POST", "/machine/services/restart", rpc="machine.services.restart")
    async def restart_service(self, request: Request, params: ServiceParams) -> str:
        """Restart a service."""
        return await self._act("restart", params.service)

    @endpoint("POST", "/machine/services/stop", rpc="machine.services.stop")
    async def stop_service(self, request: Request, params: ServiceParams) -> str:
        """Stop a service."""
        return await self._act("stop", params.service)

    @endpoint("POST", "/machine/services/start", rpc="machine.services.start")
    async def start_service(self, request: Request, params: ServiceParams) -> str:
        """Start a service."""
        return await self._act("start", params.service)

    @endpoint("POST", "/machine/reboot", rpc="machine.reboot")
    async def reboot(self, request: Request) -> str:
        """Reboot the machine."""
        await self._provider.power("reboot")
        return "ok"

    @endpoint("POST", "/machine/shutdown", rpc="machine.shutdown")
    async def shutdown(self, request: Request) -> str:
        """Shut the machine down."""
        await self._provider.power(self._settings.shutdown_action)
        return "ok"

    @endpoint("GET", "/machine/sudo/info", rpc="machine.sudo.info")
    def sudo_info(self, request: Request, params: SudoParams) -> SudoInfo:
        """Whether this host may use sudo: it never does."""
        return SudoInfo(False if params.check_access else None, _user_name())

    @endpoint("POST", "/machine/sudo/password", rpc="machine.sudo.password")
    def sudo_password(self, request: Request, params: PasswordParams) -> None:
        """Give a password for sudo, which is not used."""
        raise BadRequest("This host does not use sudo; give its user the rights with polkit rules")

    async def _act(self, action: Action, service: str) -> str:
        if service == self._instance_ids()["moonraker"]:
            if action != "restart":
                raise BadRequest(f"Service action '{action}' not available for {service}")
            if self._host.restart is None:
                raise Unavailable("This host cannot restart itself; restart its service instead")
            self._host.restart()
            return "ok"
        await self._provider.act(action, service)
        self._tasks.spawn(self._follow_up(), "states")
        return "ok"

    async def _follow_up(self) -> None:
        """Tell clients how the states of services change in the seconds after an action."""
        for pause in FOLLOW_UP:
            await asyncio.sleep(pause)
            await self._look_at_services(0.0)

    async def _look_at_services(self, age: float) -> None:
        """Ask for the states of services unless that was done less than `age` seconds ago. Never raises: a service
        manager that fails must not keep front ends from starting."""
        async with self._looking:
            now = time.monotonic()
            if self._looked is not None and now - self._looked < age:
                return
            try:
                found = await self._provider.states()
            except HostError as error:
                _LOGGER.warning("the states of services are unknown: %s", error.message)
                found = self._states
            changed = {name: state for name, state in found.items() if self._states.get(name) != state}
            first, self._looked, self._states = self._looked is None, now, found
            if changed and not first:
                self._events.notify("service_state_changed", changed)

    def _instance_ids(self) -> dict[str, str]:
        info = self._klippy.info
        klipper = unit_of(info.process_id) if info is not None and info.process_id else None
        return {"moonraker": unit_of("self") or "moonraker", "klipper": klipper or "klipper"}

    def _report(self, sample: Sample) -> None:
        if not len(self._connections):
            return
        update = ProcStatUpdate(
            moonraker_stats=sample.moonraker_stats,
            cpu_temp=sample.cpu_temp,
            network=sample.network,
            system_cpu_usage=sample.system_cpu_usage,
            system_memory=sample.system_memory,
            websocket_connections=len(self._connections),
        )
        self._events.notify("proc_stat_update", update, latest=True)

    def _throttled(self, state: Throttled) -> None:
        self._events.notify("cpu_throttled", state)


def _fixed_facts() -> tuple[facts.CpuInfo, facts.Distribution, facts.Virtualization]:
    """What does not change while the machine runs; some of it is read from the disk."""
    return facts.cpu_info(), facts.distribution(), facts.virtualization()


def _user_name() -> str:
    """The user that the host runs as."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
