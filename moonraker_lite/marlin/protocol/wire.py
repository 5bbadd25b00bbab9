"""One line on the wire: cleaning, numbering and checksum out; numbers in `ok` and `Resend` in."""

from __future__ import annotations

MAX_LINE = 95
"""Marlin keeps 95 bytes of a line (MAX_CMD_SIZE 96) and drops the rest, the checksum first."""

HELLO = b"\nN0 M110 N0*125\n"
"""Sets the firmware's last line number to 0. The leading newline ends whatever half line stands in its buffer."""

_ODD = bytes(set(range(0x20)) - {0x09}) + b"\x7f;\\"
_CONTROL = bytes(set(range(0x20)) - {0x09}) + b"\x7f"


def clean(command: str) -> bytes:
    """The bytes of a command as the firmware would understand them.

    A backslash is swallowed by the firmware and would spoil the checksum for ever, so it goes here; a `;` begins a
    comment. ValueError: nothing is left, or there are control characters (a newline would make two lines of it, NUL
    and backspace change it).
    """
    body = command.strip().encode("utf-8", "surrogateescape")
    if len(body.translate(None, _ODD)) != len(body):
        if len(body.translate(None, _CONTROL)) != len(body):
            raise ValueError(f"A command must not hold control characters: {command!r}")
        body = body.partition(b";")[0].replace(b"\\", b"").strip()
    if not body:
        raise ValueError("An empty command cannot be sent")
    return body


def fit(body: bytes, number: int) -> bytes:
    """The body, with its spaces taken out where only that makes it short enough. ValueError: too long even so."""
    room = MAX_LINE - len(b"N%d *255" % number)
    if len(body) <= room:
        return body
    if body[:1] == b"G" and len(tight := body.replace(b" ", b"")) <= room:
        return tight
    raise ValueError(
        f"The command is {len(body) - room} bytes too long for the firmware: {body[:40].decode(errors='replace')}..."
    )


def checksum(data: bytes) -> int:
    """XOR of all bytes, folded in halves: several times faster than a loop."""
    folded = int.from_bytes(data, "big")
    if len(data) > 64:
        folded ^= folded >> 512
    folded ^= folded >> 256
    folded ^= folded >> 128
    folded ^= folded >> 64
    folded ^= folded >> 32
    folded ^= folded >> 16
    return (folded ^ (folded >> 8)) & 0xFF


def encode(number: int, body: bytes) -> bytes:
    """`N12 G1 X10*85` with its newline."""
    line = b"N%d %b" % (number, body)
    return b"%b*%d\n" % (line, checksum(line))


def first_number(text: bytes) -> int | None:
    """The first integer in `Resend: 12`, `rs N12`, `Resend:N:12 ...`; None where there is none."""
    start = 0
    size = len(text)
    while start < size and not 0x30 <= text[start] <= 0x39:
        start += 1
    end = start
    while end < size and 0x30 <= text[end] <= 0x39:
        end += 1
    # More than nine digits is noise: no session gets that far.
    return int(text[start:end]) if start < end <= start + 9 else None


def command_word(body: bytes) -> bytes:
    """`G1` of `G1 X10`, `G1X10` or `g01 X10`; `T` for every tool change; empty where there is no command word."""
    letter = body[:1].upper()
    if letter == b"T":
        return b"T"
    end = 1
    size = len(body)
    while end < size and 0x30 <= body[end] <= 0x39:
        end += 1
    return letter + (body[1:end].lstrip(b"0") or b"0") if end > 1 else b""
