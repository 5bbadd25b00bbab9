"""`moonraker-lite print`, on a real terminal, against a host with a fake Klipper behind it."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import sys
from pathlib import Path

import pytest

from moonraker_lite.__main__ import main
from moonraker_lite.cli.client import ClientError, base_url
from moonraker_lite.host import Host
from tests.fakes.klippy import FakeKlippy

LONG = "G28\n" + "G4 P2000\n" * 500


class Terminal:
    """The command on a pty; `shown` is all that it has written, without colours."""

    def __init__(self, *arguments: str) -> None:
        self._command = [sys.executable, "-m", "moonraker_lite", "print", *arguments]
        self._said = bytearray()
        self._news = asyncio.Event()
        self._fd = -1
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Terminal:
        self._fd, inner = pty.openpty()
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=inner, stdout=inner, stderr=inner, start_new_session=True, preexec_fn=_own_terminal
        )
        os.close(inner)
        asyncio.get_running_loop().add_reader(self._fd, self._read)
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _read(self) -> None:
        try:
            self._said += os.read(self._fd, 65536)
        except OSError:  # the other end is closed
            asyncio.get_running_loop().remove_reader(self._fd)
        self._news.set()

    @property
    def shown(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._said.decode(errors="replace"))

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    async def until(self, text: str) -> None:
        try:
            async with asyncio.timeout(20):
                while text not in self.shown:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"waited in vain for {text!r}: {self.shown}") from None

    async def status(self) -> int:
        """The exit status."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), 20)


def _own_terminal() -> None:
    """Make the pty the terminal of the command, so that Ctrl-C is a signal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a [b]old.gcode"
    path.write_text(LONG)
    return path


def on(host: Host) -> tuple[str, str]:
    return "--host", f"127.0.0.1:{host.port}"


async def test_a_print_to_its_end(ready_host: Host, file: Path) -> None:
    file.write_text("G28\nG1 X10 F6000\n")
    async with Terminal(str(file), *on(ready_host)) as terminal:
        assert await terminal.status() == 0
        await terminal.until("a [b]old.gcode: complete")
        assert "uploaded a [b]old.gcode" in terminal.shown


async def test_the_end_of_the_print_before_is_not_taken_for_this_one_s(ready_host: Host, file: Path) -> None:
    short = file.with_name("short.gcode")
    short.write_text("G28\n")
    async with Terminal(str(short), *on(ready_host)) as terminal:
        assert await terminal.status() == 0
    async with Terminal(str(file), *on(ready_host)) as terminal:
        await terminal.until("printing")
        assert "complete" not in terminal.shown


@pytest.mark.parametrize(("keys", "state"), [("y\n", "cancelled"), ("q\n", "printing"), ("\x03", "printing")])
async def test_ctrl_c_asks_whether_to_cancel(
    ready_host: Host, fake: FakeKlippy, file: Path, keys: str, state: str
) -> None:
    async with Terminal(str(file), *on(ready_host)) as terminal:
        await terminal.until("printing")
        terminal.type("\x03")
        await terminal.until("Cancel the print?")
        terminal.type(keys)
        await terminal.until(f"a [b]old.gcode: {state}")
        assert await terminal.status() == 1
        assert fake.gcode.job.active is (state == "printing")


async def test_no_goes_on(ready_host: Host, file: Path) -> None:
    async with Terminal(str(file), *on(ready_host)) as terminal:
        await terminal.until("printing")
        terminal.type("\x03")
        await terminal.until("Cancel the print?")
        terminal.type("n\n")
        await asyncio.sleep(0.1)
        terminal.type("\x03")
        async with asyncio.timeout(20):
            while terminal.shown.count("Cancel the print?") < 2:
                await asyncio.sleep(0.02)
        terminal.type("y\n")
        await terminal.until("cancelled")


async def test_a_printer_that_goes_away_ends_the_watching(ready_host: Host, fake: FakeKlippy, file: Path) -> None:
    async with Terminal(str(file), *on(ready_host)) as terminal:
        await terminal.until("printing")
        await fake.stop()
        await terminal.until("The printer was disconnected")
        assert await terminal.status() == 1


async def test_a_stranger_is_told_before_anything_is_sent(ready_host: Host, file: Path) -> None:
    async with Terminal(str(file), *on(ready_host), "--api-key", "wrong") as terminal:
        assert await terminal.status() == 1
        await terminal.until("Unauthorized")
    assert list(ready_host.places.data.gcodes.glob("*.gcode")) == []


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("printer.local", "http://printer.local:7125"),
        ("10.0.0.5:7126", "http://10.0.0.5:7126"),
        ("https://printer", "https://printer"),
        ("[::1]", "http://[::1]:7125"),
    ],
)
def test_addresses(typed: str, url: str) -> None:
    assert base_url(typed) == url


@pytest.mark.parametrize("typed", ["", "http://", "127.0.0.1:abc", "127.0.0.1:99999", "[::1", "ftp://printer"])
def test_what_is_no_address(typed: str) -> None:
    with pytest.raises(ClientError, match="is no address"):
        base_url(typed)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["print", "nosuch.gcode"], 1, "There is no file nosuch.gcode."),
        (["print", __file__], 1, "is no G-code file"),
        (["nosuch"], 2, "there is no command 'nosuch'; the commands are run, print"),
    ],
)
def test_mistakes(arguments: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert main(arguments) == status
    except SystemExit as ended:
        assert ended.code == status
    assert said in capsys.readouterr().err
