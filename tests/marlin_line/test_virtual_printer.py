"""The virtual Marlin on its pty, in-process and as a command."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import sys
from pathlib import Path

import pytest

from moonraker_lite.cli import virtual_printer
from moonraker_lite.marlin.virtual import VirtualPrinter

SCRIPT = """
import argparse, sys
from moonraker_lite.cli import virtual_printer
parser = argparse.ArgumentParser()
virtual_printer.add_arguments(parser)
sys.exit(virtual_printer.run(parser.parse_args()))
"""


class Host:
    """A bare host: opens the pty and reads lines."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.text = ""

    def write(self, text: str) -> None:
        os.write(self.fd, text.encode())

    async def until(self, text: str) -> str:
        async with asyncio.timeout(5):
            while text not in self.text:
                try:
                    self.text += os.read(self.fd, 4096).decode("latin-1")
                except BlockingIOError:
                    await asyncio.sleep(0.002)
        found, self.text = self.text, ""
        return found

    def close(self) -> None:
        os.close(self.fd)


async def test_a_host_comes_and_goes_and_comes(tmp_path: Path) -> None:
    link = tmp_path / "printer"
    link.symlink_to("/nowhere")
    executed: list[str] = []
    printer = VirtualPrinter(speed=0.0, link_path=str(link), on_executed=executed.append)
    await printer.start()
    assert printer.path == str(link)
    for turn in range(3):
        host = Host(printer.path)
        host.write("M105\n")
        await host.until("ok T:")
        host.write(f"G1 X{turn}\n")
        await host.until("ok P15 B3")
        host.close()
        await asyncio.sleep(0.02)
    assert [line for line in executed if line.startswith("G1")] == ["G1 X0", "G1 X1", "G1 X2"]
    assert printer.executed == executed
    assert printer.executed_count == 6
    await printer.close()
    await printer.close()
    assert not link.is_symlink()


async def test_the_pty_holds_back_what_does_not_fit() -> None:
    """As on USB: nothing is lost, however much is written at once."""
    printer = VirtualPrinter(speed=0.0)
    await printer.start()
    host = Host(printer.path)
    await asyncio.sleep(0.15)
    host.write("".join(f"G1 X{index % 100}\n" for index in range(300)))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        while printer.executed_count < 300:
            await asyncio.sleep(0.002)
    assert printer.executed == [f"G1 X{index % 100}" for index in range(300)]
    assert printer.board.receiver.lost_bytes == 0
    host.close()
    await printer.close()


async def test_a_host_that_does_not_read_does_not_stop_the_printer() -> None:
    printer = VirtualPrinter(speed=0.0)
    await printer.start()
    host = Host(printer.path)
    await asyncio.sleep(0.1)
    for _ in range(60):
        host.write("M503\n" * 5)
        await asyncio.sleep(0.002)
    async with asyncio.timeout(5):
        while printer.executed_count < 300:
            await asyncio.sleep(0.002)
    host.close()
    await printer.close()


@pytest.mark.parametrize("connected", [False, True])
async def test_an_idle_printer_burns_no_cpu(connected: bool) -> None:
    printer = VirtualPrinter(speed=1.0)
    await printer.start()
    host = Host(printer.path) if connected else None
    await asyncio.sleep(0.2)
    before = resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.sleep(0.5)
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < 0.1
    if host is not None:
        host.close()
    await printer.close()


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        VirtualPrinter(speed=-1.0)
    with pytest.raises(ValueError, match="names are"):
        VirtualPrinter(faults="fire=1")


async def test_the_command(tmp_path: Path) -> None:
    link, log = tmp_path / "printer", tmp_path / "log"
    options = ["--speed", "0", "--link", str(link), "--log", str(log), "--plain"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, *options, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert (await process.stdout.readline()).decode().strip() == str(link)
    host = Host(str(link))
    host.write("M114\n")
    assert "X:0.00" in await host.until("ok\n")
    host.close()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert not link.is_symlink()
    assert log.read_text() == "M114\n"


@pytest.mark.parametrize("options", [["--faults", "fire"], ["--link", "/does/not/exist"], ["--speed", "-1"]])
def test_the_command_refuses_wrong_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    virtual_printer.add_arguments(parser)
    assert virtual_printer.run(parser.parse_args(options)) == 1
    assert "virtual-printer:" in capsys.readouterr().err
