"""Which back end is chosen, and the process behind it: started once, outliving the host, started again when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from moonraker_lite.api.facts import HostFacts
from moonraker_lite.components.printer import PrinterBridge
from moonraker_lite.components.printer import bridge as bridge_module
from moonraker_lite.components.printer.process import ProcessKeeper, Record, describe_exit, is_alive
from moonraker_lite.config import PrinterSettings, load_config
from moonraker_lite.datapath import DataPath
from moonraker_lite.events import Events
from moonraker_lite.klippy import KlippyClient, StatusHub
from moonraker_lite.klippy.relay import KlippyRelay
from moonraker_lite.marlin.process import arguments
from tests.fakes.klippy import FakeKlippy

FAKE = Path(__file__).resolve().parents[1] / "fakes" / "klippy.py"


class FakeBridge(PrinterBridge, section="printer", name="printer_bridge"):
    """Starts the fake Klipper as the printer process."""

    marker = "klippy.py"
    script = str(FAKE)

    def command(self, kind: str) -> list[str]:
        data = self._data
        speed = f"{50 + self._settings.virtual_speed:g}"
        command = [sys.executable, self.script, "--socket", str(self._klippy.socket_path)]
        return [*command, "--gcodes", str(data.gcodes), "--speed", speed]


class Rig:
    """As much of a host as the bridge needs."""

    def __init__(self, root: Path, settings: PrinterSettings, kind: type[PrinterBridge] = FakeBridge) -> None:
        self.data = DataPath(root)
        self.data.make()
        events = Events()
        relay = KlippyRelay(events)
        self.klippy = KlippyClient(self.data.comms / "klippy.sock", listener=relay)
        self.hub = relay.hub = StatusHub(self.klippy)
        self.facts = HostFacts("0")
        config = load_config(self.data.config / "moonraker.conf")
        self.bridge = kind(settings, config, self.data, self.klippy, self.hub, events, self.facts)

    async def start(self) -> None:
        await self.bridge.start()
        await self.klippy.start()

    async def stop(self) -> None:
        await self.bridge.stop()
        await self.hub.close()
        await self.klippy.close()

    def pid(self) -> int:
        return msgspec.json.decode((self.data.comms / "printer.pid").read_bytes(), type=Record).pid

    async def until(self, condition: Callable[[], object], seconds: float = 15.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)

    async def ready(self) -> None:
        await self.until(lambda: self.klippy.state.text == "ready")


VIRTUAL = PrinterSettings(type="virtual")


@pytest.fixture
async def rigs(tmp_path: Path) -> AsyncIterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(settings: PrinterSettings = VIRTUAL, kind: type[PrinterBridge] = FakeBridge) -> Rig:
        made.append(Rig(tmp_path, settings, kind))
        return made[-1]

    yield make
    for rig in made:
        await rig.stop()
    for rig in made:
        process = rig.bridge._keeper.running("klippy.py")
        if process is not None:
            await process.terminate()


async def test_the_process_is_started_in_its_own_session_and_serves_the_socket(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    await rig.start()
    await rig.ready()
    assert os.getsid(rig.pid()) == rig.pid()
    assert rig.facts.warnings == []


async def test_it_outlives_the_host_and_the_next_host_finds_it(rigs: Callable[..., Rig]) -> None:
    first = rigs()
    await first.start()
    await first.ready()
    pid = first.pid()
    await first.stop()
    assert is_alive(pid)
    second = rigs()
    await second.start()
    await second.ready()
    assert second.pid() == pid


async def test_it_is_started_again_when_it_dies(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    await rig.start()
    await rig.ready()
    pid = rig.pid()
    os.kill(pid, signal.SIGKILL)
    await rig.until(lambda: rig.klippy.state.text == "disconnected")
    await rig.ready()
    assert rig.pid() != pid
    assert not is_alive(pid)


async def test_two_hosts_start_one_process(rigs: Callable[..., Rig]) -> None:
    both = [rigs(), rigs()]
    await asyncio.gather(*(rig.start() for rig in both))
    for rig in both:
        await rig.ready()
    assert both[0].pid() == both[1].pid()


async def test_new_settings_replace_an_idle_process_at_the_next_start(rigs: Callable[..., Rig]) -> None:
    first = rigs()
    await first.start()
    await first.ready()
    pid = first.pid()
    await first.stop()
    second = rigs(PrinterSettings(type="virtual", virtual_speed=9))
    await second.start()
    await second.until(lambda: not is_alive(pid))
    await second.until(lambda: second.pid() != pid)
    await second.ready()


async def test_new_settings_never_end_a_print(rigs: Callable[..., Rig]) -> None:
    first = rigs()
    (first.data.gcodes / "long.gcode").write_text("G28\n" + "G4 P60000\n" * 500)
    await first.start()
    await first.ready()
    await first.klippy.gcode("SDCARD_PRINT_FILE FILENAME=long.gcode")
    pid = first.pid()
    await first.stop()
    second = rigs(PrinterSettings(type="virtual", virtual_speed=9))
    await second.start()
    await second.until(lambda: second.facts.warnings)
    assert "when the print is over" in second.facts.warnings[0]
    assert is_alive(pid)


async def test_a_process_that_cannot_live_is_told_of_and_tried_again(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge_module, "MAX_DELAY", 0.05)
    monkeypatch.setattr(FakeBridge, "script", "/nonexistent/klippy.py")
    rig = rigs()
    await rig.start()
    await rig.until(lambda: rig.facts.warnings)
    assert rig.facts.warnings == ["The printer process ended (exit status 2). The logs say why: printer_process.log"]
    assert "nonexistent" in (rig.data.logs / "printer_process.log").read_text()
    monkeypatch.setattr(FakeBridge, "script", str(FAKE))
    rig.bridge.command = FakeBridge.command.__get__(rig.bridge)  # type: ignore[method-assign]


async def test_a_socket_that_somebody_else_serves_is_left_to_him(
    rigs: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge_module, "RECHECK", 0.1)
    rig = rigs()
    async with FakeKlippy(rig.klippy.socket_path, rig.data.gcodes, speed=50):
        await rig.start()
        await rig.ready()
        assert not (rig.data.comms / "printer.pid").exists()
    await rig.until(lambda: (rig.data.comms / "printer.pid").exists())
    await rig.ready()


@pytest.mark.parametrize("kind", ["klipper", "marlin", "virtual"])
async def test_the_configured_type_is_taken(rigs: Callable[..., Rig], kind: str) -> None:
    settings = msgspec.convert({"type": kind}, PrinterSettings)
    assert await rigs(settings).bridge.choose() == kind


async def test_without_a_type_any_sign_of_klipper_counts(rigs: Callable[..., Rig]) -> None:
    rig = rigs(PrinterSettings())
    assert await rig.bridge.choose() == "virtual"
    (rig.data.config / "printer.cfg").write_text("[printer]\n")
    assert await rig.bridge.choose() == "klipper"
    (rig.data.config / "printer.cfg").unlink()
    async with FakeKlippy(rig.klippy.socket_path, rig.data.gcodes, speed=50):
        assert await rig.bridge.choose() == "klipper"
    assert await rig.bridge.choose() == "virtual"


async def test_our_own_process_from_before_is_no_sign_of_klipper(rigs: Callable[..., Rig]) -> None:
    first = rigs(PrinterSettings())
    await first.start()
    await first.ready()
    await first.stop()
    assert await rigs(PrinterSettings()).bridge.choose() == "virtual"


async def test_the_command_line_is_one_that_the_printer_process_takes(rigs: Callable[..., Rig]) -> None:
    virtual = PrinterSettings(type="virtual", virtual_speed=20, virtual_faults="seed=1")
    options = arguments(rigs(virtual, PrinterBridge).bridge.command("virtual")[3:])
    assert (options.virtual, options.speed, options.faults) == (True, 20.0, "seed=1")
    marlin = PrinterSettings(type="marlin", serial="/dev/ttyUSB0", baud=250000)
    rig = rigs(marlin, PrinterBridge)
    options = arguments(rig.bridge.command("marlin")[3:])
    assert (options.virtual, options.serial, options.baud) == (False, "/dev/ttyUSB0", 250000)
    assert (options.socket, options.gcodes) == (rig.klippy.socket_path, rig.data.gcodes)


async def test_marlin_without_a_serial_port_is_told_of(rigs: Callable[..., Rig]) -> None:
    rig = rigs(PrinterSettings(type="marlin"))
    await rig.start()
    await rig.until(lambda: rig.facts.warnings)
    assert "needs the option serial" in rig.facts.warnings[0]


def test_a_pid_file_of_another_process_is_not_believed(tmp_path: Path) -> None:
    keeper = ProcessKeeper(tmp_path / "printer.pid", tmp_path / "log")
    assert keeper.running("x") is None
    (tmp_path / "printer.pid").write_text("rubbish")
    assert keeper.running("x") is None
    (tmp_path / "printer.pid").write_bytes(msgspec.json.encode(Record(os.getpid(), ["moonraker_lite.marlin"])))
    assert keeper.running("no such words in our command line") is None
    (tmp_path / "printer.pid").write_bytes(msgspec.json.encode(Record(2**22 + 5, ["x"])))
    assert keeper.running("") is None


@pytest.mark.parametrize(
    ("status", "words"),
    [(None, "it ended"), (3, "exit status 3"), (-9, "killed by SIGKILL"), (-99, "killed by signal 99")],
)
def test_how_a_process_ended(status: int | None, words: str) -> None:
    assert describe_exit(status) == words


def test_macros_of_moonraker_conf_are_for_the_marlin_process(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    path = tmp_path / "config" / "moonraker.conf"
    path.write_text("[server]\n")
    assert "--host-config" not in Rig(tmp_path, VIRTUAL, PrinterBridge).bridge.command("virtual")
    path.write_text("[gcode_macro HELLO]\ngcode: M118 hello\n")
    command = Rig(tmp_path, VIRTUAL, PrinterBridge).bridge.command("virtual")
    assert command[command.index("--host-config") + 1] == str(path)


def test_what_is_wrong_with_macros_is_a_warning_of_the_host(tmp_path: Path) -> None:
    rig = Rig(tmp_path, VIRTUAL)
    rig.bridge._on_warnings(
        {"configfile": {"warnings": [{"type": "runtime_warning", "message": "a"}, {"message": "b"}]}}, 0
    )
    assert rig.facts.warnings == ["a", "b"]
    rig.bridge._on_warnings({"configfile": {}}, 1)
    rig.bridge._on_warnings({"configfile": {"warnings": [{"message": "b"}, "odd"]}}, 2)
    assert rig.facts.warnings == ["b"]
