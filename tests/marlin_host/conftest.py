"""A printer with its API server, on a line in memory or on the virtual Marlin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonraker_lite.marlin import endpoints, polling, subscriptions
from moonraker_lite.marlin.endpoints import Endpoints
from moonraker_lite.marlin.printer import Printer
from moonraker_lite.marlin.printer_options import PrinterOptions
from moonraker_lite.marlin.server import ApiServer
from moonraker_lite.marlin.settings import PrinterSettings
from moonraker_lite.marlin.virtual import VirtualPrinter
from tests.marlin_host.fake_line import FakeLine
from tests.marlin_host.raw_client import RawClient


class Rig:
    """One printer behind its API socket. `line` is the fake, `board` the virtual printer, where there is one."""

    def __init__(self, folder: Path, board: VirtualPrinter | None, settings: PrinterSettings, url: str = "") -> None:
        self.folder = folder
        self.gcodes = folder / "gcodes"
        self.gcodes.mkdir(exist_ok=True)
        self.socket = folder / "marlin.sock"
        self.board = board
        self.clients: list[RawClient] = []
        self.server = ApiServer(
            self.socket, lambda *call: self.endpoints.handle(*call), lambda c: self.endpoints.client_left(c)
        )
        extra: dict[str, Any] = {"reset_board": board.reset} if board else {} if url else {"make_line": FakeLine}
        where = board.path if board else url or "fake"
        options = PrinterOptions(folder / "gcodes", where, 115200, folder / "state", settings)
        self.config = folder / "marlin.cfg"
        self.printer = Printer(
            msgspec.structs.replace(options, config_file=self.config),
            output=self.server.output,
            restart_clients=self.server.close_clients,
            **extra,
        )
        self.endpoints = Endpoints(self.printer, log_file=folder / "klippy.log", config_file=None)

    @property
    def line(self) -> FakeLine:
        line = self.printer._line
        assert isinstance(line, FakeLine)
        return line

    async def start(self) -> None:
        await self.server.start()
        self.printer.start()

    async def client(self) -> RawClient:
        client = await RawClient.connect(self.socket)
        self.clients.append(client)
        return client

    async def ready_client(self, timeout: float = 60.0) -> RawClient:
        """Return a client that listens to the output of a ready printer."""
        client = await self.client()
        async with asyncio.timeout(timeout):
            while (await client.result("info"))["state"] != "ready":
                await asyncio.sleep(0.02)
        await client.listen()
        return client

    def write(self, name: str, *lines: str) -> Path:
        path = self.gcodes / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    async def wait_until(self, condition: Callable[[], bool], timeout: float = 60.0) -> None:
        async with asyncio.timeout(timeout):
            while not condition():
                await asyncio.sleep(0.005)

    async def job_ends(self, timeout: float = 60.0) -> str:
        """Wait until nothing is printed or paused any more, and the clients have heard of it; return the state."""
        await self.wait_until(lambda: not self.printer.job.running, timeout)
        for client in self.clients:
            # What was said before the answer comes before the answer. A client may have been sent away, too.
            with suppress(AssertionError, ConnectionError):
                await client.call("info")
        return self.printer.job.stats.state.value

    async def stop(self) -> None:
        for client in self.clients:
            await client.close()
        await self.printer.stop()
        self.endpoints.close()
        await self.server.stop()
        if self.board is not None:
            await self.board.close()


# What the host asks by itself when nothing else is going on.
OWN_QUESTIONS = ("M105", "M119", "M400", "M420", "M503")


def without_questions(executed: list[str]) -> list[str]:
    """What was executed because somebody wanted it."""
    return [line for line in executed if line not in OWN_QUESTIONS]


MakeRig = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def make_rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeRig]:
    """Make rigs. Status comes more often than in real life: most tests ask and would wait for the next tick."""
    monkeypatch.setattr(subscriptions, "INTERVAL", 0.02)
    monkeypatch.setattr(polling, "LOOK_AT_SWITCHES", 1e9)
    # And they want to know when a pause is done; a real client gets its answer at once.
    monkeypatch.setattr(endpoints, "ANSWER_WITHIN", 60.0)
    rigs: list[Rig] = []

    async def make(
        board: VirtualPrinter | None = None,
        settings: PrinterSettings | None = None,
        *,
        start: bool = True,
        url: str = "",
        config: str = "",
    ) -> Rig:
        folder = tmp_path / f"printer{len(rigs)}"
        folder.mkdir()
        if config:
            (folder / "marlin.cfg").write_text(config)
        rig = Rig(folder, board, settings or PrinterSettings(), url)
        rigs.append(rig)
        if start:
            await rig.start()
        return rig

    yield make
    for rig in rigs:
        await rig.stop()


@pytest.fixture
async def rig(make_rig: MakeRig) -> Rig:
    """A ready printer on a line in memory."""
    return await make_rig()
