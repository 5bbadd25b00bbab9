"""How Marlin reads its serial line: receive ring, line buffer, numbers and checksums, emergency parser.

Sans-IO. Order and quirks are those of the real firmware: the number is checked before the checksum, a number that was
just had is dropped without a word, an error empties the ring, and a line without `N` is believed as it is.
"""

from __future__ import annotations

from moonraker_lite.marlin.protocol.wire import MAX_LINE, checksum

EMERGENCIES = (b"M108", b"M112", b"M410", b"M876")


class Command:
    """One accepted command: its text without number and checksum, and its number (None = unnumbered)."""

    __slots__ = ("from_card", "number", "text")

    def __init__(self, text: bytes, number: bytes | None, *, from_card: bool = False) -> None:
        self.text = text
        self.number = number
        self.from_card = from_card
        """Nobody waits for its `ok`."""


class Receiver:
    """Bytes in, commands out."""

    def __init__(self, *, size: int = 128, emergency_parser: bool = True) -> None:
        self.size = size
        self.last_line = 0
        self.lost_bytes = 0
        self.errors = 0
        self.saving = False
        """A file is being written (M28): every line must have a number, but for the M29 that ends it."""
        self._emergency_parser = emergency_parser
        self._ring = b""
        self._partial = b""
        """The line that is being read: it has left the ring."""
        self._watched = b""
        """What the emergency parser has seen of the current line."""

    def reset(self) -> None:
        """Power on."""
        self.last_line = 0
        self.saving = False
        self._ring = self._partial = self._watched = b""

    @property
    def room(self) -> int:
        """Bytes that the ring still takes."""
        return self.size - len(self._ring)

    def feed(self, data: bytes) -> list[bytes]:
        """Bytes arrive; what does not fit is lost. Returns emergency commands, which act at once."""
        found: list[bytes] = []
        if self._emergency_parser:
            found = self._watch(data)
        room = self.size - len(self._ring)
        if len(data) > room:
            self.lost_bytes += len(data) - room
            data = data[:room]
        self._ring = self._ring + data if self._ring else data
        return found

    def _watch(self, data: bytes) -> list[bytes]:
        watched = self._watched
        end = data.rfind(b"\n")
        if end < 0:
            self._watched = (watched + data)[:64]
            return []
        self._watched = data[end + 1 :][:64]
        if b"M" not in data and b"M" not in watched:
            return []
        found: list[bytes] = []
        for line in (watched + data[:end]).split(b"\n"):
            bare = line.strip()
            if bare[:1] == b"N":
                bare = bare[1:].lstrip(b"-0123456789").lstrip()
            if bare[:4] in EMERGENCIES and not bare[4:5].isdigit():
                found.append(bare.partition(b"*")[0].strip())
        return found

    def read(self, answers: list[bytes]) -> Command | None:
        """The next command out of the ring; None when there is no whole line. Errors go to `answers` and empty the
        ring."""
        while True:
            end = self._ring.find(b"\n")
            if end < 0:
                # A half line leaves the ring byte by byte as long as commands are taken.
                self._partial = (self._partial + self._ring)[: MAX_LINE + 1]
                self._ring = b""
                return None
            line = self._ring[:end]
            self._ring = self._ring[end + 1 :]
            if self._partial:
                line, self._partial = self._partial + line, b""
            if b"\r" in line:
                line = line.replace(b"\r", b"")
            if not line or line[:1] == b";":
                continue
            line = _as_stored(line)
            bare = line.lstrip(b" ")
            if bare[:1] != b"N":
                if self.saving and bare[:3] != b"M29":
                    self._refuse(b"No Checksum with line number", answers)
                    continue
                return Command(_strip_checksum(bare), None)
            command = self._check(bare, answers)
            if command is not None:
                return command

    def _check(self, line: bytes, answers: list[bytes]) -> Command | None:
        """A numbered line; None when it is dropped or refused."""
        sets_number = b"M110" in line
        at = 0
        if sets_number:
            second = line.find(b"N", 4)
            at = second if second >= 0 else 0
        number = _long(line[at + 1 :])
        expected = self.last_line + 1
        if number != expected and not sets_number:
            if expected - 2 <= number < expected:
                return None
            return self._refuse(b"Line Number is not Last Line Number+1", answers)
        star = line.rfind(b"*")
        if star < 0:
            return self._refuse(b"No Checksum with line number", answers)
        if _long(line[star + 1 :]) != checksum(line[:star]):
            return self._refuse(b"checksum mismatch", answers)
        self.last_line = number
        digits = 1
        while line[digits : digits + 1] in _NUMBER and digits < star:
            digits += 1
        return Command(_strip_checksum(line[digits:].lstrip(b" ")), line[1:digits])

    def _refuse(self, error: bytes, answers: list[bytes]) -> Command | None:
        self.errors += 1
        self._ring = b""
        self._partial = b""
        answers.append(b"Error:%b, Last Line: %d\n" % (error, self.last_line))
        self.ask_again(answers)
        return None

    def ask_again(self, answers: list[bytes]) -> None:
        """`Resend:` and the `ok` that acknowledges nothing."""
        self._ring = b""
        answers.append(b"Resend: %d\n" % (self.last_line + 1))
        answers.append(b"ok\n")


_NUMBER = frozenset(bytes((byte,)) for byte in b"-0123456789")


def _as_stored(line: bytes) -> bytes:
    """The line as the line buffer holds it: comment cut, backslash swallowed, backspace done, 95 bytes kept."""
    if b";" in line:
        line = line.partition(b";")[0]
    if b"\\" in line:
        line = line.replace(b"\\", b"")
    while (at := line.find(b"\b")) >= 0:
        line = line[: max(at - 1, 0)] + line[at + 1 :]
    return line[:MAX_LINE].partition(b"\x00")[0]


def _strip_checksum(text: bytes) -> bytes:
    star = text.find(b"*")
    return text[:star].rstrip() if star >= 0 else text.rstrip()


def _long(text: bytes) -> int:
    """C's strtol: leading spaces, a sign, digits; 0 where there is none."""
    text = text.lstrip(b" ")
    end = 1 if text[:1] in (b"-", b"+") else 0
    start = end
    while end < len(text) and 0x30 <= text[end] <= 0x39:
        end += 1
    return int(text[:end]) if end > start else 0
