"""The beginning of a session: wait for the banner, set the line number, prove it by a first line.

`M110 N0` is answered by a bare `ok`, which may as well be a late one of other commands. So line 1, an M105, follows:
`ok T:...` answers it, and a request for any other line than 1 says that the hello was not heard.
"""

from __future__ import annotations

import enum

HELLO_WAITS = (1.0, 1.0, 2.0, 2.0, 3.0, 5.0)
HELLO_TROUBLE = 6
"""So many hellos without an answer before somebody is told."""
AGAIN_WAIT = 0.05
VERIFY_WAIT = 1.0
BARE_WAIT = 0.5
"""After a bare `ok` to line 1: so long a firmware has for `ok T:...` before it is believed not to say that."""
BOOT_QUIET = 0.25
BOOT_LONGEST = 3.0


class Step(enum.Enum):
    """What the handshake waits for."""

    BOOT = "boot"
    """The board speaks its banner; nothing is sent until it is quiet."""
    HELLO = "hello"
    """M110 N0 was, or is to be, sent."""
    VERIFY = "verify"
    """Line 1 was sent."""


class Handshake:
    """Steps and times. What is sent is the engine's part."""

    __slots__ = ("_boot_since", "bare_ok", "due", "hellos", "step")

    def __init__(self, now: float) -> None:
        self.step = Step.HELLO
        self.due = now
        """When the engine is to act."""
        self.hellos = 0
        self.bare_ok = False
        """Line 1 was answered by a bare `ok`, or a second hello was."""
        self._boot_since = now

    def boot(self, now: float) -> None:
        """The board begins to boot."""
        self.step = Step.BOOT
        self.hellos = 0
        self._boot_since = now
        self.due = now + BOOT_QUIET

    def heard(self, now: float) -> None:
        """Any line came: while booting, the banner goes on."""
        if self.step is Step.BOOT and now - self._boot_since < BOOT_LONGEST:
            self.due = now + BOOT_QUIET

    def busy(self, now: float) -> None:
        """The firmware does something of another session: hellos would only fill its buffer."""
        self.due = max(self.due, now + HELLO_WAITS[-1])

    def hello(self, now: float) -> bool:
        """A hello is sent now. True when there were too many."""
        self.step = Step.HELLO
        self.due = now + HELLO_WAITS[min(self.hellos, len(HELLO_WAITS) - 1)]
        self.hellos += 1
        return self.hellos == HELLO_TROUBLE

    def verify(self, now: float) -> None:
        """The hello was answered, line 1 is sent now."""
        self.step = Step.VERIFY
        self.bare_ok = False
        self.due = now + VERIFY_WAIT

    def answered_barely(self, now: float) -> None:
        """A bare `ok` after line 1."""
        if not self.bare_ok:
            self.bare_ok = True
            self.due = now + BARE_WAIT

    def refused(self, now: float) -> None:
        """Another line than 1 is asked for: hello again."""
        self.step = Step.HELLO
        self.due = now + AGAIN_WAIT
