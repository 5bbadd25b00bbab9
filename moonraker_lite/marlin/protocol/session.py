"""One session: from a handshake to the next, the lines that were sent and what the answers say about them.

What makes it safe: a number is bound to one line for ever, the firmware executes only the number after its last one,
and whatever number it asks for is sent again. What makes it live: whenever lines are unanswered for longer than
usual, a numbered M105 is sent. A firmware that has everything answers `ok T:...`, which is an answer to nothing else,
so all lines before it were executed; one that lacks a line asks for that line.
"""

from __future__ import annotations

import enum
from collections import deque

from moonraker_lite.marlin.protocol.events import Acknowledged, Event, LinkTrouble, Resent, Token
from moonraker_lite.marlin.protocol.lines import Sent, SentLines
from moonraker_lite.marlin.protocol.pace import Pace
from moonraker_lite.marlin.protocol.silence import Certainty, Silence
from moonraker_lite.marlin.protocol.stats import Health

MAX_REPLIES = 2000
MAX_KEPT = 1024

IDLE_SYNC = 0.3
"""Seconds of idleness after which a line that has erred is asked for what was executed."""

MEASURABLE = 0.001
"""Shortest round trip, in seconds, that stands out from the jitter of the host's own scheduling."""

CONTRADICTIONS = 3
"""So often the firmware may ask for an impossible line before it is believed."""

WAIT_DELAY = 0.5
"""A `wait` may have been said just before a line arrived."""

FURTHEST_BACK = 64
"""No firmware holds so many lines: who has acknowledged them and asks for line 1 has been reset."""

_MARK = b"M105"


class Verdict(enum.Enum):
    """What a request to resend says about the session."""

    FINE = "fine"
    RESET = "reset"
    """The firmware counts from 1 again: it was reset, and its `start` was lost."""
    LOST = "lost"
    """The firmware counts numbers that are not ours."""


