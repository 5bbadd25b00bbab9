"""What is known of the firmwares that may be at the other end, chosen by their answer to M115.

A profile says what a firmware does not tell by itself: how much it takes before it has answered, which commands keep
it silent, what it can do where it lists no capabilities. Whatever it does tell (`Cap:` lines, `ok P15 B3`) outweighs
the profile. The forms of its answers need no table: all of them are understood from everybody.

Sources: the firmwares' own documentation and configuration headers (RX_BUFFER_SIZE, BUFSIZE, MAX_CMD_SIZE).
"""

from __future__ import annotations

import re

import msgspec


class FirmwareProfile(msgspec.Struct, frozen=True):
    """One kind of firmware. Sizes in bytes, times in seconds."""

    name: str
    pattern: str = ""
    """A regular expression that its answer to M115 matches; the first profile that matches counts."""
    receive_buffer: int = 127
    """So many bytes may be on their way to it without an answer, newlines included."""
    slots: int = 1
    """Commands that it takes out of the receive buffer before it has executed them (Marlin's BUFSIZE). 1: it gets one
    line at a time, unless its `ok` tells its buffers."""
    capabilities: dict[str, bool] = {}
    """What it can do where it lists no `Cap:` of that name."""
    patience: dict[str, float] = {}
    """Commands, besides Marlin's, that keep it silent, and for how long at least."""
    g90_sets_extruder: bool = True
    """G90 and G91 set the mode of E, too."""
    relative_sd_paths: bool = False
    """Files on its card are named without a leading slash."""
    note: str = ""
    """What its owner should know."""


UNKNOWN = FirmwareProfile("unknown", note="It gets one line at a time, and temperatures are polled.")

PROFILES: tuple[FirmwareProfile, ...] = (
    FirmwareProfile(
        "OctoPrint's virtual printer",
        r"FIRMWARE_NAME:\s*Virtual Marlin",
        receive_buffer=63,
        note="It cuts what is longer than its receive buffer of 64 bytes, which is half of Marlin's.",
    ),
    FirmwareProfile(
        "Prusa Buddy",
        r"Prusa-Firmware-Buddy|Prusa[- ](?:MINI|XL|MK4|MK3\.[59]|iX|CORE)",
        slots=4,
        patience={"G425": 120.0, "M1700": 60.0, "M701": 60.0, "M702": 60.0},
    ),
    FirmwareProfile(
        "Prusa MK3",
        r"Prusa-Firmware|Prusa i3",
        slots=4,
        patience={"G76": 120.0, "G80": 60.0, "M44": 60.0, "M45": 120.0, "M46": 10.0, "M701": 60.0, "M702": 60.0},
        g90_sets_extruder=False,
        note="M112 is read like every other line: behind a blocking command it comes late.",
    ),
    FirmwareProfile(
        "RepRapFirmware",
        r"RepRapFirmware|Duet",
        patience={"G32": 60.0, "M98": 60.0, "M558": 5.0, "M997": 60.0},
        g90_sets_extruder=False,
        relative_sd_paths=True,
        note="The basics only; a Duet is better served by its own web interface.",
    ),
    FirmwareProfile(
        "Repetier",
        r"Repetier|Anet_A[68]",
        receive_buffer=63,
        patience={"G32": 60.0, "G33": 60.0, "M320": 60.0, "M323": 60.0},
        g90_sets_extruder=False,
        note="It says `wait` while it is idle, and may name the line in `ok 12`.",
    ),
    FirmwareProfile(
        "Klipper",
        r"FIRMWARE_NAME:\s*Klipper",
        note="This is Klipper's G-code pipe: use its API socket instead ([printer] type: klipper).",
    ),
    FirmwareProfile("Smoothieware", r"Smoothieware", capabilities={"BABYSTEPPING": False}, note="The basics only."),
    FirmwareProfile("Malyan", r"Malyan", receive_buffer=63, capabilities={"BABYSTEPPING": False}),
    FirmwareProfile(
        "Creality Marlin",
        r"Marlin(?=.*(?:Creality|Ender-?\s?[2-7]|CR-?\s?(?:6|10|20)))",
        slots=4,
        note="Some of its builds were made without EEPROM, checks for thermal runaway or automatic reports.",
    ),
    FirmwareProfile("Marlin 2.1", r"Marlin (?:bugfix-)?2\.1", slots=4),
    FirmwareProfile("Marlin 2.0", r"Marlin (?:bugfix-)?2\.0", slots=4),
    FirmwareProfile(
        "Marlin 1.1",
        r"Marlin (?:bugfix-)?1\.1",
        slots=4,
        g90_sets_extruder=False,
    ),
    FirmwareProfile(
        "Marlin 1.0",
        r"Marlin (?:V|Ver )?1\.0|Marlin V1;",
        slots=4,
        capabilities={"BABYSTEPPING": False},
        g90_sets_extruder=False,
        note="It says nothing while it is busy, so a lost answer shows late.",
    ),
    FirmwareProfile("Marlin", r"Marlin", slots=4),
)
_PATTERNS = tuple((re.compile(profile.pattern), profile) for profile in PROFILES)


def profile_of(answer: str) -> FirmwareProfile:
    """The profile for an answer to M115 (the line with FIRMWARE_NAME, or Malyan's `NAME. Malyan VER: 3.8`)."""
    for pattern, profile in _PATTERNS:
        if pattern.search(answer):
            return profile
    return UNKNOWN
