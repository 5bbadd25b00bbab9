"""Which ports there are, which may be asked, at which speed a printer talks, and what is remembered of it."""

from __future__ import annotations

import asyncio
import os
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from moonraker_lite.marlin import port as port_module
from moonraker_lite.marlin import probe
from moonraker_lite.marlin.finder import FILE_NAME, PortFinder
from moonraker_lite.marlin.link import LinkError, Reset, open_link
from moonraker_lite.marlin.ports import SerialPort, candidates, list_ports, locked_by
from moonraker_lite.marlin.probe import ask
from moonraker_lite.marlin.virtual import VirtualPrinter

MARLIN = b"FIRMWARE_NAME:Marlin 2.1.2 (x) MACHINE_TYPE:y\nok\n"


def a_port(device: str, vendor: int | None = 0x1A86, product: int = 0x7523, **more: object) -> SerialPort:
    return SerialPort(device, vendor_id=vendor, product_id=product, **more)  # type: ignore[arg-type]


class SlowEar:
    """A board on a pty that understands one speed only, and what it heard."""

    def __init__(self, baud: int, answer: bytes = MARLIN) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        # Held open: a pty that nobody has open reads as hung up.
        self._slave = slave
        os.set_blocking(self.master, False)
        self._speed = getattr(termios, f"B{baud}")
        self._answer = answer
        self.heard: list[bytes] = []
        asyncio.get_running_loop().add_reader(self.master, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self.master, 1000)
        except OSError:
            asyncio.get_running_loop().remove_reader(self.master)
            return
        self.heard.append(data)
        speaks = termios.tcgetattr(self.master)[4] == self._speed
        os.write(self.master, self._answer if speaks and b"M115" in data else b"\xf8\x80\x1e\xe0\xfe")

    def close(self) -> None:
        if self.master >= 0:
            asyncio.get_running_loop().remove_reader(self.master)
            os.close(self.master)
            os.close(self._slave)
        self.master = -1


@contextmanager
def ear(baud: int, answer: bytes = MARLIN) -> Iterator[SlowEar]:
    board = SlowEar(baud, answer)
    try:
        yield board
    finally:
        board.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "FIRST_WAIT", 0.3)
    monkeypatch.setattr(probe, "WAIT", 0.3)


async def test_the_speed_is_found_out() -> None:
    with ear(230400) as board:
        found = await ask(board.path, first_wait=0.3)
    assert found is not None
    assert (found.baud, found.firmware) == (230400, MARLIN.decode().splitlines()[0])


@pytest.mark.parametrize("answer", [b"ok\n", b"echo:busy: processing\n", b"start\n", b"wait\n", b" T:20.1 /0.0\n"])
async def test_any_word_proves_the_speed(answer: bytes) -> None:
    with ear(57600, answer) as board:
        found = await ask(board.path, (115200, 57600), first_wait=0.3)
    assert found is not None
    assert (found.baud, found.firmware) == (57600, "")


async def test_noise_proves_nothing() -> None:
    with ear(9600) as board:
        assert await ask(board.path, (115200, 57600), first_wait=0.3) is None
        assert len(board.heard) >= 4


async def test_the_board_that_goes_away_while_it_is_asked() -> None:
    with ear(9600) as board:
        asking = asyncio.ensure_future(ask(board.path, (115200,), first_wait=30.0))
        while not board.heard:
            await asyncio.sleep(0.01)
        board.close()
        with pytest.raises(LinkError, match="lost"):
            await asking


async def test_a_speed_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.realpath", str)
    with ear(57600) as board:
        link = tmp_path / "ttyUSB0"
        link.symlink_to(board.path)
        finder = PortFinder(str(link), None, tmp_path)
        assert await finder.find() == (str(link), 57600)
        heard = len(board.heard)
        again = PortFinder(str(link), None, tmp_path)
        assert await again.find() == (str(link), 57600)
        assert len(board.heard) == heard
        again.forget()
        assert await again.find() == (str(link), 57600)
        assert len(board.heard) > heard
    (tmp_path / FILE_NAME).write_text("nonsense")
    with pytest.raises(LinkError):
        await PortFinder(str(link), None, tmp_path).find()


async def test_no_speed_is_asked_where_there_is_none_or_it_is_given(tmp_path: Path) -> None:
    assert await PortFinder("socket://printer:23", None, tmp_path).find() == ("socket://printer:23", 115200)
    assert await PortFinder("/dev/pts/99999", None, None).find() == ("/dev/pts/99999", 115200)
    assert await PortFinder("/dev/ttyUSB77", 250000, None).find() == ("/dev/ttyUSB77", 250000)


