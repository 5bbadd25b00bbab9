"""What the line protocol tells its owner: one small frozen value per happening, in the order in which they happened."""

from __future__ import annotations

import msgspec

Token = int
"""Identity of one queued command. Tokens grow by one for each `send`, over the whole life of a `LineProtocol`."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """Base of all events."""


class Connected(Event, frozen=True):
    """The handshake is done: the firmware counts our line numbers from 1. Commands flow from here on."""


class Resumed(Event, frozen=True):
    """The link was away, and the firmware has gone on counting our lines: what it lacks is sent now, and the rest."""


class Acknowledged(Event, frozen=True):
    """The firmware has executed the command (a move: has it in its planner).

    `replies` are the lines seen since the previous acknowledgement that are no reports (temperatures, busy, actions),
    without line ends, so that they can be answered to whoever sent the command. A payload behind `ok` counts as one.
    """

    token: Token
    replies: tuple[str, ...] = ()


class Line(Event, frozen=True):
    """One line from the firmware, without its line end. A bare `ok` (also with N, P and B) makes no `Line`."""

    text: str


class Resent(Event, frozen=True):
    """The firmware asked for line `number` again and gets it. `reason` is its own error text, or `resend`."""

    number: int
    reason: str


class Busy(Event, frozen=True):
    """The firmware is busy: `processing`, `paused for user`, `paused for input`. There is no `Line` besides."""

    kind: str


class FirmwareReset(Event, frozen=True):
    """The board was reset (`start`): position, targets, modes and automatic reports are gone.

    `unacknowledged` are all tokens that were not acknowledged, oldest first; they are dropped and never sent again by
    the protocol. The first `on_wire` of them may or may not have been executed, the others have never been sent.
    A new handshake follows by itself, then `Connected`.
    """

    unacknowledged: tuple[Token, ...] = ()
    on_wire: int = 0


class Fatal(Event, frozen=True):
    """The firmware halted (kill, thermal error, M112); only its reset helps. Tokens as in `FirmwareReset`."""

    message: str
    unacknowledged: tuple[Token, ...] = ()
    on_wire: int = 0


class LinkTrouble(Event, frozen=True):
    """The line is so bad that somebody should know (resend storm, silence). The protocol goes on trying, slowly.

    `storm`: too many lines have to be sent again; a print should pause until somebody has looked at the cable.
    `recoverable` is False when the firmware's line numbers contradict ours: then the tokens in `unacknowledged` were
    dropped, and only a `reset` helps.
    """

    message: str
    recoverable: bool = True
    storm: bool = False
    unacknowledged: tuple[Token, ...] = ()
