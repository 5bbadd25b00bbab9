"""Bytes from the firmware cut into lines, and what the protocol must understand of them."""

from __future__ import annotations

from moonraker_lite.marlin.protocol.wire import first_number

MAX_REPLY = 4096
"""Longest reply line; what is longer is noise."""

_BOOT_SIGNS = frozenset(
    (b"start", b"PowerUp", b"External Reset", b"Brown out Reset", b"Watchdog Reset", b"Software Reset")
)
_HALTS = (b"kill()", b"halted", b"system stopped", b"KILLED")


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


def decode(line: bytes) -> str:
    """Text of a reply line: UTF-8, or Latin-1 where it is none."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def is_boot_sign(line: bytes) -> bool:
    """A line that a board says only while it boots. `start` must be the whole line, M118 may say it in a sentence."""
    return line.strip(b"\x00\xfe\xff \r") in _BOOT_SIGNS


def resend_number(line: bytes) -> int | None:
    """The line number of `Resend: 12`, `resend 12`, `Resend:N:12`, `rs N12 Expected checksum 67`; None: no request."""
    head = line[:6].lower()
    if head == b"resend":
        return first_number(line[6:])
    if head[:2] == b"rs" and head[2:3] in (b" ", b":"):
        return first_number(line[2:])
    return None


def last_line(line: bytes) -> int | None:
    """The number k of `Error:checksum mismatch, Last Line: k`; None for other errors."""
    at = line.rfind(b"Last Line:")
    return first_number(line[at + 10 :]) if at >= 0 else None


def error_text(line: bytes) -> bytes | None:
    """What follows `Error:` or `fatal:`; None for lines that are no errors."""
    if line[:6] == b"Error:" or line[:6].lower() == b"fatal:":
        return line[6:].strip()
    return None


def is_halt(line: bytes) -> bool:
    """An error after which the firmware is dead."""
    return line[:6].lower() == b"fatal:" or any(sign in line for sign in _HALTS)


def busy_kind(line: bytes) -> str | None:
    """`processing` of `echo:busy: processing` or `busy: processing`."""
    if line[:10] == b"echo:busy:":
        return decode(line[10:]).strip()
    if line[:5] == b"busy:":
        return decode(line[5:]).strip()
    return None


def is_temperature(line: bytes) -> bool:
    """A report without `ok`: ` T:...`, `T0:...`, `B:...`."""
    line = line.lstrip(b" ")
    return line[:2] in (b"T:", b"B:", b"C:") or (line[:1] == b"T" and line[1:2].isdigit() and line[2:3] == b":")


def is_waiting(line: bytes) -> bool:
    """A temperature report of M109/M190: the firmware is busy heating."""
    return b" W:" in line
