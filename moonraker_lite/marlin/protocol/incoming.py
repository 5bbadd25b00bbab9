"""Bytes from the firmware cut into lines, and what one line means to the protocol. Pure, and never raises."""

from __future__ import annotations

import enum
import re

from moonraker_lite.marlin.protocol.wire import first_number

MAX_REPLY = 4096
"""Longest reply line; what is longer is noise."""


class LineSplitter:
    """Cuts a byte stream at newlines, with a bounded buffer."""

    __slots__ = ("_overlong", "_partial", "dropped")

    def __init__(self) -> None:
        self._partial = b""
        self._overlong = False
        self.dropped = 0
        """Bytes thrown away because no newline came."""

    def clear(self) -> None:
        """Forget a half line."""
        self._partial = b""
        self._overlong = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now, without `\\n`."""
        if self._partial:
            data = self._partial + data
        lines = data.split(b"\n")
        partial = lines.pop()
        if lines and self._overlong:
            self._overlong = False
            self.dropped += len(lines[0])
            del lines[0]
        if len(partial) > MAX_REPLY:
            self.dropped += len(partial)
            self._overlong = True
            partial = b""
        self._partial = partial
        return lines


class Kind(enum.Enum):
    """What a line means to the protocol."""

    OK = "ok"
    """A bare `ok`: of any line, or of a Resend."""
    OK_NUMBERED = "ok N"
    """`ok N12 P15 B3`, or Repetier's `ok 12`."""
    OK_UNNUMBERED = "ok P"
    """`ok P15 B3`: ADVANCED_OK of a line without number."""
    OK_TEMPERATURE = "ok T"
    """`ok T:21.0 /0.0`: the answer to M105 and to nothing else."""
    OK_PAYLOAD = "ok payload"
    """`ok` with any other answer behind it."""
    RESEND = "resend"
    LINE_ERROR = "line error"
    """An error that a `Resend:` will follow."""
    HALT = "halt"
    """An error after which the firmware is dead."""
    ERROR = "error"
    BUSY = "busy"
    HEATING = "heating"
    """A temperature report of M109 or M190."""
    TEMPERATURE = "temperature"
    BOOT = "boot"
    """A line that a board says only while it boots."""
    ACTION = "action"
    WAIT = "wait"
    EMPTY = "empty"
    TEXT = "text"


class Reply:
    """One line, understood. `number`: the line number of `ok N`, of a Resend, or the one an error asks for.

    `text`: the payload of an `ok`, the message of an error, the kind of `busy:`; else the line.
    """

    __slots__ = ("kind", "line", "number", "planner", "slots", "text")

    def __init__(
        self, kind: Kind, line: bytes, text: str = "", number: int = 0, planner: int = -1, slots: int = -1
    ) -> None:
        self.kind = kind
        self.line = line
        self.text = text
        self.number = number
        self.planner = planner
        self.slots = slots


_BARE_OK = Reply(Kind.OK, b"ok")
_BOOT_SIGNS = frozenset(
    (b"start", b"PowerUp", b"External Reset", b"Brown out Reset", b"Watchdog Reset", b"Software Reset")
)
_HALTS = (b"kill()", b"halted", b"system stopped", b"KILLED")
_NOISE = bytes(range(0x20)) + bytes(range(0x7F, 0x100))
# How other firmwares than Marlin (Repetier, older forks, OctoPrint's virtual printer) speak of a damaged line.
_DAMAGED = re.compile(
    rb"checksum|line ?number|last line|format error|expected line (?P<expected>[0-9]{1,9})", re.IGNORECASE
)
_AFTER_OK = (b" ", b"\t", b".", b":")


