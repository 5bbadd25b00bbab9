"""What the machine is: processor, memory card, distribution, virtualization. Read from files, no programs are run."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path

import msgspec

from moonraker_lite.components.machine.kernel import ROOT, names_in, number_of, text_of

_ESCAPED = re.compile(r"\\(.)")
_RELEASE_LINE = re.compile(
    r"(?P<name>\S.*?)\s+release\s+(?P<version>\S+)(?:\s+\((?P<codename>[^)]*)\))?", re.IGNORECASE
)
_CARD_MAKERS = {
    0x01: "Panasonic",
    0x02: "Toshiba",
    0x03: "Sandisk",
    0x1B: "Samsung",
    0x1D: "AData",
    0x27: "Phison",
    0x28: "Lexar",
    0x31: "Silicon Power",
    0x41: "Kingston",
    0x74: "Transcend",
    0x76: "Patriot",
    0x82: "Sony",
    0x9C: "Angelbird",
}
# How machines of hypervisors call themselves in DMI, and the name that systemd-detect-virt uses.
_HYPERVISORS = (
    ("kvm", "kvm"),
    ("qemu", "qemu"),
    ("vmware", "vmware"),
    ("virtualbox", "oracle"),
    ("innotek", "oracle"),
    ("xen", "xen"),
    ("bochs", "bochs"),
    ("parallels", "parallels"),
    ("hyper-v", "microsoft"),
    ("virtual machine", "microsoft"),
    ("amazon ec2", "amazon"),
    ("google compute engine", "google"),
)


class CpuInfo(msgspec.Struct, frozen=True):
    cpu_count: int | None
    bits: str
    processor: str
    cpu_desc: str
    serial_number: str
    hardware_desc: str
    model: str
    total_memory: int | None
    memory_units: str


class VersionParts(msgspec.Struct, frozen=True):
    major: str
    minor: str
    build_number: str


class Distribution(msgspec.Struct, frozen=True):
    name: str
    id: str
    version: str
    version_parts: VersionParts
    like: str
    codename: str
    release_info: dict[str, str]
    kernel_version: str


class Virtualization(msgspec.Struct, frozen=True):
    """`virt_type` is none, container or vm; `virt_identifier` the product, as systemd-detect-virt names it."""

    virt_type: str
    virt_identifier: str


class PythonInfo(msgspec.Struct, frozen=True):
    version: tuple[int, int, int, str, int]
    version_string: str


def python_info() -> PythonInfo:
    """The interpreter that runs this."""
    major, minor, micro, level, serial = sys.version_info
    return PythonInfo((major, minor, micro, level, serial), sys.version.replace("\n", " "))


def parse_cpuinfo(text: str) -> dict[str, str]:
    """Read /proc/cpuinfo: the first value of each key in lower case."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and value.strip():
            found.setdefault(key.strip().lower(), value.strip())
    return found


def cpu_info(root: Path = ROOT) -> CpuInfo:
    """The processor and the memory."""
    rows = parse_cpuinfo(text_of(root / "proc/cpuinfo"))
    memory = text_of(root / "proc/meminfo").partition("MemTotal:")[2].split()
    tree = root / "proc/device-tree"
    return CpuInfo(
        cpu_count=os.cpu_count(),
        bits="64bit" if sys.maxsize > 2**32 else "32bit",
        processor=platform.machine(),
        cpu_desc=rows.get("model name", ""),
        serial_number=rows.get("serial", "") or text_of(tree / "serial-number"),
        hardware_desc=rows.get("hardware", ""),
        model=_board(rows, tree),
        total_memory=int(memory[0]) if memory and memory[0].isdigit() else None,
        memory_units=memory[1] if len(memory) > 1 else "kB",
    )


def _board(rows: dict[str, str], tree: Path) -> str:
    """The board's name; on PCs `model` is a number that says nothing to a user."""
    named = rows.get("model", "")
    return text_of(tree / "model") or ("" if named.isdigit() else named)


def parse_assignments(text: str) -> dict[str, str]:
    """Read lines like NAME="value", as os-release has them (quotes and backslashes as in a shell)."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if not equals or key.startswith("#"):
            continue
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = _ESCAPED.sub(r"\1", value[1:-1])
        found[key.strip()] = value
    return found


def distribution(root: Path = ROOT) -> Distribution:
    """The operating system."""
    rows = parse_assignments(text_of(root / "etc/os-release") or text_of(root / "usr/lib/os-release"))
    version = rows.get("VERSION_ID", "")
    parts = [*version.split("."), "", "", ""]
    return Distribution(
        name=rows.get("PRETTY_NAME") or rows.get("NAME", ""),
        id=rows.get("ID", ""),
        version=version,
        version_parts=VersionParts(parts[0], parts[1], parts[2]),
        like=rows.get("ID_LIKE", ""),
        codename=rows.get("VERSION_CODENAME", ""),
        release_info=release_info(root),
        kernel_version=platform.release(),
    )


def release_info(root: Path = ROOT) -> dict[str, str]:
    """What a printer image (MainsailOS, FluiddPi, RatOS, ...) says of itself in its own /etc/*-release file."""
    for name in names_in(root / "etc"):
        if not name.endswith("-release") or name in ("os-release", "lsb-release", "debian-release"):
            continue
        line = text_of(root / "etc" / name).partition("\n")[0]
        if found := _RELEASE_LINE.fullmatch(line.strip()):
            image = found["name"]
            info = {"name": image, "version_id": found["version"], "id": image.lower().replace(" ", "-")}
            return info | ({"codename": found["codename"]} if found["codename"] else {})
    return {}


def virtualization(root: Path = ROOT) -> Virtualization:
    """Whether this is a container or a virtual machine, and which."""
    if named := text_of(root / "run/systemd/container"):
        return Virtualization("container", named)
    if (root / ".dockerenv").exists():
        return Virtualization("container", "docker")
    if (root / "run/.containerenv").exists():
        return Virtualization("container", "podman")
    dmi = " ".join(text_of(root / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name")).lower()
    for word, identifier in _HYPERVISORS:
        if word in dmi:
            return Virtualization("vm", identifier)
    if kind := text_of(root / "sys/hypervisor/type"):
        return Virtualization("vm", kind)
    flags = parse_cpuinfo(text_of(root / "proc/cpuinfo")).get("flags", "").split()
    return Virtualization("vm", "vm-other") if "hypervisor" in flags else Virtualization("none", "none")


def card_info(root: Path = ROOT) -> dict[str, str | int]:
    """The SD card in the first slot; empty when there is none. From its CID register (SD specification, part 1)."""
    block = root / "sys/block/mmcblk0"
    cid = text_of(block / "device/cid").lower()
    if not re.fullmatch(r"[0-9a-f]{32}", cid):
        return {}
    sectors = number_of(block / "size") or 0
    maker = int(cid[:2], 16)
    return {
        "manufacturer_id": cid[:2],
        "manufacturer": _CARD_MAKERS.get(maker, "Unknown"),
        "oem_id": cid[2:6],
        "product_name": bytes.fromhex(cid[6:16]).decode("ascii", "replace").strip("\0 "),
        "product_revision": f"{int(cid[16], 16)}.{int(cid[17], 16)}",
        "serial_number": cid[18:26],
        "manufacturer_date": f"{int(cid[29], 16)}/{2000 + int(cid[27:29], 16)}",
        "capacity": f"{sectors * 512 / 2**30:.1f} GiB",
        "total_bytes": sectors * 512,
    }
