"""Which serial ports there are, what hangs on them, and which of them may be asked whether they are a printer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

LOCK_FOLDERS = (Path("/run/lock"), Path("/var/lock"))

# USB vendor and product (None: any) of what printers' boards have, the likeliest first.
_LIKELY: tuple[tuple[int, int | None], ...] = (
    (0x2C99, None),  # Prusa
    (0x1A86, None),  # CH340, CH341
    (0x0483, 0x5740),  # STM32 boards
    (0x1EAF, 0x0004),  # STM32 with Maple's boot loader
    (0x1D50, 0x6029),  # LPC176x boards, "Marlin USB Device"
    (0x2341, None),  # Arduino
    (0x2A03, None),
    (0x27B1, None),  # UltiMachine
    (0x03EB, None),  # Atmel
    (0x0403, None),  # FTDI
    (0x10C4, 0xEA60),  # CP210x
    (0x067B, None),  # Prolific
)
# Never to be asked: a Klipper board would take the question for a broken message, but it is somebody else's.
_OTHERS: frozenset[tuple[int, int]] = frozenset({(0x1D50, 0x614E), (0x1D50, 0x6177), (0x1D50, 0x606F)})


class SerialPort(msgspec.Struct, frozen=True):
    """One port. `by_id` and `by_path` are the names that stay when devices are plugged in another order."""

    device: str
    by_id: str | None = None
    by_path: str | None = None
    vendor_id: int | None = None
    product_id: int | None = None
    serial_number: str | None = None
    manufacturer: str | None = None
    product: str | None = None
    locked_by: int | None = None
    """Process that has it, by its lock file."""

    @property
    def name(self) -> str:
        """What belongs into the configuration."""
        return self.by_id or self.by_path or self.device

    @property
    def usb_id(self) -> str:
        """`1a86:7523`; empty where it is no USB device."""
        return f"{self.vendor_id:04x}:{self.product_id or 0:04x}" if self.vendor_id is not None else ""


def list_ports(dev: Path = Path("/dev"), lock_folders: Iterable[Path] = LOCK_FOLDERS) -> list[SerialPort]:
    """All serial ports with hardware behind them. Reads /sys and /dev; takes milliseconds."""
    from serial.tools.list_ports import comports

    by_id, by_path = _links(dev / "serial/by-id"), _links(dev / "serial/by-path")
    folders = tuple(lock_folders)
    return [
        SerialPort(
            device=port.device,
            by_id=by_id.get(port.name),
            by_path=by_path.get(port.name),
            vendor_id=port.vid,
            product_id=port.pid,
            serial_number=port.serial_number,
            manufacturer=port.manufacturer,
            product=port.product,
            locked_by=locked_by(port.device, folders),
        )
        for port in sorted(comports(), key=lambda port: port.device)
    ]


def _links(folder: Path) -> dict[str, str]:
    """Name of the device -> path of the first link to it."""
    try:
        links = sorted(folder.iterdir())
    except OSError:
        return {}
    return {os.path.basename(os.path.realpath(link)): str(link) for link in reversed(links)}


def locked_by(device: str, folders: Iterable[Path] = LOCK_FOLDERS) -> int | None:
    """The living process whose lock file (`LCK..ttyUSB0`, its number as text or in binary) names the port."""
    name = os.path.basename(os.path.realpath(device))
    for folder in folders:
        try:
            content = (folder / f"LCK..{name}").read_bytes()
        except OSError:
            continue
        text = content.strip()
        if text.isdigit() and len(text) < 10:
            process = int(text)
        elif len(content) == 4:
            process = int.from_bytes(content, "little")
        else:
            continue
        if process != os.getpid() and _lives(process):
            return process
    return None


def _lives(process: int) -> bool:
    if process <= 0:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def candidates(ports: Iterable[SerialPort]) -> list[SerialPort]:
    """The ports that may be asked whether a printer is there, the likeliest first.

    Only USB: built-in ports are consoles, modems or a Klipper board as often as printers. No port that another program
    has locked, and no board that runs Klipper.
    """
    asked = [
        port
        for port in ports
        if port.vendor_id is not None
        and port.locked_by is None
        and (port.vendor_id, port.product_id) not in _OTHERS
        and "klipper" not in f"{port.manufacturer} {port.product} {port.by_id}".lower()
    ]
    return sorted(asked, key=_rank)


def _rank(port: SerialPort) -> tuple[int, str]:
    for place, (vendor, product) in enumerate(_LIKELY):
        if port.vendor_id == vendor and product in (None, port.product_id):
            return place, port.device
    return len(_LIKELY), port.device
