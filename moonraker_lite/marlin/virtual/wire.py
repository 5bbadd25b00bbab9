"""A line in simulated time: `LineProtocol` here, a bare Marlin there, and a hostile wire between. For tests and soaks.

The firmware has Marlin's reading (`Receiver`), its queue of four and an execution time per command; everything it
executes is recorded. The wire has a delay, a byte rate and cuts the stream where it likes.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from moonraker_lite.marlin.protocol import Acknowledged, Connected, Event, LineProtocol
from moonraker_lite.marlin.virtual.faults import FaultPlan, Faults
from moonraker_lite.marlin.virtual.receiver import Command, Receiver
from moonraker_lite.marlin.virtual.words import command_of

Chunker = Callable[[bytes, random.Random], Iterable[bytes]]

BUFSIZE = 4


def whole(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """Everything at once."""
    if data:
        yield data


def single(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """Byte by byte."""
    for byte in data:
        yield bytes((byte,))


def linewise(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """Line by line, as a UART delivers them to a firmware that looks often enough."""
    yield from data.splitlines(keepends=True)


def ragged(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """Pieces of random length."""
    at = 0
    while at < len(data):
        size = rng.randint(1, 40)
        yield data[at : at + size]
        at += size


class BareFirmware:
    """Marlin's command loop without a machine: every command takes a given time, M105 answers, the rest says `ok`."""

    def __init__(
        self, *, advanced_ok: bool, cost: Callable[[bytes], float], plain_m105: bool = False, ring: int = 128
    ) -> None:
        self.receiver = Receiver(size=ring, emergency_parser=False)
        self.queue: deque[Command] = deque()
        self.executed: list[bytes] = []
        self.peak_ring = 0
        self._advanced_ok = advanced_ok
        self._plain_m105 = plain_m105
        self._cost = cost
        self._done_at: float | None = None

    def boot(self) -> list[bytes]:
        """Reset: everything is forgotten; returns the banner."""
        self.receiver.reset()
        self.queue.clear()
        self._done_at = None
        return [b"start\n", b"PowerUp\n", b"Marlin bugfix-2.1.x\n", b"echo:SD card ok\n"]

    def feed(self, data: bytes, now: float) -> list[bytes]:
        """Bytes arrive."""
        self.receiver.feed(data)
        self.peak_ring = max(self.peak_ring, self.receiver.size - self.receiver.room)
        return self.advance(now)

    def advance(self, now: float) -> list[bytes]:
        """Do what is due."""
        answers: list[bytes] = []
        while True:
            while len(self.queue) < BUFSIZE and (command := self.receiver.read(answers)) is not None:
                self.queue.append(command)
            if not self.queue:
                return answers
            if self._done_at is None:
                self._done_at = now + self._cost(self.queue[0].text)
            if self._done_at > now:
                return answers
            self._done_at = None
            self._execute(self.queue[0], answers)
            self.queue.popleft()

    @property
    def due(self) -> float | None:
        """When the running command ends."""
        return self._done_at

    def _execute(self, command: Command, answers: list[bytes]) -> None:
        text = command.text
        if text.startswith(b"M110"):
            # Also a numbered one sets the number a second time, when it is executed.
            if b"N" in text:
                self.receiver.last_line = int(text.partition(b"N")[2])
        elif not command_of(text)[0]:
            answers.append(b'echo:Unknown command: "%b"\n' % text)
        elif text == b"M105":
            if not self._plain_m105:
                answers.append(b"ok T:21.05 /0.00 B:21.17 /0.00 @:0 B@:0\n")
                return
            answers.append(b"T:21.05 /0.00 B:21.17 /0.00 @:0 B@:0\n")
        else:
            self.executed.append(text)
        if not self._advanced_ok:
            answers.append(b"ok\n")
            return
        slots = BUFSIZE - len(self.queue)
        number = b"" if command.number is None else b"N%b " % command.number
        answers.append(b"ok %bP15 B%d\n" % (number, slots))


