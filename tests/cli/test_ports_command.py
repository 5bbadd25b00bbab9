"""`moonraker-lite ports`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

import pytest

from moonraker_lite.cli import ports as command
from moonraker_lite.marlin.ports import SerialPort

PORTS = [
    SerialPort(
        "/dev/ttyUSB0", by_id="/dev/serial/by-id/usb-x", vendor_id=0x1A86, product_id=0x7523, product="USB Serial"
    ),
    SerialPort("/dev/ttyUSB1", vendor_id=0x0403, product_id=0x6001, locked_by=77),
]


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(words))


def test_the_list(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("moonraker_lite.marlin.ports.list_ports", lambda: PORTS)
    assert run() == 0
    text = capsys.readouterr().out
    assert "/dev/serial/by-id/usb-x\n    /dev/ttyUSB0  USB Serial (1a86:7523)\n" in text
    assert "in use by process 77" in text
    assert run("--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["/dev/serial/by-id/usb-x", "/dev/ttyUSB1"]
    monkeypatch.setattr("moonraker_lite.marlin.ports.list_ports", list)
    assert run() == 0
    assert "no serial port" in capsys.readouterr().out


def test_a_port_that_cannot_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("/dev/does-not-exist") == 1
    assert "cannot be opened" in capsys.readouterr().err


def test_a_printer_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    printer = subprocess.Popen(
        [sys.executable, "-m", "moonraker_lite", "virtual-printer", "--speed", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )
    assert printer.stdout is not None
    try:
        path = printer.stdout.readline().strip()
        assert run("--json", path) == 0
    finally:
        printer.terminate()
        printer.wait(30)
        printer.stdout.close()
    (row,) = json.loads(capsys.readouterr().out)
    assert row["baud"] == 115200
    assert row["firmware"].startswith("FIRMWARE_NAME:Marlin")
