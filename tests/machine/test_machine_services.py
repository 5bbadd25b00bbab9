"""Services, power and throttling, with real programs in the place of systemctl and vcgencmd."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from moonraker_lite.components.machine import Machine, services, throttle
from moonraker_lite.components.machine import component as machine_component
from moonraker_lite.components.machine.services import (
    DEFAULT_ALLOWED,
    NoProvider,
    ServiceState,
    SystemdCli,
    allowed_names,
    find_provider,
    parse_units,
)
from moonraker_lite.components.machine.throttle import Throttled, ThrottleWatch, describe, parse_vcgencmd
from moonraker_lite.errors import BadRequest, Unavailable
from tests.conftest import MakeHost
from tests.support.api_client import client_of

UNITS = """klipper.service loaded active running Klipper 3D Printer Firmware
klipper-2.service loaded failed failed Second
klipperx.service loaded active running Something else
klipper_mcu.service not-found inactive dead klipper_mcu.service
ssh.service loaded active running OpenBSD Secure Shell server
moonraker.service loaded active running API Server
klipper.timer loaded active running no service
"""
SYSTEMCTL = f"""#!/bin/sh
echo "$@" >> "$0.log"
case "$1 $2" in
  "list-units --all") cat <<'END'
{UNITS}END
  ;;
  "--no-ask-password stop") echo "Access denied" >&2; exit 4 ;;
