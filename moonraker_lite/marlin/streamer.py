"""Puts the lines of a file on the line to the firmware, and knows which byte of the file it has acknowledged.

This is the hot path: a plain `G1` costs a regular expression or two, everything else goes the long way round.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from typing import Protocol

from moonraker_lite.marlin.gcode.exclude import MoveFilter
from moonraker_lite.marlin.gcode.motion import Motion
from moonraker_lite.marlin.gcode.slow import SLOW
from moonraker_lite.marlin.gcode.words import COMING_BACK, Command, parse, squeeze
from moonraker_lite.marlin.print_stats import PrintStats
from moonraker_lite.marlin.protocol import LineProtocol, Token
from moonraker_lite.marlin.replies import parse_position
from moonraker_lite.marlin.requests import CommandError
from moonraker_lite.marlin.state import Machine

# Lines queued beyond what is on the wire: enough that an acknowledgement finds the next line ready, few enough that a
# pause takes effect soon.
AHEAD = 8

_GCODE = re.compile(r"G[0-9]").match
_COMMAND = re.compile(r"(?:N[0-9]+[ \t]*)?([GM])[ \t]*([0-9]+)", re.IGNORECASE).match
# What has to be read closely before it may be sent: checksums, comments in parentheses.
_ODD = re.compile(r"[*(]").search
_MOVES = ("G1 ", "G0 ")
# A line of these that is too long must not be left out.
_ESSENTIAL = frozenset({"G0", "G1", "G2", "G3", "G5", "G92"})


def command_word(text: str) -> str:
    """Return `M109` of `M109 S200`, `m0109S200` or `N7 M109`; anything for lines that are none."""
    match = _COMMAND(text)
    return f"{match[1].upper()}{match[2].lstrip('0') or '0'}" if match else ""


# X, Y, Z, E and feed rate.
Place = tuple[float, float, float, float, float]
# Token, end offset and line number of a line, and the place behind it.
_Flight = tuple[Token, int, int, float, float, float, float, float]


class JobLine(Protocol):
    """What a print needs of the line to the firmware; see `MarlinLine`."""

    def send(self, command: str, *, emergency: bool = False) -> asyncio.Future[tuple[str, ...]]: ...
    def stream(self, command: str) -> Token: ...
    def flush(self) -> None: ...
    def can_accept(self) -> int: ...
    async def drained(self) -> None: ...
    @property
    def connected(self) -> bool: ...
    @property
    def protocol(self) -> LineProtocol: ...


class Streamer:
    """One file at a time."""

    def __init__(
        self,
        machine: Machine,
        line: JobLine,
        stats: PrintStats,
        is_host_command: Callable[[str], bool],
        left_out: Callable[[str], None],
    ) -> None:
        """`left_out` is told of lines that were not sent because no firmware could read them."""
        self._machine = machine
        self._line = line
        self._stats = stats
        self._is_host_command = is_host_command
        self._left_out = left_out
        self._filter = MoveFilter(machine.excluded, machine.motion)
        # G words that are macros: they are not for the firmware.
        self.overridden: frozenset[str] = frozenset()
        self._read_offset = 0
        self._read_line = 0
        # Nothing is sent until all that is under way is executed: a slow command is next, or is under way.
        self._alone = False
        # A slow command was the last that was sent; one that leaves the head where it was.
        self._slow = False
        self._comes_back = False
        # The command at which `push` stopped because sending is not all it needs.
        self.special: Command | None = None
        # What is not acknowledged.
        self._in_flight: deque[_Flight] = deque()
        self._arrived: _Flight = (0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)

    def _is_overridden(self, text: str) -> bool:
        return bool(self.overridden) and command_word(text) in self.overridden

    def begin(self, offset: int) -> None:
        """Start anew at a byte of the file."""
        self._read_offset = offset
        self._read_line = 0
        self.special = None
        self._alone = self._slow = False
        self.forget()
        self._filter.reset()
        self._machine.motion.retracted = 0.0
        self._arrived = self._here(0, offset, 0)

    @property
    def position(self) -> int:
        """Bytes of the file that the firmware has acknowledged."""
        return self._arrived[1]

    @property
    def line_number(self) -> int:
        """Lines of the file that the firmware has acknowledged, since `begin`."""
        return self._arrived[2]

    @property
    def place(self) -> Place:
        """Where the file believed the head to be behind that line: X, Y, Z, E in mm and the feed rate in mm/min."""
        return self._arrived[3:]

    @property
    def file(self) -> Motion:
        """What the file believes the state of the firmware to be, behind all that was sent."""
        return self._filter.file

    def end(self, offset: int) -> None:
        """All of the file has been executed, up to `offset`."""
        self._arrived = (0, offset, self._read_line, *self.place)

    def _here(self, token: Token, offset: int, line: int) -> _Flight:
        state = self._filter.file
        x, y, z, e = state.position
        return token, offset, line, x, y, z, e, state.speed

    def forget(self) -> None:
        """What is under way will not be acknowledged any more, or nobody wants to know."""
        self._in_flight.clear()

    def acknowledged(self, token: Token, replies: tuple[str, ...] = ()) -> bool:
        """Note that the firmware has executed a command; return whether it was one of the file."""
        flight = self._in_flight
        if not flight or flight[0][0] != token:
            return False
        self._arrived = flight.popleft()
        if self._slow and not flight and not self._comes_back:
            self._learn_position(replies)
        return True

    def _learn_position(self, replies: tuple[str, ...]) -> None:
        """Homing and probing tell where they have left the head; nothing has been sent since."""
        for reply in replies:
            if position := parse_position(reply):
                self._machine.motion.reported(position.x, position.y, position.z, None)
                self._filter.reported()

    @property
    def moves_under_way(self) -> int:
        """Lines of the file that were sent and are not acknowledged; a slow command waits alone, and is no move."""
        return 0 if self._slow else len(self._in_flight)

    @property
    def blocked(self) -> bool:
        """A command that takes long keeps the firmware from everything else."""
        return self._slow and bool(self._in_flight)

    def room(self) -> int:
        """Return how many lines may be sent now."""
        if self._alone and self._in_flight:
            return 0
        queued = len(self._in_flight) - self._line.protocol.outstanding_lines
        return min(self._line.can_accept(), AHEAD - queued)

    def push(self, lines: list[bytes], index: int) -> int:
        """Send lines as far as there is room; return the index of the first that was not read.

        Stops behind a command that needs more than sending, and leaves it in `special`.
        """
        room = self.room()
        self._alone = self._slow = False
        motion = self._machine.motion
        filament = motion.filament
        while room > 0 and index < len(lines):
            raw = lines[index]
            text = whole = raw.decode("utf-8", "surrogateescape")
            comment = text.find(";")
            if comment >= 0:
                text = text[:comment]
            text = text.strip()
            slow = text[:3] not in _MOVES and command_word(text) in SLOW
            if slow:
                self._alone = True
                if self._in_flight:
                    break
            index += 1
            self._read_offset += len(raw)
            self._read_line += 1
            if comment >= 0:
                self._stats.layers.read_comment(whole[comment:])
                self._machine.labels.comment(whole[comment:])
            if not text:
                continue
            if not _GCODE(text) or not text.isprintable() or _ODD(text) or self._is_overridden(text):
                room -= self._push_other(whole, text)
                if self.special is not None:
                    break
            elif self._filter.active:
                room -= self._push_filtered(text)
            else:
                motion.observe_line(text)
                self._stream(text)
                room -= 1
            if slow:
                self._slow = True
                self._comes_back = command_word(text) in COMING_BACK
                break
        if motion.filament != filament:
            self._stats.extrude(motion.filament - filament)
        self._line.flush()
        return index

    def begin_special(self) -> Motion | None:
        """The host is about to run a special command; give what is returned to `end_special`."""
        return self._machine.motion.copy() if self._filter.active else None

    def end_special(self, before: Motion | None) -> None:
        """It has done so."""
        if before is not None:
            self._filter.host_did(before)

    def announce(self, text: str) -> None:
        """This line will be sent in the place of a special command, as soon as there is room."""
        self._slow = command_word(text) in SLOW
        self._comes_back = command_word(text) in COMING_BACK
        self._alone = self._slow or (self._alone and bool(self._in_flight))

    def send(self, text: str) -> None:
        """Send the line that was announced."""
        if self._filter.active:
            self._push_filtered(text)
        else:
            self._machine.observe_line(text, lasting=False)
            self._stream(text)

    def _push_other(self, whole: str, text: str) -> int:
        """Send a line that is no plain G-code, or leave it in `special`. Return how many lines were sent."""
        if "\0" in text.strip("\0 \t"):
            raise CommandError(f"Line {self._read_line} of the file is damaged: there are zero bytes in it")
        command = parse(whole)
        if command is None:
            return 0
        if not command.traditional or self._is_host_command(command.name):
            self.special = command
            return 0
        as_it_is = text[0].isupper() and text[0] != "N" and text.isprintable() and not _ODD(text)
        clean = text if as_it_is else command.line
        if self._filter.active:
            return self._push_filtered(clean)
        self._machine.observe(command, lasting=False)
        self._stream(clean)
        return 1

    def _push_filtered(self, text: str) -> int:
        _, before, line_before, *_ = self._in_flight[-1] if self._in_flight else self._arrived
        lines = self._filter.pass_on(text)
        for line in lines[:-1]:
            self._machine.observe_line(line, lasting=False)
            token = self._line.stream(line)
            # Not before the last of them is the file's line executed.
            self._in_flight.append(self._here(token, before, line_before))
        for line in lines[-1:]:
            self._machine.observe_line(line, lasting=False)
            self._stream(line)
        return len(lines)

    def _stream(self, text: str) -> None:
        try:
            token: Token | None = self._line.stream(text)
        except ValueError:
            token = self._stream_short(text)
        if token is not None:
            self._in_flight.append(self._here(token, self._read_offset, self._read_line))

    def _stream_short(self, text: str) -> Token | None:
        """Send a line that is longer than the firmware's buffer: without its blanks it may fit, a text may be cut.

        What still does not fit (pictures for the displays of some makers) is left out, but never a move.
        """
        try:
            return self._line.stream(squeeze(text))
        except ValueError as error:
            command = parse(text)
            message = f"Line {self._read_line} of the file cannot be sent: {error}"
            if command is None or command.name in _ESSENTIAL:
                raise CommandError(message) from None
            self._left_out(message)
            return None
