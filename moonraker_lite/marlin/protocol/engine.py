"""The line protocol as a sans-IO machine: bytes and time in, bytes and events out.

Here is the life around a session: opening, handshake, what the reply lines mean, reset, halt. What the answers say
about the lines that were sent is `session`'s part.
"""

from __future__ import annotations

import enum
from collections import deque

from moonraker_lite.marlin.protocol.events import (
    Acknowledged,
    Busy,
    Connected,
    Event,
    Fatal,
    FirmwareReset,
    Line,
    LinkTrouble,
    Token,
)
from moonraker_lite.marlin.protocol.incoming import (
    LineSplitter,
    busy_kind,
    decode,
    error_text,
    is_boot_sign,
    is_halt,
    is_temperature,
    is_waiting,
    last_line,
    resend_number,
)
from moonraker_lite.marlin.protocol.session import Session, Verdict
from moonraker_lite.marlin.protocol.stats import Health, LinkStats
from moonraker_lite.marlin.protocol.wire import HELLO, clean, command_word, fit

MAX_QUEUE = 1024

HELLO_WAITS = (1.0, 1.0, 2.0, 2.0, 3.0, 5.0)
HELLO_TROUBLE = 6
VERIFY_WAIT = 0.5
BOOT_QUIET = 0.25
BOOT_LONGEST = 3.0

USUAL_SLOTS = 4
"""Marlin's BUFSIZE where it is not told: commands that it takes out of the receive buffer."""


class State(enum.Enum):
    """Where the protocol stands."""

    CLOSED = "closed"
    BOOTING = "booting"
    """The board speaks its banner; nothing is sent until it is quiet."""
    HELLO = "hello"
    """M110 N0 is on its way."""
    VERIFY = "verify"
    """The first numbered line is on its way."""
    RUNNING = "running"
    HALTED = "halted"
    """The firmware was killed: only its reset helps."""
    LOST = "lost"
    """The firmware counts other numbers than we do: only `reset` helps."""