def interpret(raw: bytes) -> Reply:
    """What a line (without `\\n`) means."""
    if raw == b"ok":
        return _BARE_OK
    if raw[-1:] == b"\r" or raw[:1] == b"\x00" or raw[-1:] == b"\x00":
        raw = raw.strip(b"\r\x00")
    if raw[:2] == b"ok":
        return _interpret_ok(raw)
    if not raw:
        return Reply(Kind.EMPTY, raw)
    first = raw[:1]
    if first == b" " or first == b"T":
        bare = raw.lstrip(b" ")
        if bare[:2] in (b"T:", b"B:", b"C:") or (bare[:1] == b"T" and bare[1:2].isdigit() and bare[2:3] == b":"):
            return Reply(Kind.HEATING if b" W:" in raw else Kind.TEMPERATURE, raw, decode(raw))
    elif first in b"Rr":
        number = _resend_number(raw)
        if number is not None:
            return Reply(Kind.RESEND, raw, "", number)
    elif first in b"Ef" and (raw[:6] == b"Error:" or raw[:6].lower() == b"fatal:"):
        return _interpret_error(raw)
    elif raw[:10] == b"echo:busy:" or raw[:5] == b"busy:":
        return Reply(Kind.BUSY, raw, decode(raw.partition(b"busy:")[2]).strip())
    elif raw[:2] == b"!!":
        message = decode(raw[2:]).strip()
        return Reply(Kind.HALT if any(sign in raw for sign in _HALTS) else Kind.ERROR, raw, message)
    elif raw[:2] == b"//":
        return Reply(Kind.ACTION, raw, decode(raw))
    elif raw == b"wait":
        return Reply(Kind.WAIT, raw, "wait")
    # The whole line must say it: M118 may say `start` in a sentence. A reset leaves garbage before it.
    if raw.strip(b"\x00\xfe\xff ") in _BOOT_SIGNS:
        return Reply(Kind.BOOT, raw, decode(raw))
    if first >= b"\x80" or first < b" ":
        # Noise on the wire stands before an `ok`.
        rest = raw.lstrip(_NOISE)
        if rest[:2] == b"ok":
            return _interpret_ok(rest)
    return Reply(Kind.TEXT, raw, decode(raw))


def _interpret_ok(raw: bytes) -> Reply:
    if len(raw) == 2:
        return _BARE_OK
    if raw[2:3] not in _AFTER_OK:
        return Reply(Kind.TEXT, raw, decode(raw))
    payload = raw[3:].strip()
    if payload[:1] == b"N":
        parts = payload.split()
        try:
            number = int(parts[0][1:])
            if len(parts) == 3:
                return Reply(Kind.OK_NUMBERED, raw, "", number, int(parts[1][1:]), int(parts[2][1:]))
            return Reply(Kind.OK_NUMBERED, raw, "", number)
        except ValueError:
            return Reply(Kind.OK_PAYLOAD, raw, decode(payload))
    if payload[:1] in (b"P", b"B") and payload[1:2].isdigit():
        return Reply(Kind.OK_UNNUMBERED, raw)
    if payload.isdigit() and len(payload) < 10:
        return Reply(Kind.OK_NUMBERED, raw, "", int(payload))
    if not payload:
        return _BARE_OK
    kind = Kind.OK_TEMPERATURE if b"T:" in payload or b"B:" in payload else Kind.OK_PAYLOAD
    return Reply(kind, raw, decode(payload))


def _resend_number(line: bytes) -> int | None:
    """The number of `Resend: 12`, `resend 12`, `Resend:N:12`, `rs N12 Expected checksum 67`; None: no request."""
    head = line[:6].lower()
    if head == b"resend":
        return first_number(line[6:])
    if head[:2] == b"rs" and head[2:3] in (b" ", b":"):
        return first_number(line[2:])
    return None


def speaks_of_the_line(error: bytes) -> bool:
    """Whether an error is one of the line protocol, which a `Resend:` or our own probe mends, and not of a command."""
    return _DAMAGED.search(error) is not None


def _interpret_error(line: bytes) -> Reply:
    message = decode(line[6:]).strip()
    at = line.rfind(b"Last Line:")
    if at >= 0:
        last = first_number(line[at + 10 :])
        if last is not None:
            return Reply(Kind.LINE_ERROR, line, message.partition(", Last Line")[0], last + 1)
    if line[:1] == b"f" or line[:1] == b"F" or any(sign in line for sign in _HALTS):
        return Reply(Kind.HALT, line, message)
    damaged = _DAMAGED.search(line)
    if damaged is None:
        return Reply(Kind.ERROR, line, message)
    expected = damaged["expected"]
    # Without a number only the `Resend:` that follows says which line is meant: until then it is but a text.
    return Reply(Kind.LINE_ERROR, line, message, int(expected)) if expected else Reply(Kind.TEXT, line, message)


def decode(line: bytes) -> str:
    """Text of a reply line: UTF-8, or Latin-1 where it is none."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")
