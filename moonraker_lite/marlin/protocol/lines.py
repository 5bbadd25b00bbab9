"""The numbered lines of one session: which are bound, on the wire, acknowledged, known for certain.

A number is bound to its line once and for ever. The firmware executes only the number that follows its last one, so
whatever is sent again, late or twice, nothing can be executed twice or out of order. All other bookkeeping serves
pace and progress only; when it is wrong, time is lost but never a line.
"""

from __future__ import annotations

from collections.abc import Mapping

from moonraker_lite.marlin.protocol.events import Token
from moonraker_lite.marlin.protocol.timing import patience_with
from moonraker_lite.marlin.protocol.wire import command_word, encode

KEPT = 64
"""Lines kept behind the last one that is known for certain to have been accepted."""


class Sent:
    """One bound line."""

    __slots__ = ("mark", "move", "number", "patience", "sent_at", "size", "token", "tries", "wire")

    def __init__(self, number: int, body: bytes, token: Token | None) -> None:
        self.number = number
        self.wire = encode(number, body)
        self.size = len(self.wire)
        self.token = token
        self.sent_at = 0.0
        self.tries = 0
        # By far the most lines of a print begin so; the others may take a little longer.
        if body[:3] == b"G1 " or body[:3] == b"G0 ":
            self.move = True
            self.mark = False
            self.patience = 0.0
        else:
            self.move = False
            self.mark = body[:4] == b"M105"
            self.patience = 0.0 if self.mark else patience_with(body)


class SentLines:
    """The window over the session's lines, from the oldest kept to the newest bound."""

    __slots__ = ("acked", "base", "bytes_out", "cursor", "lines", "next", "oldest", "patience", "reported", "solid")

    def __init__(self) -> None:
        self.lines: dict[int, Sent] = {}
        self.patience: dict[bytes, float] = {}
        """This firmware's own commands that take long."""
        self.oldest = 1
        """Lowest number kept."""
        self.next = 1
        """Number of the next line to be bound."""
        self.cursor = 1
        """Number of the next line to go on the wire; below `next` while lines are repeated."""
        self.acked = 0
        """Highest number taken to be executed. May be too high by doubled oks: then a Resend takes it back."""
        self.reported = 0
        """Highest number whose acknowledgement was told: it is told once, whatever comes later."""
        self.base = 0
        """Highest number that has left the firmware's receive buffer: acknowledged or accepted."""
        self.solid = 0
        """Highest number accepted for certain, by two independent signs: a request below it means another session."""
        self.bytes_out = 0
        """Bytes of the lines above `base` and below `cursor`."""

    def learn(self, patience: Mapping[str, float]) -> None:
        """More commands that keep this firmware silent, and for how many seconds."""
        self.patience = {word.encode(): seconds for word, seconds in patience.items()}

    def bind(self, body: bytes, token: Token | None) -> Sent:
        """Give the next number to a command."""
        number = self.next
        sent = self.lines[number] = Sent(number, body, token)
        if self.patience and not sent.move:
            sent.patience = max(sent.patience, self.patience.get(command_word(body), 0.0))
        self.next = number + 1
        return sent

    def pass_on(self, sent: Sent, now: float) -> bytes:
        """The line at the cursor goes on the wire."""
        self.cursor = sent.number + 1
        self.bytes_out += sent.size
        sent.sent_at = now
        sent.tries += 1
        return sent.wire

    def confirm(self, number: int) -> None:
        """All lines up to `number` are acknowledged."""
        if number > self.acked:
            self.acked = number
        if number > self.base:
            lines = self.lines
            for passed in range(self.base + 1, min(number + 1, self.cursor)):
                self.bytes_out -= lines[passed].size
            self.base = number
        if number >= self.cursor:
            self.cursor = number + 1

    def rewind(self, number: int) -> None:
        """The firmware wants to go on with `number`: all below it were accepted, nothing at or above it was."""
        self.cursor = number
        self.base = number - 1
        self.bytes_out = 0
        self.acked = min(self.acked, number - 1)

    def assume_sent(self) -> None:
        """Nobody knows what of the bound lines has arrived; all of them may have."""
        self.cursor = self.next
        self.base = self.next - 1
        self.bytes_out = 0

    def make_solid(self, number: int) -> None:
        """Accepted for certain up to `number`; lines far enough behind are forgotten."""
        if number <= self.solid:
            return
        self.solid = number
        self.forget(number - KEPT)

    def forget(self, number: int) -> None:
        """Lines up to `number` will never be needed again, as far as they are acknowledged."""
        number = min(number, self.acked, self.reported)
        lines = self.lines
        oldest = self.oldest
        while oldest <= number:
            del lines[oldest]
            oldest += 1
        self.oldest = oldest

    def outstanding(self) -> int:
        """Lines on the wire that are not acknowledged."""
        return max(self.cursor - 1 - self.acked, 0)

    def first_mark(self) -> int | None:
        """The oldest M105 on the wire that is not acknowledged."""
        for number in range(self.acked + 1, self.cursor):
            if self.lines[number].mark:
                return number
        return None

    def untold(self) -> tuple[list[Token], int]:
        """Tokens never told as acknowledged, oldest first, and how many of them have been on the wire."""
        tokens: list[Token] = []
        on_wire = 0
        for number in range(max(self.reported + 1, self.oldest), self.next):
            sent = self.lines[number]
            if sent.token is not None:
                tokens.append(sent.token)
                if sent.tries:
                    on_wire = len(tokens)
        return tokens, on_wire
