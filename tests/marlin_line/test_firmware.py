"""Which firmware is at the other end, and what the line's figures say in plain words."""

from __future__ import annotations

import re

import msgspec
import pytest

from moonraker_lite.marlin.firmware import PROFILES, UNKNOWN, profile_of
from moonraker_lite.marlin.link_health import hint, link_status
from moonraker_lite.marlin.protocol import LineProtocol, LinkStats
from tests.marlin_line.dialogue import Dialogue

ANSWERS = [
    ("FIRMWARE_NAME:Marlin bugfix-2.1.x (x) SOURCE_CODE_URL:x MACHINE_TYPE:Virtual Marlin", "Marlin 2.1"),
    (
        "FIRMWARE_NAME:Marlin bugfix-2.1.x (Nov 20 2026 10:00:00) SOURCE_CODE_URL:x MACHINE_TYPE:3D Printer",
        "Marlin 2.1",
    ),
    ("FIRMWARE_NAME:Marlin 2.1.2.1 (May 1 2023) SOURCE_CODE_URL:github.com/x MACHINE_TYPE:Sidewinder", "Marlin 2.1"),
    ("FIRMWARE_NAME:Marlin 2.0.9.3 (Jan 1 2022) PROTOCOL_VERSION:1.0 MACHINE_TYPE:Artillery X1", "Marlin 2.0"),
    ("FIRMWARE_NAME:Marlin 2.0.8.2 (x) MACHINE_TYPE:Ender-3 V2 EXTRUDER_COUNT:1", "Creality Marlin"),
    ("FIRMWARE_NAME:Marlin 1.1.6 SOURCE_CODE_URL:x MACHINE_TYPE:CR-10S Pro", "Creality Marlin"),
    ("FIRMWARE_NAME:Marlin 1.1.9 (Github) SOURCE_CODE_URL:x MACHINE_TYPE:RepRap", "Marlin 1.1"),
    ("FIRMWARE_NAME:Virtual Marlin 1.0 PROTOCOL_VERSION:1.0", "OctoPrint's virtual printer"),
    ("FIRMWARE_NAME:Marlin V1; Sprinter/grbl mashup for gen6 FIRMWARE_URL:x MACHINE_TYPE:Mendel", "Marlin 1.0"),
    ("FIRMWARE_NAME:Marlin Ver 1.0.1.3 PROTOCOL_VERSION:1.0", "Marlin 1.0"),
    ("FIRMWARE_NAME:Marlin DUE 3.0", "Marlin"),
    ("FIRMWARE_NAME:Prusa-Firmware 3.13.0 based on Marlin FIRMWARE_URL:x MACHINE_TYPE:Prusa i3 MK3S", "Prusa MK3"),
    ("FIRMWARE_NAME:Prusa-Firmware-Buddy 4.3.3+4040 (Github) MACHINE_TYPE:Prusa-mini", "Prusa Buddy"),
    ("FIRMWARE_NAME: RepRapFirmware for Duet 2 WiFi/Ethernet FIRMWARE_VERSION: 3.4.5", "RepRapFirmware"),
    ("FIRMWARE_NAME:Repetier_1.0.4 COMPILED:Jan 1 2020 PROTOCOL_VERSION:1.0", "Repetier"),
    ("FIRMWARE_NAME:Smoothieware, FIRMWARE_URL:http%3A//smoothieware.org, X-SOURCE_CODE_URL:x", "Smoothieware"),
    ("FIRMWARE_NAME:Klipper FIRMWARE_VERSION:v0.12", "Klipper"),
    ("NAME. Malyan VER: 3.8 MODEL: M200", "Malyan"),
    ("something else", "unknown"),
]


@pytest.mark.parametrize(("answer", "name"), ANSWERS)
def test_the_profile_follows_from_the_answer_to_m115(answer: str, name: str) -> None:
    assert profile_of(answer).name == name


def test_every_profile_can_be_found_and_is_sane() -> None:
    assert {name for _, name in ANSWERS} == {profile.name for profile in (*PROFILES, UNKNOWN)}
    for profile in (*PROFILES, UNKNOWN):
        assert 63 <= profile.receive_buffer <= 1024
        assert 1 <= profile.slots <= 32
        assert all(re.fullmatch(r"[GM]\d+", word) and seconds > 0 for word, seconds in profile.patience.items())


def greeted(answer: str) -> Dialogue:
    talk = Dialogue.running()
    talk.send("M115")
    talk.says(answer, "ok")
    return talk


def test_the_protocol_takes_the_profile() -> None:
    talk = greeted("FIRMWARE_NAME:Marlin 2.1.2 (x) MACHINE_TYPE:y")
    assert talk.protocol.profile.name == "Marlin 2.1"
    assert talk.protocol._limit() == 3
    assert talk.protocol.stats.window_bytes == 127
    talk = greeted("FIRMWARE_NAME:Repetier_1.0.4 PROTOCOL_VERSION:1.0")
    assert talk.protocol._limit() == 1
    assert talk.protocol.stats.window_bytes == 63


def test_what_the_owner_gives_outweighs_the_profile() -> None:
    talk = Dialogue(LineProtocol(window_bytes=500, window_lines=9))
    talk.open()
    talk.says("ok", "ok T:21 /0")
    talk.send("M115")
    talk.says("FIRMWARE_NAME:Repetier_1.0.4 PROTOCOL_VERSION:1.0", "ok")
    assert talk.protocol.stats.window_bytes == 500
    assert talk.protocol._limit() == 9


def test_a_firmwares_own_long_commands_get_time() -> None:
    talk = greeted("FIRMWARE_NAME:Prusa-Firmware 3.13.0 based on Marlin MACHINE_TYPE:Prusa i3 MK3S")
    talk.send("G80")
    talk.wire()
    talk.wait(50.0)
    assert talk.wire() == []
    talk.wait(20.0)
    assert talk.commands() == ["M105"]


def test_another_board_on_the_same_port_is_met_anew() -> None:
    talk = greeted("FIRMWARE_NAME:Marlin 2.1.2 (x) MACHINE_TYPE:y")
    talk.open()
    assert talk.protocol.profile is UNKNOWN


@pytest.mark.parametrize(
    ("stats", "words"),
    [
        (LinkStats(), ""),
        (LinkStats(lines_sent=50, lines_resent=10), ""),
        (LinkStats(lines_sent=5000), "clean"),
        (LinkStats(lines_sent=1000, lines_resent=50), "50 of 1,000.*cable.*undervoltage"),
        (LinkStats(lines_sent=1000, lines_resent=3), "no harm yet"),
        (LinkStats(lines_sent=1000, timeouts=5), "get lost"),
        (LinkStats(lines_sent=10, resets=1), "reset once.*power"),
        (LinkStats(lines_sent=1000, resets=2, lines_resent=50), "bad.*reset 2 times"),
        (LinkStats(lines_sent=1000, planner_starved=3, advanced_ok=True), "ran out of moves 3 times"),
        (LinkStats(lines_sent=1000, rtt_p50=0.5), "planner is full"),
    ],
)
def test_hints_in_plain_language(stats: LinkStats, words: str) -> None:
    text = hint(stats)
    assert re.search(words, text) if words else not text


def test_the_printer_object() -> None:
    status = link_status(LinkStats(lines_sent=400, lines_resent=3), firmware="Marlin 2.1")
    assert status["resends_per_1000"] == 7.5
    assert status["firmware"] == "Marlin 2.1"
    assert set(msgspec.structs.asdict(LinkStats())) < set(status)
    assert msgspec.json.encode(status)