class SimulatedLine:
    """Runs the protocol against the firmware until a job is acknowledged, in simulated time."""

    def __init__(
        self,
        protocol: LineProtocol,
        firmware: BareFirmware,
        plan: FaultPlan,
        *,
        chunker: Chunker = whole,
        delay: float = 0.001,
        bytes_per_second: float = 0.0,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.protocol = protocol
        self.firmware = firmware
        self.faults = Faults(plan)
        self.now = 0.0
        self.acknowledged: list[int] = []
        self.longest_stall = 0.0
        self.peak_lines = 0
        self.peak_bytes = 0
        self._chunker = chunker
        self._delay = delay
        self._rate = bytes_per_second
        self._on_event = on_event
        self._progress_at = 0.0
        self._events: list[tuple[float, int, bool, bytes]] = []
        """On the wire: arrival time, order, to the firmware, bytes."""
        self._order = 0
        self._line_free = [0.0, 0.0]
        self._away_until = 0.0
        """When the link is there again; 0 = it is there."""

    def run(self, commands: Iterable[str], *, limit: float = 1e6, until: Callable[[], bool] | None = None) -> None:
        """Shake hands, then as `go_on`."""
        self.protocol.connected(self.now)
        self.go_on(commands, limit=limit, until=until)

    def go_on(
        self,
        commands: Iterable[str],
        *,
        limit: float = 1e6,
        until: Callable[[], bool] | None = None,
        on_acknowledged: Callable[[int], None] | None = None,
    ) -> None:
        """Send the commands, wait for the last acknowledgement, and then until everybody is quiet, or until told.

        TimeoutError: no end at `limit` seconds of simulated time.
        """
        source = iter(commands)
        waiting: set[int] = set()
        exhausted = False
        while until is None or not until():
            while not exhausted and self.protocol.ready and self.protocol.can_accept():
                command = next(source, None)
                if command is None:
                    exhausted = True
                    break
                waiting.add(self.protocol.send(command, self.now))
            self._transmit(self.protocol.data_to_send(self.now), to_firmware=True)
            self.peak_lines = max(self.peak_lines, self.protocol.outstanding_lines)
            self.peak_bytes = max(self.peak_bytes, self.protocol.outstanding_bytes)
            if until is None and exhausted and not waiting and self._quiet():
                return
            for event in self._step():
                if isinstance(event, Acknowledged):
                    self._acknowledged(event.token)
                    waiting.discard(event.token)
                    if on_acknowledged is not None:
                        on_acknowledged(event.token)
                elif isinstance(event, Connected):
                    self._progress_at = self.now
                if self._on_event is not None:
                    self._on_event(event)
            if self.now > limit:
                raise TimeoutError(f"no end after {limit} simulated seconds, {len(waiting)} lines unacknowledged")

    def _acknowledged(self, token: int) -> None:
        self.longest_stall = max(self.longest_stall, self.now - self._progress_at)
        self._progress_at = self.now
        self.acknowledged.append(token)

    def _quiet(self) -> bool:
        """An acknowledgement may have come too early, by a doubled `ok`: then the line is still to be delivered."""
        if self._events or self.firmware.due is not None:
            return False
        deadline = self.protocol.next_deadline()
        return deadline is None or deadline > self.now + 5.0

    def damage(self, plan: FaultPlan) -> None:
        """From now on other faults."""
        self.faults = Faults(plan)

    def cut_link(self, seconds: float) -> None:
        """The link goes away for so long. Some of what is under way to the firmware still arrives, of the rest nothing;
        what the firmware says meanwhile nobody hears."""
        if not self.protocol.suspend():
            return
        self._away_until = self.now + seconds
        arriving = sorted(event for event in self._events if event[2])
        arriving = arriving[: self.faults.random.randint(0, len(arriving))]
        if arriving:
            time, order, to_firmware, piece = arriving.pop()
            arriving.append((time, order, to_firmware, piece[: self.faults.random.randint(0, len(piece))]))
        self._events = arriving
        heapq.heapify(self._events)

    def _step(self) -> list[Event]:
        """Go to the next happening."""
        deadline = self.protocol.next_deadline()
        arrival = self._events[0][0] if self._events else None
        due = self.firmware.due
        times = [time for time in (deadline, arrival, due, self._away_until or None) if time is not None]
        if not times:
            raise TimeoutError("deadlock: nothing is on the wire and nobody waits")
        self.now = max(self.now, min(times))
        if self._away_until and self.now >= self._away_until:
            self._away_until = 0.0
            self._progress_at = self.now
            self.protocol.resume(self.now)
            return []
        if arrival is not None and arrival <= self.now:
            _, _, to_firmware, data = heapq.heappop(self._events)
            if not to_firmware:
                return self.protocol.receive(data, self.now)
            self._reply(self.firmware.feed(data, self.now))
        elif due is not None and due <= self.now:
            self._reply(self.firmware.advance(self.now))
        else:
            return self.protocol.tick(self.now)
        return []

    def reset_firmware(self) -> None:
        """The board resets; what is on the wire towards it is lost."""
        self._events = [event for event in self._events if not event[2]]
        heapq.heapify(self._events)
        self._reply(self.firmware.boot())

    def _reply(self, lines: list[bytes]) -> None:
        self._transmit(b"".join(self.faults.outgoing(line) for line in lines), to_firmware=False)

    def _transmit(self, data: bytes, *, to_firmware: bool) -> None:
        if to_firmware:
            data = self.faults.incoming(data)
        elif self._away_until:
            return
        for piece in self._chunker(data, self.faults.random):
            start = max(self.now, self._line_free[to_firmware])
            # What is held back holds back everything behind it: its time is made of the same sum, or rounding lets the
            # next piece overtake.
            end = start + (len(piece) / self._rate if self._rate else 0.0) + self.faults.delay()
            self._line_free[to_firmware] = end
            arrival = end + self._delay
            self._order += 1
            heapq.heappush(self._events, (arrival, self._order, to_firmware, piece))
