"""A line to a firmware that lives in memory: answers at once, or when the test says so."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from moonraker_lite.marlin.line_driver import LineError
from moonraker_lite.marlin.link import Reset
from moonraker_lite.marlin.protocol import Acknowledged, Connected, Event, Fatal, FirmwareReset, Line, LinkStats
from moonraker_lite.marlin.temperature_report import parse_temperatures

ANSWERS: dict[str, tuple[str, ...]] = {
    "M115": (
        "FIRMWARE_NAME:Marlin bugfix-2.1.x (Nov 20 2026) SOURCE_CODE_URL:github.com/MarlinFirmware/Marlin "
        "PROTOCOL_VERSION:1.0 MACHINE_TYPE:FakePrinter EXTRUDER_COUNT:1 UUID:x",
        "Cap:EEPROM:1",
        "Cap:AUTOREPORT_TEMP:1",
        "Cap:AUTOLEVEL:1",
        "Cap:Z_PROBE:1",
        "Cap:BABYSTEPPING:1",
        "Cap:EMERGENCY_PARSER:1",
        "area:{full:{min:{x:0.00,y:0.00,z:0.00},max:{x:200.00,y:210.00,z:220.00}},"
        "work:{min:{x:0.00,y:0.00,z:0.00},max:{x:200.00,y:210.00,z:220.00}}}",
    ),
    "M503": (
        "echo:  M92 X80.00 Y80.00 Z400.00 E93.00",
        "echo:  M203 X500.00 Y500.00 Z20.00 E100.00",
        "echo:  M204 P2500.00 R3000.00 T3000.00",
        "echo:  M205 B20000.00 S0.00 T0.00 X8.00 Y8.00 Z0.40",
        "echo:  M301 P22.20 I1.08 D114.00",
        "echo:  M851 X0 Y0 Z-1.20 ; (mm)",
        "echo:  M900 K0.22",
    ),
    "M114": ("X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0",),
    "M220": ("FR:100%",),
    "M221": ("echo:E0 Flow: 100%",),
    "M119": ("Reporting endstop status", "x_min: open", "y_min: open", "z_min: TRIGGERED", "filament: TRIGGERED"),
    "M105": ("ok T:25.00 /0.00 B:25.00 /0.00 @:0 B@:0",),
    "M420 V": (
        "Bilinear Leveling Grid:",
        "      0      1",
        " 0 +0.080 +0.142",
        " 1 -0.010 +0.020",
        "",
        "echo:Bed Leveling ON",
        "echo:Fade Height 10.00",
    ),
}


class _Window:
    """The part of `LineProtocol` that the host looks at."""

    def __init__(self) -> None:
        self.outstanding_lines = 0


class FakeLine:
    """Stands in for `MarlinLine`. With `hold` set nothing is acknowledged until `acknowledge` is called."""

    def __init__(
        self,
        url: str = "",
        baud: int = 0,
        *,
        on_event: Callable[[Event], None],
        on_lost: Callable[[str], None] | None = None,
        keeps_session: Callable[[], bool] | None = None,
    ) -> None:
        self.url, self.baud = url, baud
        self.reset_line = Reset.AS_IT_COMES
        self.reset_next = False
        self.suspended = False
        self.sent: list[str] = []
        self.emergencies: list[str] = []
        self.hold = False
        self.connected = False
        self.refuse = ""
        self.on_emergency: Callable[[str], object] = lambda command: None
        self.connects = 0
        self.protocol = _Window()
        self.stats = LinkStats()
        self.answers = dict(ANSWERS)
        self._on_event = on_event
        self._on_lost = on_lost
        self._token = 0
        self._queue: deque[tuple[int, str, asyncio.Future[tuple[str, ...]] | None]] = deque()
        self._scheduled = False

    async def connect(self, timeout: float = 30.0) -> None:
        self.connects += 1
        await asyncio.sleep(0)
        if self.refuse:
            raise LineError(self.refuse)
        self.connected = True
        self._on_event(Connected())

    async def restart(self) -> None:
        self._drop()
        await self.connect()

    async def close(self) -> None:
        self.connected = False
        self._drop()

    def send(self, command: str, *, emergency: bool = False) -> asyncio.Future[tuple[str, ...]]:
        future: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()
        if not self.connected:
            future.set_exception(LineError("not connected"))
        elif emergency:
            self.emergencies.append(command)
            self.on_emergency(command)
            future.set_result(())
        else:
            self._add(command, future)
        return future

    def stream(self, command: str) -> int:
        return self._add(command, None)

    def flush(self) -> None:
        pass

    def can_accept(self) -> int:
        return 32 - len(self._queue) if self.connected else 0

    async def drained(self) -> None:
        while self._queue:
            if not self.connected:
                raise LineError("lost")
            await asyncio.sleep(0.001)

    def _add(self, command: str, future: asyncio.Future[tuple[str, ...]] | None) -> int:
        assert command == command.strip()
        if len(command) > 85:
            raise ValueError("too long")
        self._token += 1
        self._queue.append((self._token, command, future))
        if not self.hold and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)
        return self._token

    def _run(self) -> None:
        self._scheduled = False
        while self._queue and not self.hold:
            self.acknowledge()

    def acknowledge(self, number: int = 1) -> None:
        """Let the firmware execute the oldest commands."""
        for _ in range(number):
            token, command, future = self._queue.popleft()
            self.sent.append(command)
            replies = self.answers.get(command, self.answers.get(command.split(" ")[0], ()))
            for reply in replies:
                self.say(reply)
            self._on_event(Acknowledged(token, tuple(reply for reply in replies if not _is_report(reply))))
            if future is not None and not future.done():
                future.set_result(replies)

    def waiting(self) -> list[str]:
        """What has been queued and not acknowledged."""
        return [command for _, command, _ in self._queue]

    def say(self, text: str) -> None:
        self._on_event(Line(text))

    def halt(self, message: str) -> None:
        self.connected = False
        self._on_event(Fatal(message))
        self._drop()

    def reset(self) -> None:
        self._on_event(FirmwareReset())
        self._drop()
        self._on_event(Connected())

    def lose(self, reason: str) -> None:
        self.connected = False
        self._drop()
        assert self._on_lost is not None
        self._on_lost(reason)

    def _drop(self) -> None:
        while self._queue:
            _, _, future = self._queue.popleft()
            if future is not None and not future.done():
                future.set_exception(LineError("the session was lost"))


def _is_report(reply: str) -> bool:
    return not reply.startswith("ok") and parse_temperatures(reply) is not None