async def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(probe, "WAIT", 0.02)
    monkeypatch.setattr("os.path.realpath", str)
    with ear(1200) as board, pytest.raises(LinkError, match=r"any usual speed.*250000"):
        await PortFinder(board.path.replace("/pts/", "//pts/"), None, None).find()


async def test_auto_finds_the_printer_among_the_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printer = VirtualPrinter(speed=0.0)
    await printer.start()
    with ear(1200) as other:
        taken = await open_link(printer.path, 115200, on_data=lambda _: None, on_lost=lambda _: None)
        ports = [a_port(other.path), a_port(printer.path)]
        finder = PortFinder("auto", 115200, tmp_path, ports=lambda: ports)
        with pytest.raises(LinkError) as failure:
            await finder.find()
        assert "does not answer as a printer" in failure.value.message
        assert "cannot be opened" in failure.value.message
        taken.close()
        await asyncio.sleep(0)
        ports = ports[1:]
        monkeypatch.setattr(probe, "FIRST_WAIT", 30.0)
        assert await finder.find() == (printer.path, 115200)
        heard = len(other.heard)
        assert await PortFinder("auto", None, tmp_path, ports=lambda: ports).find() == (printer.path, 115200)
        assert len(other.heard) == heard
    await printer.close()


async def test_auto_without_any_port() -> None:
    with pytest.raises(LinkError, match="no USB serial port"):
        await PortFinder("auto", None, None, ports=lambda: [a_port("/dev/ttyS0", None)]).find()


def test_who_may_be_asked_and_in_which_order() -> None:
    ports = [
        a_port("/dev/ttyS0", None),
        a_port("/dev/ttyACM3", 0x1D50, 0x614E),
        a_port("/dev/ttyACM4", 0x0483, 0x5740, by_id="/dev/serial/by-id/usb-Klipper_stm32f446xx_x-if00"),
        a_port("/dev/ttyUSB1", 0x1234, 1),
        a_port("/dev/ttyUSB0"),
        a_port("/dev/ttyUSB2", locked_by=77),
        a_port("/dev/ttyACM0", 0x2C99, 2),
    ]
    assert [port.device for port in candidates(ports)] == ["/dev/ttyACM0", "/dev/ttyUSB0", "/dev/ttyUSB1"]


def test_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, name in (("by-id", "usb-1a86_USB_Serial-if00-port0"), ("by-path", "pci-0000:00-usb-0:1:1.0-port0")):
        (tmp_path / "serial" / folder).mkdir(parents=True)
        (tmp_path / "serial" / folder / name).symlink_to("../../ttyUSB0")
    info = SimpleNamespace(
        device="/dev/ttyUSB0",
        name="ttyUSB0",
        vid=0x1A86,
        pid=0x7523,
        serial_number=None,
        manufacturer=None,
        product="USB Serial",
    )
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: [info])
    (found,) = list_ports(tmp_path, (tmp_path,))
    assert found.by_path is not None
    assert found.name == found.by_id == str(tmp_path / "serial/by-id/usb-1a86_USB_Serial-if00-port0")
    assert found.usb_id == "1a86:7523"
    assert list_ports(tmp_path / "nothing", ())[0].name == "/dev/ttyUSB0"


def test_the_locks_of_others(tmp_path: Path) -> None:
    lock = tmp_path / "LCK..ttyUSB0"
    assert locked_by("/dev/ttyUSB0", (tmp_path,)) is None
    for content, process in (
        (f"{os.getppid():10d}\n".encode(), os.getppid()),
        (os.getppid().to_bytes(4, "little"), os.getppid()),
        (f"{os.getpid()}\n".encode(), None),
        (b"999999999\n", None),
        (b"no number", None),
        (b"", None),
    ):
        lock.write_bytes(content)
        assert locked_by("/dev/ttyUSB0", (tmp_path,)) == process


@pytest.mark.parametrize("reset", list(Reset))
async def test_the_reset_line(reset: Reset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pty has no DTR; what can be seen is that nothing breaks, and whether closing would hang up."""
    monkeypatch.setattr(port_module, "PULSE", 0.0)
    with ear(115200) as board:
        link = await open_link(board.path, 115200, on_data=lambda _: None, on_lost=lambda _: None, reset=reset)
        hangs_up = bool(termios.tcgetattr(board.master)[2] & termios.HUPCL)
        assert hangs_up is (reset is not Reset.AVOID) or not hangs_up
        link.write(b"M115\n")
        while not board.heard:
            await asyncio.sleep(0.01)
        link.close()
