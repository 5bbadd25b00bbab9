"""Services and power of the machine, through systemctl where systemd runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Literal

import msgspec

from moonraker_lite.components.machine.kernel import ROOT, text_of
from moonraker_lite.components.machine.programs import run_program
from moonraker_lite.errors import BadRequest, Unavailable

Action = Literal["start", "stop", "restart"]
TIMEOUT = 30.0  # seconds that systemctl may take
MAX_OUTPUT = 200  # characters of systemctl's complaint that are passed on
# What front ends may start and stop unless moonraker.asvc in the data path says otherwise.
DEFAULT_ALLOWED = (
    "klipper_mcu",
    "webcamd",
    "MoonCord",
    "KlipperScreen",
    "moonraker-telegram-bot",
    "moonraker-obico",
    "sonar",
    "crowsnest",
    "octoeverywhere",
    "ratos-configurator",
)
_ALWAYS_ALLOWED = ("moonraker", "klipper")
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,100}")
_UNIT = re.compile(r"/([^/]+)\.service(?:/|$)")


class ServiceState(msgspec.Struct, frozen=True):
    """systemd's words."""

    active_state: str
    sub_state: str


def allowed_names(asvc: Path) -> tuple[str, ...]:
    """Base names of services that may be controlled: one in a line of moonraker.asvc, or the default ones."""
    lines = [line.strip() for line in text_of(asvc).splitlines()]
    names = [line for line in lines if _NAME.fullmatch(line)] or list(DEFAULT_ALLOWED)
    return tuple(dict.fromkeys((*_ALWAYS_ALLOWED, *names)))


def parse_units(output: str, allowed: tuple[str, ...]) -> dict[str, ServiceState]:
    """Read `systemctl list-units --plain --no-legend`: the allowed services and their further instances (klipper-2)."""
    pattern = re.compile(rf"({'|'.join(map(re.escape, allowed))})(-[\w.]+)?")
    found = {}
    for line in output.splitlines():
        fields = line.split(maxsplit=4)
        if len(fields) >= 4 and fields[0].endswith(".service") and fields[1] == "loaded":
            name = fields[0].removesuffix(".service")
            if pattern.fullmatch(name):
                found[name] = ServiceState(fields[2], fields[3])
    return found


def unit_of(pid: int | str, root: Path = ROOT) -> str | None:
    """The service that a process belongs to; None when it was not started by systemd."""
    found = _UNIT.findall(text_of(root / "proc" / str(pid) / "cgroup").replace("\n", "/\n"))
    return found[-1] if found and not found[-1].startswith("user@") else None


class NoProvider:
    """There is nobody who could control services or power."""

    name = "none"

    async def states(self) -> dict[str, ServiceState]:
        """There are none."""
        return {}

    async def act(self, action: Action, service: str) -> None:
        """Raises BadRequest."""
        raise BadRequest(f"Service '{service}' not allowed")

    async def power(self, action: str) -> None:
        """Raises BadRequest."""
        raise BadRequest(f"The host cannot {action}: no service manager (systemd) is in use here")


class SystemdCli:
    """Uses systemctl. Rights come from the user's polkit rules; no password is ever asked or given."""

    name = "systemd_cli"

    def __init__(self, command: str, allowed: tuple[str, ...]) -> None:
        self._command = command
        self._allowed = allowed

    async def states(self) -> dict[str, ServiceState]:
        """Every allowed service that exists, with its state."""
        output = await self._run("list-units", "--all", "--type=service", "--plain", "--no-legend", "--no-pager")
        return parse_units(output, self._allowed)

    async def act(self, action: Action, service: str) -> None:
        """Start, stop or restart a service.

        Raises:
            BadRequest: the service is none of the allowed ones, or systemctl refuses.
        """
        if service not in await self.states():
            raise BadRequest(f"Service '{service}' not allowed")
        await self._run("--no-ask-password", action, f"{service}.service")

    async def power(self, action: str) -> None:
        """`reboot`, `poweroff` or `halt`. Raises BadRequest when systemctl refuses."""
        await self._run("--no-ask-password", action)

    async def _run(self, *arguments: str) -> str:
        try:
            ended = await run_program(self._command, *arguments, seconds=TIMEOUT)
        except TimeoutError:
            raise Unavailable(f"systemctl did not answer within {TIMEOUT:.0f} seconds") from None
        except OSError as error:
            raise Unavailable(f"systemctl cannot be run: {error.strerror}") from None
        if ended.status:
            said = " ".join(ended.complaint.split())[:MAX_OUTPUT]
            raise BadRequest(f"systemctl refuses: {said or f'exit status {ended.status}'}")
        return ended.output


Provider = NoProvider | SystemdCli


def find_provider(wanted: str | None, allowed: tuple[str, ...], root: Path = ROOT) -> Provider:
    """The provider that is really there; `wanted` is the option of the configuration (None: find out)."""
    command = shutil.which("systemctl")
    if wanted in ("none", "supervisord_cli") or command is None or not (root / "run/systemd/system").is_dir():
        return NoProvider()
    return SystemdCli(command, allowed)
