"""What is plugged in: USB devices, serial ports, cameras. From /sys and /dev; run in a thread."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from moonraker_lite.components.machine.kernel import ROOT, link_name, names_in, number_of, text_of

# USB-IF, "USB Class Codes".
_USB_CLASSES = {
    0x01: "Audio",
    0x02: "Communications",
    0x03: "Human Interface Device",
    0x06: "Imaging",
    0x07: "Printer",
    0x08: "Mass Storage",
    0x09: "Hub",
    0x0A: "CDC Data",
    0x0B: "Smart Card",
    0x0E: "Video",
    0xE0: "Wireless",
    0xEF: "Miscellaneous Device",
    0xFF: "Vendor Specific Class",
}


class UsbDevice(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """`usb_location` is bus:device, the same text as in the serial and video lists."""

    device_num: int
    bus_num: int
    vendor_id: str
    product_id: str
    usb_location: str
    manufacturer: str | None
    product: str | None
    class_: str | None
    subclass: str | None
    protocol: str | None
    description: str | None
    serial: str | None


class SerialDevice(msgspec.Struct, frozen=True):
    """`device_type` is hardware_uart, usb or unknown."""

    device_type: str
    device_path: str
    device_name: str
    driver_name: str
    path_by_hardware: str | None
    path_by_id: str | None
    usb_location: str | None


class VideoDevice(msgspec.Struct, frozen=True):
    """`modes` and `capabilities` are not asked of the driver: they are empty."""

    device_name: str
    device_path: str
    camera_name: str
    driver_name: str
    hardware_bus: str
    modes: list[str]
    capabilities: list[str]
    version: str
    path_by_hardware: str | None
    path_by_id: str | None
    alt_name: str | None
    usb_location: str | None


def usb_devices(root: Path = ROOT) -> list[UsbDevice]:
    """USB devices, hubs included."""
    folder = root / "sys/bus/usb/devices"
    return [device for name in names_in(folder) if (device := _usb_device(folder / name)) is not None]


def _usb_device(folder: Path) -> UsbDevice | None:
    """None for the interfaces, which stand in the same folder."""
    location = _usb_numbers(folder)
    if location is None:
        return None
    maker, product = text_of(folder / "manufacturer") or None, text_of(folder / "product") or None
    return UsbDevice(
        device_num=location[1],
        bus_num=location[0],
        vendor_id=text_of(folder / "idVendor"),
        product_id=text_of(folder / "idProduct"),
        usb_location=f"{location[0]}:{location[1]}",
        manufacturer=maker,
        product=product,
        class_=_USB_CLASSES.get(number_of(folder / "bDeviceClass", 16) or 0),
        subclass=None,
        protocol=None,
        description=" ".join(part for part in (maker, product) if part) or None,
        serial=text_of(folder / "serial") or None,
    )


def _usb_numbers(folder: Path) -> tuple[int, int] | None:
    bus, number = number_of(folder / "busnum"), number_of(folder / "devnum")
    return None if bus is None or number is None else (bus, number)


def _usb_location(device: Path, root: Path) -> str | None:
    """The location of the USB device that a device of another kind belongs to: one of the folders above it."""
    real = Path(os.path.realpath(device))
    for folder in (real, *real.parents):
        if folder == root:
            return None
        if (numbers := _usb_numbers(folder)) is not None:
            return f"{numbers[0]}:{numbers[1]}"
    return None


def serial_devices(root: Path = ROOT) -> list[SerialDevice]:
    """Serial ports that have hardware behind them."""
    folder = root / "sys/class/tty"
    by_path, by_id = _links(root / "dev/serial/by-path"), _links(root / "dev/serial/by-id")
    found = []
    for name in names_in(folder):
        device = folder / name / "device"
        driver = link_name(device / "driver")
        # A port of the 8250 driver with type 0 is only a place where a chip could be.
        if driver is None or number_of(folder / name / "type") == 0:
            continue
        location = _usb_location(device, root)
        uart = name.startswith(("ttyS", "ttyAMA", "ttySC", "ttyHS"))
        found.append(
            SerialDevice(
                device_type="usb" if location else "hardware_uart" if uart else "unknown",
                device_path=f"/dev/{name}",
                device_name=name,
                driver_name=driver,
                path_by_hardware=by_path.get(name),
                path_by_id=by_id.get(name),
                usb_location=location,
            )
        )
    return found


def video_devices(root: Path = ROOT) -> list[VideoDevice]:
    """Cameras. Of the several nodes of one camera, the first is the one that takes pictures."""
    folder = root / "sys/class/video4linux"
    by_path, by_id = _links(root / "dev/v4l/by-path"), _links(root / "dev/v4l/by-id")
    found = []
    for name in names_in(folder):
        node = folder / name
        if not name.startswith("video") or (number_of(node / "index") or 0) != 0:
            continue
        label = text_of(node / "name")
        found.append(
            VideoDevice(
                device_name=name,
                device_path=f"/dev/{name}",
                camera_name=label,
                driver_name=link_name(node / "device/driver") or "",
                hardware_bus=_bus_of(node / "device"),
                modes=[],
                capabilities=[],
                version="",
                path_by_hardware=by_path.get(name),
                path_by_id=by_id.get(name),
                alt_name=label or None,
                usb_location=_usb_location(node / "device", root),
            )
        )
    return found


def _bus_of(device: Path) -> str:
    subsystem, name = link_name(device / "subsystem"), Path(os.path.realpath(device)).name
    return f"{subsystem}-{name}" if subsystem else name


def _links(folder: Path) -> dict[str, str]:
    """Name of a device -> a lasting path to it, for the links that udev makes."""
    found: dict[str, str] = {}
    for name in names_in(folder):
        target = link_name(folder / name)
        if target is not None:
            found.setdefault(target, f"/{'/'.join(folder.parts[-3:])}/{name}")
    return found
