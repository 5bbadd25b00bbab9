"""Wire types of /machine: arguments, answers and the notification, in the order and with the names of Moonraker."""

from __future__ import annotations

import msgspec

from moonraker_lite.components.machine import facts
from moonraker_lite.components.machine.monitor import LoopLag
from moonraker_lite.components.machine.network import CanInterface, NetworkInterface
from moonraker_lite.components.machine.samples import MemoryUsage, ProcessUsage, Traffic
from moonraker_lite.components.machine.services import ServiceState
from moonraker_lite.components.machine.throttle import Throttled


class SystemInfo(msgspec.Struct, frozen=True):
    """What the machine is; see the modules of the parts."""

    python: facts.PythonInfo
    cpu_info: facts.CpuInfo
    sd_info: dict[str, str | int]
    distribution: facts.Distribution
    virtualization: facts.Virtualization
    network: dict[str, NetworkInterface]
    canbus: dict[str, CanInterface]
    provider: str
    available_services: list[str]
    service_state: dict[str, ServiceState]
    instance_ids: dict[str, str]


class SystemInfoAnswer(msgspec.Struct, frozen=True):
    system_info: SystemInfo


class ProcStats(msgspec.Struct, frozen=True):
    """`system_uptime` is in seconds. `event_loop` is ours: how late the server's own work is."""

    moonraker_stats: list[ProcessUsage]
    throttled_state: Throttled | None
    cpu_temp: float | None
    network: dict[str, Traffic]
    system_cpu_usage: dict[str, float]
    system_uptime: float
    system_memory: MemoryUsage
    websocket_connections: int
    event_loop: LoopLag


class ProcStatUpdate(msgspec.Struct, frozen=True):
    """The payload of notify_proc_stat_update."""

    moonraker_stats: ProcessUsage
    cpu_temp: float | None
    network: dict[str, Traffic]
    system_cpu_usage: dict[str, float]
    system_memory: MemoryUsage
    websocket_connections: int


class ServiceParams(msgspec.Struct, frozen=True):
    service: str


class SudoParams(msgspec.Struct, frozen=True):
    check_access: bool = False


class PasswordParams(msgspec.Struct, frozen=True):
    password: str


class CanParams(msgspec.Struct, frozen=True):
    interface: str = "can0"


class SudoInfo(msgspec.Struct, frozen=True):
    """`sudo_access` is None while nobody has asked to check it."""

    sudo_access: bool | None
    linux_user: str
    sudo_requested: bool = False
    request_messages: tuple[str, ...] = ()
