"""A dialogue with `LineProtocol`, line by line, in time that the test moves."""

from __future__ import annotations

from moonraker_lite.marlin.protocol import (
    Acknowledged,
    Connected,
    Event,
    FirmwareReset,
    LineProtocol,
    LinkTrouble,
    Resent,
)

TEMPERATURES = "ok T:21.05 /0.00 B:21.17 /0.00 @:0 B@:0"


class Dialogue:
    """The test is the firmware: `says` its lines, and looks at what comes over the `wire`."""

    def __init__(self, protocol: LineProtocol | None = None) -> None:
        self.protocol = protocol or LineProtocol()
        self.now = 100.0
        self.events: list[Event] = []
        self._wire: list[str] = []

    @classmethod
    def running(cls, *, advanced: bool = False, window: int | None = None, window_bytes: int | None = None) -> Dialogue:
        """After the handshake. With a `window` the line counts as clean already."""
        dialogue = cls(LineProtocol(window_lines=window, window_bytes=window_bytes))
        dialogue.open()
        assert dialogue.wire() == ["", "N0 M110 N0*125"]
        dialogue.says("ok N0 P15 B3" if advanced else "ok")
        assert dialogue.wire() == ["N1 M105*38"]
        dialogue.says(TEMPERATURES)
        if window is not None:
            dialogue.protocol._session.pace.clean(4096)
        assert dialogue.events[-1] == Connected()
        dialogue.events.clear()
        return dialogue

    def open(self) -> None:
        self.protocol.connected(self.now)
        self._pump()

    def send(self, *commands: str, emergency: bool = False) -> list[int]:
        """The host's user; returns the tokens."""
        tokens = [self.protocol.send(command, self.now, emergency=emergency) for command in commands]
        self._pump()
        return tokens

    def says(self, *lines: str | bytes, end: bytes = b"\n") -> list[Event]:
        """The firmware; a little later. Returns the new events."""
        self.now += 0.01
        data = b"".join((line if isinstance(line, bytes) else line.encode()) + end for line in lines)
        events = self.protocol.receive(data, self.now)
        self.events.extend(events)
        self._pump()
        return events

    def wait(self, seconds: float) -> list[Event]:
        """Nobody says anything."""
        end = self.now + seconds
        events: list[Event] = []
        for _ in range(1000):
            deadline = self.protocol.next_deadline()
            if deadline is None or deadline > end:
                break
            self.now = max(self.now, deadline)
            events.extend(self.protocol.tick(self.now))
            self._pump()
        else:
            raise AssertionError("the protocol wakes without end")
        self.now = end
        self.events.extend(events)
        return events

    def wire(self) -> list[str]:
        """The lines sent since the last look."""
        lines, self._wire = self._wire, []
        return lines

    def commands(self) -> list[str]:
        """The same without numbers and checksums."""
        return [line.partition(" ")[2].partition("*")[0] for line in self.wire()]

    def _pump(self) -> None:
        data = self.protocol.data_to_send(self.now)
        assert not data or data.endswith(b"\n")
        if data:
            self._wire.extend(data.decode()[:-1].split("\n"))

    @property
    def acknowledged(self) -> list[int]:
        return [event.token for event in self.events if isinstance(event, Acknowledged)]

    @property
    def resent(self) -> list[int]:
        return [event.number for event in self.events if isinstance(event, Resent)]

    @property
    def troubles(self) -> list[LinkTrouble]:
        return [event for event in self.events if isinstance(event, LinkTrouble)]

    @property
    def resets(self) -> list[FirmwareReset]:
        return [event for event in self.events if isinstance(event, FirmwareReset)]

    def replies_to(self, token: int) -> tuple[str, ...]:
        """The reply lines of an acknowledged command."""
        return next(event.replies for event in self.events if isinstance(event, Acknowledged) and event.token == token)
