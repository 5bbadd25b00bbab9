"""Is a printer there, and how fast does it talk? Asks a port for M115 at one speed after the other.

The port is opened once and only its speed is changed: each opening may reset the board. What is understood at a speed
proves it: noise does not happen to say `ok` between two line ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec

from moonraker_lite.marlin.link import Link, LinkError, open_link
from moonraker_lite.marlin.protocol.incoming import Kind, LineSplitter, interpret

USUAL_BAUDS = (115200, 250000, 500000, 230400, 1000000, 57600, 76800, 38400, 19200, 9600)
"""By likelihood."""

QUESTION = b"\nM115\n"
FIRST_WAIT = 6.0
"""Seconds at the first speed: opening the port resets most boards, and their boot loader takes its time."""
WAIT = 1.5
ROUNDS = 2
AGAIN = 1.0
"""The question is repeated, for it may have come while the board was booting."""

_UNDERSTOOD = frozenset(
    {
        Kind.OK,
        Kind.OK_NUMBERED,
        Kind.OK_UNNUMBERED,
        Kind.OK_TEMPERATURE,
        Kind.RESEND,
        Kind.LINE_ERROR,
        Kind.HALT,
        Kind.BUSY,
        Kind.HEATING,
        Kind.TEMPERATURE,
        Kind.BOOT,
        Kind.WAIT,
    }
)


class Found(msgspec.Struct, frozen=True):
    """A port that answers. `firmware` is the line with FIRMWARE_NAME, empty where only the speed is certain."""

    url: str
    baud: int
    firmware: str = ""


class _Ear:
    """Listens for words."""

    def __init__(self) -> None:
        self.understood = False
        self.firmware = ""
        self.lost = ""
        self.news = asyncio.Event()
        self._splitter = LineSplitter()

    def on_data(self, data: bytes) -> None:
        for raw in self._splitter.feed(data):
            line = raw.strip(b"\r\x00")
            if line[:13] == b"FIRMWARE_NAME" or line[:5] == b"NAME.":
                self.firmware = line.decode("utf-8", "replace")
            elif not (line[:5] == b"echo:" or interpret(line).kind in _UNDERSTOOD):
                continue
            self.understood = True
            self.news.set()

    def on_lost(self, message: str) -> None:
        self.lost = message
        self.news.set()

    def begin(self) -> None:
        self.understood = False
        self.firmware = ""
        self._splitter = LineSplitter()


async def ask(url: str, bauds: Sequence[int] = USUAL_BAUDS, *, first_wait: float | None = None) -> Found | None:
    """Ask one port; None: nobody answers at any of the speeds. LinkError: it cannot be opened, or was lost.

    The port is held for this process alone while it is asked, and closed after.
    """
    ear = _Ear()
    link = await open_link(url, bauds[0], on_data=ear.on_data, on_lost=ear.on_lost)
    try:
        wait = FIRST_WAIT if first_wait is None else first_wait
        for _ in range(ROUNDS):
            for baud in bauds:
                if not link.set_baud(baud):
                    continue
                ear.begin()
                await _ask_at(link, ear, wait)
                if ear.understood:
                    return Found(url, baud, ear.firmware)
                wait = WAIT
            if not url.startswith("/") or len(bauds) == 1:
                break
    finally:
        link.close()
    return None


async def _ask_at(link: Link, ear: _Ear, seconds: float) -> None:
    """Until M115 is answered; a while longer than `seconds` where somebody speaks, but not of that."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not ear.firmware and loop.time() < end:
        link.write(QUESTION)
        ear.news.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(AGAIN, end - loop.time())):
                while not ear.firmware:
                    await ear.news.wait()
                    ear.news.clear()
                    if ear.lost:
                        raise LinkError(ear.lost)