class Session:
    """Lines in flight, acknowledgements, repeats, and questions after a silence."""

    def __init__(
        self, health: Health, now: float, *, limit: int = 1, window_bytes: int = 127, sync_interval: float = 5.0
    ) -> None:
        self.health = health
        self.sent = SentLines()
        self.pace = Pace()
        self.pace.set_limit(limit)
        self.window_bytes = window_bytes
        self.silence = Silence(now)
        self.numbered = False
        """`ok` tells its line number (ADVANCED_OK): every acknowledgement is certain."""
        self.marks = False
        """M105 is answered by `ok T:...`, an acknowledgement that cannot be mistaken."""
        self.hold_until = 0.0
        """Nothing is sent before: the lines behind a damaged one must pass first, or the line is in a storm."""
        self._extras: deque[tuple[Token, int]] = deque()
        """Unnumbered lines on the wire: token, and the numbered line that they follow."""
        self._replies: list[str] = []
        self._last_numbered = 0
        self._last_mark = 0
        self._contradictions = 0
        self._contradiction = 0
        self._ask_soon = False
        self._probe: int | None = None
        """Number of the M105 that asks after a silence; nothing else is sent until it is answered."""
        self._probe_heard = False
        self._certainty = Certainty(sync_interval, now)
        self._planner_filled = False
        self._too_soon = 0.0
        """Round trip of an `ok` that was not believed because it came too soon; 0 = none."""
        self._returning = False
        """The link was away: nothing is taken for granted until the firmware has answered."""
        self._late = 0
        """Lines that were behind a damaged one and have not asked for it yet."""
        self._settling = 0.0
        """Seconds until they have passed: a repeat between them could be cut in two by the flush that each causes."""

    # -- sending ---------------------------------------------------------------------------------------------------

    def fill(self, queue: deque[tuple[Token, bytes]], now: float, out: list[bytes]) -> None:
        """Put on the wire (`out`) what the window permits: lines to be repeated first, then from the queue."""
        if self._probe is not None or now < self.hold_until:
            return
        sent = self.sent
        pace = self.pace
        if sent.cursor - 1 == sent.acked:
            self.silence.begin(now)
        while (flight := sent.cursor - 1 - sent.base) < pace.window:
            if sent.cursor < sent.next:
                line = sent.lines[sent.cursor]
            elif queue:
                line = self._bind(queue, now)
            else:
                break
            if flight and sent.bytes_out + line.size > self.window_bytes:
                break
            if line.tries:
                self.health.resent += 1
            self.health.lines += 1
            out.append(sent.pass_on(line, now))

    def _bind(self, queue: deque[tuple[Token, bytes]], now: float) -> Sent:
        """The next line from the queue, or an M105 when it is time to make sure."""
        sent = self.sent
        if self.marks and not self.numbered:
            # One at a time: of two M105 on the wire nobody could tell which one was answered.
            if self._certainty.wanted(now, noisy=self.pace.noisy) and sent.first_mark() is None:
                return self._bind_mark(now)
            self._certainty.lines += 1
        token, body = queue.popleft()
        line = sent.bind(body, token)
        if line.mark:
            self._certainty.asked(now)
        elif sent.next - sent.oldest > MAX_KEPT:
            sent.forget(min(sent.acked, sent.next - MAX_KEPT))
        return line

    def _bind_mark(self, now: float) -> Sent:
        self._certainty.asked(now)
        return self.sent.bind(_MARK, None)

    def begin(self, now: float, out: list[bytes]) -> None:
        """Send line 1, an M105: its answer shows that the handshake was understood."""
        line = self.sent.lines.get(1) or self._bind_mark(now)
        self.sent.rewind(1)
        self.health.lines += 1
        out.append(self.sent.pass_on(line, now))

    def settle_first(self, now: float, events: list[Event]) -> None:
        """Line 1 was answered, though without `ok T:`."""
        self._acknowledge(1, now, events, measure=False)

    def emergency(self, token: Token, now: float) -> None:
        """An unnumbered line goes on the wire now; its `ok` is expected after those of the lines before it."""
        if not self.waiting:
            self.silence.begin(now)
        self._extras.append((token, self.sent.cursor - 1))

    # -- answers ---------------------------------------------------------------------------------------------------

    def reply(self, text: str) -> None:
        """A line that may answer the oldest unacknowledged command."""
        if len(self._replies) < MAX_REPLIES:
            self._replies.append(text)

    def unknown(self, command: bytes, now: float) -> bool:
        """The firmware did not know a command. True when that was none of ours, but the rest of a damaged line that
        has lost its `N`: the `ok` that follows acknowledges nothing, and the line itself is missing."""
        lines = self.sent.lines
        whole = b" %b*" % command
        if any(whole in lines[number].wire for number in range(self.sent.acked + 1, self.sent.cursor)):
            return False
        self._certainty.doubted = True
        if self.sent.outstanding() == 1:
            # Nothing is behind it that would make the firmware ask.
            self._ask_soon = True
            self.silence.expire(now)
        return True

    def idle(self, now: float) -> None:
        """The firmware says `wait`: it has nothing to do. What it has not answered it has lost, or its answer was."""
        line = self.sent.lines.get(self.sent.acked + 1)
        under_way = line is not None and now - line.sent_at < WAIT_DELAY
        if line is None or under_way or self._probe is not None or not self.sent.outstanding():
            return
        self._ask_soon = True
        self.silence.expire(now)

    def ok_numbered(self, number: int, now: float, events: list[Event]) -> None:
        """`ok N12 ...`: all lines up to it were executed. A number that cannot be is noise."""
        sent = self.sent
        self.numbered = True
        if number <= sent.acked or number >= sent.next:
            self.health.spurious += 1
            return
        # One number alone may be damaged: what an earlier one said and a later one does not contradict is certain.
        if self._last_numbered < number:
            sent.make_solid(self._last_numbered)
            self._last_numbered = number
        self._acknowledge(number, now, events)

    def ok_unnumbered(self, now: float, events: list[Event]) -> None:
        """`ok P15 B3` of a firmware that numbers its oks: of an emergency line, or of the unnumbered rest of a line."""
        if self._extras:
            self._acknowledge_extra(now, events)
        else:
            self.health.spurious += 1

    def ok_anonymous(self, now: float, events: list[Event]) -> None:
        """A bare `ok`: of the oldest line that is not acknowledged, if oks were never lost or doubled."""
        sent = self.sent
        extras = self._extras
        self._probe_heard = True
        if extras and extras[0][1] <= sent.acked:
            self._acknowledge_extra(now, events)
            return
        number = sent.acked + 1
        if number >= sent.cursor:
            self.health.spurious += 1
            self._certainty.doubted = True
            return
        line = sent.lines[number]
        if line.mark and self.marks:
            # Not its answer: a doubled `ok` before it, or its own answer was lost and this is of a line behind it.
            self._certainty.doubted = True
            self.silence.heard(now)
            return
        floor = self.health.trips.floor
        if floor > MEASURABLE and self.pace.window == 1 and now - line.sent_at < floor * 0.3:
            # Nothing is answered so soon: this is the double of the `ok` before.
            self._too_soon = now - line.sent_at
            self.health.spurious += 1
            self._certainty.doubted = True
            return
        self._acknowledge(number, now, events)

    def ok_mark(self, now: float, events: list[Event]) -> None:
        """`ok T:...`: an M105 was executed, and so was everything before it."""
        self.marks = True
        sent = self.sent
        number = sent.first_mark()
        if self._probe is not None and (number is None or self._probe < sent.cursor):
            # Answered after a silence: the answer to the question, older ones would have come before.
            number = self._probe
        if number is None:
            self.health.spurious += 1
            self._certainty.doubted = True
            return
        self._probe = None
        if number > self._last_mark:
            sent.make_solid(self._last_mark)
            self._last_mark = number
        self._acknowledge(number, now, events)

    def _acknowledge(self, number: int, now: float, events: list[Event], *, measure: bool = True) -> None:
        """Everything up to `number` was executed. `measure`: it was answered just now."""
        sent = self.sent
        line = sent.lines[number]
        if measure and line.tries == 1 and not line.patience:
            if number == sent.cursor - 1 == sent.acked + 1:
                self.health.trips.add_alone(now - line.sent_at)
            else:
                self.health.trips.add(now - line.sent_at)
        count = number - sent.acked
        sent.confirm(number)
        pace = self.pace
        pace.clean(count)
        if pace.number is not None and number >= pace.number:
            pace.arrived()
        if self._probe is not None and number >= self._probe:
            self._probe = None
        self.silence.answered(now)
        self._too_soon = 0.0
        self._contradictions = 0
        if number > sent.reported:
            self._report(number, events)
        while self._extras and self._extras[0][1] < number:
            self.health.acknowledged += 1
            events.append(Acknowledged(self._extras.popleft()[0]))

    def _report(self, number: int, events: list[Event]) -> None:
        """Tell each line's acknowledgement once; the reply lines go to the likeliest of several."""
        sent = self.sent
        lines = sent.lines
        first = sent.reported + 1
        sent.reported = number
        self.health.acknowledged += number - first + 1
        replies: tuple[str, ...] = ()
        heir = number
        if self._replies:
            replies = tuple(self._replies)
            self._replies.clear()
            # Several at once after lost oks: moves say nothing, so the lines are some other command's.
            for candidate in range(first, number):
                if not (lines[candidate].move or lines[candidate].mark):
                    heir = candidate
                    break
        for told in range(first, number + 1):
            token = lines[told].token
            if token is not None:
                events.append(Acknowledged(token, replies if told == heir else ()))

    def _acknowledge_extra(self, now: float, events: list[Event]) -> None:
        token, _ = self._extras.popleft()
        self.silence.answered(now)
        self.health.acknowledged += 1
        events.append(Acknowledged(token, tuple(self._replies)))
        self._replies.clear()

    def note_planner(self, free: int, waiting: int) -> None:
        """Count a starved planner: it had been filled, and the move just queued stands there alone although more
        lines are waiting here."""
        size = self.health.planner_size
        if size is None:
            return
        if free <= size // 2:
            self._planner_filled = True
        elif self._planner_filled and free >= size - 1:
            self._planner_filled = False
            line = self.sent.lines.get(self.sent.acked)
            if waiting and line is not None and line.move:
                self.health.starved += 1

    # -- repeats ---------------------------------------------------------------------------------------------------

    def resend(self, number: int, reason: str, now: float, events: list[Event], *, paired: bool) -> Verdict:
        """The firmware wants to go on with line `number`. `paired`: its error text says the same number."""
        sent = self.sent
        self.health.requests += 1
        if not sent.solid < number <= sent.next or number < sent.oldest:
            return self._contradicted(number, now)
        if number == 1 and sent.reported > (1 if self._returning else FURTHEST_BACK):
            # Nothing of what it had is left: it was reset, and its banner was lost.
            return self._contradicted(number, now)
        self._contradictions = 0
        blocked = self.silence.may_block(sent.lines.get(sent.acked + 1))
        probing, self._probe = self._probe is not None, None
        if probing and sent.acked < number - 1 < sent.next and not blocked:
            # It was silent although it had these lines: they are executed, their oks were lost.
            self._acknowledge(number - 1, now, events, measure=False)
        self.silence.heard(now)
        if paired:
            sent.make_solid(number - 1)
        if number == sent.next:
            # Nothing is missing: something else than a line of ours was damaged.
            sent.rewind(number)
            return Verdict.FINE
        behind = sent.cursor - 1 - number
        if number == self.pace.number and self._asks_late(reason, now):
            return Verdict.FINE
        if sent.acked >= number:
            self._certainty.doubted = True
        sent.rewind(number)
        # Flushed by the error or not, an emergency was acted on when it arrived.
        self.settle_extras(events)
        self._late = max(behind, 0)
        self._settling = min(0.002 + (behind + 1) * (self.health.trips.floor or 0.005), 0.25) if behind > 0 else 0.0
        self.hold_until = now + max(self.pace.repeat(number), self._settling)
        events.append(Resent(number, reason))
        trouble = self.pace.trouble()
        if trouble is not None:
            events.append(LinkTrouble(trouble, storm=True))
        return Verdict.FINE

    def _asks_late(self, reason: str, now: float) -> bool:
        """The lines behind a damaged one ask for it again, each for itself: not that the repeat was damaged too."""
        if now < self.hold_until:
            self._late -= 1
            self.hold_until = max(self.hold_until, now + self._settling)
            return True
        if self._late > 0 and "checksum" not in reason.lower():
            self._late -= 1
            return True
        return False

    def _contradicted(self, number: int, now: float) -> Verdict:
        """A number that cannot be: noise, unless the firmware insists."""
        if number != self._contradiction:
            self._contradiction = number
            self._contradictions = 0
        self._contradictions += 1
        self._probe = None
        self.silence.heard(now)
        if self._contradictions < CONTRADICTIONS:
            # A healthy firmware will answer with another number.
            self._ask_soon = True
            return Verdict.FINE
        return Verdict.RESET if number == 1 else Verdict.LOST

    # -- silence ---------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Something is on the wire that should be answered."""
        return self.sent.cursor - 1 > self.sent.acked or bool(self._extras) or self._probe is not None or self._ask_soon

    def deadline(self) -> float | None:
        """When the firmware is asked for a sign of life, or a held line goes out; None = nothing is to be expected."""
        sent = self.sent
        if self._probe is None and sent.cursor < sent.next and sent.cursor - 1 == sent.base:
            return self.hold_until
        if self.waiting:
            return self.silence.deadline(sent.lines.get(sent.acked + 1), self.health.trips.timeout)
        return self.silence.since + IDLE_SYNC if self._unsure() else None

    def _unsure(self) -> bool:
        """The line has erred, and the last lines were acknowledged by nothing better than a bare `ok`."""
        certainty = self._certainty
        return self.marks and not self.numbered and certainty.lines > 0 and (self.pace.noisy or certainty.doubted)

    def ask(self, now: float, out: list[bytes], events: list[Event]) -> None:
        """It was silent for too long: send a numbered M105 behind all lines that are bound."""
        sent = self.sent
        if sent.cursor < sent.next and sent.cursor - 1 == sent.base and self._probe is None:
            return
        if self._probe and self._probe_heard and not self.marks and self._probe < sent.cursor:
            # This firmware answers M105 with a bare `ok`; it has answered the question and is silent again.
            self._acknowledge(sent.cursor - 1, now, events, measure=False)
            return
        if not self.waiting:
            # Idle, but not sure of the last lines.
            out.append(sent.pass_on(self._bind_mark(now), now))
            self.silence.begin(now)
            return
        if self._too_soon:
            # No other `ok` came: it was the answer after all.
            self.health.trips.floor = self._too_soon
            self._too_soon = 0.0
        self.health.timeouts += 1
        self.silence.since = now
        self.settle_extras(events)
        self._probe_heard = self._ask_soon = False
        line = self._question(now)
        self.silence.asked += 1
        self._probe = line.number
        self.health.lines += 1
        if sent.cursor == line.number:
            out.append(sent.pass_on(line, now))
        else:
            # Lines before it are still to be repeated: it will be refused, and the refusal names the missing line.
            line.sent_at = now
            line.tries += 1
            out.append(line.wire)
        complaint = self.silence.complaint(sent.lines.get(sent.acked + 1), now)
        if complaint is not None:
            events.append(LinkTrouble(complaint))

    def lose_link(self, events: list[Event]) -> None:
        """Nothing can be sent or heard for a while."""
        self.settle_extras(events)
        self._probe = None
        self._ask_soon = False

    def find_out(self, now: float, out: list[bytes]) -> None:
        """The link is open again: ask what the firmware has. The answer is `ok T:` (everything), or the line it lacks,
        as after any silence. The newline ends what stands half in its buffer."""
        self._returning = True
        self._contradictions = 0
        self.silence.restart(now)
        self.pace.slow_down()
        self.pace.arrived()
        self.hold_until = 0.0
        self.sent.assume_sent()
        self._probe_heard = False
        line = self._bind_mark(now)
        self._probe = line.number
        self.health.lines += 1
        out += (b"\n", self.sent.pass_on(line, now))

    def found_out(self) -> bool:
        """The question of `find_out` has been answered."""
        if self._probe is not None or self._ask_soon:
            return False
        self._returning = False
        return True

    def _question(self, now: float) -> Sent:
        """The M105 to ask with. One that waits to be repeated will do, unless it was of no use a moment ago: the
        firmware does not answer a number that it just had."""
        sent = self.sent
        last = sent.lines.get(sent.next - 1)
        if last is not None and last.mark and not self.silence.asked and sent.cursor < last.number:
            return last
        return self._bind_mark(now)

    def settle_extras(self, events: list[Event]) -> None:
        """Emergency lines are waited for no longer: they act when they arrive, or not at all."""
        while self._extras:
            self.health.acknowledged += 1
            events.append(Acknowledged(self._extras.popleft()[0]))

    # -- the end ---------------------------------------------------------------------------------------------------

    def speaks_of(self, text: bytes) -> bool:
        """A command that may be executed now holds this text: the firmware's line may be its echo."""
        lines = self.sent.lines
        return any(text in lines[number].wire for number in range(self.sent.acked + 1, self.sent.cursor))

    def untold(self) -> tuple[list[Token], int]:
        """Tokens that were never told as acknowledged, and how many of them have been on the wire."""
        tokens, on_wire = self.sent.untold()
        extras = [token for token, _ in self._extras]
        return extras + tokens, len(extras) + on_wire