esac
"""
Program = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Write a shell script into a folder that stands first in PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def write(name: str, text: str) -> Path:
        file = folder / name
        file.write_text(text)
        file.chmod(0o755)
        return file

    return write


def test_units() -> None:
    assert parse_units(UNITS, ("moonraker", "klipper", "klipper_mcu")) == {
        "klipper": ServiceState("active", "running"),
        "klipper-2": ServiceState("failed", "failed"),
        "moonraker": ServiceState("active", "running"),
    }


def test_allowed_names(tmp_path: Path) -> None:
    asvc = tmp_path / "moonraker.asvc"
    assert allowed_names(asvc) == ("moonraker", "klipper", *DEFAULT_ALLOWED)
    asvc.write_text("crowsnest\nklipper\n\nbad name; rm\nmy.service-1\n")
    assert allowed_names(asvc) == ("moonraker", "klipper", "crowsnest", "my.service-1")


def test_the_provider_that_is_there(tmp_path: Path, program: Program) -> None:
    program("systemctl", SYSTEMCTL)
    assert find_provider(None, (), tmp_path).name == "none"
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert find_provider(None, (), tmp_path).name == "systemd_cli"
    assert find_provider("systemd_dbus", (), tmp_path).name == "systemd_cli"
    assert find_provider("none", (), tmp_path).name == "none"
    assert find_provider("supervisord_cli", (), tmp_path).name == "none"


async def test_systemctl_gets_arguments_not_a_shell_line(program: Program) -> None:
    file = program("systemctl", SYSTEMCTL)
    provider = SystemdCli(str(file), ("klipper", "moonraker"))
    assert "klipper" in await provider.states()
    await provider.act("restart", "klipper-2")
    await provider.power("reboot")
    log = file.with_name("systemctl.log").read_text().splitlines()
    assert [line for line in log if not line.startswith("list-units")] == [
        "--no-ask-password restart klipper-2.service",
        "--no-ask-password reboot",
    ]
    for name in ("ssh", "klipper;reboot", "$(reboot)", "--now", "", "klipper.service"):
        with pytest.raises(BadRequest, match="not allowed"):
            await provider.act("start", name)
    with pytest.raises(BadRequest, match="systemctl refuses: Access denied"):
        await provider.act("stop", "klipper")


async def test_a_systemctl_that_hangs_is_ended(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "TIMEOUT", 0.2)
    file = program("systemctl", "#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(Unavailable):
        await SystemdCli(str(file), ()).power("reboot")


async def test_nobody_can_do_anything() -> None:
    provider = NoProvider()
    assert await provider.states() == {}
    with pytest.raises(BadRequest, match="Service 'klipper' not allowed"):
        await provider.act("start", "klipper")
    with pytest.raises(BadRequest, match="cannot reboot"):
        await provider.power("reboot")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("throttled=0x0\n", Throttled(0, ())),
        ("throttled=0x50005\n", describe(0x50005)),
        ("error", None),
        ("throttled=x", None),
        ("", None),
    ],
)
def test_vcgencmd(output: str, expected: Throttled | None) -> None:
    assert parse_vcgencmd(output) == expected


def test_flags() -> None:
    assert describe(0x50005).flags == (
        "Under-Voltage Detected",
        "Currently Throttled",
        "Previously Under-Volted",
        "Previously Throttled",
    )


async def test_the_kernels_file(tmp_path: Path) -> None:
    file = tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled"
    file.parent.mkdir(parents=True)
    file.write_text("0\n")
    seen: list[Throttled] = []
    watch = ThrottleWatch(seen.append, tmp_path, "no-such-program")
    assert watch.possible
    await watch.ask()
    await watch.ask()
    file.write_text("50005\n")
    await watch.ask()
    file.write_text("nonsense\n")
    await watch.ask()
    assert seen == [describe(0), describe(0x50005)]
    assert watch.state == describe(0x50005)


async def test_vcgencmd_is_asked_where_the_file_is_not(tmp_path: Path, program: Program) -> None:
    program("vcgencmd", '#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x4\n')
    seen: list[Throttled] = []
    watch = ThrottleWatch(seen.append, tmp_path)
    await watch.ask()
    assert seen == [describe(4)]


async def test_a_vcgencmd_that_hangs_is_ended(
    tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "TIMEOUT", 0.2)
    program("vcgencmd", "#!/bin/sh\nexec sleep 60\n")
    watch = ThrottleWatch(lambda state: None, tmp_path)
    await watch.ask()
    assert watch.state is None


def test_most_machines_cannot_tell(tmp_path: Path) -> None:
    assert not ThrottleWatch(lambda state: None, tmp_path, "no-such-program").possible


async def test_front_ends_see_the_services(
    tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch, make_host: MakeHost
) -> None:
    """A host whose provider is a systemctl of ours: listing, acting, telling of the change, and not failing with it."""
    file = program("systemctl", SYSTEMCTL.replace("failed failed", "$(cat $0.state)"))
    file.write_text(file.read_text().replace("<<'END'", "<<END"))
    state = file.with_name("systemctl.state")
    state.write_text("failed failed\n")
    host = await make_host()
    built = host.registry.get(Machine)
    assert built is not None
    assert isinstance(built.instance, Machine)
    monkeypatch.setattr(built.instance, "_provider", SystemdCli(str(file), ("klipper", "moonraker")))
    monkeypatch.setattr(machine_component, "FOLLOW_UP", (0.05,))
    async with client_of(host.port) as client:
        info = (await client.rpc("machine.system_info"))["system_info"]
        assert info["provider"] == "systemd_cli"
        assert info["available_services"] == ["klipper", "klipper-2", "moonraker"]
        assert info["service_state"]["klipper-2"] == {"active_state": "failed", "sub_state": "failed"}
        state.write_text("active running\n")
        assert await client.rpc("machine.services.restart", {"service": "klipper-2"}) == "ok"
        told = await client.notification("notify_service_state_changed")
        assert told == {"klipper-2": {"active_state": "active", "sub_state": "running"}}
        asked = len(file.with_name("systemctl.log").read_text().splitlines())
        await client.rpc("machine.system_info")
        assert len(file.with_name("systemctl.log").read_text().splitlines()) == asked
        file.write_text("#!/bin/sh\nexit 1\n")
        monkeypatch.setattr(machine_component, "SERVICES_AGE", 0.0)
        assert (await client.rpc("machine.system_info"))["system_info"]["available_services"]
