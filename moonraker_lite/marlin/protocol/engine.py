"""The line protocol as a sans-IO machine: bytes and time in, bytes and events out.

Here is the life around a session: opening, handshake, what the reply lines mean, reset, halt. What the answers say
about the lines that were sent is `session`'s part.
"""

from __future__ import annotations

import enum
from collections import deque

from moonraker_lite.marlin.firmware import UNKNOWN, FirmwareProfile, profile_of
from moonraker_lite.marlin.protocol.events import (
    Acknowledged,
    Busy,
    Connected,
    Event,
    Fatal,
    FirmwareReset,
    Line,
    LinkTrouble,
    Resumed,
    Token,
)
from moonraker_lite.marlin.protocol.handshake import Handshake, Step
from moonraker_lite.marlin.protocol.incoming import Kind, LineSplitter, Reply, decode, interpret
from moonraker_lite.marlin.protocol.session import Session, Verdict
from moonraker_lite.marlin.protocol.stats import Health, LinkStats
from moonraker_lite.marlin.protocol.wire import HELLO, clean, command_word, fit

MAX_QUEUE = 1024


class State(enum.Enum):
    """Where the protocol stands."""

    CLOSED = "closed"
    """No link."""
    SHAKING = "shaking hands"
    RUNNING = "running"
    SUSPENDED = "link lost"
    """No link, but the session is kept: the firmware may still be counting our lines."""
    RESUMING = "resuming"
    """The link is open again, and the firmware was asked what it has."""
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
        window_bytes: int | None = None,
        window_lines: int | None = None,
        queue_size: int = 32,
        sync_interval: float = 5.0,
    ) -> None:
        """`window_bytes`: most bytes unacknowledged on the wire, newlines included; None = what the firmware's profile
        says. `window_lines`: most lines unacknowledged; None = one at a time until the firmware is known to buffer,
        then what its buffers hold. Either way more than one only while the line is clean. `queue_size`: what
        `can_accept` counts down from. `sync_interval`: seconds of streaming with plain `ok` before an M105 makes sure
        of what was executed."""
        self._given_bytes = window_bytes
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
        self._profile = UNKNOWN
        self._echo = ""
        self._half: Reply | None = None
        """The beginning of an error whose rest may be in the next line."""
        self._swallow = False
        """The next bare `ok` belongs to a Resend."""
        self._error: Reply | None = None
        """An `Error:` line whose `Resend:` has not come yet."""
        self._handshake = Handshake(0.0)
        self._session = Session(self._health, 0.0)

    # -- what the owner calls --------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """The link is open: start a fresh session with the M110 N0 handshake. Drops everything queued."""
        self._drop()
        self._splitter.clear()
        self._knows_buffers = self._emergency_parser = False
        self._profile = UNKNOWN
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

    def suspend(self) -> bool:
        """The link is gone, but everything is kept for `resume`. False where there is nothing worth keeping."""
        if self._state is State.SUSPENDED:
            return True
        if not self._active:
            return False
        self._state = State.SUSPENDED
        self._raw.clear()
        self._swallow = False
        self._error = None
        self._session.lose_link(self._later)
        return True

    def resume(self, now: float) -> None:
        """The link is open again, after `suspend`. `Resumed` follows when the firmware has said what it has; where it
        was reset meanwhile, `FirmwareReset` and `Connected` as always. Until then nothing but the question is sent."""
        if self._state is not State.SUSPENDED:
            raise ValueError("No session was suspended")
        self._state = State.RESUMING
        self._splitter.clear()
        self._raw.clear()
        self._session.find_out(now, self._raw)

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
            if self._state in (State.CLOSED, State.SUSPENDED, State.HALTED, State.LOST):
                self._raw.append(b"\n%b\n" % fit(body, 0))
                self._later.append(Acknowledged(self._token))
                return self._token
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
        """How many more commands may be queued without exceeding the bounded queue; 0 while the firmware is halted."""
        if self._state in (State.HALTED, State.LOST, State.SUSPENDED):
            return 0
        return max(self._queue_size - len(self._queue), 0)

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Bytes from the firmware, cut anywhere."""
        events = self._take_later()
        for raw in self._splitter.feed(data):
            if raw:
                reply = interpret(raw)
                if reply.kind is Kind.ERROR or self._half is not None:
                    self._on_error(reply, now, events)
                else:
                    self._on_reply(reply, now, events)
        if self._state is State.RESUMING:
            self._look_whether_resumed(events)
        return events

    def tick(self, now: float) -> list[Event]:
        """Time has passed: timeouts, probes, repeats."""
        events = self._take_later()
        if self._active:
            deadline = self._session.deadline()
            if deadline is not None and now >= deadline:
                self._session.ask(now, self._raw, events)
                if self._state is State.RESUMING:
                    self._look_whether_resumed(events)
        elif self._state is State.SHAKING and now >= self._handshake.due:
            self._go_on_shaking(now, events)
        return events

    def next_deadline(self) -> float | None:
        """When `tick` must be called at the latest; None = only after the next bytes or command."""
        if self._later:
            return 0.0
        if self._active:
            return self._session.deadline()
        return self._handshake.due if self._state is State.SHAKING else None

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
            self._given_bytes = self._session.window_bytes = window_bytes
        if window_lines is not None:
            self._window_lines = window_lines
        self._session.pace.set_limit(self._limit())

    @property
    def _window_bytes(self) -> int:
        return self._profile.receive_buffer if self._given_bytes is None else self._given_bytes

    @property
    def profile(self) -> FirmwareProfile:
        """What is known of this kind of firmware; `UNKNOWN` until M115 was answered."""
        return self._profile

    @property
    def state(self) -> State:
        """Where the protocol stands."""
        return self._state

    @property
    def usable(self) -> bool:
        """Commands are, or after the handshake will be, sent: neither closed nor halted nor lost."""
        return self._state in (State.SHAKING, State.RUNNING, State.RESUMING)

    @property
    def _active(self) -> bool:
        """There is a session, and a link to its firmware."""
        return self._state is State.RUNNING or self._state is State.RESUMING

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

    # -- sessions --------------------------------------------------------------------------------------------------

    def _limit(self) -> int:
        """Lines that the firmware may hold. Without emergency parser one slot stays free, or M112 would not be read."""
        if self._window_lines is not None:
            return self._window_lines
        if not self._knows_buffers:
            return 1
        slots = self._health.buffer_size or self._profile.slots
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
        self._session = Session(
            self._health,
            now,
            limit=self._limit(),
            window_bytes=self._window_bytes,
            sync_interval=self._sync_interval,
        )
        self._session.sent.learn(self._profile.patience)
        self._swallow = False
        self._error = None

    def _say_hello(self, now: float) -> None:
        self._new_session(now)
        self._state = State.SHAKING
        self._handshake = Handshake(now)
        self._raw.append(HELLO)
        self._handshake.hello(now)

    def _go_on_shaking(self, now: float, events: list[Event]) -> None:
        """Time for the next step: the banner is over, or nothing (or too little) was answered."""
        shake = self._handshake
        if shake.step is Step.VERIFY and shake.bare_ok:
            self._session.settle_first(now, events)
            self._run(events)
            return
        self._raw.append(HELLO)
        if shake.hello(now):
            events.append(LinkTrouble("The printer does not answer: is it on, and are port and baud rate right?"))

    def _run(self, events: list[Event]) -> None:
        self._state = State.RUNNING
        events.append(Connected())

    def _look_whether_resumed(self, events: list[Event]) -> None:
        if self._session.found_out():
            self._state = State.RUNNING
            events.append(Resumed())

    def _boot(self, now: float, events: list[Event]) -> None:
        """The board boots: what was sent is lost."""
        if self._state is State.SHAKING:
            # What is queued waits for the end of the handshake; only emergencies can be on the wire before it.
            self._session.settle_extras(events)
            self._raw.clear()
        else:
            self._health.resets += 1
            tokens, on_wire = self._drop()
            events.append(FirmwareReset(tokens, on_wire))
        self._new_session(now)
        self._state = State.SHAKING
        self._handshake.boot(now)

    # -- replies ---------------------------------------------------------------------------------------------------

    def _on_reply(self, reply: Reply, now: float, events: list[Event]) -> None:
        kind = reply.kind
        if kind in _OKS:
            lonely, self._error = self._error, None
            if lonely is not None:
                # An error, and now its `ok`: the `Resend:` between them was lost.
                self._on_resend(lonely.number, lonely.text, now, events, paired=False)
            if kind is Kind.OK and self._swallow:
                self._swallow = False
                return
            self._swallow = False
            if reply.text:
                events.append(Line(decode(reply.line)))
                self._session.reply(reply.text)
            if self._active:
                self._on_ok(reply, now, events)
            elif self._state is State.SHAKING:
                self._on_handshake_ok(reply, now, events)
        elif kind is Kind.RESEND:
            error, self._error = self._error, None
            paired = error is not None and error.number == reply.number
            self._on_resend(reply.number, error.text if error else "resend", now, events, paired=paired)
        elif kind is Kind.BUSY:
            self._session.silence.busy(now, keepalive=True)
            self._handshake.busy(now)
            events.append(Busy(reply.text))
        elif kind is not Kind.EMPTY:
            if kind is Kind.HALT:
                # First what happened, then the words for it.
                self._halt(reply.text, events)
            events.append(Line(decode(reply.line)))
            self._on_line(reply, now, events)
            self._handshake.heard(now)

    def _on_error(self, reply: Reply, now: float, events: list[Event]) -> None:
        """An error, or the line behind half an error: Marlin 1.0 says `Error:1`, and then `: Extruder switched off`."""
        half, self._half = self._half, None
        if half is not None and reply.line[:1] == b":":
            reply = interpret(half.line + reply.line)
        elif half is not None:
            self._on_reply(half, now, events)
        if half is None and reply.text.isdigit():
            self._half = reply
        else:
            self._on_reply(reply, now, events)

    def _on_ok(self, reply: Reply, now: float, events: list[Event]) -> None:
        kind = reply.kind
        session = self._session
        if kind is Kind.OK_NUMBERED:
            session.ok_numbered(reply.number, now, events)
            if reply.slots >= 0:
                self._on_buffers(reply.planner, reply.slots)
        elif kind is Kind.OK_TEMPERATURE:
            session.ok_mark(now, events)
        elif session.numbered:
            session.ok_unnumbered(now, events)
        else:
            session.ok_anonymous(now, events)

    def _on_handshake_ok(self, reply: Reply, now: float, events: list[Event]) -> None:
        shake = self._handshake
        if reply.kind is Kind.OK_NUMBERED and reply.slots >= 0:
            self._session.numbered = True
        if shake.step is Step.HELLO:
            shake.verify(now)
            self._session.begin(now, self._raw)
        elif shake.step is Step.VERIFY:
            if reply.kind is Kind.OK_TEMPERATURE:
                self._session.ok_mark(now, events)
                self._run(events)
            else:
                shake.answered_barely(now)

    def _on_buffers(self, planner: int, slots: int) -> None:
        if self._health.note_buffers(planner, slots) or not self._knows_buffers:
            self._knows_buffers = True
            self._session.pace.set_limit(self._limit())
        self._session.note_planner(planner, len(self._queue))

    def _on_line(self, reply: Reply, now: float, events: list[Event]) -> None:
        """A line that is neither `ok` nor a request."""
        kind = reply.kind
        if kind is Kind.TEXT:
            self._learn(reply, now)
            self._session.reply(reply.text)
        elif kind is Kind.WAIT:
            self._session.idle(now)
        elif kind is Kind.HEATING:
            self._session.silence.busy(now, keepalive=False)
        elif kind is Kind.LINE_ERROR:
            self._error = reply
        elif kind is Kind.ERROR:
            self._session.reply(decode(reply.line))
        elif kind is Kind.BOOT:
            booting = self._state is State.SHAKING and self._handshake.step is Step.BOOT
            if not booting and not self._session.speaks_of(reply.line.strip()):
                self._boot(now, events)

    def _learn(self, reply: Reply, now: float) -> None:
        """What M115 says of the firmware's buffers and of its emergency parser; and what it did not understand."""
        line = reply.line
        if line[:5] == b"echo:":
            self._echo = reply.text[5:].strip()
            if line[:21] == b"echo:Unknown command:" and self._active:
                command = line.partition(b'"')[2].rpartition(b'"')[0]
                self._swallow = self._session.unknown(command, now) or self._swallow
        elif line[:13] == b"FIRMWARE_NAME" or line[:5] == b"NAME.":
            self._meet(profile_of(reply.text))
        elif line[:20] == b"Cap:EMERGENCY_PARSER":
            self._emergency_parser = line[20:22] == b":1"
            self._session.pace.set_limit(self._limit())

    def _meet(self, profile: FirmwareProfile) -> None:
        self._profile = profile
        self._knows_buffers = self._knows_buffers or profile.slots > 1
        self._emergency_parser = profile.capabilities.get("EMERGENCY_PARSER", False)
        self._session.window_bytes = self._window_bytes
        self._session.sent.learn(profile.patience)
        self._session.pace.set_limit(self._limit())

    def _halt(self, message: str, events: list[Event]) -> None:
        if self._state is State.HALTED:
            return
        if message.startswith("Printer halted") and self._echo:
            # The bare kill message says nothing; the reason is in the line before.
            message = f"{self._echo}: {message}"
        # M112 and its like have done what they were sent for.
        self._session.settle_extras(events)
        tokens, on_wire = self._drop()
        self._state = State.HALTED
        events.append(Fatal(message, tokens, on_wire))

    def _on_resend(self, number: int, reason: str, now: float, events: list[Event], *, paired: bool) -> None:
        """The firmware asks for a line. The bare `ok` that follows acknowledges nothing."""
        self._swallow = True
        if self._state is State.SHAKING:
            if self._handshake.step is Step.VERIFY:
                if number == 1:
                    self._session.begin(now, self._raw)
                else:
                    self._handshake.refused(now)
            return
        if not self._active:
            return
        verdict = self._session.resend(number, reason, now, events, paired=paired)
        if verdict is Verdict.RESET:
            self._boot(now, events)
        elif verdict is Verdict.LOST:
            tokens, _ = self._drop()
            self._state = State.LOST
            message = f"The printer asks for line {number}, which cannot be: it counts other lines than were sent."
            events.append(LinkTrouble(message, recoverable=False, unacknowledged=tokens))


_OKS = frozenset((Kind.OK, Kind.OK_NUMBERED, Kind.OK_UNNUMBERED, Kind.OK_TEMPERATURE, Kind.OK_PAYLOAD))
