"""What a firmware is: M115's first line, its capabilities, and the travel limits that it may add.

None of these raises on any text.
"""

from __future__ import annotations

import re

import msgspec


class FirmwareInfo(msgspec.Struct, frozen=True):
    """M115's first line. `fields` has every KEY:value of it, without quotes."""

    name: str
    fields: dict[str, str]

    @property
    def machine(self) -> str:
        """MACHINE_TYPE (RepRapFirmware: ELECTRONICS), or the empty string."""
        return self.fields.get("MACHINE_TYPE", "") or self.fields.get("ELECTRONICS", "")

    @property
    def version(self) -> str:
        """FIRMWARE_VERSION, where it is not part of the name."""
        return self.fields.get("FIRMWARE_VERSION", "")

    @property
    def extruders(self) -> int:
        """EXTRUDER_COUNT, 1 where it is not told."""
        count = self.fields.get("EXTRUDER_COUNT", "")
        return int(count) if count.isascii() and count.isdigit() and len(count) < 4 else 1


class Area(msgspec.Struct, frozen=True):
    """M115's `area:` line: travel limits in mm by axis letter x, y, z."""

    full_min: dict[str, float]
    full_max: dict[str, float]
    work_min: dict[str, float]
    work_max: dict[str, float]


# Known keys count without their colon, too; others only with it, and not before `//` of an address.
_KEY = re.compile(
    r"(?:^|[\s,])(?:(?:X-)?([A-Z][A-Z0-9_-]+):(?!//)|(FIRMWARE_VERSION|SOURCE_CODE_URL|FIRMWARE_URL|PROTOCOL_VERSION|"
    r"MACHINE_TYPE|EXTRUDER_COUNT|UUID)\s)",
    re.ASCII,
)
_NUMBER = r"[-+]?(?:\d{1,6}(?:\.\d{0,9})?|\.\d{1,9})"
_BOX = re.compile(r"\b(full|work):\{min:\{([^{}]*)\},max:\{([^{}]*)\}\}", re.ASCII)
_AXIS = re.compile(rf"([a-z]):\s*({_NUMBER})", re.ASCII)
_NAME = "FIRMWARE_NAME"


def parse_m115(line: str) -> FirmwareInfo | None:
    """`FIRMWARE_NAME:... SOURCE_CODE_URL:... PROTOCOL_VERSION:...`; values may hold spaces and colons.

    Also with `ok ` before it, with commas between the fields (Smoothieware), with quotes, without some colons.
    """
    text = line.strip()
    if text[:3] == "ok ":
        text = text[3:].lstrip()
    if not text.startswith(_NAME) or text[len(_NAME) : len(_NAME) + 1] not in (":", " "):
        return None
    body = text[len(_NAME) + 1 :]
    keys = list(_KEY.finditer(body))
    ends = [match.start() for match in keys]
    fields = {_NAME: _plain(body[: ends[0]] if ends else body)}
    for match, end in zip(keys, [*ends[1:], len(body)], strict=True):
        fields.setdefault(match[1] or match[2], _plain(body[match.end() : end]))
    return FirmwareInfo(fields[_NAME], fields)


def _plain(value: str) -> str:
    value = value.strip().rstrip(",").rstrip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1].strip()
    return value


def parse_capability(line: str) -> tuple[str, bool] | None:
    """`Cap:EEPROM:1` -> ("EEPROM", True)."""
    parts = line.strip().split(":")
    if len(parts) != 3 or parts[0] != "Cap" or not parts[1] or parts[2] not in ("0", "1"):
        return None
    return parts[1], parts[2] == "1"


def parse_area(line: str) -> Area | None:
    """`area:{full:{min:{x:..,y:..,z:..},max:{..}},work:{..}}`; mostly without quotes, so it is no JSON."""
    text = line.strip().replace('"', "").replace(" ", "")
    if not text.startswith("area:"):
        return None
    boxes = {name: (_axes(low), _axes(high)) for name, low, high in _BOX.findall(text)}
    if "full" not in boxes:
        return None
    full = boxes["full"]
    work = boxes.get("work", full)
    return Area(full[0], full[1], work[0], work[1])


def _axes(text: str) -> dict[str, float]:
    return {axis: float(value) for axis, value in _AXIS.findall(text.lower())}
