"""What the machine is: files of a Raspberry Pi, a PC, a container and of this machine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonraker_lite.components.machine import facts, network
from moonraker_lite.components.machine.canbus import CanNode, find_nodes, parse_answer
from moonraker_lite.components.machine.peripherals import serial_devices, usb_devices, video_devices
from moonraker_lite.components.machine.services import unit_of
from moonraker_lite.errors import BadRequest

PI_CPU = """processor\t: 0
BogoMIPS\t: 108.00
CPU part\t: 0xd08

Hardware\t: BCM2835
Revision\t: c03115
Serial\t\t: 10000000abcdef01
Model\t\t: Raspberry Pi 4 Model B Rev 1.5
"""
OS_RELEASE = """PRETTY_NAME="Raspbian GNU/Linux 11 (bullseye)"
NAME="Raspbian GNU/Linux"
VERSION_ID="11.3"
VERSION="11 (bullseye)"
VERSION_CODENAME=bullseye
ID=raspbian
ID_LIKE=debian
QUOTED='a b'
ESCAPED="say \\"x\\""
# COMMENT=1
"""


def put(root: Path, path: str, text: str = "") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_the_processor_of_a_raspberry_pi(tmp_path: Path) -> None:
    put(tmp_path, "proc/cpuinfo", PI_CPU)
    put(tmp_path, "proc/meminfo", "MemTotal:  1893776 kB\nMemFree: 1 kB\n")
    cpu = facts.cpu_info(tmp_path)
    assert cpu.serial_number == "10000000abcdef01"
    assert cpu.hardware_desc == "BCM2835"
    assert cpu.model == "Raspberry Pi 4 Model B Rev 1.5"
    assert (cpu.total_memory, cpu.memory_units) == (1893776, "kB")
    put(tmp_path, "proc/device-tree/model", "Raspberry Pi 5\0")
    assert facts.cpu_info(tmp_path).model == "Raspberry Pi 5"


def test_the_model_number_of_a_pc_is_no_name(tmp_path: Path) -> None:
    put(tmp_path, "proc/cpuinfo", "model\t: 167\nmodel name\t: AMD EPYC\n")
    cpu = facts.cpu_info(tmp_path)
    assert (cpu.model, cpu.cpu_desc) == ("", "AMD EPYC")


def test_this_machine() -> None:
    cpu = facts.cpu_info()
    assert cpu.cpu_count
    assert cpu.total_memory
    assert cpu.bits in ("32bit", "64bit")
    assert facts.python_info().version[0] == 3
    assert facts.virtualization().virt_type in ("none", "container", "vm")


def test_distribution(tmp_path: Path) -> None:
    put(tmp_path, "etc/os-release", OS_RELEASE)
    put(tmp_path, "etc/mainsailos-release", "MainsailOS release 1.0.1 (bullseye)\n")
    found = facts.distribution(tmp_path)
    assert found.name == "Raspbian GNU/Linux 11 (bullseye)"
    assert (found.id, found.like, found.codename, found.version) == ("raspbian", "debian", "bullseye", "11.3")
    assert found.version_parts == facts.VersionParts("11", "3", "")
    assert found.release_info == {
        "name": "MainsailOS",
        "version_id": "1.0.1",
        "id": "mainsailos",
        "codename": "bullseye",
    }
    rows = facts.parse_assignments(OS_RELEASE)
    assert (rows["QUOTED"], rows["ESCAPED"]) == ("a b", 'say "x"')
    assert "# COMMENT" not in rows


def test_nothing_is_known_of_an_empty_machine(tmp_path: Path) -> None:
    assert facts.distribution(tmp_path).name == ""
    assert facts.release_info(tmp_path) == {}
    assert facts.card_info(tmp_path) == {}
    assert facts.virtualization(tmp_path) == facts.Virtualization("none", "none")
    assert facts.cpu_info(tmp_path).total_memory is None
    assert serial_devices(tmp_path) == []
    assert usb_devices(tmp_path) == []
    assert video_devices(tmp_path) == []
    assert network.can_interfaces(tmp_path) == {}
    assert unit_of("self", tmp_path) is None


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    facts.parse_assignments(text)
    facts.parse_cpuinfo(text)


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (".dockerenv", "", ("container", "docker")),
        ("run/.containerenv", "", ("container", "podman")),
        ("run/systemd/container", "lxc\n", ("container", "lxc")),
        ("sys/class/dmi/id/product_name", "VirtualBox\n", ("vm", "oracle")),
        ("sys/class/dmi/id/sys_vendor", "QEMU\n", ("vm", "qemu")),
        ("sys/class/dmi/id/product_name", "ThinkPad\n", ("none", "none")),
        ("sys/hypervisor/type", "xen\n", ("vm", "xen")),
        ("proc/cpuinfo", "flags\t: fpu hypervisor\n", ("vm", "vm-other")),
    ],
)
def test_virtualization(tmp_path: Path, file: str, text: str, expected: tuple[str, str]) -> None:
    put(tmp_path, file, text)
    assert facts.virtualization(tmp_path) == facts.Virtualization(*expected)


def test_memory_card(tmp_path: Path) -> None:
    put(tmp_path, "sys/block/mmcblk0/device/cid", "035344534433324785d9e3a89a014b2d\n")
    put(tmp_path, "sys/block/mmcblk0/size", "62333952\n")
    card = facts.card_info(tmp_path)
    assert card["manufacturer"] == "Sandisk"
    assert card["oem_id"] == "5344"
    assert card["product_name"] == "SD32G"
    assert card["product_revision"] == "8.5"
    assert card["serial_number"] == "d9e3a89a"
    assert card["manufacturer_date"] == "11/2020"
    assert card["total_bytes"] == 62333952 * 512
    assert card["capacity"] == "29.7 GiB"


def test_interfaces_of_this_machine() -> None:
    known = {name for _, name in socket.if_nameindex()}
    found = network.interfaces()
    assert set(found) <= known - {"lo"}
    for interface in found.values():
        assert interface.ip_addresses
        assert all(address.family in ("ipv4", "ipv6") for address in interface.ip_addresses)


@given(st.binary())
def test_any_netlink_answer_can_be_read(data: bytes) -> None:
    network.parse_address(data)
    for _, body in network.split_messages(data):
        network.parse_address(body)


def test_can_interfaces(tmp_path: Path) -> None:
    put(tmp_path, "sys/class/net/can0/type", "280\n")
    put(tmp_path, "sys/class/net/can0/tx_queue_len", "1024\n")
    put(tmp_path, "sys/class/net/eth0/type", "1\n")
    assert network.can_interfaces(tmp_path) == {"can0": network.CanInterface(1024, 0, "")}


def test_can_answers() -> None:
    frame = b"\xf1\x03\x00\x00" + b"\x08\0\0\0" + bytes((0x20, 1, 2, 3, 4, 5, 6, 0x11))
    assert parse_answer(frame) == CanNode("010203040506", "CanBoot")
    assert parse_answer(frame.replace(b"\x08\0\0\0", b"\x07\0\0\0")) == CanNode("010203040506", "Klipper")
    assert parse_answer(frame[:4].replace(b"\xf1", b"\xf0") + frame[4:]) is None
    assert parse_answer(frame[:8] + b"\x21" + frame[9:]) is None
    assert parse_answer(frame[:-1]) is None


@pytest.mark.parametrize("interface", ["can9", "x" * 100, "", "a\0b"])
def test_a_can_interface_that_is_not_there(interface: str) -> None:
    with pytest.raises(BadRequest, match="cannot be used"):
        find_nodes(interface)


def test_usb_and_serial_devices(tmp_path: Path) -> None:
    usb = "sys/devices/pci0/usb1/1-2"
    for name, text in {
        "busnum": "1",
        "devnum": "5",
        "idVendor": "1d50",
        "idProduct": "614e",
        "bDeviceClass": "02",
        "manufacturer": "Klipper",
        "product": "stm32f446xx",
        "serial": "123",
    }.items():
        put(tmp_path, f"{usb}/{name}", text + "\n")
    device = tmp_path / usb / "1-2:1.0"
    (device / "tty/ttyACM0").mkdir(parents=True)
    (tmp_path / "sys/bus/usb/devices").mkdir(parents=True)
    (tmp_path / "sys/bus/usb/devices/1-2").symlink_to(tmp_path / usb)
    (tmp_path / "sys/bus/usb/devices/1-2:1.0").symlink_to(device)
    (tmp_path / "sys/bus/usb/drivers/cdc_acm").mkdir(parents=True)
    (device / "driver").symlink_to(tmp_path / "sys/bus/usb/drivers/cdc_acm")
    (tmp_path / "sys/class/tty/ttyACM0").mkdir(parents=True)
    (tmp_path / "sys/class/tty/ttyACM0/device").symlink_to(device)
    (tmp_path / "sys/class/tty/tty1").mkdir(parents=True)
    (tmp_path / "dev/serial/by-id").mkdir(parents=True)
    (tmp_path / "dev/serial/by-id/usb-Klipper_stm32f446xx_123-if00").symlink_to("../../ttyACM0")
    [found] = usb_devices(tmp_path)
    assert (found.bus_num, found.device_num, found.usb_location) == (1, 5, "1:5")
    assert (found.vendor_id, found.product_id, found.class_) == ("1d50", "614e", "Communications")
    assert found.description == "Klipper stm32f446xx"
    [port] = serial_devices(tmp_path)
    assert (port.device_type, port.device_path, port.driver_name) == ("usb", "/dev/ttyACM0", "cdc_acm")
    assert port.path_by_id == "/dev/serial/by-id/usb-Klipper_stm32f446xx_123-if00"
    assert port.path_by_hardware is None
    assert port.usb_location == "1:5"


def test_cameras(tmp_path: Path) -> None:
    for number, index in ((0, "0"), (1, "1")):
        put(tmp_path, f"sys/class/video4linux/video{number}/index", index)
        put(tmp_path, f"sys/class/video4linux/video{number}/name", "HD Webcam C525\n")
    put(tmp_path, "sys/class/video4linux/v4l-subdev0/name", "sensor\n")
    [camera] = video_devices(tmp_path)
    assert (camera.device_path, camera.camera_name) == ("/dev/video0", "HD Webcam C525")


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/moonraker.service\n", "moonraker"),
        ("1:name=systemd:/system.slice/klipper-2.service\n0::/x\n", "klipper-2"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/moonraker.service\n", "moonraker"),
        ("0::/user.slice/user-1000.slice/user@1000.service\n", None),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", None),
        ("0::/\n", None),
    ],
)
def test_the_service_of_a_process(tmp_path: Path, cgroup: str, unit: str | None) -> None:
    put(tmp_path, "proc/7/cgroup", cgroup)
    assert unit_of(7, tmp_path) == unit