class LineProtocol:
    """Numbers, checksums, paces and repeats lines until the firmware has executed each exactly once, in order.

    `now` is any monotonic clock in seconds. After each call of `send`, `receive`, `tick`, `connected` the owner takes
    `data_to_send` to the wire and calls `tick` no later than `next_deadline`.
    """

    def __init__(
        self,
        *,
        window_bytes: int = 127,
        window_lines: int | None = None,
        queue_size: int = 32,
        sync_interval: float = 5.0,
    ) -> None:
        """`window_bytes`: most bytes unacknowledged on the wire, newlines included. `window_lines`: most lines
        unacknowledged; None = one at a time until the firmware is known to buffer, then what its buffers hold. Either
        way more than one only while the line is clean. `queue_size`: what `can_accept` counts down from.
        `sync_interval`: seconds of streaming with plain `ok` before an M105 makes sure of what was executed."""
        self._window_bytes = window_bytes
        self._window_lines = window_lines
        self._queue_size = queue_size
        self._sync_interval = sync_interval
        self._state = State.CLOSED
        self._splitter = LineSplitter()
        self._health = Health()
        self._token = 0
        self._queue: deque[tuple[Token, bytes]] = deque()
        self._raw: list[bytes] = []
        self._later: list[Event] = []
        """Events that arose in a call that returns none."""
        self._knows_buffers = False
        self._emergency_parser = False
        self._echo = ""
        self._swallow = False
        """The next bare `ok` belongs to a Resend."""
        self._error: tuple[int, str] | None = None
        """Number asked for and reason, of an `Error:` line whose `Resend:` has not come yet."""
        self._hellos = 0
        self._hello_at = 0.0
        self._boot_since = 0.0
        self._verified_by_bare = False
        self._session = Session(self._health, 1, 0.0)

    # -- what the owner calls -------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """The link is open: start a fresh session with the M110 N0 handshake. Drops everything queued."""
        self._drop()
        self._splitter.clear()
        self._knows_buffers = self._emergency_parser = False
        self._say_hello(now)

    def reset(self, now: float) -> tuple[Token, ...]:
        """Start a fresh session on the same link; returns the tokens that were dropped, oldest first."""
        tokens, _ = self._drop()
        self._say_hello(now)
        return tokens

    def disconnected(self) -> tuple[Token, ...]:
        """The link is gone; returns the tokens that were dropped, oldest first."""
        tokens, _ = self._drop()
        self._state = State.CLOSED
        return tokens

    def send(self, command: str, now: float, *, emergency: bool = False) -> Token:
        """Queue one command, stripped of comments. Emergency ones (M112, M108, M410, M876) overtake and go unnumbered.

        M110 is acknowledged without being sent: the numbers are the protocol's own.
        ValueError: the line cannot be sent (empty, longer than 95 bytes with number and checksum, control characters).
        BufferError: more than 1024 commands are queued.
        """
        body = clean(command)
        if b"M110" in body:
            if command_word(body) == b"M110":
                self._token += 1
                self._later.append(Acknowledged(self._token))
                return self._token
            # Marlin looks for M110 anywhere in a numbered line and would not check the number of this one.
            body = body.replace(b"M110", b"M 110")
        if emergency:
            self._token += 1
            # The newline before: had the end of the last line been lost, the emergency would be read as its tail.
            self._raw.append(b"\n%b\n" % fit(body, 0))
            self._session.emergency(self._token, now)
            return self._token
        if len(self._queue) >= MAX_QUEUE:
            raise BufferError("Too many commands are waiting for the printer")
        body = fit(body, self._session.sent.next + MAX_QUEUE)
        self._token += 1
        self._queue.append((self._token, body))
        return self._token

    def unacknowledged(self) -> tuple[Token, ...]:
        """Tokens of all commands that were not acknowledged, oldest first."""
        tokens, _ = self._session.untold()
        return (*tokens, *(token for token, _ in self._queue))

    def can_accept(self) -> int:
        """How many more commands may be queued without exceeding the bounded queue."""
        return max(self._queue_size - len(self._queue), 0)

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Bytes from the firmware, cut anywhere."""
        events = self._take_later()
        for raw in self._splitter.feed(data):
            if raw[:2] == b"ok":
                self._on_ok(raw, now, events)
            elif raw:
                self._on_other(raw, now, events)
        return events

    def tick(self, now: float) -> list[Event]:
        """Time has passed: timeouts, probes, repeats."""
        events = self._take_later()
        if self._state is State.RUNNING:
            deadline = self._session.deadline()
            if deadline is not None and now >= deadline:
                self._session.ask(now, self._raw, events)
        elif self._state in _SHAKING and now >= self._hello_at:
            self._on_hello_time(now, events)
        return events

    def next_deadline(self) -> float | None:
        """When `tick` must be called at the latest; None = only after the next bytes or command."""
        if self._later:
            return 0.0
        if self._state is State.RUNNING:
            return self._session.deadline()
        return self._hello_at if self._state in _SHAKING else None

    def data_to_send(self, now: float) -> bytes:
        """What goes on the wire now; empty when nothing may go."""
        out = self._raw
        if self._state is State.RUNNING:
            self._session.fill(self._queue, now, out)
        if not out:
            return b""
        self._raw = []
        data = b"".join(out)
        self._health.bytes += len(data)
        return data

    def set_window(self, *, window_bytes: int | None = None, window_lines: int | None = None) -> None:
        """What is known of the firmware's buffers (from M115 or the config). None leaves a value as it is."""
        if window_bytes is not None:
            self._window_bytes = self._session.window_bytes = window_bytes
        if window_lines is not None:
            self._window_lines = window_lines
        self._session.pace.set_limit(self._limit())

    @property
    def state(self) -> State:
        """Where the protocol stands."""
        return self._state

    @property
    def ready(self) -> bool:
        """The handshake is done and the firmware is not halted."""
        return self._state is State.RUNNING

    @property
    def queued(self) -> int:
        """Commands that wait to be put on the wire."""
        return len(self._queue)

    @property
    def outstanding_lines(self) -> int:
        """Lines on the wire that are not acknowledged."""
        return self._session.sent.outstanding()

    @property
    def outstanding_bytes(self) -> int:
        """Bytes on the wire that may still be in the firmware's receive buffer, newlines included."""
        return self._session.sent.bytes_out

    @property
    def stats(self) -> LinkStats:
        """Link health as figures."""
        return self._health.snapshot(
            window_lines=self._session.pace.window,
            window_bytes=self._window_bytes,
            advanced_ok=self._session.numbered,
            noise_bytes=self._splitter.dropped,
        )

    # -- sessions -------------------------------------------------------------------------------------------------

    def _limit(self) -> int:
        """Lines that the firmware may hold. Without emergency parser one slot stays free, or M112 would not be read."""
        if self._window_lines is not None:
            return self._window_lines
        if not self._knows_buffers:
            return 1
        slots = self._health.buffer_size or USUAL_SLOTS
        return self._window_bytes if self._emergency_parser else max(slots - 1, 1)

    def _take_later(self) -> list[Event]:
        events, self._later = self._later, []
        return events

    def _drop(self) -> tuple[tuple[Token, ...], int]:
        """Forget every command; their tokens, oldest first, and how many of them have been on the wire."""
        tokens, on_wire = self._session.untold()
        tokens.extend(token for token, _ in self._queue)
        self._queue.clear()
        self._raw.clear()
        self._new_session(0.0)
        return tuple(tokens), on_wire

    def _new_session(self, now: float) -> None:
        self._session = Session(self._health, self._limit(), now)
        self._session.window_bytes = self._window_bytes
        self._session.sync_interval = self._sync_interval
        self._swallow = False
        self._error = None

    def _say_hello(self, now: float) -> None:
        self._new_session(now)
        self._state = State.HELLO
        self._hellos = 0
        self._hello_at = now

    def _on_hello_time(self, now: float, events: list[Event]) -> None:
        """Time for the next step of the handshake: nothing, or not enough, was answered."""
        if self._state is State.VERIFY and self._verified_by_bare:
            self._session.settle_first(now, events)
            self._run(events)
            return
        if self._state is State.BOOTING:
            self._hellos = 0
        self._state = State.HELLO
        self._raw.append(HELLO)
        self._hello_at = now + HELLO_WAITS[min(self._hellos, len(HELLO_WAITS) - 1)]
        self._hellos += 1
        if self._hellos == HELLO_TROUBLE:
            events.append(LinkTrouble("The printer does not answer: is it on, and are port and baud rate right?"))

    def _verify(self, now: float) -> None:
        self._state = State.VERIFY
        self._verified_by_bare = False
        self._session.begin(now, self._raw)
        self._hello_at = now + 2.0

    def _run(self, events: list[Event]) -> None:
        self._state = State.RUNNING
        events.append(Connected())

    def _boot(self, now: float, events: list[Event]) -> None:
        """The board boots: what was sent is lost."""
        if self._state in (State.RUNNING, State.HALTED, State.LOST):
            self._health.resets += 1
            tokens, on_wire = self._drop()
            events.append(FirmwareReset(tokens, on_wire))
        else:
            # What is queued waits for the end of the handshake; only emergencies can be on the wire before it.
            events.extend(Acknowledged(token) for token in self._session.untold()[0])
        self._new_session(now)
        self._raw.clear()
        self._state = State.BOOTING
        self._boot_since = now
        self._hello_at = now + BOOT_QUIET

    # -- replies --------------------------------------------------------------------------------------------------

    def _on_ok(self, raw: bytes, now: float, events: list[Event]) -> None:
        """A line that begins with `ok`: bare, `ok N12 P15 B3`, `ok P15 B3`, `ok 12`, `ok T:21.0 /0.0`."""
        if raw[-1:] == b"\r":
            raw = raw.rstrip(b"\r")
        if self._error is not None:
            # The error was followed by this `ok`: the `Resend:` between them was lost.
            (number, reason), self._error = self._error, None
            self._on_resend(number, reason, now, events, paired=False)
        session = self._session
        if len(raw) == 2:
            if self._swallow:
                self._swallow = False
            elif self._state is not State.RUNNING:
                self._on_handshake_ok(now, events)
            elif session.numbered:
                session.ok_unnumbered(now, events)
            else:
                session.ok_anonymous(now, events)
            return
        if raw[2:3] not in _AFTER_OK:
            self._on_other(raw, now, events)
            return
        self._swallow = False
        if raw[3:4] == b"N" and self._on_numbered(raw, now, events):
            return
        payload = raw[3:].strip()
        if payload[:1] in (b"P", b"B") and payload[1:2].isdigit():
            if self._state is not State.RUNNING:
                self._on_handshake_ok(now, events)
            elif session.numbered:
                session.ok_unnumbered(now, events)
            else:
                session.ok_anonymous(now, events)
            return
        self._on_payload(raw, payload, now, events)

    def _on_numbered(self, raw: bytes, now: float, events: list[Event]) -> bool:
        """`ok N12 P15 B3`; False where it is none, damaged for instance."""
        parts = raw.split()
        try:
            number = int(parts[1][1:])
            if self._state is State.RUNNING:
                self._session.ok_numbered(number, now, events)
                if len(parts) == 4:
                    self._on_buffers(int(parts[2][1:]), int(parts[3][1:]))
                return True
        except ValueError:
            return False
        self._session.numbered = True
        self._on_handshake_ok(now, events)
        return True

    def _on_buffers(self, planner: int, slots: int) -> None:
        if self._health.note_buffers(planner, slots) or not self._knows_buffers:
            self._knows_buffers = True
            self._session.pace.set_limit(self._limit())
        self._session.note_planner(planner, len(self._queue))

    def _on_payload(self, raw: bytes, payload: bytes, now: float, events: list[Event]) -> None:
        """`ok` with an answer behind it."""
        text = decode(payload)
        session = self._session
        if payload.isdigit():
            # Repetier numbers its oks so.
            if self._state is State.RUNNING and session.sent.acked < int(payload) < session.sent.cursor:
                session.ok_numbered(int(payload), now, events)
            return
        events.append(Line(decode(raw)))
        session.reply(text)
        temperature = b"T:" in payload or b"B:" in payload
        if self._state is State.VERIFY and temperature:
            session.ok_mark(now, events)
            self._run(events)
        elif self._state is not State.RUNNING:
            self._on_handshake_ok(now, events)
        elif temperature:
            session.ok_mark(now, events)
        elif session.numbered:
            session.ok_unnumbered(now, events)
        else:
            session.ok_anonymous(now, events)

    def _on_handshake_ok(self, now: float, events: list[Event]) -> None:
        if self._state is State.HELLO:
            self._verify(now)
        elif self._state is State.VERIFY and not self._verified_by_bare:
            # Of a second hello, or of a firmware that does not answer M105 with `ok T:`: the next half second tells.
            self._verified_by_bare = True
            self._hello_at = now + VERIFY_WAIT

    def _on_other(self, raw: bytes, now: float, events: list[Event]) -> None:
        """Any line that is no `ok`."""
        line = raw.rstrip(b"\r").strip(b"\x00")
        if not line:
            return
        number = resend_number(line)
        if number is not None:
            error, self._error = self._error, None
            self._on_resend(
                number,
                error[1] if error is not None else "resend",
                now,
                events,
                paired=error is not None and error[0] == number,
            )
            return
        busy = busy_kind(line)
        if busy is not None:
            self._session.busy(now, keepalive=True)
            if self._state in _SHAKING:
                self._hello_at = max(self._hello_at, now + HELLO_WAITS[-1])
            events.append(Busy(busy))
            return
        self._on_text(line, now, events)

    def _on_text(self, line: bytes, now: float, events: list[Event]) -> None:
        text = decode(line)
        events.append(Line(text))
        error = error_text(line)
        if error is not None:
            self._on_error(line, text, now, events)
        elif is_temperature(line):
            if is_waiting(line):
                self._session.busy(now, keepalive=False)
        elif is_boot_sign(line):
            if self._state is not State.BOOTING and not self._session.speaks_of(line.strip()):
                self._boot(now, events)
        elif line == b"wait" or line[:2] == b"//":
            pass
        else:
            self._learn(line)
            if line[:5] == b"echo:":
                self._echo = text[5:].strip()
            self._session.reply(text)
        if self._state is State.BOOTING and now - self._boot_since < BOOT_LONGEST:
            self._hello_at = now + BOOT_QUIET

    def _learn(self, line: bytes) -> None:
        """What M115 says of the firmware's buffers and of its emergency parser."""
        if line[:14] == b"FIRMWARE_NAME:":
            self._knows_buffers = self._knows_buffers or b"Marlin" in line
        elif line[:20] == b"Cap:EMERGENCY_PARSER":
            self._emergency_parser = line[20:22] == b":1"
        else:
            return
        self._session.pace.set_limit(self._limit())

    def _on_error(self, line: bytes, text: str, now: float, events: list[Event]) -> None:
        number = last_line(line)
        message = text.partition(":")[2].strip()
        if number is not None:
            self._error = (number + 1, message.partition(", Last Line")[0])
        elif is_halt(line):
            self._on_halt(message, events)
        else:
            self._session.reply(text)

    def _on_halt(self, message: str, events: list[Event]) -> None:
        if self._state is State.HALTED:
            return
        if message.startswith("Printer halted") and self._echo:
            # The bare kill message says nothing; the reason is in the line before.
            message = f"{self._echo}: {message}"
        tokens, on_wire = self._drop()
        self._state = State.HALTED
        events.append(Fatal(message, tokens, on_wire))

    def _on_resend(self, number: int, reason: str, now: float, events: list[Event], *, paired: bool) -> None:
        """The firmware asks for a line. The bare `ok` that follows acknowledges nothing."""
        self._swallow = True
        if self._state is State.VERIFY:
            # Line 1 is repeated; any other number says that the hello was not heard.
            if number == 1:
                self._session.begin(now, self._raw)
            else:
                self._state = State.HELLO
                self._hello_at = now + 0.05
            return
        if self._state is not State.RUNNING:
            return
        verdict = self._session.resend(number, reason, now, events, paired=paired)
        if verdict is Verdict.RESET:
            self._boot(now, events)
        elif verdict is Verdict.LOST:
            self._drop_lost(number, events)

    def _drop_lost(self, number: int, events: list[Event]) -> None:
        tokens, _ = self._drop()
        self._state = State.LOST
        events.append(
            LinkTrouble(
                f"The printer asks for line {number}, which cannot be: it counts other lines than were sent.",
                recoverable=False,
                unacknowledged=tokens,
            )
        )


_SHAKING = (State.BOOTING, State.HELLO, State.VERIFY)
_AFTER_OK = (b" ", b"\t", b".", b":")
